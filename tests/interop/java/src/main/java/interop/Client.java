// Drives an A2A agent through the official Java SDK 0.3: `Client URL BINDING VERSION WEBHOOK`.
//
// Uses the SDK as an application would: card, builder, client, with the transport under test as the client's only one. It
// speaks protocol 0.3 alone. The scenario is that of the other languages' folders; see ../../../../../README.md.
package interop;

import io.a2a.A2A;
import io.a2a.client.ClientEvent;
import io.a2a.client.MessageEvent;
import io.a2a.client.TaskEvent;
import io.a2a.client.TaskUpdateEvent;
import io.a2a.client.config.ClientConfig;
import io.a2a.client.transport.grpc.GrpcTransport;
import io.a2a.client.transport.grpc.GrpcTransportConfigBuilder;
import io.a2a.client.transport.jsonrpc.JSONRPCTransport;
import io.a2a.client.transport.jsonrpc.JSONRPCTransportConfig;
import io.a2a.client.transport.rest.RestTransport;
import io.a2a.client.transport.rest.RestTransportConfig;
import io.a2a.spec.AgentCard;
import io.a2a.spec.DeleteTaskPushNotificationConfigParams;
import io.a2a.spec.FilePart;
import io.a2a.spec.FileWithBytes;
import io.a2a.spec.GetTaskPushNotificationConfigParams;
import io.a2a.spec.ListTaskPushNotificationConfigParams;
import io.a2a.spec.Message;
import io.a2a.spec.Part;
import io.a2a.spec.PushNotificationConfig;
import io.a2a.spec.Task;
import io.a2a.spec.TaskArtifactUpdateEvent;
import io.a2a.spec.TaskIdParams;
import io.a2a.spec.TaskNotFoundError;
import io.a2a.spec.TaskPushNotificationConfig;
import io.a2a.spec.TaskQueryParams;
import io.a2a.spec.TaskState;
import io.a2a.spec.TaskStatusUpdateEvent;
import io.a2a.spec.TextPart;
import io.grpc.ManagedChannelBuilder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

public final class Client {
    // New with each run: an agent with a workspace tells of what changed in it. Everybody else echoes the whole text.
    private static final String HELLO = "hello " + UUID.randomUUID();
    private static final int CHUNKS = 5;
    private static final String STREAM = "spam 5";
    private static final String ASK = "input Which colour?";
    private static final String ANSWER = "blue " + UUID.randomUUID();
    private static final String HANG = "hang";
    private static final String UNKNOWN = "00000000-0000-7000-8000-000000000000";
    private static final String TOKEN = "interop-token";
    /** Seconds for one operation. */
    private static final long LIMIT = 30;

    private final String url;
    private final String binding;
    private final String webhook;
    private io.a2a.client.Client unary;
    private io.a2a.client.Client atOnce;
    private io.a2a.client.Client stream;
    private Task done;

    private Client(String url, String binding, String webhook) {
        this.url = url;
        this.binding = binding;
        this.webhook = webhook;
    }

    /** The SDK has no such operation. */
    private static final class Absent extends Exception {
        Absent(String message) {
            super(message);
        }
    }

    public static void main(String[] args) {
        Client client = new Client(args[0], args[1], args[3]);
        boolean card = tell("card", client::discover);
        if (card) {
            tell("send", client::send);
            tell("stream", client::stream);
            tell("get", client::get);
            tell("list", () -> {
                throw new Absent("0.3 has no list");
            });
            tell("error", client::unknown);
            tell("cancel", client::cancel);
            tell("input", client::input);
            tell("subscribe", client::subscribe);
            tell("push", client::push);
        }
        // Threads of the SDK's transports may still run.
        System.exit(0);
    }

    private static boolean tell(String op, Callable<String> operation) {
        ExecutorService thread = Executors.newSingleThreadExecutor();
        String ok = "false";
        String detail;
        try {
            detail = thread.submit(operation).get(LIMIT, TimeUnit.SECONDS);
            ok = "true";
        } catch (TimeoutException late) {
            detail = "no answer within " + LIMIT + " s";
        } catch (ExecutionException failed) {
            Throwable cause = failed.getCause();
            detail = cause.getClass().getSimpleName() + ": " + cause.getMessage();
            if (cause instanceof Absent) {
                ok = "null";
                detail = cause.getMessage();
            } else {
                cause.printStackTrace();
            }
        } catch (InterruptedException stopped) {
            detail = "interrupted";
        }
        thread.shutdownNow();
        System.out.println("{\"op\":\"" + op + "\",\"ok\":" + ok + ",\"detail\":\"" + escape(detail) + "\"}");
        return ok.equals("true");
    }

    private static String escape(String text) {
        StringBuilder out = new StringBuilder();
        for (char letter : text.toCharArray()) {
            if (letter == '"' || letter == '\\') {
                out.append('\\').append(letter);
            } else {
                out.append(letter < ' ' ? ' ' : letter);
            }
        }
        return out.length() > 400 ? out.substring(0, 400) : out.toString();
    }

    private static void check(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    private String discover() throws Exception {
        AgentCard card = A2A.getAgentCard(url);
        check(card.capabilities().streaming(), "the card does not offer streaming");
        unary = client(card, false, false);
        atOnce = client(card, false, true);
        stream = client(card, true, false);
        return card.name();
    }

    private io.a2a.client.Client client(AgentCard card, boolean streaming, boolean polling) throws Exception {
        var config = new ClientConfig.Builder().setStreaming(streaming).setPolling(polling)
                .setUseClientPreference(true).build();
        var builder = io.a2a.client.Client.builder(card).clientConfig(config);
        switch (binding) {
            case "JSONRPC" -> builder.withTransport(JSONRPCTransport.class, new JSONRPCTransportConfig());
            case "HTTP+JSON" -> builder.withTransport(RestTransport.class, new RestTransportConfig());
            default -> builder.withTransport(GrpcTransport.class, new GrpcTransportConfigBuilder()
                    // A 0.3 card writes a gRPC address as a URL; a channel wants host and port.
                    .channelFactory(to -> ManagedChannelBuilder.forTarget(to.replaceFirst("^http://", "")).usePlaintext().build()));
        }
        return builder.build();
    }

    private static Message message(String text, Task task) {
        var builder = new Message.Builder().role(Message.Role.USER).messageId(UUID.randomUUID().toString())
                .parts(List.<Part<?>>of(new TextPart(text)));
        if (task != null) {
            builder.taskId(task.getId()).contextId(task.getContextId());
        }
        return builder.build();
    }

    /** What a call gives: events, and at most one failure. */
    private static final class Events {
        final BlockingQueue<Object> queue = new LinkedBlockingQueue<>();

        void event(ClientEvent event, AgentCard card) {
            queue.add(event);
        }

        void failed(Throwable error) {
            // Transports report the end of a stream as an empty error.
            if (error != null) {
                queue.add(error);
            }
        }

        ClientEvent next() throws Exception {
            Object next = queue.poll(LIMIT, TimeUnit.SECONDS);
            check(next != null, "there is no further event");
            if (next instanceof Throwable error) {
                throw new IllegalStateException("the stream failed: " + error, error);
            }
            return (ClientEvent) next;
        }
    }

    private static Events send(io.a2a.client.Client client, Message message) throws Exception {
        Events events = new Events();
        client.sendMessage(message, List.of(events::event), events::failed, null);
        return events;
    }

    private static Task task(ClientEvent event) {
        check(event instanceof TaskEvent, "it is no task but " + event.getClass().getSimpleName());
        return ((TaskEvent) event).getTask();
    }

    private static void wants(Task task, TaskState state) {
        check(task.getStatus().state() == state, "state " + task.getStatus().state());
    }

    private static String texts(List<Part<?>> parts) {
        StringBuilder all = new StringBuilder();
        for (Part<?> part : parts) {
            if (part instanceof TextPart text) {
                all.append(text.getText());
            } else if (part instanceof FilePart file && file.getFile() instanceof FileWithBytes bytes) {
                all.append(new String(Base64.getDecoder().decode(bytes.bytes()), StandardCharsets.UTF_8));
            }
        }
        return all.toString();
    }

    /** Everything that a task says: its artifacts, its status, the agent's part of its history. */
    private static String said(Task task) {
        List<String> words = new ArrayList<>();
        if (task.getArtifacts() != null) {
            task.getArtifacts().forEach(artifact -> words.add(texts(artifact.parts())));
        }
        if (task.getStatus().message() != null) {
            words.add(texts(task.getStatus().message().getParts()));
        }
        if (task.getHistory() != null) {
            task.getHistory().stream().filter(message -> message.getRole() == Message.Role.AGENT)
                    .forEach(message -> words.add(texts(message.getParts())));
        }
        return String.join("\n", words);
    }

    private static String text(ClientEvent event) {
        if (event instanceof TaskUpdateEvent update) {
            if (update.getUpdateEvent() instanceof TaskArtifactUpdateEvent artifact) {
                return texts(artifact.getArtifact().parts());
            }
            if (update.getUpdateEvent() instanceof TaskStatusUpdateEvent status && status.getStatus().message() != null) {
                return texts(status.getStatus().message().getParts());
            }
        }
        return event instanceof MessageEvent message ? texts(message.getMessage().getParts()) : "";
    }

    private static TaskState state(ClientEvent event) {
        return event instanceof TaskUpdateEvent update ? update.getTask().getStatus().state() : task(event).getStatus().state();
    }

    private String send() throws Exception {
        Task task = task(send(unary, message("write hello.txt " + HELLO, null)).next());
        wants(task, TaskState.COMPLETED);
        check(said(task).contains(HELLO), "the echo is missing in " + said(task));
        check(task.getContextId() != null, "the task has no contextId");
        done = task;
        return "";
    }

    private String stream() throws Exception {
        Events events = send(stream, message(STREAM, null));
        ClientEvent event = events.next();
        task(event);
        StringBuilder all = new StringBuilder();
        int count = 1;
        while (!state(event).isFinal()) {
            event = events.next();
            all.append(text(event));
            count++;
        }
        check(state(event) == TaskState.COMPLETED, "the stream ends in state " + state(event));
        // In order; an agent may say all of it once more at the end.
        int at = 0;
        for (int number = 1; number <= CHUNKS; number++) {
            at = all.indexOf("chunk " + number, at);
            check(at >= 0, "chunk " + number + " is missing or out of order in " + all);
        }
        return count + " events";
    }

    private String get() throws Exception {
        check(done != null, "there is no task: send failed");
        Task task = unary.getTask(new TaskQueryParams(done.getId()), null);
        check(task.getId().equals(done.getId()), "another task came back");
        wants(task, TaskState.COMPLETED);
        return "";
    }

    private String unknown() throws Exception {
        try {
            unary.getTask(new TaskQueryParams(UNKNOWN), null);
        } catch (Exception error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                if (cause instanceof TaskNotFoundError) {
                    return "";
                }
            }
            throw error;
        }
        throw new IllegalStateException("an unknown task was found");
    }

    /** Cancels the task and wants the stream to end with that. */
    private String ends(Task task, Events events) throws Exception {
        wants(unary.cancelTask(new TaskIdParams(task.getId()), null), TaskState.CANCELED);
        ClientEvent event = events.next();
        while (!state(event).isFinal()) {
            event = events.next();
        }
        check(state(event) == TaskState.CANCELED, "the stream ends in state " + state(event));
        return "";
    }

    private String cancel() throws Exception {
        Events events = send(stream, message(HANG, null));
        return ends(task(events.next()), events);
    }

    private String input() throws Exception {
        Task task = task(send(unary, message(ASK, null)).next());
        wants(task, TaskState.INPUT_REQUIRED);
        check(said(task).contains("colour"), "the question is missing in " + said(task));
        Task after = task(send(unary, message("write answer.txt " + ANSWER, task)).next());
        check(after.getId().equals(task.getId()), "the answer went to another task");
        wants(after, TaskState.COMPLETED);
        check(said(after).contains(ANSWER), "the answer is missing in " + said(after));
        return "";
    }

    private String subscribe() throws Exception {
        Task task = task(send(atOnce, message(HANG, null)).next());
        Events events = new Events();
        stream.resubscribe(new TaskIdParams(task.getId()), List.of(events::event), events::failed, null);
        // A 0.3 server need not begin with the task, so the first event is no sign of being attached.
        Thread.sleep(1000);
        return ends(task, events);
    }

    private String push() throws Exception {
        Task task = task(send(unary, message(ASK, null)).next());
        TaskPushNotificationConfig made = unary.setTaskPushNotificationConfiguration(config(task, "one", webhook), null);
        check(made.pushNotificationConfig().url().equals(webhook), "it was made with url " + made);
        var got = unary.getTaskPushNotificationConfiguration(new GetTaskPushNotificationConfigParams(task.getId(), "one"), null);
        check(got.pushNotificationConfig().url().equals(webhook), "it has url " + got);
        lists(task);
        unary.setTaskPushNotificationConfiguration(config(task, "two", webhook + "/two"), null);
        unary.deleteTaskPushNotificationConfigurations(new DeleteTaskPushNotificationConfigParams(task.getId(), "two"), null);
        lists(task);
        // The turn after this is what the webhook is told about.
        wants(task(send(unary, message("write answer.txt " + ANSWER, task)).next()), TaskState.COMPLETED);
        return task.getId();
    }

    private static TaskPushNotificationConfig config(Task task, String id, String url) {
        var config = new PushNotificationConfig.Builder().id(id).url(url).token(TOKEN).build();
        return new TaskPushNotificationConfig(task.getId(), config);
    }

    /** Wants the one config that is left. */
    private void lists(Task task) throws Exception {
        var listed = unary.listTaskPushNotificationConfigurations(new ListTaskPushNotificationConfigParams(task.getId()), null);
        check(listed.size() == 1, "listed " + listed.size() + " configs");
    }
}

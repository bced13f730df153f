//! Drives an A2A agent through the official Rust SDK: `client URL BINDING VERSION WEBHOOK`.
//!
//! Uses the SDK as an application would: resolver, factory, client. The card's interfaces are narrowed to the binding and
//! the version under test.

use std::sync::Arc;

use a2a::{
    A2AError, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTasksRequest, Message, Part, PartContent, Role, SendMessageConfiguration, SendMessageRequest,
    SendMessageResponse, StreamResponse, SubscribeToTaskRequest, Task, TaskPushNotificationConfig,
    TaskState, error_code,
};
use a2a_client::agent_card::AgentCardResolver;
use a2a_client::{A2AClient, A2AClientFactory, Transport};
use a2a_grpc::GrpcTransportFactory;
use futures::StreamExt;
use futures::stream::BoxStream;
use interop_rust::{
    ASK, CHUNKS, Failure, HANG, Outcome, STREAM, TOKEN, UNKNOWN, check, fresh, run,
};

type Client = A2AClient<Box<dyn Transport>>;
type Stream = BoxStream<'static, Result<StreamResponse, A2AError>>;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().unwrap_or_default();
    let (url, binding, version, webhook) = (next(), next(), next(), next());
    let mut client = None;
    run("card", Box::pin(async { discover(&url, &binding, &version, &mut client).await })).await;
    let Some(client) = client else { return };
    let mut done = None;
    run("send", Box::pin(async { send(&client, &mut done).await })).await;
    run("stream", Box::pin(stream(&client))).await;
    run("get", Box::pin(get(&client, done.as_ref()))).await;
    run("list", Box::pin(list(&client, done.as_ref()))).await;
    run("error", Box::pin(unknown(&client))).await;
    run("cancel", Box::pin(cancel(&client))).await;
    run("input", Box::pin(input(&client))).await;
    run("subscribe", Box::pin(subscribe(&client))).await;
    run("push", Box::pin(push(&client, &webhook))).await;
}

async fn discover(url: &str, binding: &str, version: &str, client: &mut Option<Client>) -> Outcome {
    if version != "1.0" {
        return Err(Failure::Absent("this SDK speaks 1.0 only"));
    }
    let mut card = AgentCardResolver::new(None).resolve(url).await?;
    check(!card.name.is_empty(), || "the card has no name".to_owned())?;
    let streaming = card.capabilities.streaming == Some(true);
    check(streaming, || "the card does not offer streaming".to_owned())?;
    card.supported_interfaces.retain(|i| {
        i.protocol_binding.to_string() == binding && i.protocol_version.to_string().starts_with(version)
    });
    let offered = !card.supported_interfaces.is_empty();
    check(offered, || format!("the card offers no {binding} {version}"))?;
    let factory = A2AClientFactory::builder()
        .register(Arc::new(GrpcTransportFactory::new()))
        .preferred_bindings(vec![binding.to_owned()])
        .build();
    *client = Some(factory.create_from_card(&card).await?);
    Ok(card.name)
}

/// A user message with one text, for a task or a new one.
fn request(text: &str, task: Option<&Task>, at_once: bool) -> SendMessageRequest {
    let mut message = Message::new(Role::User, vec![Part::text(text)]);
    message.task_id = task.map(|task| task.id.clone());
    message.context_id = task.map(|task| task.context_id.clone());
    let configuration = SendMessageConfiguration {
        accepted_output_modes: None,
        task_push_notification_config: None,
        history_length: None,
        return_immediately: Some(at_once),
    };
    SendMessageRequest { message, configuration: Some(configuration), metadata: None, tenant: None }
}

/// Sends without streaming; the task that comes back.
async fn ask(client: &Client, request: SendMessageRequest) -> Result<Task, Failure> {
    match client.send_message(&request).await? {
        SendMessageResponse::Task(task) => Ok(task),
        SendMessageResponse::Message(_) => Err("the answer is no task".into()),
    }
}

fn wants(task: &Task, state: TaskState) -> Result<(), Failure> {
    check(task.status.state == state, || format!("state {:?}", task.status.state))
}

/// All text of some parts, files included.
fn texts(parts: &[Part]) -> String {
    let text = |part: &Part| match &part.content {
        PartContent::Text(text) => text.clone(),
        PartContent::Raw(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        PartContent::Url(_) | PartContent::Data(_) => String::new(),
    };
    parts.iter().map(text).collect()
}

/// Everything that a task says: its artifacts, its status, the agent's part of its history.
fn said(task: &Task) -> String {
    let artifacts = task.artifacts.iter().flatten().map(|artifact| texts(&artifact.parts));
    let status = task.status.message.iter().map(|message| texts(&message.parts));
    let spoken = task.history.iter().flatten().filter(|message| message.role == Role::Agent);
    let words: Vec<_> =
        artifacts.chain(status).chain(spoken.map(|message| texts(&message.parts))).collect();
    words.join("\n")
}

fn event_text(event: &StreamResponse) -> String {
    match event {
        StreamResponse::Task(_) => String::new(),
        StreamResponse::Message(message) => texts(&message.parts),
        StreamResponse::StatusUpdate(update) => {
            update.status.message.as_ref().map(|message| texts(&message.parts)).unwrap_or_default()
        }
        StreamResponse::ArtifactUpdate(update) => texts(&update.artifact.parts),
    }
}

fn event_state(event: &StreamResponse) -> Option<TaskState> {
    match event {
        StreamResponse::Task(task) => Some(task.status.state.clone()),
        StreamResponse::StatusUpdate(update) => Some(update.status.state.clone()),
        StreamResponse::Message(_) | StreamResponse::ArtifactUpdate(_) => None,
    }
}

async fn send(client: &Client, done: &mut Option<Task>) -> Outcome {
    let hello = fresh("hello");
    let task = ask(client, request(&format!("write hello.txt {hello}"), None, false)).await?;
    wants(&task, TaskState::Completed)?;
    let echoed = said(&task).contains(&hello) && !task.context_id.is_empty();
    check(echoed, || format!("the echo or the contextId is missing in {:?}", said(&task)))?;
    *done = Some(task);
    Ok(String::new())
}

async fn stream(client: &Client) -> Outcome {
    let mut stream = client.send_streaming_message(&request(STREAM, None, false)).await?;
    let (mut text, mut last, mut count) = (String::new(), None, 0);
    while let Some(event) = stream.next().await {
        let event = event?;
        let begins = count > 0 || matches!(event, StreamResponse::Task(_));
        check(begins, || format!("the stream begins with {event:?}"))?;
        count += 1;
        text.push_str(&event_text(&event));
        last = event_state(&event).or(last);
    }
    check(last == Some(TaskState::Completed), || format!("the stream ends in {last:?}"))?;
    // In order; an agent may say all of it once more at the end.
    let mut rest = text.as_str();
    for number in 1..=CHUNKS {
        let chunk = format!("chunk {number}");
        let Some((_, after)) = rest.split_once(&chunk) else {
            return Err(format!("{chunk} is missing or out of order in {text:?}").into());
        };
        rest = after;
    }
    Ok(format!("{count} events"))
}

async fn get(client: &Client, done: Option<&Task>) -> Outcome {
    let done = done.ok_or("there is no task: send failed")?;
    let request = GetTaskRequest { id: done.id.clone(), history_length: None, tenant: None };
    let task = client.get_task(&request).await?;
    check(task.id == done.id, || "another task came back".to_owned())?;
    wants(&task, TaskState::Completed)?;
    Ok(String::new())
}

async fn list(client: &Client, done: Option<&Task>) -> Outcome {
    let done = done.ok_or("there is no task: send failed")?;
    let request = ListTasksRequest {
        context_id: Some(done.context_id.clone()),
        status: None,
        page_size: None,
        page_token: None,
        history_length: None,
        status_timestamp_after: None,
        include_artifacts: None,
        tenant: None,
    };
    let page = client.list_tasks(&request).await?;
    let found = page.tasks.len() == 1 && page.tasks[0].id == done.id && page.total_size == 1;
    check(found, || format!("listed {} tasks, totalSize {}", page.tasks.len(), page.total_size))?;
    Ok(String::new())
}

async fn unknown(client: &Client) -> Outcome {
    let request = GetTaskRequest { id: UNKNOWN.into(), history_length: None, tenant: None };
    match client.get_task(&request).await {
        Err(error) if error.code == error_code::TASK_NOT_FOUND => Ok(String::new()),
        Err(error) => Err(format!("an unknown task gives {}: {error}", error.code).into()),
        Ok(_) => Err("an unknown task was found".into()),
    }
}

/// Cancels the task and wants the stream to end with that.
async fn ends(client: &Client, task: &Task, mut stream: Stream) -> Outcome {
    let request = CancelTaskRequest { id: task.id.clone(), metadata: None, tenant: None };
    let cancelled = client.cancel_task(&request).await?;
    wants(&cancelled, TaskState::Canceled)?;
    let mut last = None;
    while let Some(event) = stream.next().await {
        last = event_state(&event?).or(last);
    }
    check(last == Some(TaskState::Canceled), || format!("the stream ends in {last:?}"))?;
    Ok(String::new())
}

async fn cancel(client: &Client) -> Outcome {
    let mut stream = client.send_streaming_message(&request(HANG, None, false)).await?;
    let Some(StreamResponse::Task(task)) = stream.next().await.transpose()? else {
        return Err("the stream does not begin with a task".into());
    };
    ends(client, &task, stream).await
}

async fn input(client: &Client) -> Outcome {
    let task = ask(client, request(ASK, None, false)).await?;
    wants(&task, TaskState::InputRequired)?;
    let asked = said(&task).contains("colour");
    check(asked, || format!("the question is missing in {:?}", said(&task)))?;
    let answer = fresh("blue");
    let answering = format!("write answer.txt {answer}");
    let after = ask(client, request(&answering, Some(&task), false)).await?;
    wants(&after, TaskState::Completed)?;
    let answered = after.id == task.id && said(&after).contains(&answer);
    check(answered, || format!("the answer is missing in {:?}", said(&after)))?;
    Ok(String::new())
}

async fn subscribe(client: &Client) -> Outcome {
    let task = ask(client, request(HANG, None, true)).await?;
    let request = SubscribeToTaskRequest { id: task.id.clone(), tenant: None };
    let mut stream = client.subscribe_to_task(&request).await?;
    let Some(StreamResponse::Task(first)) = stream.next().await.transpose()? else {
        return Err("the stream does not begin with a task".into());
    };
    check(first.id == task.id, || "it is another task".to_owned())?;
    ends(client, &task, stream).await
}

async fn push(client: &Client, webhook: &str) -> Outcome {
    let task = ask(client, request(ASK, None, false)).await?;
    let config = |id: &str, url: String| TaskPushNotificationConfig {
        url,
        id: Some(id.to_owned()),
        task_id: task.id.clone(),
        token: Some(TOKEN.to_owned()),
        authentication: None,
        tenant: None,
    };
    let made = client.create_push_config(&config("one", webhook.to_owned())).await?;
    let id = made.id.clone().ok_or("it was made without an id")?;
    let request_one = GetTaskPushNotificationConfigRequest {
        task_id: task.id.clone(),
        id: id.clone(),
        tenant: None,
    };
    let got = client.get_push_config(&request_one).await?;
    let same = made.url == webhook && got.url == webhook;
    check(same, || format!("it was made with url {} and has url {}", made.url, got.url))?;
    lists(client, &task, &id).await?;
    client.create_push_config(&config("two", format!("{webhook}/two"))).await?;
    let request_two = DeleteTaskPushNotificationConfigRequest {
        task_id: task.id.clone(),
        id: "two".to_owned(),
        tenant: None,
    };
    client.delete_push_config(&request_two).await?;
    lists(client, &task, &id).await?;
    // The turn after this is what the webhook is told about.
    wants(&ask(client, request("blue", Some(&task), false)).await?, TaskState::Completed)?;
    Ok(task.id.to_string())
}

/// Wants the one config that is left.
async fn lists(client: &Client, task: &Task, id: &str) -> Result<(), Failure> {
    let request = ListTaskPushNotificationConfigsRequest {
        task_id: task.id.clone(),
        page_size: None,
        page_token: None,
        tenant: None,
    };
    let listed = client.list_push_configs(&request).await?.configs;
    let one = listed.len() == 1 && listed[0].id.as_deref() == Some(id);
    check(one, || format!("listed {} configs", listed.len()))
}

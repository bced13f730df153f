//! Our client against our server over real sockets, through a proxy that cuts every connection after some bytes: nothing
//! is lost, nothing comes twice, whatever the binding and wherever the cut.

#![cfg(test)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use a2a_proto::auth::{Claims, JwtVerifier, Signer};
use a2a_proto::client::{
    Client, ClientError, ClientOptions, EventStream, HttpOptions, SIMPLE_BINDING, StaticToken,
    StreamEvent, http_client,
};
use a2a_proto::clock::{Clock, SystemClock};
use a2a_proto::error::A2aError;
use a2a_proto::log::{MemoryLog, SqliteLog, TaskLog};
use a2a_proto::server::{
    Agent, AgentError, AnyCaller, Authenticator, CancelTarget, Server, ServerOptions, Turn,
    UpdateError, Updates,
};
use a2a_proto::types::{
    AgentCapabilities, AgentCard, AgentInterface, Artifact, ListTasksRequest, Message, Part,
    SendMessageRequest, SendMessageResponse, StreamResponse, Task, TaskState,
};
use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

/// Counts aloud to the number in the message: a chunk of one artifact per number.
struct Counter {
    card: AgentCard,
}

fn gave_up(error: UpdateError) -> AgentError {
    AgentError::because("cannot update the task", error)
}

impl Agent for Counter {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn execute(&self, turn: Turn, updates: Updates) -> Result<(), AgentError> {
        let text = turn.message.text();
        if text == "wait" {
            updates
                .status(TaskState::Working, None)
                .await
                .map_err(gave_up)?;
            turn.cancelled.cancelled().await;
            return Ok(());
        }
        let count: usize = text
            .parse()
            .map_err(|error| AgentError::because("that is no number", error))?;
        updates
            .status(TaskState::Working, None)
            .await
            .map_err(gave_up)?;
        for number in 0..count {
            let chunk = Artifact::new("numbers", vec![Part::text(number.to_string())]);
            updates
                .artifact(chunk, number > 0, number + 1 == count)
                .await
                .map_err(gave_up)?;
        }
        let done = updates.agent_message(vec![Part::text("done")]);
        updates
            .status(TaskState::Completed, Some(done))
            .await
            .map_err(gave_up)?;
        Ok(())
    }

    async fn cancel(&self, _target: &CancelTarget) -> Result<(), AgentError> {
        Ok(())
    }
}

/// A server, and a proxy in front of it that its card names.
struct World {
    url: Url,
    shutdown: CancellationToken,
    tracker: TaskTracker,
    connections: Arc<AtomicUsize>,
}

impl World {
    async fn new<L: TaskLog>(
        log: L,
        binding: &str,
        auth: Arc<dyn Authenticator>,
        cut_after: usize,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let url = proxy(
            listener.local_addr().unwrap().port(),
            cut_after,
            Arc::clone(&connections),
        );
        // A binding of an older version has it behind a blank.
        let (binding, version) = binding.split_once(' ').unwrap_or((binding, "1.0"));
        let interface = AgentInterface {
            url: url.to_string(),
            protocol_binding: binding.to_owned(),
            protocol_version: version.to_owned(),
            ..AgentInterface::default()
        };
        let card = AgentCard {
            name: "counter".to_owned(),
            version: "1".to_owned(),
            supported_interfaces: vec![interface],
            capabilities: AgentCapabilities {
                streaming: Some(true),
                ..AgentCapabilities::default()
            },
            default_input_modes: vec!["text/plain".to_owned()],
            ..AgentCard::default()
        };
        let options = ServerOptions {
            keep_alive: Duration::from_millis(20),
            ..ServerOptions::new(auth)
        };
        let (shutdown, tracker) = (options.shutdown.clone(), options.tracker.clone());
        let server = Server::new(Arc::new(Counter { card }), Arc::new(log), options);
        let serve = axum::serve(listener, server.router())
            .with_graceful_shutdown(shutdown.clone().cancelled_owned());
        tracker.spawn(async move { serve.await.unwrap() });
        Self {
            url,
            shutdown,
            tracker,
            connections,
        }
    }

    async fn client(&self, options: ClientOptions) -> Client {
        Client::discover(&self.url, options).await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.tracker.close();
        // Connections of clients that are gone may linger; what matters is over.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tracker.wait()).await;
    }
}

/// Passes everything on to `port`, but hangs up on the client after `cut_after` bytes of the first answer, a little more
/// of the second, and so on; 0 never cuts.
fn proxy(port: u16, cut_after: usize, connections: Arc<AtomicUsize>) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", port))) else {
                return;
            };
            let nth = connections.fetch_add(1, Ordering::SeqCst);
            let budget = if cut_after == 0 {
                usize::MAX
            } else {
                cut_after + 131 * nth
            };
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || pass_on(from, to, usize::MAX));
            thread::spawn(move || pass_on(server, client, budget));
        }
    });
    url
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, mut budget: usize) {
    let mut buffer = [0; 512];
    while budget > 0 {
        let length = match from.read(&mut buffer) {
            Ok(length) if length > 0 => length.min(budget),
            _ => break,
        };
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
        budget -= length;
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn options() -> ClientOptions {
    let mut options = ClientOptions::new(http_client(&HttpOptions::default()).unwrap());
    options.resume.min_delay = Duration::from_millis(1);
    options.resume.max_delay = Duration::from_millis(5);
    options
}

fn message(text: &str) -> SendMessageRequest {
    let message = Message::user("m-1", vec![Part::text(text)]);
    SendMessageRequest {
        message,
        ..SendMessageRequest::default()
    }
}

async fn collect(stream: EventStream) -> Vec<StreamEvent> {
    stream
        .map(|event| event.unwrap_or_else(|error| panic!("{error:?}")))
        .collect()
        .await
}

fn check_count(events: &[StreamEvent], count: usize) {
    // In the simple dialect an event can be told in two pieces, and the second has the number.
    let seqs: Vec<_> = events.iter().filter_map(|event| event.seq).collect();
    let expected: Vec<_> = (seqs[0]..).take(seqs.len()).collect();
    assert_eq!(seqs, expected, "a gap or a repetition");
    let mut task = Task::default();
    for event in events {
        task.apply(&event.event);
    }
    let numbers: Vec<_> = task.artifacts[0]
        .parts
        .iter()
        .filter_map(Part::as_text)
        .collect();
    let expected: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected);
    assert_eq!(task.status.state, TaskState::Completed);
    assert_eq!(task.status.message.unwrap().text(), "done");
}

const BINDINGS: &[&str] = &[
    "JSONRPC",
    "HTTP+JSON",
    #[cfg(feature = "grpc")]
    "GRPC",
];

async fn count_through_cuts<L: TaskLog>(log: L, binding: &str) {
    // A frame of HTTP/2, 16 KiB at most, counts only when all of it has come.
    let (count, cut_after) = match binding.starts_with("GRPC") {
        true => (1000, 17_000),
        false => (300, 1500),
    };
    let world = World::new(log, binding, Arc::new(AnyCaller), cut_after).await;
    let client = world.client(options()).await;
    let events = collect(client.stream(message(&count.to_string()))).await;
    check_count(&events, count);
    let connections = world.connections.load(Ordering::SeqCst);
    assert!(
        connections > 5,
        "only {connections} connections: nothing was cut"
    );
    world.stop().await;
}

#[tokio::test]
async fn json_rpc_streams_survive_cuts() {
    count_through_cuts(MemoryLog::new().unwrap(), "JSONRPC").await;
}

#[tokio::test]
async fn http_json_streams_survive_cuts_over_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    count_through_cuts(
        SqliteLog::open(folder.path().join("log.db")).unwrap(),
        "HTTP+JSON",
    )
    .await;
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn grpc_streams_survive_cuts() {
    count_through_cuts(MemoryLog::new().unwrap(), "GRPC").await;
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn grpc_streams_of_0_3_survive_cuts() {
    count_through_cuts(MemoryLog::new().unwrap(), "GRPC 0.3").await;
}

#[tokio::test]
async fn streams_of_older_versions_survive_cuts() {
    for binding in [
        "JSONRPC 0.3",
        "HTTP+JSON 0.3",
        "JSONRPC 0.1",
        SIMPLE_BINDING,
    ] {
        count_through_cuts(MemoryLog::new().unwrap(), binding).await;
    }
}

#[tokio::test]
async fn older_versions_are_spoken_behind_the_same_calls() {
    for binding in [
        "JSONRPC 0.3",
        "HTTP+JSON 0.3",
        "JSONRPC 0.1",
        SIMPLE_BINDING,
    ] {
        let world = World::new(MemoryLog::new().unwrap(), binding, Arc::new(AnyCaller), 0).await;
        let client = world.client(options()).await;
        let SendMessageResponse::Task(counted) = client.send(&message("3")).await.unwrap() else {
            panic!("a task")
        };
        assert_eq!(counted.status.state, TaskState::Completed, "{binding}");
        assert_eq!(counted.artifacts[0].parts.len(), 3);
        let got = client.get(&counted.id, None).await.unwrap();
        assert_eq!(
            (&got.id, &got.artifacts),
            (&counted.id, &counted.artifacts),
            "{binding}"
        );
        let error = client.get("nothing", None).await.unwrap_err();
        assert_eq!(
            error.agent_error().map(A2aError::code),
            Some(-32001),
            "{binding}: {error:?}"
        );

        let list = client.list(&ListTasksRequest::default()).await;
        match binding {
            "HTTP+JSON 0.3" => assert_eq!(list.unwrap().tasks[0].id, counted.id),
            _ => assert!(matches!(
                list.unwrap_err().agent_error(),
                Some(A2aError::UnsupportedOperation { .. })
            )),
        }
        if binding != SIMPLE_BINDING {
            let mut stream = client.stream(message("wait"));
            let mut waiting = Task::default();
            while waiting.status.state != TaskState::Working {
                let event = stream.next().await.unwrap().unwrap().event;
                event.task_id().clone_into(&mut waiting.id);
                waiting.apply(&event);
            }
            let id = waiting.id;
            let mut second = client.subscribe(&id, None);
            second.next().await.unwrap().unwrap();
            assert_eq!(
                client.cancel(&id).await.unwrap().status.state,
                TaskState::Canceled
            );
            for stream in [stream, second] {
                let last = collect(stream).await.pop().unwrap();
                assert_eq!(last.event.state(), Some(TaskState::Canceled), "{binding}");
            }
            let error = client.cancel(&id).await.unwrap_err();
            assert_eq!(
                error.agent_error().map(A2aError::code),
                Some(-32002),
                "{binding}"
            );
            let error = client
                .send(&SendMessageRequest::default())
                .await
                .unwrap_err();
            assert_eq!(
                error.agent_error().map(A2aError::code),
                Some(-32602),
                "{binding}"
            );
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn every_operation_works_in_every_binding() {
    for binding in BINDINGS {
        let world = World::new(MemoryLog::new().unwrap(), binding, Arc::new(AnyCaller), 0).await;
        let client = world.client(options()).await;
        let SendMessageResponse::Task(counted) = client.send(&message("3")).await.unwrap() else {
            panic!("a task")
        };
        assert_eq!(counted.status.state, TaskState::Completed);
        assert_eq!(client.get(&counted.id, Some(0)).await.unwrap().history, []);

        let mut stream = client.stream(message("wait"));
        let mut waiting = Task::default();
        while waiting.status.state != TaskState::Working {
            waiting.apply(&stream.next().await.unwrap().unwrap().event);
        }
        let mut second = client.subscribe(&waiting.id, None);
        let first = second.next().await.unwrap().unwrap();
        assert!(
            matches!(first.event, StreamResponse::Task(ref task) if task.id == waiting.id),
            "{first:?}"
        );
        let canceled = client.cancel(&waiting.id).await.unwrap();
        assert_eq!(canceled.status.state, TaskState::Canceled);
        for stream in [stream, second] {
            let last = collect(stream).await.pop().unwrap();
            assert_eq!(last.event.state(), Some(TaskState::Canceled), "{binding}");
        }

        let list = client
            .list(&ListTasksRequest {
                page_size: Some(1),
                ..ListTasksRequest::default()
            })
            .await
            .unwrap();
        assert_eq!(
            (list.tasks.len(), list.total_size, list.page_size),
            (1, 2, 1)
        );
        assert!(!list.next_page_token.is_empty());

        for (error, code) in [
            (client.get("nothing", None).await.unwrap_err(), -32001),
            (client.cancel(&counted.id).await.unwrap_err(), -32002),
            (
                client
                    .send(&SendMessageRequest::default())
                    .await
                    .unwrap_err(),
                -32602,
            ),
            (
                collect_error(client.subscribe("nothing", None)).await,
                -32001,
            ),
            (
                collect_error(client.subscribe(&counted.id, None)).await,
                -32004,
            ),
            (
                collect_error(client.subscribe(&counted.id, Some(1_000_000))).await,
                -32602,
            ),
        ] {
            assert_eq!(
                error.agent_error().map(A2aError::code),
                Some(code),
                "{binding}: {error:?}"
            );
        }
        world.stop().await;
    }
}

async fn collect_error(mut stream: EventStream) -> ClientError {
    loop {
        if let Err(error) = stream.next().await.expect("an error before the end") {
            return error;
        }
    }
}

#[tokio::test]
async fn an_ended_task_is_replayed_from_any_event() {
    for binding in BINDINGS {
        let world = World::new(MemoryLog::new().unwrap(), binding, Arc::new(AnyCaller), 0).await;
        let client = world.client(options()).await;
        let events = collect(client.stream(message("5"))).await;
        let task_id = events[0].event.task_id().to_owned();
        for (index, event) in events.iter().enumerate().take(events.len() - 1) {
            let replayed = collect(client.subscribe(&task_id, event.seq)).await;
            assert_eq!(replayed, events[index + 1..], "{binding}");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn only_a_token_for_this_agent_is_accepted() {
    for binding in BINDINGS {
        only_a_token(binding).await;
    }
}

async fn only_a_token(binding: &str) {
    let signer = Signer::generate().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let verifier = JwtVerifier::new(&signer.jwks(), "worker:counter", Arc::clone(&clock));
    let world = World::new(MemoryLog::new().unwrap(), binding, Arc::new(verifier), 0).await;
    let now = clock.now().as_second();
    let token = |aud: &str, sub: &str| {
        let claims = Claims {
            sub: sub.into(),
            aud: aud.into(),
            iat: now,
            exp: now + 60,
            ..Claims::default()
        };
        Arc::new(StaticToken::new(signer.sign(&claims).unwrap()))
    };

    let ann = world
        .client(options().with_token(token("worker:counter", "ann")))
        .await;
    let SendMessageResponse::Task(task) = ann.send(&message("1")).await.unwrap() else {
        panic!("a task")
    };
    assert!(ann.get(&task.id, None).await.is_ok());

    let bob = world
        .client(options().with_token(token("worker:counter", "bob")))
        .await;
    let error = bob.get(&task.id, None).await.unwrap_err();
    assert!(
        matches!(error.agent_error(), Some(A2aError::TaskNotFound { .. })),
        "{error:?}"
    );

    for stranger in [
        options(),
        options().with_token(token("worker:other", "ann")),
    ] {
        let error = world
            .client(stranger)
            .await
            .get(&task.id, None)
            .await
            .unwrap_err();
        assert!(
            matches!(error.agent_error(), Some(A2aError::Unauthenticated { .. })),
            "{error:?}"
        );
    }
    world.stop().await;
}

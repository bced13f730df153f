//! An agent that counts, its server, a proxy in front of it, and clients for it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use a2a_proto::client::{
    Client, ClientOptions, EventStream, HttpOptions, StreamEvent, http_client,
};
use a2a_proto::log::TaskLog;
use a2a_proto::push::{Keyring, PushOptions, Pusher};
use a2a_proto::server::{
    Agent, AgentError, Authenticator, CancelTarget, Server, ServerOptions, Turn, UpdateError,
    Updates,
};
use a2a_proto::types::{
    AgentCapabilities, AgentCard, AgentInterface, Artifact, Message, Part, SendMessageRequest,
    TaskState,
};
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

pub(crate) const BINDINGS: &[&str] = &[
    "JSONRPC",
    "HTTP+JSON",
    #[cfg(feature = "grpc")]
    "GRPC",
];

/// Counts aloud to the number in the message: a chunk of one artifact per number.
pub(crate) struct Counter {
    card: AgentCard,
}

pub(crate) fn gave_up(error: UpdateError) -> AgentError {
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
pub(crate) struct World {
    pub(crate) url: Url,
    shutdown: CancellationToken,
    tracker: TaskTracker,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl World {
    pub(crate) async fn new<L: TaskLog>(
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
                push_notifications: Some(true),
                ..AgentCapabilities::default()
            },
            default_input_modes: vec!["text/plain".to_owned()],
            ..AgentCard::default()
        };
        let options = ServerOptions {
            keep_alive: Duration::from_millis(20),
            push: Some(Pusher::new(PushOptions::new(Keyring::in_memory()))),
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

    pub(crate) async fn client(&self, options: ClientOptions) -> Client {
        Client::discover(&self.url, options).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.tracker.close();
        // Connections of clients that are gone may linger; what matters is over.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tracker.wait()).await;
    }
}

/// Passes everything on to `port`, but hangs up on the client after `cut_after` bytes of the first answer, a little more
/// of the second, and so on; 0 never cuts.
pub(crate) fn proxy(port: u16, cut_after: usize, connections: Arc<AtomicUsize>) -> Url {
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

pub(crate) fn pass_on(mut from: TcpStream, mut to: TcpStream, mut budget: usize) {
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

pub(crate) fn options() -> ClientOptions {
    let mut options = ClientOptions::new(http_client(&HttpOptions::default()).unwrap());
    options.resume.min_delay = Duration::from_millis(1);
    options.resume.max_delay = Duration::from_millis(5);
    options
}

pub(crate) fn message(text: &str) -> SendMessageRequest {
    let message = Message::user("m-1", vec![Part::text(text)]);
    SendMessageRequest {
        message,
        ..SendMessageRequest::default()
    }
}

pub(crate) async fn collect(stream: EventStream) -> Vec<StreamEvent> {
    stream
        .map(|event| event.unwrap_or_else(|error| panic!("{error:?}")))
        .collect()
        .await
}

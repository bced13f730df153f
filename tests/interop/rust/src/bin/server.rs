//! An echo agent behind the official Rust SDK's own server: all three bindings of 1.0.
//!
//! `server` binds free ports on loopback, prints `{"url": …}` and serves until it is killed. JSON-RPC and REST share a port;
//! gRPC has its own.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2a::{
    A2AError, AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Artifact, Message, Part,
    Role, StreamResponse, Task, TaskArtifactUpdateEvent, TaskId, TaskState, TaskStatus,
    TaskStatusUpdateEvent,
};
use a2a_grpc::GrpcHandler;
use a2a_pb::proto::a2a_service_server::A2aServiceServer;
use a2a_server::agent_card::agent_card_router;
use a2a_server::jsonrpc::jsonrpc_router;
use a2a_server::rest::rest_router;
use a2a_server::{
    AgentExecutor, DefaultRequestHandler, ExecutorContext, HttpPushSender, HttpPushSenderConfig,
    InMemoryPushConfigStore, InMemoryTaskStore, StaticAgentCard,
};
use futures::stream::{self, BoxStream};
use interop_rust::directive;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;

type Events = BoxStream<'static, Result<StreamResponse, A2AError>>;

/// Says what it is told, or does what a directive asks for.
#[derive(Default)]
struct Echo {
    /// What runs now, and what lets its turn go on when it is cancelled.
    running: Arc<Mutex<HashMap<TaskId, oneshot::Sender<()>>>>,
}

/// One turn of one task.
struct Turn {
    task: TaskId,
    context: String,
}

impl Turn {
    fn status(&self, state: TaskState, text: Option<&str>) -> StreamResponse {
        let message = text.map(|text| {
            let mut message = Message::new(Role::Agent, vec![Part::text(text)]);
            message.task_id = Some(self.task.clone());
            message.context_id = Some(self.context.clone());
            message
        });
        StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
            task_id: self.task.clone(),
            context_id: self.context.clone(),
            status: TaskStatus { state, message, timestamp: None },
            metadata: None,
        })
    }

    fn chunk(&self, text: String, append: bool, last: bool) -> StreamResponse {
        StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
            task_id: self.task.clone(),
            context_id: self.context.clone(),
            artifact: Artifact {
                artifact_id: "echo".into(),
                name: Some("echo".to_owned()),
                description: None,
                parts: vec![Part::text(text)],
                metadata: None,
                extensions: None,
            },
            append: Some(append),
            last_chunk: Some(last),
            metadata: None,
        })
    }
}

impl AgentExecutor for Echo {
    fn execute(&self, context: ExecutorContext) -> Events {
        let turn = Turn { task: context.task_id.clone(), context: context.context_id.clone() };
        let running = Arc::clone(&self.running);
        Box::pin(async_stream::stream! {
            let message = context.message.unwrap_or_else(|| Message::new(Role::User, Vec::new()));
            let input: String = message.parts.iter().filter_map(Part::as_text).collect();
            if context.stored_task.is_none() {
                yield Ok(StreamResponse::Task(Task {
                    id: turn.task.clone(),
                    context_id: turn.context.clone(),
                    status: TaskStatus { state: TaskState::Submitted, message: None, timestamp: None },
                    artifacts: None,
                    history: Some(vec![message]),
                    metadata: None,
                }));
            }
            yield Ok(turn.status(TaskState::Working, None));
            let (word, rest) = directive(&input);
            let count = match word {
                "hang" => {
                    let (stop, stopped) = oneshot::channel();
                    running.lock().unwrap().insert(turn.task.clone(), stop);
                    let _ = stopped.await;
                    return;
                }
                "input" => {
                    yield Ok(turn.status(TaskState::InputRequired, Some(rest)));
                    return;
                }
                "spam" | "chunks" => rest.parse().unwrap_or(0),
                _ => 1,
            };
            for number in 1..=count {
                let text = match word {
                    "spam" => format!("chunk {number}\n"),
                    "chunks" => "0123456789abcdef".repeat(4),
                    _ => rest.to_owned(),
                };
                yield Ok(turn.chunk(text, number > 1, number == count));
            }
            yield Ok(turn.status(TaskState::Completed, None));
        })
    }

    fn cancel(&self, context: ExecutorContext) -> Events {
        drop(self.running.lock().unwrap().remove(&context.task_id));
        let turn = Turn { task: context.task_id, context: context.context_id };
        Box::pin(stream::once(async move { Ok(turn.status(TaskState::Canceled, None)) }))
    }
}

fn capabilities() -> AgentCapabilities {
    AgentCapabilities { streaming: Some(true), push_notifications: Some(true), ..Default::default() }
}

fn card(url: &str, grpc_address: &str) -> AgentCard {
    AgentCard {
        name: "rust".to_owned(),
        description: "Echoes what it is told.".to_owned(),
        version: "1.0.0".to_owned(),
        supported_interfaces: vec![
            AgentInterface::new(format!("{url}/jsonrpc"), "JSONRPC"),
            AgentInterface::new(format!("{url}/rest"), "HTTP+JSON"),
            AgentInterface::new(grpc_address, "GRPC"),
        ],
        capabilities: capabilities(),
        default_input_modes: vec!["text/plain".to_owned()],
        default_output_modes: vec!["text/plain".to_owned()],
        skills: vec![AgentSkill {
            id: "echo".to_owned(),
            name: "Echo".to_owned(),
            description: "Echoes.".to_owned(),
            tags: vec!["echo".to_owned()],
            examples: None,
            input_modes: None,
            output_modes: None,
            security_requirements: None,
        }],
        provider: None,
        documentation_url: None,
        icon_url: None,
        security_schemes: None,
        security_requirements: None,
        signatures: None,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let grpc_listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let card = card(&url, &grpc_listener.local_addr()?.to_string());
    // The webhooks of the tests are on loopback, which the sender refuses otherwise.
    let sender = HttpPushSender::new(Some(HttpPushSenderConfig {
        timeout: Duration::from_secs(10),
        fail_on_error: false,
        validate_urls: false,
    }));
    let handler = Arc::new(
        DefaultRequestHandler::new(Echo::default(), InMemoryTaskStore::new())
            .with_push_notifications(InMemoryPushConfigStore::new(), sender)
            .with_capabilities(capabilities()),
    );
    let app = axum::Router::new()
        .nest("/jsonrpc", jsonrpc_router(Arc::clone(&handler)))
        .nest("/rest", rest_router(Arc::clone(&handler)))
        .merge(agent_card_router(Arc::new(StaticAgentCard::new(card))));
    println!("{}", json!({"url": url}));
    let grpc = tonic::transport::Server::builder()
        .add_service(A2aServiceServer::new(GrpcHandler::new(handler)))
        .serve_with_incoming(TcpListenerStream::new(grpc_listener));
    tokio::select! {
        done = grpc => done?,
        done = axum::serve(listener, app) => done?,
    }
    Ok(())
}

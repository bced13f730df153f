//! The Agent2Agent protocol (A2A 1.0), and nothing else: its objects, its bindings, a log that every stream can be
//! resumed from, a server and a client.
//!
//! # The way through
//!
//! | you want to | look at |
//! |---|---|
//! | read or write an A2A object | [`types`]: one file per family, strict in, minimal out |
//! | know what an error looks like on the wire | [`error`]: one enum, one table, both ways |
//! | serve an agent | `server::Agent`, three methods; `server::Server` puts it behind every binding on one port |
//! | keep tasks over a restart | `log::TaskLog`, in memory or in SQLite |
//! | call an agent | `client::Client`: discovery, calls, streams that survive cut connections |
//! | post events to where a client wants them | `push`: retries in order, over restarts, to no private address |
//! | say who may call | `auth`: signed tokens; `server::Authenticator` for anything else |
//! | work below all that | [`jsonrpc`], [`sse`], [`card`], [`version`]: pure, without I/O |
//! | speak to clients of other versions | [`dialect`] |
//! | try a server from outside, without a model | `conformance`: an agent that plays the scenario a message names |
//! | see what a coding agent is doing | [`activity`]: our extension for text, thoughts and tools as they come |
//!
//! # An object
//!
//! ```
//! use a2a_proto::types::{self, Message, Part, SendMessageRequest, Validate as _};
//!
//! let request: SendMessageRequest = types::from_slice(
//!     br#"{"message": {"message_id": "m-1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}}"#,
//! )?;
//! request.validate()?;
//! assert_eq!(request.message, Message::user("m-1", vec![Part::text("hello")]));
//!
//! // Wrong types are refused with the path of the field; missing fields are all reported at once.
//! let error = types::from_slice::<SendMessageRequest>(br#"{"message": {"parts": [{"text": 5}]}}"#).unwrap_err();
//! assert_eq!(error.to_string(), "invalid parameters: message.parts[0].text: expected a string, found integer");
//! # Ok::<(), a2a_proto::error::A2aError>(())
//! ```
//!
//! # An agent and its client
//!
//! An agent gets one call per message and reports through `Updates`; a status is stored when the call comes back,
//! and only then seen by anybody. The client finds the agent by its card and follows the stream: were the connection cut
//! here, it would go on after the last event.
//!
#![cfg_attr(all(feature = "client", feature = "server"), doc = "```")]
#![cfg_attr(not(all(feature = "client", feature = "server")), doc = "```ignore")]
//! use std::sync::Arc;
//!
//! use a2a_proto::client::{Client, ClientOptions, HttpOptions, http_client};
//! use a2a_proto::log::MemoryLog;
//! use a2a_proto::server::{Agent, AgentError, AnyCaller, CancelTarget, Server, ServerOptions, Turn, Updates};
//! use a2a_proto::types::{
//!     AgentCapabilities, AgentCard, AgentInterface, Artifact, Message, Part, SendMessageRequest, Task, TaskState,
//! };
//! use futures_util::StreamExt as _;
//!
//! struct Echo {
//!     url: String,
//! }
//!
//! impl Agent for Echo {
//!     fn card(&self) -> AgentCard {
//!         AgentCard {
//!             name: "echo".into(),
//!             version: "1.0.0".into(),
//!             supported_interfaces: vec![AgentInterface {
//!                 url: self.url.clone(),
//!                 protocol_binding: "JSONRPC".into(),
//!                 protocol_version: "1.0".into(),
//!                 ..AgentInterface::default()
//!             }],
//!             capabilities: AgentCapabilities { streaming: Some(true), ..AgentCapabilities::default() },
//!             default_input_modes: vec!["text/plain".into()],
//!             default_output_modes: vec!["text/plain".into()],
//!             ..AgentCard::default()
//!         }
//!     }
//!
//!     async fn execute(&self, turn: Turn, updates: Updates) -> Result<(), AgentError> {
//!         let gone = |error| AgentError::because("cannot update the task", error);
//!         updates.status(TaskState::Working, None).await.map_err(gone)?;
//!         let echo = Artifact::new("echo", vec![Part::text(turn.message.text())]);
//!         updates.artifact(echo, false, true).await.map_err(gone)?;
//!         updates.status(TaskState::Completed, None).await.map_err(gone)?;
//!         Ok(())
//!     }
//!
//!     async fn cancel(&self, _target: &CancelTarget) -> Result<(), AgentError> {
//!         Ok(()) // nothing runs on after `execute`
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The server. `AnyCaller` is for an address that nobody else can reach.
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("http://{}/", listener.local_addr()?);
//! let options = ServerOptions::new(Arc::new(AnyCaller));
//! let tracker = options.tracker.clone();
//! let server = Server::new(Arc::new(Echo { url: url.clone() }), Arc::new(MemoryLog::new()?), options);
//! let router = server.router();
//! tracker.spawn(async move { axum::serve(listener, router).await });
//!
//! // The client.
//! let options = ClientOptions::new(http_client(&HttpOptions::default())?);
//! let client = Client::discover(&url.parse()?, options).await?;
//! let mut events = client.stream(SendMessageRequest {
//!     message: Message::user("m-1", vec![Part::text("hello")]),
//!     ..SendMessageRequest::default()
//! });
//! let mut task = Task::default();
//! while let Some(event) = events.next().await {
//!     task.apply(&event?.event);
//! }
//! assert_eq!(task.status.state, TaskState::Completed);
//! assert_eq!(task.artifacts[0].parts, [Part::text("hello")]);
//! # Ok(())
//! # }
//! ```

pub mod activity;
#[cfg(feature = "auth")]
pub mod auth;
pub mod card;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod dialect;
pub mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(feature = "server")]
mod generation;
pub mod jsonrpc;
#[cfg(feature = "server")]
pub mod log;
#[cfg(feature = "grpc")]
mod pb;
#[cfg(feature = "server")]
pub mod push;
#[cfg(feature = "grpc")]
pub mod sequence;
#[cfg(feature = "server")]
pub mod server;
pub mod sse;
pub mod types;
pub mod version;

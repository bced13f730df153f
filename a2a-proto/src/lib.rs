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
//! | say who may call | `auth`: signed tokens; `server::Authenticator` for anything else |
//! | work below all that | [`jsonrpc`], [`sse`], [`card`], [`version`]: pure, without I/O |
//! | speak to clients of other versions | [`dialect`] |
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

pub mod activity;
#[cfg(feature = "auth")]
pub mod auth;
pub mod card;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
pub mod dialect;
pub mod error;
pub mod jsonrpc;
#[cfg(feature = "server")]
pub mod log;
#[cfg(feature = "server")]
pub mod server;
pub mod sse;
pub mod types;
pub mod version;

//! The A2A protocol, and nothing else: types, dialects, bindings, the event log, the client.

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

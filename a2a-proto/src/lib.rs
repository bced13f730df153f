//! The A2A protocol, and nothing else: types, dialects, bindings, the event log, the client.

pub mod activity;
pub mod clock;
pub mod error;
pub mod jsonrpc;
pub mod sse;
pub mod types;
pub mod version;

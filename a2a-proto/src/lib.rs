//! The A2A protocol, and nothing else: types, dialects, bindings, the event log, the client.

pub mod clock;

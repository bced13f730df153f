//! Our transcription of the requirements of A2A 1.0: one test for each requirement and binding, named after it, against
//! real `worker serve --conformance` and `captain serve --conformance` processes.
//!
//! `world` starts the servers, `wire` speaks the bindings, raw and without our own client, `kit` has the messages and the
//! checks that many requirements share. `table` lists the requirements and keeps `docs/conformance.md` true. The other
//! files have the tests, a group of ids each. A requirement says what it takes for granted and its negative side.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "the checks are functions that the tests call; they fail by panicking, and say against which program"
)]

#[macro_use]
mod world;

mod auth;
mod bindings;
mod cancel;
mod capabilities;
mod cards;
mod contexts;
mod data_model;
mod errors;
mod grpc;
mod grpc_wire;
mod history;
mod http_json;
mod json_rpc;
mod kit;
mod lists;
mod push;
mod recorder;
mod send;
mod signatures;
mod streams;
mod subscriptions;
mod table;
mod versions;
mod wire;

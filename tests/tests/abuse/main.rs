//! What no friendly client sends, against a real worker and a real captain: everything ends with a clear error or a closed
//! connection, ordinary calls are answered meanwhile and afterwards, nothing panics, and the memory stays where it was.
//!
//! `victim` is the server that is looked after, `raw` speaks to it in bytes; the other files have a kind of abuse each.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod bodies;
mod crowds;
mod grpc;
mod heads;
mod http2;
mod lines;
mod raw;
mod slow;
mod values;
mod victim;

//! The end-to-end harness: whole clusters of real processes on loopback, in temporary folders.
//!
//! Here because every end-to-end test needs the same four things: the real binaries, a model that plays a script, a way to
//! wait for a value with a deadline, and proof that nothing is left behind. Nothing of the product is replaced or mocked; the
//! harness talks to it like any user, over HTTP and the command line. It fails by panicking, since only tests use it.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a harness for tests fails by failing the test, and shows why"
)]

pub mod captain;
pub mod http;
pub mod model;
pub mod process;
pub mod programs;
pub mod sse;
pub mod tree;
pub mod wait;
pub mod webhook;
pub mod worker;

pub use captain::{Captain, CaptainBuilder};
pub use model::Model;
pub use process::{Finished, Running, run};
pub use webhook::Webhook;
pub use worker::{Worker, WorkerBuilder};

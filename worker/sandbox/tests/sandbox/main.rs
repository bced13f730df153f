//! The sandbox against real programs: what must work, what must not, how it ends, what is refused, and the way out. One test
//! program, so that it is linked once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be prepared has failed"
)]

mod bridge;
mod common;
mod endings;
mod harmless;
mod hostile;
mod refusals;

//! The worker as its users see it: one real process per test, the real sandbox, and in `opencode` the real agent.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is the test's failure"
)]

mod acp;
mod common;
mod launch;
mod opencode;
mod serve;
mod start;
mod stop;

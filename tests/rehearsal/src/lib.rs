//! The rehearsal model: a scripted, OpenAI-compatible chat-completions server.
//!
//! Here because a demo without a provider key and the end-to-end tests need everything to be real but the model: the agent
//! sends real requests over real HTTP and gets streamed text, thoughts and tool calls that a scenario file wrote down
//! beforehand. It must never be linked into the shipped worker or captain, and it must not keep conversations: which step
//! comes next is read from the request, so a restarted server (or agent) goes on where it was.

mod chat;
mod library;
mod play;
mod records;
mod scenario;
mod server;

pub use library::{Library, LoadError};
pub use records::{Recorded, Seen};
pub use scenario::{Call, Fault, Scenario, Script, Step, Usage};
pub use server::{Options, Rehearsal, ServeError};

use std::path::PathBuf;

/// The folder with the scenarios that come with this crate, as it was at build time.
///
/// Only tests and the demo use it, both of which run from the source tree.
#[must_use]
pub fn shipped_scenarios() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"))
}

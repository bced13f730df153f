//! From what a user wrote to a plan. `fixed` takes a plan as JSON or TOML, `outline` reads a Markdown list; both only
//! read text and never run anything. Whether the plan makes sense (unknown dependencies, cycles) is checked once, in
//! `captain_core::plan`, for plans of every origin.

pub mod fixed;
pub mod outline;
mod port;

pub use port::{OUTLINE, Planners};

/// Longest text that is read as a plan, in bytes; the largest valid plan is smaller.
pub const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;

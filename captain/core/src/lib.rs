//! The captain's decisions as pure functions: what a valid plan is, what a job's state is, which event leads to which
//! state, which effect is owed in it, what may start next, and how results are put together.
//!
//! Nothing here does input or output, reads a clock, makes an identifier or knows of a runtime; the manifest has no
//! dependency that could. The caller gives the time and the ids, stores events and runs effects.
//!
//! Reading order: [`plan`] and [`job`] (the nouns), [`event`] (what happened), [`effect`] (what is owed),
//! [`machine`] (the one transition function and the one decision function), [`heard`], [`retry`],
//! [`breaker`], [`schedule`], [`aggregate`], [`view`].

pub mod aggregate;
pub mod breaker;
pub mod effect;
pub mod event;
pub mod heard;
pub mod ids;
pub mod job;
pub mod machine;
pub mod outcome;
pub mod plan;
pub mod retry;
pub mod schedule;
pub mod view;

pub use effect::Effect;
pub use event::{Envelope, JobEvent};
pub use ids::{Attempt, CommitId, JobId, SubtaskId, WorkerId};
pub use job::{Job, JobSpec, JobState, SubtaskState};
pub use outcome::{Conflict, FailReason, JobResult, Outcome, StopReason};
pub use plan::{Plan, PlanSpec, SubtaskSpec};
pub use retry::{Retries, RetryClass};

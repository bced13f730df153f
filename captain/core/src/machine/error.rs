//! Why an event is refused. Refusals are normal: repeated and late reports are expected, and are dropped because of them.

use crate::ids::{Attempt, SubtaskId};
use crate::plan::PlanErrors;

/// Why an event does not fit a job. The job is unchanged then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The job has ended: its first terminal state stands.
    #[error("{event}: the job has already ended as {state}")]
    Terminal {
        /// The event's name.
        event: &'static str,
        /// The job's state.
        state: &'static str,
    },
    /// The report is of an attempt that is not the one under way.
    #[error("{event}: attempt {attempt} at subtask {subtask} is not the one under way")]
    Stale {
        /// The event's name.
        event: &'static str,
        /// The subtask it names.
        subtask: SubtaskId,
        /// The attempt it names.
        attempt: Attempt,
    },
    /// The event cannot happen in this state; a repeated report is the usual reason.
    #[error("{event} cannot happen while {what} is {state}")]
    Unexpected {
        /// The event's name.
        event: &'static str,
        /// The job or the subtask.
        what: String,
        /// Its state.
        state: &'static str,
    },
    /// There is no such subtask.
    #[error("{event}: there is no subtask {subtask}")]
    UnknownSubtask {
        /// The event's name.
        event: &'static str,
        /// The subtask it names.
        subtask: SubtaskId,
    },
    /// The plan is not valid.
    #[error("the plan is not valid")]
    Plan(#[source] PlanErrors),
    /// The first event of a job is not its submission.
    #[error("a job's log must begin with job.submitted, not with {event}")]
    NotSubmitted {
        /// The event's name.
        event: &'static str,
    },
}

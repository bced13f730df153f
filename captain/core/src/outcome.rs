//! How things end: an attempt, a subtask, a job. These are stored in events and read back after a restart, so every end
//! is plain data; what a person reads is its `Display`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{CommitId, SubtaskId};
use crate::retry::RetryClass;

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// The worker said that the work is done.
    Completed,
    /// The agent said that it could not do the work, or the worker ended it (steps, silence, budget).
    Failed {
        /// The worker's own words.
        message: String,
    },
    /// The model did not answer, or answered with errors, until the agent gave up.
    ModelFailed {
        /// What the worker saw.
        message: String,
    },
    /// The worker reported the task as cancelled, or the captain stopped it.
    Cancelled,
    /// The captain stopped the attempt because its time was over.
    TimedOut {
        /// The limit that was reached.
        seconds: u64,
    },
    /// The results that the attempt was to start from do not fit together.
    Conflict {
        /// Where.
        conflict: Conflict,
    },
    /// The captain could not prepare the workspace or take the result out of it.
    WorkspaceFailed {
        /// What failed, for the user.
        message: String,
    },
    /// The worker was refused for a reason that another try does not change: its configuration, its sandbox.
    Refused {
        /// What is wrong and what to do.
        message: String,
    },
    /// The worker could not be started or did not become ready.
    LaunchFailed {
        /// What failed, for the user.
        message: String,
    },
    /// The worker is gone: its process has ended without a final word.
    Lost {
        /// What was last known.
        message: String,
    },
    /// The worker could not be reached for as long as the job allows, and was stopped: nobody knows how far it had got.
    Unknown {
        /// What was last known.
        message: String,
    },
}

impl Outcome {
    /// What kind of failure this is, for the question whether another try may help; none where that question does not
    /// arise: it is no failure, or another try would start from the same results and end the same way.
    pub fn class(&self) -> Option<RetryClass> {
        match self {
            Self::Completed | Self::Cancelled | Self::Conflict { .. } => None,
            Self::Failed { .. } => Some(RetryClass::Agent),
            Self::ModelFailed { .. } => Some(RetryClass::Model),
            Self::LaunchFailed { .. } | Self::Lost { .. } | Self::Unknown { .. } => {
                Some(RetryClass::Lost)
            }
            Self::TimedOut { .. } | Self::WorkspaceFailed { .. } | Self::Refused { .. } => {
                Some(RetryClass::Policy)
            }
        }
    }

    /// Whether the attempt ended without a word of its worker, which may still be at work then.
    pub fn is_silent(&self) -> bool {
        self.class() == Some(RetryClass::Lost)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Failed { message } => write!(f, "the agent failed: {message}"),
            Self::ModelFailed { message } => write!(f, "the model failed: {message}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::TimedOut { seconds } => write!(f, "not done within its limit of {seconds} s"),
            Self::Conflict { conflict } => conflict.fmt(f),
            Self::WorkspaceFailed { message } => write!(f, "the workspace failed: {message}"),
            Self::Refused { message } => write!(f, "the worker was refused: {message}"),
            Self::LaunchFailed { message } => write!(f, "the worker did not start: {message}"),
            Self::Lost { message } => write!(f, "the worker is gone: {message}"),
            Self::Unknown { message } => write!(f, "its outcome is not known: {message}"),
        }
    }
}

/// Results of several subtasks that cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Conflict {
    /// The files in which they differ, relative to the repository's root, sorted.
    pub files: Vec<String>,
    /// The subtasks whose results meet there, in plan order.
    pub subtasks: Vec<SubtaskId>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the results of {} conflict in {}",
            join(&self.subtasks),
            join(&self.files)
        )
    }
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FailReason {
    /// No valid plan came out.
    Plan {
        /// All that is wrong with it, one line each.
        problems: Vec<String>,
    },
    /// One or more subtasks failed.
    Subtasks {
        /// Those that failed, in plan order, with their ends.
        failed: Vec<FailedSubtask>,
        /// Those that were never started because of them, in plan order.
        skipped: Vec<SubtaskId>,
    },
    /// All subtasks are done but their results do not fit together.
    Conflict {
        /// Where.
        conflict: Conflict,
    },
    /// The result could not be put together.
    Workspace {
        /// What failed, for the user.
        message: String,
    },
    /// The job's time was over.
    TimeLimit {
        /// The limit that was reached.
        seconds: u64,
    },
}

/// A failed subtask in [`FailReason::Subtasks`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FailedSubtask {
    /// Which.
    pub subtask: SubtaskId,
    /// How its last attempt ended.
    pub outcome: Outcome,
}

impl fmt::Display for FailReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan { problems } => write!(f, "there is no valid plan: {}", problems.join("; ")),
            Self::Subtasks { failed, skipped } => {
                for (i, one) in failed.iter().enumerate() {
                    let separator = if i == 0 { "" } else { "; " };
                    write!(
                        f,
                        "{separator}subtask {} failed: {}",
                        one.subtask, one.outcome
                    )?;
                }
                if skipped.is_empty() {
                    Ok(())
                } else {
                    write!(f, "; not started because of that: {}", join(skipped))
                }
            }
            Self::Conflict { conflict } => conflict.fmt(f),
            Self::Workspace { message } => {
                write!(f, "the result could not be put together: {message}")
            }
            Self::TimeLimit { seconds } => {
                write!(f, "the job was not done within its limit of {seconds} s")
            }
        }
    }
}

/// Why a running job is being stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StopReason {
    /// Somebody asked for it; the job ends as cancelled.
    User {
        /// Who asked.
        by: String,
    },
    /// Its time is over; the job ends as failed.
    TimeLimit {
        /// The limit that was reached.
        seconds: u64,
    },
}

/// What a completed job left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct JobResult {
    /// The commit that holds everything, on top of the job's base.
    pub commit: CommitId,
    /// The branch in the job's repository that points at it.
    pub branch: String,
    /// The files that differ from the job's base, relative to the repository's root, sorted.
    pub files: Vec<String>,
}

fn join(names: &[impl fmt::Display]) -> String {
    names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

//! What the captain owes the world in a given state. An effect says what must come about, not what to type, and is
//! idempotent: it may be run again after a crash, and whoever runs it finds what is already there. Its result comes
//! back as a [`crate::JobEvent`].
//!
//! There is no timer effect: [`crate::Job::wakeup`] says when the job wants to be looked at again.

use crate::ids::{Attempt, CommitId, SubtaskId, WorkerId};

/// Something to be brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make a plan from the job's goal, or take the one given. Answered by `job.planned` or `plan.rejected`.
    MakePlan,
    /// Make the attempt's workspace from the merged results of its dependencies. Answered by `subtask.prepared` or
    /// `attempt.ended`.
    Prepare {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The results to merge, in plan order; the job's base alone when empty.
        from: Vec<(SubtaskId, CommitId)>,
    },
    /// Start the attempt's worker. Answered by `worker.launched` or `attempt.ended`.
    Launch {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Give the worker its prompt if it has none yet, and follow what it does. Answered by a stream of events that ends
    /// with `attempt.ended`.
    Send {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Give the worker a message of the user's, beside what is followed already. Answered by `message.delivered`.
    Tell {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The message's number within the job.
        message: u32,
        /// What was said.
        text: String,
    },
    /// Take the attempt's result into the job's repository. Answered by `subtask.merged` or `attempt.ended`.
    Merge {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Stop the attempt, whatever it is doing, and its worker with everything that it started. Answered by
    /// `worker.stopped`, in every case and only when nothing of it runs any more.
    CancelAttempt {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Stop the worker of an attempt that ended without its word, with everything that it started, and try until it
    /// works. Answered by `worker.fenced` when nothing of it runs any more; `worker.not_fenced` says that it is tried
    /// again.
    Fence {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Let go of an attempt that is over: whatever is still done for it ends, and its worker is stopped. Not answered.
    StopWorker {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// Its worker, which may never have been started.
        worker: WorkerId,
    },
    /// Put the job's result together. Answered by `job.completed` or `job.failed`.
    Finish {
        /// The results of the subtasks that nothing depends on, in dependency order: together they hold all.
        leaves: Vec<(SubtaskId, CommitId)>,
    },
}

impl Effect {
    /// The attempt that the effect is about.
    pub fn attempt(&self) -> Option<(&SubtaskId, Attempt)> {
        match self {
            Self::Prepare {
                subtask, attempt, ..
            }
            | Self::Launch { subtask, attempt }
            | Self::Send { subtask, attempt }
            | Self::Tell {
                subtask, attempt, ..
            }
            | Self::Merge { subtask, attempt }
            | Self::CancelAttempt { subtask, attempt }
            | Self::Fence { subtask, attempt }
            | Self::StopWorker {
                subtask, attempt, ..
            } => Some((subtask, *attempt)),
            Self::MakePlan | Self::Finish { .. } => None,
        }
    }
}

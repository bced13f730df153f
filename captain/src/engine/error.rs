//! What can go wrong between a caller and the engine. Every text is fit for the caller; causes are in the sources.

use std::sync::Arc;

use captain_core::JobId;
use captain_core::machine::ApplyError;
use captain_core::plan::PlanErrors;

use crate::store::StoreError;

/// Why the engine did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// There is no such job.
    #[error("there is no job {0}")]
    NotFound(JobId),
    /// The job is in a state in which that cannot be done.
    #[error("job {job} is {state}: {action} is not possible")]
    WrongState {
        /// The job.
        job: JobId,
        /// The name of its state.
        state: String,
        /// What was asked for.
        action: &'static str,
    },
    /// The job does not take a message.
    #[error("job {job} does not take the message: {reason}")]
    NotTaken {
        /// The job.
        job: JobId,
        /// Why not.
        reason: String,
    },
    /// The job says too little or too much.
    #[error("the job cannot be taken: {0}")]
    BadJob(String),
    /// The plan that was given with the job is not valid; the source lists all that is wrong.
    #[error("the plan is not valid")]
    BadPlan(#[source] PlanErrors),
    /// There are too many jobs.
    #[error("there are already {max} jobs that have not ended: wait for one or cancel one")]
    TooManyJobs {
        /// The limit.
        max: usize,
    },
    /// A stream cannot go on there, because the log does not reach that far.
    #[error("the log of job {job} ends at {last}, before {after}")]
    BeyondEnd {
        /// The job.
        job: JobId,
        /// Where to go on.
        after: u64,
        /// Where the log ends.
        last: u64,
    },
    /// The job's log could not be used.
    #[error("the job's log cannot be used")]
    Store(#[source] Arc<StoreError>),
    /// An event does not fit a job, be it new or read back.
    #[error("an event does not fit job {job}")]
    Refused {
        /// The job.
        job: JobId,
        /// Why.
        #[source]
        source: ApplyError,
    },
    /// The job is between two captains.
    #[error("job {job} is moving to another captain: ask again in a moment")]
    Moved {
        /// The job.
        job: JobId,
    },
    /// This captain may do nothing at present, because its lease in the shared database has ended.
    #[error(
        "the lease in the shared database has ended, a new one is on its way: ask again in a moment"
    )]
    NoLease,
    /// The engine has stopped, or is about to.
    #[error("the captain is stopping")]
    Stopped,
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

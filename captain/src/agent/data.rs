//! The captain's extension of the protocol: what stands under [`JOB_URI`] in the metadata of the events of a task, and in
//! the metadata of a message. Only shapes; what they mean is in `tell` and `request`.

use captain_core::{Attempt, JobEvent, JobId, SubtaskId};
use serde::{Deserialize, Serialize};

/// Names the extension, and the key of its data in the metadata of events and messages.
pub(crate) const JOB_URI: &str = "urn:flotilla:ext:job:v1";

/// A place in a task's events: the number of the job's event that it was made from, and which of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The number in the job's log.
    pub(crate) seq: u64,
    /// Which of the events that were made from it, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) piece: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What an event of a task says about the job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct JobData {
    /// The job; its id is the task's id.
    pub(crate) job: JobId,
    /// Where the job is to be found over REST.
    pub(crate) url: String,
    /// The place that the event was made from.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The name of the job's event.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The subtask, where the event is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subtask: Option<SubtaskId>,
    /// Which attempt at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<Attempt>,
    /// The job's event as on `GET /jobs/{id}/events`, where it is more than what stands beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<JobEvent>,
}

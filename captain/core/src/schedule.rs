//! What may start now. Dependencies are settled by the states (a subtask is ready once they are done); this adds order
//! and room. The choice becomes an event, so replay does not depend on how much room there was.

use jiff::Timestamp;

use crate::ids::SubtaskId;
use crate::job::{Job, JobState, SubtaskState};

/// How many subtasks of the job are at work.
pub fn active(job: &Job) -> usize {
    job.subtasks
        .values()
        .filter(|one| one.state.is_active())
        .count()
}

/// The next subtask to start: the first in plan order that is ready, if the job's own limit and the `slots` left over
/// all jobs allow one more.
pub fn next(job: &Job, now: Timestamp, slots: usize) -> Option<&SubtaskId> {
    if job.state != JobState::Running || slots == 0 || active(job) >= job.max_parallel() {
        return None;
    }
    job.subtasks()
        .find(|(_, _, one)| match one.state {
            SubtaskState::Ready => true,
            SubtaskState::Backoff { until } => until <= now,
            _ => false,
        })
        .map(|(id, _, _)| id)
}

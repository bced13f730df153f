//! The parts of the transition function that are longer than a line: ends of attempts, look-ups, and small steps of one
//! subtask. Called from `machine.rs` alone.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::ApplyError;
use crate::effect::Effect;
use crate::event::JobEvent;
use crate::ids::{Attempt, SubtaskId, WorkerId};
use crate::job::{AttemptRecord, Contact, Job, JobState, Subtask, SubtaskState, after};
use crate::outcome::Outcome;
use crate::plan::Plan;

/// How long workers are listened to after a restart of the captain before any of them is late. They are on this machine
/// or the next, and say in the first second what they did meanwhile.
const RESUME_SECONDS: u64 = 30;

impl Job {
    pub(super) fn end_attempt(
        &mut self,
        now: Timestamp,
        event: &JobEvent,
        subtask: &SubtaskId,
        attempt: Attempt,
        outcome: &Outcome,
    ) -> Result<Vec<Effect>, ApplyError> {
        let one = self.subtask_in(event, subtask, SubtaskState::is_active)?;
        let had_worker = one.state != SubtaskState::Merging;
        let next = match outcome {
            Outcome::Completed if is_with_worker(&one.state) => SubtaskState::Merging,
            Outcome::Completed => return Err(self.unexpected(event)),
            // It may be at work still, or its platform may start it again: no other attempt before that is excluded.
            silent if silent.is_silent() && had_worker => SubtaskState::Fencing {
                outcome: silent.clone(),
                problem: None,
            },
            over => SubtaskState::AttemptOver {
                outcome: over.clone(),
            },
        };
        let fencing = is_fencing(&next);
        one.close(now, outcome);
        one.enter(now, next);
        let worker = WorkerId::of(&self.id, subtask, attempt);
        let stop = (had_worker && !fencing).then(|| Effect::StopWorker {
            subtask: subtask.clone(),
            attempt,
            worker,
        });
        Ok(stop.into_iter().chain(self.owed(subtask)).collect())
    }

    /// The subtask that an event is about, if it exists and is in a state that the event fits.
    pub(super) fn subtask_in(
        &mut self,
        event: &JobEvent,
        id: &SubtaskId,
        fits: fn(&SubtaskState) -> bool,
    ) -> Result<&mut Subtask, ApplyError> {
        let active_job = matches!(self.state, JobState::Running | JobState::Cancelling { .. });
        let Some(one) = self.subtasks.get_mut(id) else {
            return Err(ApplyError::UnknownSubtask {
                event: event.name(),
                subtask: id.clone(),
            });
        };
        if active_job && fits(&one.state) {
            Ok(one)
        } else {
            let what = format!("subtask {id}");
            Err(ApplyError::Unexpected {
                event: event.name(),
                what,
                state: one.state.name(),
            })
        }
    }

    pub(super) fn unexpected(&self, event: &JobEvent) -> ApplyError {
        ApplyError::Unexpected {
            event: event.name(),
            what: "the job".to_owned(),
            state: self.state.name(),
        }
    }

    pub(super) fn new_attempt(
        &self,
        subtask: &SubtaskId,
        attempt: Attempt,
        started: Timestamp,
        deadline: Option<Timestamp>,
    ) -> AttemptRecord {
        AttemptRecord {
            attempt,
            worker: WorkerId::of(&self.id, subtask, attempt),
            started,
            deadline,
            base: None,
            workspace: None,
            endpoint: None,
            task: None,
            contact: Contact::Reachable,
            heard: self.message_count(),
            told: self.message_count(),
            asked: self.message_count(),
            ended: None,
        }
    }

    pub(super) fn limit_of(&self, id: &SubtaskId) -> Option<u64> {
        self.plan.as_ref()?.get(id)?.limits.time_seconds
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.subtasks.values().any(|one| one.state.is_active())
    }

    pub(super) fn release_dependents(&mut self, now: Timestamp, done: &SubtaskId) {
        let Some(plan) = &self.plan else { return };
        for id in plan.dependents(done) {
            if let Some(one) = self.subtasks.get_mut(id)
                && let SubtaskState::Waiting { on } = &mut one.state
            {
                on.remove(done);
                if on.is_empty() {
                    one.enter(now, SubtaskState::Ready);
                }
            }
        }
    }
}

impl Subtask {
    pub(super) fn enter(&mut self, now: Timestamp, state: SubtaskState) {
        self.state = state;
        self.since = now;
    }

    pub(super) fn close(&mut self, now: Timestamp, outcome: &Outcome) {
        if let Some(record) = self.attempts.last_mut() {
            record.ended = Some((now, outcome.clone()));
        }
    }

    /// None when nothing changes, so that only changes are recorded. What its platform says about a worker weighs more
    /// than that it is not heard.
    pub(super) fn set_contact(&mut self, contact: Contact) -> Option<()> {
        let record = self.attempts.last_mut()?;
        let changed = match (&record.contact, &contact) {
            (Contact::Reachable, Contact::Reachable)
            | (Contact::Unreachable { .. } | Contact::Gone { .. }, Contact::Unreachable { .. })
            | (Contact::Gone { .. }, Contact::Gone { .. }) => false,
            (Contact::Reachable | Contact::Unreachable { .. }, Contact::Gone { .. })
            | (Contact::Reachable, Contact::Unreachable { .. })
            | (Contact::Unreachable { .. } | Contact::Gone { .. }, Contact::Reachable) => true,
        };
        changed.then(|| record.contact = contact)
    }

    /// The captain could not listen for a while: nobody is late because of that.
    pub(super) fn resume(&mut self, now: Timestamp) {
        if !is_with_worker(&self.state) {
            return;
        }
        let Some(record) = self.attempts.last_mut() else {
            return;
        };
        if let Contact::Unreachable { since, .. } | Contact::Gone { since, .. } =
            &mut record.contact
        {
            *since = now;
        }
        let heard = after(now, RESUME_SECONDS);
        record.deadline = record.deadline.map(|deadline| deadline.max(heard));
    }
}

pub(super) fn first_state(plan: &Plan, id: &SubtaskId, now: Timestamp) -> Subtask {
    let on: BTreeSet<SubtaskId> = plan.dependencies(id).cloned().collect();
    let state = if on.is_empty() {
        SubtaskState::Ready
    } else {
        SubtaskState::Waiting { on }
    };
    Subtask {
        state,
        since: now,
        attempts: Vec::new(),
    }
}

/// Whether the worker may have been asked to work and has not said its last word.
pub(super) fn is_with_worker(state: &SubtaskState) -> bool {
    matches!(
        state,
        SubtaskState::Launching | SubtaskState::Running | SubtaskState::InputRequired { .. }
    )
}

/// Whether it may be decided what follows from the end of the attempt. In the logs of captains that knew no fence the
/// decision follows the end at once; [`Job::decide`] waits for the fence.
pub(super) fn is_attempt_over(state: &SubtaskState) -> bool {
    matches!(state, SubtaskState::AttemptOver { .. }) || is_fencing(state)
}

/// Whether a silent worker is being stopped.
pub(super) fn is_fencing(state: &SubtaskState) -> bool {
    matches!(state, SubtaskState::Fencing { .. })
}

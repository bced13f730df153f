//! The job's state machine. [`Job::apply`] says what an event changes and which effects that owes; [`Job::decide`] (in
//! `machine/decide.rs`) says which event follows from the state alone. Recovery is nothing but the stored events sent
//! through `apply` again, then [`Job::pending_effects`].
//!
//! Nothing else changes a [`Job`]. An event that does not fit is refused as a whole and must not be stored.

mod decide;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use decide::RetryDelay;

use crate::aggregate::Artifacts;
use crate::effect::Effect;
use crate::event::JobEvent;
use crate::ids::{Attempt, CommitId, JobId, SubtaskId, WorkerId};
use crate::job::{AttemptRecord, Contact, Job, JobState, Subtask, SubtaskState, after};
use crate::outcome::{Outcome, StopReason};
use crate::plan::{Plan, PlanErrors};

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

impl Job {
    /// A new job from its first event.
    ///
    /// # Errors
    /// [`ApplyError::NotSubmitted`] for any event but [`JobEvent::JobSubmitted`].
    pub fn create(
        id: JobId,
        now: Timestamp,
        first: &JobEvent,
    ) -> Result<(Self, Vec<Effect>), ApplyError> {
        let JobEvent::JobSubmitted { spec } = first else {
            return Err(ApplyError::NotSubmitted {
                event: first.name(),
            });
        };
        let job = Self {
            id,
            spec: spec.clone(),
            created: now,
            updated: now,
            started: None,
            state: JobState::Planning {
                problems: Vec::new(),
            },
            plan: None,
            subtasks: BTreeMap::new(),
            artifacts: Artifacts::default(),
        };
        Ok((job, vec![Effect::MakePlan]))
    }

    /// A job from its log: the same steps as when the events happened, their effects left out.
    ///
    /// # Errors
    /// [`ApplyError`] when the events are not a job's log in its order.
    pub fn replay<'a>(
        id: JobId,
        events: impl IntoIterator<Item = (Timestamp, &'a JobEvent)>,
    ) -> Result<Self, ApplyError> {
        let mut events = events.into_iter();
        let (at, first) = events
            .next()
            .ok_or(ApplyError::NotSubmitted { event: "nothing" })?;
        let (mut job, _) = Self::create(id, at, first)?;
        for (at, event) in events {
            job.apply(at, event)?;
        }
        Ok(job)
    }

    /// Changes the job by what happened and says which effects that owes. Output events cost the same however large
    /// the job is.
    ///
    /// # Errors
    /// [`ApplyError`] when the event does not fit; the job is unchanged then, and the event must not be stored.
    pub fn apply(&mut self, now: Timestamp, event: &JobEvent) -> Result<Vec<Effect>, ApplyError> {
        self.admit(event)?;
        if event.is_output() {
            return Ok(Vec::new());
        }
        let unexpected = self.unexpected(event);
        let effects = match event {
            JobEvent::JobSubmitted { .. } => return Err(unexpected),
            JobEvent::JobPlanned { revision, plan } => {
                if !matches!(&self.state, JobState::Planning { problems } if problems.is_empty()) {
                    return Err(unexpected);
                }
                let plan = Plan::accepted(plan.clone(), *revision).map_err(ApplyError::Plan)?;
                self.subtasks = plan
                    .ids()
                    .map(|id| (id.clone(), first_state(&plan, id, now)))
                    .collect();
                self.plan = Some(plan);
                self.state = JobState::AwaitingApproval;
                Vec::new()
            }
            JobEvent::PlanRejected { problems } => {
                if !matches!(self.state, JobState::Planning { .. }) {
                    return Err(unexpected);
                }
                self.state = JobState::Planning {
                    problems: problems.clone(),
                };
                Vec::new()
            }
            JobEvent::JobStarted { .. } => {
                if self.state != JobState::AwaitingApproval {
                    return Err(unexpected);
                }
                self.state = JobState::Running;
                self.started = Some(now);
                Vec::new()
            }
            JobEvent::JobIntegrating => {
                if self.state != JobState::Running
                    || self.done_in_order().len() < self.subtasks.len()
                {
                    return Err(unexpected);
                }
                self.state = JobState::Integrating;
                vec![Effect::Finish {
                    order: self.done_in_order(),
                }]
            }
            JobEvent::JobCancelRequested { reason } => {
                if matches!(self.state, JobState::Cancelling { .. }) {
                    return Err(unexpected);
                }
                self.state = JobState::Cancelling {
                    reason: reason.clone(),
                };
                self.subtasks
                    .keys()
                    .filter_map(|id| self.owed(id))
                    .collect()
            }
            JobEvent::JobCompleted { result } => {
                if self.state != JobState::Integrating {
                    return Err(unexpected);
                }
                self.state = JobState::Completed {
                    result: result.clone(),
                };
                Vec::new()
            }
            JobEvent::JobFailed { reason, .. } => {
                let by_request = matches!(
                    self.state,
                    JobState::Cancelling {
                        reason: StopReason::User { .. }
                    }
                );
                if by_request || self.state == JobState::AwaitingApproval || self.is_at_work() {
                    return Err(unexpected);
                }
                self.state = JobState::Failed {
                    reason: reason.clone(),
                };
                Vec::new()
            }
            JobEvent::JobCancelled => {
                if !matches!(
                    self.state,
                    JobState::Cancelling {
                        reason: StopReason::User { .. }
                    }
                ) || self.is_at_work()
                {
                    return Err(unexpected);
                }
                self.state = JobState::Cancelled;
                Vec::new()
            }

            JobEvent::SubtaskStarted { subtask, attempt } => {
                let deadline = self.limit_of(subtask).map(|seconds| after(now, seconds));
                let record = self.new_attempt(subtask, *attempt, now, deadline);
                let one = self.subtask_in(event, subtask, |state| {
                    matches!(state, SubtaskState::Ready | SubtaskState::Backoff { .. })
                })?;
                if one
                    .attempts
                    .last()
                    .map_or(Attempt::FIRST, |last| last.attempt.next())
                    != *attempt
                {
                    return Err(ApplyError::Stale {
                        event: event.name(),
                        subtask: subtask.clone(),
                        attempt: *attempt,
                    });
                }
                one.attempts.push(record);
                one.enter(now, SubtaskState::Preparing);
                Vec::from_iter(self.owed(subtask))
            }
            JobEvent::SubtaskPrepared {
                subtask,
                base,
                workspace,
                ..
            } => {
                let one =
                    self.subtask_in(event, subtask, |state| *state == SubtaskState::Preparing)?;
                one.enter(now, SubtaskState::Launching);
                if let Some(record) = one.attempts.last_mut() {
                    record.base = Some(base.clone());
                    record.workspace = Some(workspace.clone());
                }
                Vec::from_iter(self.owed(subtask))
            }
            JobEvent::WorkerLaunched {
                subtask, endpoint, ..
            } => {
                let one =
                    self.subtask_in(event, subtask, |state| *state == SubtaskState::Launching)?;
                let Some(record) = one
                    .attempts
                    .last_mut()
                    .filter(|record| record.endpoint.is_none())
                else {
                    return Err(unexpected);
                };
                record.endpoint = Some(endpoint.clone());
                Vec::from_iter(self.owed(subtask))
            }
            JobEvent::WorkerReady { subtask, .. } => {
                let one =
                    self.subtask_in(event, subtask, |state| *state == SubtaskState::Launching)?;
                if one.current().is_none_or(|record| record.endpoint.is_none()) {
                    return Err(unexpected);
                }
                one.enter(now, SubtaskState::Running);
                Vec::new()
            }
            JobEvent::WorkerAccepted { subtask, task, .. } => {
                let one = self.subtask_in(event, subtask, is_with_worker)?;
                let Some(record) = one
                    .attempts
                    .last_mut()
                    .filter(|record| record.task.is_none())
                else {
                    return Err(unexpected);
                };
                record.task = Some(task.clone());
                Vec::new()
            }
            JobEvent::WorkerUnreachable { subtask, .. } => {
                let one = self.subtask_in(event, subtask, is_with_worker)?;
                one.set_contact(Contact::Unreachable { since: now })
                    .ok_or(unexpected)?;
                Vec::new()
            }
            JobEvent::WorkerReachable { subtask, .. } => {
                let one = self.subtask_in(event, subtask, is_with_worker)?;
                one.set_contact(Contact::Reachable).ok_or(unexpected)?;
                Vec::new()
            }
            JobEvent::InputRequired {
                subtask, question, ..
            } => {
                let one = self.subtask_in(event, subtask, is_with_worker)?;
                one.enter(
                    now,
                    SubtaskState::InputRequired {
                        question: question.clone(),
                    },
                );
                Vec::new()
            }
            JobEvent::InputResolved { subtask, .. } => {
                let one = self.subtask_in(event, subtask, |state| {
                    matches!(state, SubtaskState::InputRequired { .. })
                })?;
                one.enter(now, SubtaskState::Running);
                Vec::new()
            }
            JobEvent::ArtifactMade {
                subtask,
                attempt,
                artifact,
            } => {
                self.subtask_in(event, subtask, is_with_worker)?;
                self.artifacts.add(subtask, *attempt, artifact);
                Vec::new()
            }
            JobEvent::AttemptEnded {
                subtask,
                attempt,
                outcome,
            } => self.end_attempt(now, event, subtask, *attempt, outcome)?,
            JobEvent::WorkerStopped { subtask, .. } => {
                if !matches!(self.state, JobState::Cancelling { .. }) {
                    return Err(unexpected);
                }
                let one = self.subtask_in(event, subtask, SubtaskState::is_active)?;
                one.close(now, &Outcome::Cancelled);
                one.enter(
                    now,
                    SubtaskState::AttemptOver {
                        outcome: Outcome::Cancelled,
                    },
                );
                Vec::new()
            }
            JobEvent::SubtaskMerged {
                subtask, commit, ..
            } => {
                let one =
                    self.subtask_in(event, subtask, |state| *state == SubtaskState::Merging)?;
                one.enter(
                    now,
                    SubtaskState::Done {
                        commit: commit.clone(),
                    },
                );
                self.release_dependents(now, subtask);
                Vec::new()
            }
            JobEvent::RetryScheduled {
                subtask,
                not_before,
                ..
            } => {
                let one = self.subtask_in(event, subtask, is_attempt_over)?;
                one.enter(now, SubtaskState::Backoff { until: *not_before });
                Vec::new()
            }
            JobEvent::SubtaskFailed { subtask, outcome } => {
                let one = self.subtask_in(event, subtask, is_attempt_over)?;
                one.enter(
                    now,
                    SubtaskState::Failed {
                        outcome: outcome.clone(),
                    },
                );
                Vec::new()
            }
            JobEvent::SubtaskSkipped { subtask, because } => {
                let one = self.subtask_in(event, subtask, |state| {
                    matches!(state, SubtaskState::Waiting { .. })
                })?;
                one.enter(
                    now,
                    SubtaskState::Skipped {
                        because: because.clone(),
                    },
                );
                Vec::new()
            }
            JobEvent::SubtaskCancelled { subtask } => {
                if !matches!(self.state, JobState::Cancelling { .. }) {
                    return Err(unexpected);
                }
                let one = self.subtask_in(event, subtask, |state| {
                    !state.is_active() && !state.is_terminal()
                })?;
                one.enter(now, SubtaskState::Cancelled);
                Vec::new()
            }
            // What follows from a conflict is an event of its own.
            JobEvent::MergeConflict { .. }
            | JobEvent::AgentText { .. }
            | JobEvent::AgentThought { .. }
            | JobEvent::ToolStarted { .. }
            | JobEvent::ToolUpdated { .. }
            | JobEvent::ToolFinished { .. } => Vec::new(),
        };
        self.updated = now;
        Ok(effects)
    }

    /// All effects that are owed in the present state, for a captain that has just read the job back.
    pub fn pending_effects(&self) -> Vec<Effect> {
        match &self.state {
            JobState::Planning { problems } if problems.is_empty() => vec![Effect::MakePlan],
            JobState::Integrating => vec![Effect::Finish {
                order: self.done_in_order(),
            }],
            JobState::Running | JobState::Cancelling { .. } => {
                let plan = self.plan.iter();
                plan.flat_map(Plan::ids)
                    .filter_map(|id| self.owed(id))
                    .collect()
            }
            JobState::Planning { .. }
            | JobState::AwaitingApproval
            | JobState::Completed { .. }
            | JobState::Failed { .. }
            | JobState::Cancelled => Vec::new(),
        }
    }

    /// The one place that drops what comes too late: after the job's end, or from another attempt than the one under
    /// way. While the job is being stopped an attempt may still show output, but only `worker.stopped` moves it.
    fn admit(&self, event: &JobEvent) -> Result<(), ApplyError> {
        if self.state.is_terminal() {
            return Err(ApplyError::Terminal {
                event: event.name(),
                state: self.state.name(),
            });
        }
        let Some((subtask, attempt)) = event.attempt() else {
            return Ok(());
        };
        let under_way = self.subtasks.get(subtask).is_some_and(|one| {
            one.state.is_active()
                && one
                    .current()
                    .is_some_and(|record| record.attempt == attempt)
        });
        if !under_way {
            return Err(ApplyError::Stale {
                event: event.name(),
                subtask: subtask.clone(),
                attempt,
            });
        }
        let stopping = matches!(self.state, JobState::Cancelling { .. });
        if stopping && !event.is_output() && !matches!(event, JobEvent::WorkerStopped { .. }) {
            return Err(self.unexpected(event));
        }
        Ok(())
    }

    fn end_attempt(
        &mut self,
        now: Timestamp,
        event: &JobEvent,
        subtask: &SubtaskId,
        attempt: Attempt,
        outcome: &Outcome,
    ) -> Result<Vec<Effect>, ApplyError> {
        let one = self.subtask_in(event, subtask, SubtaskState::is_active)?;
        let had_worker = one.state != SubtaskState::Merging;
        let next = if *outcome == Outcome::Completed {
            if !is_with_worker(&one.state) {
                return Err(self.unexpected(event));
            }
            SubtaskState::Merging
        } else {
            SubtaskState::AttemptOver {
                outcome: outcome.clone(),
            }
        };
        one.close(now, outcome);
        one.enter(now, next);
        let worker = WorkerId::of(&self.id, subtask, attempt);
        let stop = had_worker.then(|| Effect::StopWorker {
            subtask: subtask.clone(),
            attempt,
            worker,
        });
        Ok(stop.into_iter().chain(self.owed(subtask)).collect())
    }

    /// The effect that one subtask owes in the present state.
    fn owed(&self, id: &SubtaskId) -> Option<Effect> {
        let one = self.subtasks.get(id)?;
        let record = one.current()?;
        let (subtask, attempt) = (id.clone(), record.attempt);
        if matches!(self.state, JobState::Cancelling { .. }) {
            return one
                .state
                .is_active()
                .then_some(Effect::CancelAttempt { subtask, attempt });
        }
        match one.state {
            SubtaskState::Preparing => Some(Effect::Prepare {
                subtask,
                attempt,
                from: self.results_before(id),
            }),
            SubtaskState::Launching if record.endpoint.is_none() => {
                Some(Effect::Launch { subtask, attempt })
            }
            SubtaskState::Launching
            | SubtaskState::Running
            | SubtaskState::InputRequired { .. } => Some(Effect::Send { subtask, attempt }),
            SubtaskState::Merging => Some(Effect::Merge { subtask, attempt }),
            SubtaskState::Waiting { .. }
            | SubtaskState::Ready
            | SubtaskState::Backoff { .. }
            | SubtaskState::AttemptOver { .. }
            | SubtaskState::Done { .. }
            | SubtaskState::Failed { .. }
            | SubtaskState::Skipped { .. }
            | SubtaskState::Cancelled => None,
        }
    }

    /// The subtask that an event is about, if it exists and is in a state that the event fits.
    fn subtask_in(
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

    fn unexpected(&self, event: &JobEvent) -> ApplyError {
        ApplyError::Unexpected {
            event: event.name(),
            what: "the job".to_owned(),
            state: self.state.name(),
        }
    }

    fn new_attempt(
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
            ended: None,
        }
    }

    fn limit_of(&self, id: &SubtaskId) -> Option<u64> {
        self.plan.as_ref()?.get(id)?.limits.time_seconds
    }

    /// The results that a subtask starts from, in the order in which its dependencies were written.
    fn results_before(&self, id: &SubtaskId) -> Vec<(SubtaskId, CommitId)> {
        let plan = self.plan.iter();
        plan.flat_map(|plan| plan.dependencies(id))
            .filter_map(|id| self.result_of(id))
            .collect()
    }

    /// The results of all subtasks that are done, dependencies first.
    fn done_in_order(&self) -> Vec<(SubtaskId, CommitId)> {
        let plan = self.plan.iter();
        plan.flat_map(Plan::topological)
            .filter_map(|id| self.result_of(id))
            .collect()
    }

    fn result_of(&self, id: &SubtaskId) -> Option<(SubtaskId, CommitId)> {
        match &self.subtasks.get(id)?.state {
            SubtaskState::Done { commit } => Some((id.clone(), commit.clone())),
            _ => None,
        }
    }

    fn is_at_work(&self) -> bool {
        self.subtasks.values().any(|one| one.state.is_active())
    }

    fn release_dependents(&mut self, now: Timestamp, done: &SubtaskId) {
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
    fn enter(&mut self, now: Timestamp, state: SubtaskState) {
        self.state = state;
        self.since = now;
    }

    fn close(&mut self, now: Timestamp, outcome: &Outcome) {
        if let Some(record) = self.attempts.last_mut() {
            record.ended = Some((now, outcome.clone()));
        }
    }

    /// None when contact is as it was, so that only changes are recorded.
    fn set_contact(&mut self, contact: Contact) -> Option<()> {
        let record = self.attempts.last_mut()?;
        let changed = (record.contact == Contact::Reachable) != (contact == Contact::Reachable);
        changed.then(|| record.contact = contact)
    }
}

fn first_state(plan: &Plan, id: &SubtaskId, now: Timestamp) -> Subtask {
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
fn is_with_worker(state: &SubtaskState) -> bool {
    matches!(
        state,
        SubtaskState::Launching | SubtaskState::Running | SubtaskState::InputRequired { .. }
    )
}

fn is_attempt_over(state: &SubtaskState) -> bool {
    matches!(state, SubtaskState::AttemptOver { .. })
}

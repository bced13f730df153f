//! The job's state machine. [`Job::apply`] says what an event changes and which effects that owes; [`Job::decide`] (in
//! `machine/decide.rs`) says which event follows from the state alone. Recovery is nothing but the stored events sent
//! through `apply` again, then [`Job::pending_effects`].
//!
//! Nothing else changes a [`Job`]. An event that does not fit is refused as a whole and must not be stored.

mod decide;
mod error;
mod messages;
mod owed;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod simulation;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use decide::Outside;
pub use error::ApplyError;
pub use messages::MAX_MESSAGES;

use crate::aggregate::Artifacts;
use crate::effect::Effect;
use crate::event::JobEvent;
use crate::ids::{Attempt, JobId};
use crate::job::{Contact, Job, JobState, ProviderPause, SubtaskState, UserMessage, after};
use crate::outcome::{Outcome, StopReason};
use crate::plan::Plan;
use steps::{first_state, is_attempt_over, is_fencing, is_with_worker};

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
            messages: Vec::new(),
            paused: None,
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
                    || !self
                        .subtasks
                        .values()
                        .all(|one| matches!(one.state, SubtaskState::Done { .. }))
                {
                    return Err(unexpected);
                }
                self.state = JobState::Integrating;
                vec![Effect::Finish {
                    leaves: self.results_of_leaves(),
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
            JobEvent::JobResumed => {
                for one in self.subtasks.values_mut() {
                    one.resume(now);
                }
                Vec::new()
            }
            JobEvent::ProviderPaused {
                provider,
                until,
                message,
            } => {
                self.paused = Some(ProviderPause {
                    provider: provider.clone(),
                    until: *until,
                    message: message.clone(),
                });
                Vec::new()
            }
            JobEvent::ProviderResumed { .. } => {
                self.paused.take().ok_or(unexpected)?;
                Vec::new()
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
                if self.state != JobState::Running {
                    return Err(unexpected);
                }
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
                Vec::from_iter(self.untold(subtask))
            }
            JobEvent::WorkerUnreachable {
                subtask, message, ..
            } => {
                let one = self.subtask_in(event, subtask, is_with_worker)?;
                let message = message.clone();
                let contact = Contact::Unreachable {
                    since: now,
                    message,
                };
                one.set_contact(contact).ok_or(unexpected)?;
                Vec::new()
            }
            JobEvent::WorkerGone {
                subtask, message, ..
            } => {
                let one = self.subtask_in(event, subtask, is_with_worker)?;
                let message = message.clone();
                let contact = Contact::Gone {
                    since: now,
                    message,
                };
                one.set_contact(contact).ok_or(unexpected)?;
                Vec::new()
            }
            JobEvent::WorkerReachable { subtask, .. } => {
                let one = self.subtask_in(event, subtask, is_with_worker)?;
                one.set_contact(Contact::Reachable).ok_or(unexpected)?;
                Vec::new()
            }
            JobEvent::WorkerFenced { subtask, .. } => {
                let one = self.subtask_in(event, subtask, is_fencing)?;
                if let SubtaskState::Fencing { outcome, .. } = &one.state {
                    let outcome = outcome.clone();
                    one.enter(now, SubtaskState::AttemptOver { outcome });
                }
                Vec::new()
            }
            JobEvent::WorkerNotFenced {
                subtask, message, ..
            } => {
                let one = self.subtask_in(event, subtask, is_fencing)?;
                match &mut one.state {
                    // It is told once, however often it is tried.
                    SubtaskState::Fencing { problem, .. } if problem.as_ref() != Some(message) => {
                        *problem = Some(message.clone());
                    }
                    _ => return Err(unexpected),
                }
                Vec::new()
            }
            JobEvent::InputRequired {
                subtask, question, ..
            } => {
                let messages = self.message_count();
                let one = self.subtask_in(event, subtask, is_with_worker)?;
                if let Some(record) = one.attempts.last_mut() {
                    record.asked = messages;
                }
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
            JobEvent::MessageReceived {
                message,
                from,
                text,
                id,
                subtask,
            } => {
                let message = UserMessage {
                    number: *message,
                    from: from.clone(),
                    text: text.clone(),
                    id: id.clone(),
                    to: subtask.clone(),
                };
                self.receive(event, message)?
            }
            JobEvent::MessageDelivered {
                subtask,
                message,
                problem,
                ..
            } => self.delivered(event, subtask, *message, problem.is_some())?,
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
        let under_way = self.subtasks.get(subtask).filter(|one| {
            one.state.is_active()
                && one
                    .current()
                    .is_some_and(|record| record.attempt == attempt)
        });
        // A worker that is being stopped for its silence has lost its say, and what it says late is of nobody.
        let heard = under_way.is_some_and(|one| {
            !is_fencing(&one.state)
                || matches!(
                    event,
                    JobEvent::WorkerFenced { .. }
                        | JobEvent::WorkerNotFenced { .. }
                        | JobEvent::WorkerStopped { .. }
                )
        });
        if !heard {
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
}

//! What follows from a job's state alone: the decisions that nobody has to make from outside. They become events like
//! all others, so that users see them and replay does not have to make them again.

use jiff::Timestamp;

use crate::event::JobEvent;
use crate::ids::{Attempt, SubtaskId};
use crate::job::{Approval, Job, JobState, Subtask, SubtaskState, after};
use crate::outcome::{FailReason, FailedSubtask, Outcome, StopReason};
use crate::plan::SubtaskSpec;
use crate::schedule;

/// How long to wait before a further attempt: doubling from `first_seconds` up to `max_seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryDelay {
    /// Before the second attempt.
    pub first_seconds: u64,
    /// Before any attempt.
    pub max_seconds: u64,
}

impl RetryDelay {
    /// Two seconds let a port or a process go; a minute is as long as a user would wait without an explanation.
    pub const DEFAULT: Self = Self {
        first_seconds: 2,
        max_seconds: 60,
    };

    /// Seconds to wait after `failed` has ended.
    pub fn after(self, failed: Attempt) -> u64 {
        let doublings = failed.0.saturating_sub(1).min(32);
        self.first_seconds
            .saturating_mul(1 << doublings)
            .min(self.max_seconds)
    }
}

impl Job {
    /// The next event that follows from the state alone, if any. The caller stores and applies it and asks again until
    /// there is none. `slots` is how many more subtasks may start beside what runs already, counted over all jobs.
    pub fn decide(&self, now: Timestamp, slots: usize) -> Option<JobEvent> {
        match &self.state {
            JobState::Planning { problems } if problems.is_empty() => None,
            JobState::Planning { problems } => Some(failed(FailReason::Plan {
                problems: problems.clone(),
            })),
            JobState::AwaitingApproval => match self.spec.approval {
                Approval::Auto => Some(JobEvent::JobStarted { approved_by: None }),
                Approval::Manual => None,
            },
            JobState::Running => self
                .time_is_over(now)
                .or_else(|| {
                    self.subtasks()
                        .find_map(|(id, spec, one)| self.follow_up(now, id, spec, one))
                })
                .or_else(|| self.all_over())
                .or_else(|| {
                    let subtask = schedule::next(self, now, slots)?.clone();
                    let last = self
                        .subtasks
                        .get(&subtask)?
                        .current()
                        .map(|record| record.attempt);
                    Some(JobEvent::SubtaskStarted {
                        subtask,
                        attempt: last.map_or(Attempt::FIRST, Attempt::next),
                    })
                }),
            JobState::Integrating => self.time_is_over(now),
            JobState::Cancelling { reason } => {
                let idle = self
                    .subtasks()
                    .find(|(_, _, one)| !one.state.is_active() && !one.state.is_terminal());
                match (idle, reason) {
                    (Some((id, _, _)), _) => Some(JobEvent::SubtaskCancelled {
                        subtask: id.clone(),
                    }),
                    (None, _) if self.is_at_work() => None,
                    (None, StopReason::User { .. }) => Some(JobEvent::JobCancelled),
                    (None, StopReason::TimeLimit { seconds }) => {
                        Some(failed(FailReason::TimeLimit { seconds: *seconds }))
                    }
                }
            }
            JobState::Completed { .. } | JobState::Failed { .. } | JobState::Cancelled => None,
        }
    }

    /// When the job wants to be looked at again though nothing happens: the earliest end of a wait or of a limit after
    /// `now`.
    pub fn wakeup(&self, now: Timestamp) -> Option<Timestamp> {
        let job = match self.state {
            JobState::Running | JobState::Integrating => self.deadline(),
            _ => return None,
        };
        let subtasks = self.subtasks.values().filter_map(|one| match one.state {
            SubtaskState::Backoff { until } => Some(until),
            _ => deadline(one),
        });
        subtasks.chain(job).filter(|at| *at > now).min()
    }

    fn time_is_over(&self, now: Timestamp) -> Option<JobEvent> {
        let seconds = self.spec.limits.time_seconds?;
        let reason = StopReason::TimeLimit { seconds };
        (self.deadline()? <= now).then_some(JobEvent::JobCancelRequested { reason })
    }

    /// What follows for one subtask: from the end of its attempt, of its time, or of something it depends on.
    fn follow_up(
        &self,
        now: Timestamp,
        id: &SubtaskId,
        spec: &SubtaskSpec,
        one: &Subtask,
    ) -> Option<JobEvent> {
        let attempt = one.current().map(|record| record.attempt);
        match (&one.state, attempt) {
            (SubtaskState::AttemptOver { outcome }, Some(attempt)) => Some(
                if outcome.is_retryable() && attempt.0 < self.max_attempts(spec) {
                    JobEvent::RetryScheduled {
                        subtask: id.clone(),
                        attempt: attempt.next(),
                        not_before: after(now, RetryDelay::DEFAULT.after(attempt)),
                    }
                } else {
                    JobEvent::SubtaskFailed {
                        subtask: id.clone(),
                        outcome: outcome.clone(),
                    }
                },
            ),
            (SubtaskState::Waiting { on }, _) => {
                let because = on
                    .iter()
                    .find_map(|dependency| self.root_failure(dependency))?;
                Some(JobEvent::SubtaskSkipped {
                    subtask: id.clone(),
                    because: because.clone(),
                })
            }
            (_, Some(attempt)) if deadline(one).is_some_and(|at| at <= now) => {
                let outcome = Outcome::TimedOut {
                    seconds: spec.limits.time_seconds.unwrap_or_default(),
                };
                Some(JobEvent::AttemptEnded {
                    subtask: id.clone(),
                    attempt,
                    outcome,
                })
            }
            _ => None,
        }
    }

    /// The failed subtask because of which `id` will never be done, if so.
    fn root_failure<'a>(&'a self, id: &'a SubtaskId) -> Option<&'a SubtaskId> {
        match &self.subtasks.get(id)?.state {
            SubtaskState::Failed { .. } => Some(id),
            SubtaskState::Skipped { because } => Some(because),
            _ => None,
        }
    }

    /// What follows when every subtask has ended.
    fn all_over(&self) -> Option<JobEvent> {
        if !self.subtasks.values().all(|one| one.state.is_terminal()) {
            return None;
        }
        let mut failures = Vec::new();
        let mut skipped = Vec::new();
        for (id, _, one) in self.subtasks() {
            match &one.state {
                SubtaskState::Failed { outcome } => {
                    failures.push(FailedSubtask {
                        subtask: id.clone(),
                        outcome: outcome.clone(),
                    });
                }
                SubtaskState::Skipped { .. } => skipped.push(id.clone()),
                _ => {}
            }
        }
        Some(if failures.is_empty() {
            JobEvent::JobIntegrating
        } else {
            failed(FailReason::Subtasks {
                failed: failures,
                skipped,
            })
        })
    }
}

/// When the time of a subtask's attempt is over; none once the worker has said its last word.
fn deadline(one: &Subtask) -> Option<Timestamp> {
    let counts = one.state.is_active() && one.state != SubtaskState::Merging;
    one.current().filter(|_| counts)?.deadline
}

fn failed(reason: FailReason) -> JobEvent {
    let message = reason.to_string();
    JobEvent::JobFailed { reason, message }
}

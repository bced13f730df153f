//! What follows from a job's state alone: the decisions that nobody has to make from outside. They become events like
//! all others, so that users see them and replay does not have to make them again.

use std::time::Duration;

use jiff::Timestamp;

use super::steps::{is_fencing, is_with_worker};
use crate::event::JobEvent;
use crate::ids::{Attempt, SubtaskId};
use crate::job::{Approval, Contact, Job, JobState, Subtask, SubtaskState, after, later};
use crate::outcome::{FailReason, FailedSubtask, Outcome, StopReason};
use crate::plan::SubtaskSpec;
use crate::schedule;

/// How long a worker whose platform says that it has ended is still listened to: its last words may be on their way,
/// and a platform that starts it again does so within a moment.
const GONE_SECONDS: u64 = 3;

/// What a decision depends on besides the job: chance and the room that other jobs leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside {
    /// How many more subtasks may start beside what runs already, counted over all jobs.
    pub slots: usize,
    /// A number that the caller drew, new for each decision.
    pub dice: u64,
    /// Whether the job may start one attempt though its provider is paused, to see whether that works again.
    pub probe: bool,
}

impl Job {
    /// The next event that follows from the state alone, if any. The caller stores and applies it and asks again until
    /// there is none.
    pub fn decide(&self, now: Timestamp, outside: Outside) -> Option<JobEvent> {
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
                    self.subtasks().find_map(|(id, spec, one)| {
                        self.follow_up(now, outside.dice, id, spec, one)
                    })
                })
                .or_else(|| self.all_over())
                .or_else(|| {
                    if self.paused.is_some() && !outside.probe {
                        return None;
                    }
                    let subtask = schedule::next(self, now, outside.slots)?.clone();
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
            _ => deadline(one).into_iter().chain(self.silence(one)).min(),
        });
        let pause = self.paused.as_ref().map(|pause| pause.until);
        let times = subtasks.chain(job).chain(pause);
        times.filter(|at| *at > now).min()
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
        dice: u64,
        id: &SubtaskId,
        spec: &SubtaskSpec,
        one: &Subtask,
    ) -> Option<JobEvent> {
        let attempt = one.current().map(|record| record.attempt);
        match (&one.state, attempt) {
            (SubtaskState::AttemptOver { outcome }, Some(attempt)) => {
                Some(match self.retry_after(dice, spec, one, outcome) {
                    Some(millis) => JobEvent::RetryScheduled {
                        subtask: id.clone(),
                        attempt: attempt.next(),
                        not_before: later(now, Duration::from_millis(millis)),
                    },
                    None => JobEvent::SubtaskFailed {
                        subtask: id.clone(),
                        outcome: outcome.clone(),
                    },
                })
            }
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
            (_, Some(attempt)) if self.silence(one).is_some_and(|at| at <= now) => {
                let outcome = match &one.current()?.contact {
                    Contact::Reachable => return None,
                    Contact::Gone { message, .. } => Outcome::Lost {
                        message: message.clone(),
                    },
                    Contact::Unreachable { message, .. } => Outcome::Unknown {
                        message: format!(
                            "it could not be reached for {} s: {message}",
                            self.unreachable_seconds()
                        ),
                    },
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

    /// How long to wait before a further attempt, in milliseconds; none if there is to be none.
    fn retry_after(
        &self,
        dice: u64,
        spec: &SubtaskSpec,
        one: &Subtask,
        outcome: &Outcome,
    ) -> Option<u64> {
        let class = outcome.class()?;
        let ends = one
            .attempts
            .iter()
            .filter_map(|record| record.ended.as_ref());
        let failures = ends.filter(|(_, end)| end.class() == Some(class)).count();
        let failures = u32::try_from(failures).unwrap_or(u32::MAX);
        let last = one.current()?.attempt;
        let allowed = last.0 < self.max_attempts(spec) && failures <= self.retries(spec).of(class);
        allowed.then(|| class.delay().millis(failures, dice))
    }

    /// When a worker that is not heard is given up; none while it is heard, and once it has said its last word.
    fn silence(&self, one: &Subtask) -> Option<Timestamp> {
        if !is_with_worker(&one.state) {
            return None;
        }
        match &one.current()?.contact {
            Contact::Reachable => None,
            Contact::Unreachable { since, .. } => Some(after(*since, self.unreachable_seconds())),
            Contact::Gone { since, .. } => Some(after(*since, GONE_SECONDS)),
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
    let counts =
        one.state.is_active() && one.state != SubtaskState::Merging && !is_fencing(&one.state);
    one.current().filter(|_| counts)?.deadline
}

fn failed(reason: FailReason) -> JobEvent {
    let message = reason.to_string();
    JobEvent::JobFailed { reason, message }
}

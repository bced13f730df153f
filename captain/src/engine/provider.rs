//! The circuit breaker of the model's provider, wired to the jobs: ends of attempts go in, and what it says comes out as
//! events of every job that runs. When a provider fails and when it works again is the core's to say.

use captain_core::breaker::{Admission, Breaker};
use captain_core::{Job, JobEvent, JobId, JobState, Outcome};
use jiff::Timestamp;

use super::Options;
use super::actor::Actor;

/// The provider of all workers.
#[derive(Debug)]
pub(super) struct Provider {
    breaker: Breaker,
    /// Its last error.
    error: String,
}

impl Provider {
    /// A pause that jobs were in when the captain ended goes on.
    pub(super) fn new<'a>(options: &Options, jobs: impl Iterator<Item = &'a Job>) -> Self {
        let pauses = jobs.filter_map(Job::paused);
        let longest = pauses.max_by_key(|pause| pause.until);
        Self {
            breaker: match longest {
                Some(pause) => Breaker::paused(options.breaker, pause.until),
                None => Breaker::new(options.breaker),
            },
            error: longest
                .map(|pause| pause.message.clone())
                .unwrap_or_default(),
        }
    }

    /// Learns from what was recorded.
    pub(super) fn note(&mut self, now: Timestamp, event: &JobEvent) {
        match event {
            JobEvent::AttemptEnded {
                outcome: Outcome::ModelFailed { message },
                ..
            } => {
                self.error.clone_from(message);
                self.breaker.failed(now);
            }
            JobEvent::AttemptEnded {
                outcome: Outcome::Completed,
                ..
            }
            | JobEvent::AgentText { .. }
            | JobEvent::AgentThought { .. }
            | JobEvent::ToolStarted { .. } => {
                self.breaker.worked();
            }
            JobEvent::AttemptEnded { .. } => self.breaker.ended(now),
            JobEvent::SubtaskStarted { .. } if self.lets_probe(now) => self.breaker.probe(now),
            _ => {}
        }
    }

    /// When what may start changes by itself.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.breaker.admits(now) {
            Admission::Closed { until } | Admission::Probing { until } => Some(until),
            Admission::Open | Admission::Probe => None,
        }
    }

    /// Whether one attempt may find out if it works again.
    pub(super) fn lets_probe(&self, now: Timestamp) -> bool {
        self.breaker.admits(now) == Admission::Probe
    }
}

impl Actor {
    /// Tells every job that runs whether it may start something.
    pub(super) fn settle_provider(&mut self) {
        let now = self.ports.clock.now();
        let admission = self.provider.breaker.admits(now);
        let paused = |job: &Job| job.paused().map(|pause| pause.until);
        let news = |(id, live): (&JobId, &super::actor::Live)| {
            let provider = self.options.provider.clone();
            let event = match (admission, paused(&live.job)) {
                (Admission::Closed { until }, known)
                    if known != Some(until) && *live.job.state() == JobState::Running =>
                {
                    JobEvent::ProviderPaused {
                        provider,
                        until,
                        message: self.provider.error.clone(),
                    }
                }
                (Admission::Open, Some(_)) => JobEvent::ProviderResumed { provider },
                _ => return None,
            };
            Some((id.clone(), event))
        };
        let news: Vec<(JobId, JobEvent)> = self.jobs.iter().filter_map(news).collect();
        for (id, event) in news {
            if let Err(refused) = self.record(&id, None, event) {
                tracing::error!(job = %id, reason = %refused, "the core refused news of the provider");
            }
        }
    }
}

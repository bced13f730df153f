//! The circuit breaker of a model's provider. After several failures within a while nothing new is started on it; then
//! one attempt finds out whether it works again. Pure: the caller says what happened and when, and asks what may start.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::job::after;

/// When a provider counts as failing, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// Failed attempts within the window that open the breaker.
    pub failures: usize,
    /// The window, in seconds.
    pub window_seconds: u64,
    /// How long nothing is started the first time, in seconds; twice as long after each probe that fails.
    pub first_pause_seconds: u64,
    /// The longest pause, in seconds.
    pub max_pause_seconds: u64,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            // Each is an attempt that has tried for a while itself, so few of them say enough.
            failures: 3,
            window_seconds: 300,
            first_pause_seconds: 30,
            max_pause_seconds: 600,
        }
    }
}

/// What may start on a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Anything.
    Open,
    /// One attempt, to find out whether it works again.
    Probe,
    /// Nothing before this time.
    Closed {
        /// When to ask again.
        until: Timestamp,
    },
    /// Nothing before the probe that is under way has said something, or before this time.
    Probing {
        /// When another one may be sent.
        until: Timestamp,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// It works as far as is known; the recent failures.
    Working(VecDeque<Timestamp>),
    /// Nothing is started before `until`, then a probe.
    Paused { until: Timestamp, pauses: u32 },
    /// The probe is under way; another is sent at `until` if it says nothing.
    Probing { until: Timestamp, pauses: u32 },
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    rules: BreakerRules,
    state: State,
}

impl Breaker {
    /// A provider that is thought to work.
    pub fn new(rules: BreakerRules) -> Self {
        Self {
            rules,
            state: State::Working(VecDeque::new()),
        }
    }

    /// A provider that was paused when the captain ended.
    pub fn paused(rules: BreakerRules, until: Timestamp) -> Self {
        let state = State::Paused { until, pauses: 1 };
        Self { rules, state }
    }

    /// What may start now.
    pub fn admits(&self, now: Timestamp) -> Admission {
        match self.state {
            State::Working(_) => Admission::Open,
            State::Paused { until, .. } | State::Probing { until, .. } if until <= now => {
                Admission::Probe
            }
            State::Paused { until, .. } => Admission::Closed { until },
            State::Probing { until, .. } => Admission::Probing { until },
        }
    }

    /// The probe begins.
    pub fn probe(&mut self, now: Timestamp) {
        if let State::Paused { pauses, .. } | State::Probing { pauses, .. } = self.state {
            let until = after(now, self.rules.max_pause_seconds);
            self.state = State::Probing { until, pauses };
        }
    }

    /// An attempt failed because of the provider. Answers whether nothing may start from now on.
    pub fn failed(&mut self, now: Timestamp) -> bool {
        let window = self.rules.window_seconds;
        let pauses = match &mut self.state {
            State::Working(failures) => {
                failures.retain(|at| after(*at, window) > now);
                failures.push_back(now);
                if failures.len() < self.rules.failures {
                    return false;
                }
                0
            }
            State::Probing { pauses, .. } => *pauses,
            // Attempts that began before the pause fail in it; that is no news.
            State::Paused { .. } => return false,
        };
        let pause = self
            .rules
            .first_pause_seconds
            .saturating_mul(1 << pauses.min(32))
            .min(self.rules.max_pause_seconds);
        self.state = State::Paused {
            until: after(now, pause),
            pauses: pauses.saturating_add(1),
        };
        true
    }

    /// An attempt ended that says nothing about the provider: if it was the probe, another may be sent.
    pub fn ended(&mut self, now: Timestamp) {
        if let State::Probing { pauses, .. } = self.state {
            self.state = State::Paused { until: now, pauses };
        }
    }

    /// The provider answered an agent. Answers whether that ends a pause.
    pub fn worked(&mut self) -> bool {
        match &mut self.state {
            State::Working(failures) => {
                failures.clear();
                false
            }
            State::Probing { .. } => {
                self.state = State::Working(VecDeque::new());
                true
            }
            // An answer that was under way when the others failed says nothing about the next one.
            State::Paused { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn failing() -> Breaker {
        let mut breaker = Breaker::new(BreakerRules::default());
        assert!(!breaker.failed(at(0)));
        assert!(!breaker.failed(at(10)));
        assert!(breaker.failed(at(20)));
        breaker
    }

    #[test]
    fn failures_far_apart_do_not_open_it() {
        let mut breaker = Breaker::new(BreakerRules::default());
        for n in 0..20 {
            assert!(!breaker.failed(at(n * 200)), "{n}");
        }
        assert!(!breaker.worked());
        assert_eq!(breaker.admits(at(4000)), Admission::Open);
    }

    #[test]
    fn a_success_in_between_forgets_the_failures_before_it() {
        let mut breaker = Breaker::new(BreakerRules::default());
        for n in 0..20 {
            breaker.failed(at(n));
            breaker.failed(at(n));
            breaker.worked();
        }
        assert_eq!(breaker.admits(at(20)), Admission::Open);
    }

    #[test]
    fn after_the_pause_one_probe_decides() {
        let mut breaker = failing();
        assert_eq!(breaker.admits(at(20)), Admission::Closed { until: at(50) });
        assert!(!breaker.failed(at(30)), "no news");
        assert!(!breaker.worked(), "an older answer");
        assert_eq!(breaker.admits(at(50)), Admission::Probe);
        breaker.probe(at(50));
        assert!(
            matches!(breaker.admits(at(51)), Admission::Probing { .. }),
            "one at a time"
        );
        assert!(breaker.failed(at(60)));
        assert_eq!(
            breaker.admits(at(60)),
            Admission::Closed { until: at(120) },
            "twice as long"
        );
        breaker.probe(at(120));
        assert!(breaker.worked());
        assert_eq!(breaker.admits(at(121)), Admission::Open);
        assert!(!breaker.failed(at(122)), "it counts from the start again");
    }

    #[test]
    fn a_probe_that_says_nothing_is_followed_by_another_and_pauses_are_bounded() {
        let mut breaker = failing();
        let mut now = 50;
        for _ in 0..40 {
            breaker.probe(at(now));
            assert_eq!(breaker.admits(at(now + 600)), Admission::Probe);
            assert!(breaker.failed(at(now)));
            let Admission::Closed { until } = breaker.admits(at(now)) else {
                panic!("{breaker:?}")
            };
            assert!(until <= at(now + 600));
            now = until.as_second();
        }
    }
}

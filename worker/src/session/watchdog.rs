//! Decides when a turn has gone wrong: too many steps, too long silent, too long at all, a model that is not there.
//!
//! Pure: the time and the gateway's counters come in with each call.

use jiff::{SignedDuration, Timestamp};

use crate::card;

/// How often in a row the model may be unreachable before the turn is given up. Agents retry for a minute and more, and the client
/// would see nothing.
const MAX_UNREACHABLE: u64 = 4;

/// Updates of one turn. Beyond any real turn; it bounds what an agent can make the worker store.
const MAX_UPDATES: u64 = 1_000_000;

/// What the gateway has counted, ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) model_calls: u64,
    pub(crate) signs_of_life: u64,
    pub(crate) unreachable_in_a_row: u64,
    pub(crate) unreachable_why: String,
}

/// Watches one turn.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limits: card::Watchdog,
    started: Timestamp,
    last_sign: Timestamp,
    first: Reading,
    signs_of_life: u64,
    tool_calls: u64,
    updates: u64,
}

impl Watchdog {
    /// A turn that starts now.
    pub(crate) fn new(limits: &card::Watchdog, now: Timestamp, reading: Reading) -> Self {
        Self {
            limits: limits.clone(),
            started: now,
            last_sign: now,
            signs_of_life: reading.signs_of_life,
            first: reading,
            tool_calls: 0,
            updates: 0,
        }
    }

    /// The agent sent an update; `tool_call` when it began to use a tool.
    pub(crate) fn update(&mut self, now: Timestamp, tool_call: bool) {
        self.last_sign = now;
        self.updates += 1;
        self.tool_calls += u64::from(tool_call);
    }

    /// Steps so far: model calls, or tool calls where the model is not called through the gateway.
    pub(crate) fn steps(&self, reading: &Reading) -> u64 {
        (reading.model_calls - self.first.model_calls).max(self.tool_calls)
    }

    /// Why the turn must end, if it must, in words for the client.
    pub(crate) fn check(&mut self, now: Timestamp, reading: &Reading) -> Option<String> {
        if reading.signs_of_life != self.signs_of_life {
            self.signs_of_life = reading.signs_of_life;
            self.last_sign = now;
        }
        let limits = &self.limits;
        let seconds =
            |limit: u64| SignedDuration::from_secs(i64::try_from(limit).unwrap_or(i64::MAX));
        if self.steps(reading) > limits.max_steps {
            return Some(format!(
                "stopped after {} steps: the agent may be in a loop (watchdog.max_steps in the agent ID card)",
                limits.max_steps
            ));
        }
        if self.updates > MAX_UPDATES {
            return Some(format!(
                "stopped after {MAX_UPDATES} updates from the agent"
            ));
        }
        if now.duration_since(self.started) >= seconds(limits.turn_seconds) {
            return Some(format!(
                "stopped after {} seconds (watchdog.turn_seconds in the agent ID card)",
                limits.turn_seconds
            ));
        }
        if now.duration_since(self.last_sign) >= seconds(limits.silence_seconds) {
            return Some(format!(
                "stopped after {} seconds without a sign of life from the agent or the model (watchdog.silence_seconds in the agent ID card)",
                limits.silence_seconds
            ));
        }
        // Failures of an earlier turn are still in the count; only a failure during this one makes the count grow.
        let failed_now = reading.unreachable_in_a_row != self.first.unreachable_in_a_row;
        (failed_now && reading.unreachable_in_a_row >= MAX_UNREACHABLE)
            .then(|| reading.unreachable_why.clone())
    }
}

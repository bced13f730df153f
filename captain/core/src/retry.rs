//! Whether and when a failed attempt is followed by another: classes of failure, how many further attempts each allows,
//! and how long to wait. Pure tables; chance comes in as a number that the caller drew.

use serde::{Deserialize, Serialize};

/// What kind of failure ended an attempt. Each kind has a different answer to "would another try help?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryClass {
    /// The agent could not do the work. The same prompt usually fails again, and costs again.
    Agent,
    /// The model's provider failed. It is usually back after a while.
    Model,
    /// The worker was lost or did not start. The work itself was not the reason.
    Lost,
    /// A limit, the sandbox or the captain's own files forbade it. That does not change by itself.
    Policy,
}

impl RetryClass {
    /// Further attempts where nobody says how many.
    pub const fn default_retries(self) -> u32 {
        match self {
            Self::Agent | Self::Policy => 0,
            Self::Lost => 1,
            Self::Model => 2,
        }
    }

    /// How long to wait before a further attempt.
    pub const fn delay(self) -> RetryDelay {
        match self {
            // Two seconds let a port or a process go; a minute is as long as a user would wait without an explanation.
            Self::Agent | Self::Lost | Self::Policy => RetryDelay {
                first_seconds: 2,
                max_seconds: 60,
            },
            // Providers count requests by the minute.
            Self::Model => RetryDelay {
                first_seconds: 15,
                max_seconds: 300,
            },
        }
    }
}

/// How many further attempts each class of failure allows; [`RetryClass::default_retries`] where one is missing.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// After a failure of the agent; none when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<u32>,
    /// After a failure of the model's provider; two when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u32>,
    /// After the loss of a worker, or a failed start of one; one when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u32>,
    /// After a limit was reached, the sandbox was refused or the captain's own files failed; none when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<u32>,
}

impl Retries {
    /// Whether nothing is said.
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// What is said here, and what `other` says where nothing is.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            agent: self.agent.or(other.agent),
            model: self.model.or(other.model),
            lost: self.lost.or(other.lost),
            policy: self.policy.or(other.policy),
        }
    }

    /// Further attempts after failures of this class.
    pub fn of(&self, class: RetryClass) -> u32 {
        let said = match class {
            RetryClass::Agent => self.agent,
            RetryClass::Model => self.model,
            RetryClass::Lost => self.lost,
            RetryClass::Policy => self.policy,
        };
        said.unwrap_or(class.default_retries())
    }

    /// The numbers with their names, for a check of their bounds.
    pub fn named(&self) -> [(&'static str, Option<u32>); 4] {
        [
            ("retries.agent", self.agent),
            ("retries.model", self.model),
            ("retries.lost", self.lost),
            ("retries.policy", self.policy),
        ]
    }
}

/// How long to wait before a further attempt: doubling from `first_seconds` up to `max_seconds`, less a random part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryDelay {
    /// Before the first further attempt.
    pub first_seconds: u64,
    /// Before any attempt.
    pub max_seconds: u64,
}

impl RetryDelay {
    /// Milliseconds to wait after the failure number `failures` (from 1) of its class. The random part is up to a half,
    /// so that jobs that failed together do not come back together.
    pub fn millis(self, failures: u32, dice: u64) -> u64 {
        let doublings = failures.saturating_sub(1).min(32);
        let longest = self
            .first_seconds
            .saturating_mul(1 << doublings)
            .min(self.max_seconds)
            .saturating_mul(1000);
        let half = longest / 2;
        longest - dice % (half + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_doubles_up_to_its_bound_and_loses_up_to_a_half_by_chance() {
        let delay = RetryDelay {
            first_seconds: 2,
            max_seconds: 60,
        };
        for (failures, longest) in [
            (1, 2000),
            (2, 4000),
            (5, 32_000),
            (6, 60_000),
            (u32::MAX, 60_000),
        ] {
            assert_eq!(delay.millis(failures, 0), longest, "{failures}");
            let bounds = longest / 2..=longest;
            for dice in [1, 17, u64::MAX, u64::MAX / 3] {
                assert!(
                    bounds.contains(&delay.millis(failures, dice)),
                    "{failures} {dice}"
                );
            }
        }
        assert_ne!(delay.millis(1, 17), delay.millis(1, 18));
    }

    #[test]
    fn a_subtasks_word_goes_before_the_jobs_and_the_jobs_before_the_default() {
        let subtask = Retries {
            agent: Some(1),
            ..Retries::default()
        };
        let job = Retries {
            agent: Some(5),
            model: Some(0),
            ..Retries::default()
        };
        let both = subtask.or(job);
        let of = |class| both.of(class);
        assert_eq!(of(RetryClass::Agent), 1);
        assert_eq!(of(RetryClass::Model), 0);
        assert_eq!(of(RetryClass::Lost), 1);
        assert_eq!(of(RetryClass::Policy), 0);
    }
}

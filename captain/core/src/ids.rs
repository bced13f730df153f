//! Typed identifiers. Each is checked where it enters (also by serde), so the rest of the program never meets a bad one,
//! and a job's id cannot be handed where a subtask's is wanted. Identifiers are made outside: nothing here draws one.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest subtask id: one DNS label (RFC 1035 §2.3.4), so that it can stand in a host or unit name.
pub const MAX_SUBTASK_ID: usize = 63;

/// Longest part of a subtask id that is kept in a worker id. A worker's sockets lie below a folder named after it, and
/// a unix socket's path may have at most 107 bytes (unix(7)).
const MAX_WORKER_PART: usize = 24;

/// A string that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is not valid: it must be {rule}")]
pub struct IdError {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and takes `text`.
            ///
            /// # Errors
            /// [`IdError`] names the text and the rule that it breaks.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text))
                } else {
                    Err(IdError { kind: $kind, text, rule: $rule })
                }
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

string_id!(
    /// Names one job: a UUID in lower case with hyphens (RFC 9562; version 7, so that ids sort by time).
    JobId,
    "job id",
    "a lower-case UUID such as 0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01",
    is_uuid
);

string_id!(
    /// Names one subtask within its plan: `^[a-z0-9][a-z0-9-]{0,62}$`.
    SubtaskId,
    "subtask id",
    "1 to 63 of a-z, 0-9 and hyphen, not starting with a hyphen",
    |text| text.len() <= MAX_SUBTASK_ID && is_slug(text) && !text.starts_with('-')
);

string_id!(
    /// Names one worker; the same text is its `agent_id` (`^[a-z0-9-]+$`).
    WorkerId,
    "worker id",
    "one or more of a-z, 0-9 and hyphen",
    is_slug
);

string_id!(
    /// A git commit: its object id in full, 40 or 64 lower-case hexadecimal digits.
    CommitId,
    "commit id",
    "40 or 64 lower-case hexadecimal digits",
    |text| matches!(text.len(), 40 | 64) && text.bytes().all(is_hex)
);

impl JobId {
    /// The last eight digits: random in a version 7 UUID, so good enough to tell jobs apart for a reader.
    pub fn short(&self) -> &str {
        // A checked UUID is 36 ASCII characters long.
        self.0.get(28..).unwrap_or(&self.0)
    }
}

impl WorkerId {
    /// The worker of one attempt. The same attempt always gives the same id, which makes launching and stopping
    /// idempotent and lets a restarted captain find its workers again.
    pub fn of(job: &JobId, subtask: &SubtaskId, attempt: Attempt) -> Self {
        let name = subtask.as_str();
        let short = job.short();
        Self(if name.len() <= MAX_WORKER_PART {
            format!("{short}-{name}-{attempt}")
        } else {
            let head = name.get(..MAX_WORKER_PART - 9).unwrap_or(name);
            format!("{short}-{head}-{:08x}-{attempt}", fnv1a(name))
        })
    }
}

/// The number of a try at a subtask, from 1. A later attempt fences out an earlier one.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Attempt(pub u32);

impl Attempt {
    /// The first try.
    pub const FIRST: Self = Self(1);

    /// The try after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| {
            if matches!(i, 8 | 13 | 18 | 23) {
                b == b'-'
            } else {
                is_hex(b)
            }
        })
}

/// FNV-1a, 32 bits: keeps shortened worker ids apart. It need not resist anybody, only be the same for ever.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_ids_are_refused_also_by_serde() {
        for bad in ["", "-a", "A", "a_b", "a.b", "ä", &"a".repeat(64)] {
            assert!(SubtaskId::parse(bad).is_err(), "{bad:?}");
            assert!(
                serde_json::from_value::<SubtaskId>(bad.into()).is_err(),
                "{bad:?}"
            );
        }
        for good in ["a", "0-", "rest-api", &"a".repeat(63)] {
            assert_eq!(SubtaskId::parse(good).unwrap().as_str(), good);
        }
        assert!(JobId::parse("0192F0C1-5c3e-7a60-9d2b-3f1d5b7c9e01").is_err());
        assert!(CommitId::parse("a".repeat(41)).is_err());
        assert_eq!(
            WorkerId::parse("a b").unwrap_err().to_string(),
            r#"worker id "a b" is not valid: it must be one or more of a-z, 0-9 and hyphen"#
        );
    }

    #[test]
    fn a_worker_id_tells_the_attempt_and_stays_short() {
        let job = JobId::parse("0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01").unwrap();
        let of = |name: &str, n| {
            WorkerId::of(&job, &SubtaskId::parse(name).unwrap(), Attempt(n)).to_string()
        };
        assert_eq!(of("api", 2), "5b7c9e01-api-2");
        let (a, b) = (
            of(&format!("{}a", "x".repeat(60)), 1),
            of(&format!("{}b", "x".repeat(60)), 1),
        );
        assert_ne!(a, b);
        assert!(a.len() <= 44 && WorkerId::parse(a).is_ok());
    }
}

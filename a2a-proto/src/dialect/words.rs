//! The words of the versions before 1.0 for states and roles, which 0.1, 0.2 and 0.3 share, and their times, which some
//! servers write without an offset.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;

use crate::types::protojson::Value;
use crate::types::{Role, TaskState};

/// The word for a state; 0.1 has no words for the two that came later, and gets the later ones.
pub(super) fn state_out(state: TaskState) -> &'static str {
    match state {
        TaskState::Unspecified => "unknown",
        TaskState::Submitted => "submitted",
        TaskState::Working => "working",
        TaskState::Completed => "completed",
        TaskState::Failed => "failed",
        TaskState::Canceled => "canceled",
        TaskState::InputRequired => "input-required",
        TaskState::Rejected => "rejected",
        TaskState::AuthRequired => "auth-required",
    }
}

/// The state that a word stands for.
pub(super) fn state_in(word: &str) -> Option<TaskState> {
    TaskState::ALL
        .iter()
        .copied()
        .find(|state| state_out(*state) == word)
}

/// The word for a role. A role that is not set can only be the agent's: requests of clients are checked.
pub(super) fn role_out(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Agent | Role::Unspecified => "agent",
    }
}

/// The role that a word stands for.
pub(super) fn role_in(word: &str) -> Option<Role> {
    match word {
        "user" => Some(Role::User),
        "agent" => Some(Role::Agent),
        _ => None,
    }
}

/// A time. Written like those of 1.0; read also without an offset, as UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl Value for Time {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(MaybeOffset)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

struct MaybeOffset;

impl Visitor<'_> for MaybeOffset {
    type Value = Time;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ISO 8601 time such as 2026-01-02T03:04:05.678Z")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
        let without_offset = || {
            let time: DateTime = text.parse().ok()?;
            Offset::UTC.to_timestamp(time).ok()
        };
        text.parse()
            .ok()
            .or_else(without_offset)
            .map(Time)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
impl crate::types::tests::Sample for Time {
    fn sample(random: &mut crate::types::tests::Random) -> Self {
        Self(Timestamp::sample(random))
    }
}

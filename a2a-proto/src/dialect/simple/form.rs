//! The two forms in which the dialect's events are told. Which one a client means shows in its request, so that nobody
//! has to choose.

use crate::dialect::v01::Part;

/// How the `data:` of a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As short as a person would write it: `"status": "running"`, and the content of messages and artifacts at the top.
    Short,
    /// The objects of A2A v0.1: `"status": {"state": "working"}`, `"message": {…}`, `"artifact": {…}`.
    V01,
}

impl Form {
    /// The form of a request: in v0.1 a part says its `type`, in short the content tells.
    pub(super) fn of(parts: &[Part]) -> Self {
        if parts.iter().all(|part| part.kind.is_empty()) {
            Self::Short
        } else {
            Self::V01
        }
    }

    /// The word that is kept with a task.
    pub fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::V01 => "v0.1",
        }
    }

    /// The form that a word stands for; of words that this program does not know, v0.1.
    pub fn from_word(word: &str) -> Self {
        if word == Self::Short.word() {
            Self::Short
        } else {
            Self::V01
        }
    }
}

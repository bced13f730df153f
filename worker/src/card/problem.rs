//! How a bad card is reported: every problem on its own line, with the field, what is wrong, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing wrong with a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field's path, such as `resource_limits.memory_mb`; empty for the whole file.
    pub field: String,
    /// What is wrong, in lower case.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    pub(crate) fn new(
        field: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "the file {}; {}", self.what, self.remedy)
        } else {
            write!(f, "{}: {}; {}", self.field, self.what, self.remedy)
        }
    }
}

/// Everything wrong with a card, found in one pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct CardProblems {
    /// The card file, where the card came from one.
    pub file: Option<PathBuf>,
    /// At least one problem, in the order of the card's fields.
    pub problems: Vec<Problem>,
}

impl CardProblems {
    pub(crate) fn of_file(file: &Path, problems: Vec<Problem>) -> Self {
        Self {
            file: Some(file.to_owned()),
            problems,
        }
    }
}

impl fmt::Display for CardProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the agent ID card")?;
        if let Some(file) = &self.file {
            write!(f, " {}", file.display())?;
        }
        match self.problems.len() {
            1 => write!(f, " has a problem")?,
            count => write!(f, " has {count} problems")?,
        }
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

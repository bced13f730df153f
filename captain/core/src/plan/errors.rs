//! What can be wrong with a plan. A plan is often written by an agent, and is repaired from these sentences: each names
//! the subtasks and says what would be right.

use std::fmt;

/// Everything that is wrong with one plan; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PlanErrors(pub(super) Vec<PlanProblem>);

impl PlanErrors {
    /// The problems, in the order of the plan.
    pub fn problems(&self) -> &[PlanProblem] {
        &self.0
    }

    /// One line per problem.
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("; "))
    }
}

/// One thing that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanProblem {
    /// There is no subtask.
    #[error("the plan is empty: it needs at least one subtask")]
    Empty,
    /// There are too many subtasks.
    #[error("the plan has {count} subtasks, at most {max} are allowed")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many may be.
        max: usize,
    },
    /// An id that breaks the rule.
    #[error(
        "subtask {position} has the id {id:?}: an id is 1 to 63 of a-z, 0-9 and hyphen, not starting with a hyphen"
    )]
    BadId {
        /// Its place in the plan, from 1.
        position: usize,
        /// The id.
        id: String,
    },
    /// Two subtasks with one id.
    #[error("the id {id:?} is used by subtasks {first} and {second}: ids must be unique")]
    DuplicateId {
        /// The id.
        id: String,
        /// The place of the first, from 1.
        first: usize,
        /// The place of the other, from 1.
        second: usize,
    },
    /// A prompt without words.
    #[error("subtask {id:?} has an empty prompt: say what the agent is to do")]
    EmptyPrompt {
        /// Which.
        id: String,
    },
    /// A text or list that is too long.
    #[error("subtask {id:?} has a {what} of {size}, at most {max} are allowed")]
    TooLong {
        /// Which.
        id: String,
        /// Which field, with its unit.
        what: &'static str,
        /// How long it is.
        size: usize,
        /// How long it may be.
        max: usize,
    },
    /// A limit outside its range.
    #[error("subtask {id:?} has the limit {what} = {value}: it must be from 1 to {max}")]
    BadLimit {
        /// Which.
        id: String,
        /// Which limit.
        what: &'static str,
        /// What was written.
        value: u64,
        /// The highest that is allowed.
        max: u64,
    },
    /// A dependency that is not in the plan.
    #[error("subtask {id:?} depends on {dependency:?}, which is not in the plan{}", hint(nearest.as_deref()))]
    UnknownDependency {
        /// Which.
        id: String,
        /// What it names.
        dependency: String,
        /// The id that looks most like it.
        nearest: Option<String>,
    },
    /// A subtask that depends on itself.
    #[error("subtask {id:?} depends on itself")]
    SelfDependency {
        /// Which.
        id: String,
    },
    /// The same dependency twice.
    #[error("subtask {id:?} names its dependency {dependency:?} more than once")]
    DuplicateDependency {
        /// Which.
        id: String,
        /// What it names.
        dependency: String,
    },
    /// Subtasks that wait for each other.
    #[error("subtasks wait for each other: {}", path.join(" -> "))]
    Cycle {
        /// Each depends on the next; the first stands at the end again.
        path: Vec<String>,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!("; did you mean {name:?}?"))
        .unwrap_or_default()
}

//! Memory, task and CPU limits by control group, v1 and v2 (cgroups(7)). Here because what a machine delegates differs widely:
//! each limit is either enforced or reported as unavailable with the reason. It must not move the supervisor itself, except into
//! a leaf of a group that was delegated to it.

mod group;
mod place;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::policy::Layer;

pub(crate) use self::group::{Group, remove_all_abandoned};
pub use self::place::{Mode, Places};

/// Whether one limit holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitState {
    /// The kernel enforces it.
    Enforced,
    /// It could not be set, with the reason.
    Unavailable(String),
}

impl LimitState {
    /// Whether the kernel enforces it.
    pub fn enforced(&self) -> bool {
        matches!(self, Self::Enforced)
    }
}

impl fmt::Display for LimitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enforced => f.write_str("enforced"),
            Self::Unavailable(reason) => write!(f, "unavailable: {reason}"),
        }
    }
}

/// The three limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsReport {
    /// Memory.
    pub memory: LimitState,
    /// Tasks.
    pub processes: LimitState,
    /// CPU weight.
    pub cpu: LimitState,
}

impl LimitsReport {
    /// Each limit with its layer.
    pub fn states(&self) -> [(Layer, &LimitState); 3] {
        [
            (Layer::MemoryLimit, &self.memory),
            (Layer::ProcessLimit, &self.processes),
            (Layer::CpuWeight, &self.cpu),
        ]
    }
}

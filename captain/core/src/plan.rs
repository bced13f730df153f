//! A plan: the directed acyclic graph of subtasks. [`PlanSpec`] is what people, planners and agents write; [`Plan`] is
//! what passed validation, with typed ids and a stable order. Whoever holds a [`Plan`] need not check it again.

mod errors;
mod graph;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use errors::{PlanErrors, PlanProblem};

use crate::ids::SubtaskId;
use crate::retry::Retries;

/// A plan as it is written by people, planners and agents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanSpec {
    /// The subtasks, in the order in which they should start where their dependencies leave a choice.
    pub subtasks: Vec<SubtaskSpec>,
}

/// One subtask as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubtaskSpec {
    /// Name within the plan: 1 to 63 of a-z, 0-9 and hyphen, not starting with a hyphen.
    pub id: String,
    /// A short name for people; the id stands in when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the agent is asked to do.
    pub prompt: String,
    /// The subtasks whose results this one starts from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// The skill that the worker must have; any worker will do when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    /// The files this subtask means to change (its claims), as paths or globs relative to the repository's root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The hosts that the agent may reach besides its model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Its limits; the job's or the captain's hold where one is missing.
    #[serde(default, skip_serializing_if = "SubtaskLimits::is_unset")]
    pub limits: SubtaskLimits,
}

/// The limits of one subtask.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct SubtaskLimits {
    /// Longest time of one attempt, in seconds, from its start to its last word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_seconds: Option<u64>,
    /// Most steps (model calls with tools) of one attempt; the worker enforces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Most attempts in all, the first one counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Further attempts after each class of failure, within `attempts`.
    #[serde(default, skip_serializing_if = "Retries::is_unset")]
    pub retries: Retries,
}

impl SubtaskLimits {
    fn is_unset(&self) -> bool {
        *self == Self::default()
    }
}

/// What a plan may be at most. The defaults keep a plan readable by a person and the job's work per event small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most subtasks.
    pub subtasks: usize,
    /// Longest prompt, in bytes.
    pub prompt_bytes: usize,
    /// Longest other text (title, skill, one file, one host), in bytes.
    pub text_bytes: usize,
    /// Most files, most hosts and most dependencies of one subtask.
    pub list: usize,
    /// Longest time limit, in seconds.
    pub time_seconds: u64,
    /// Highest step limit.
    pub steps: u32,
    /// Highest attempt limit.
    pub attempts: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            subtasks: 256,
            prompt_bytes: 64 * 1024,
            text_bytes: 512,
            list: 256,
            time_seconds: 7 * 24 * 3600,
            steps: 10_000,
            attempts: 10,
        }
    }
}

impl Bounds {
    /// No bound at all: for a plan that was accepted once and is read back from the store.
    const NONE: Self = Self {
        subtasks: usize::MAX,
        prompt_bytes: usize::MAX,
        text_bytes: usize::MAX,
        list: usize::MAX,
        time_seconds: u64::MAX,
        steps: u32::MAX,
        attempts: u32::MAX,
    };
}

/// A valid plan: at least one subtask, unique ids, every dependency known, no cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    revision: u32,
    spec: PlanSpec,
    ids: Vec<SubtaskId>,
    index: BTreeMap<SubtaskId, usize>,
    /// Positions in `ids`.
    dependencies: Vec<Vec<usize>>,
    dependents: Vec<Vec<usize>>,
    order: Vec<usize>,
}

impl Plan {
    /// Checks `spec` as the first revision.
    ///
    /// # Errors
    /// [`PlanErrors`] holds everything that is wrong, not only the first thing, and names the subtasks.
    pub fn validate(spec: PlanSpec, bounds: &Bounds) -> Result<Self, PlanErrors> {
        graph::check(spec, 1, bounds)
    }

    /// Takes a plan that was accepted before: its shape is checked again, its bounds are not, since they may have been
    /// lowered since then.
    ///
    /// # Errors
    /// [`PlanErrors`] as in [`Plan::validate`].
    pub fn accepted(spec: PlanSpec, revision: u32) -> Result<Self, PlanErrors> {
        graph::check(spec, revision, &Bounds::NONE)
    }

    /// Which edit this is, from 1.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// What was written.
    pub fn spec(&self) -> &PlanSpec {
        &self.spec
    }

    /// How many subtasks there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Always false: an empty plan is not valid.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The subtasks as they were written.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &SubtaskId> {
        self.ids.iter()
    }

    /// The subtasks with every dependency before its dependents, and as they were written where that leaves a choice.
    pub fn topological(&self) -> impl Iterator<Item = &SubtaskId> {
        self.order.iter().filter_map(|&i| self.ids.get(i))
    }

    /// What was written for `id`.
    pub fn get(&self, id: &SubtaskId) -> Option<&SubtaskSpec> {
        self.spec.subtasks.get(*self.index.get(id)?)
    }

    /// The direct dependencies of `id`, as they were written; empty for an unknown id.
    pub fn dependencies(&self, id: &SubtaskId) -> impl Iterator<Item = &SubtaskId> {
        self.neighbours(&self.dependencies, id)
    }

    /// The subtasks that directly depend on `id`, in plan order; empty for an unknown id.
    pub fn dependents(&self, id: &SubtaskId) -> impl Iterator<Item = &SubtaskId> {
        self.neighbours(&self.dependents, id)
    }

    /// Everything that `id` depends on, directly or through others.
    pub fn ancestors(&self, id: &SubtaskId) -> BTreeSet<&SubtaskId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&SubtaskId> = self.dependencies(id).collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.dependencies(next));
            }
        }
        found
    }

    /// The subtasks that nothing depends on: together they hold all results. In topological order.
    pub fn leaves(&self) -> impl Iterator<Item = &SubtaskId> {
        self.topological()
            .filter(|id| self.dependents(id).next().is_none())
    }

    fn neighbours<'a>(
        &'a self,
        edges: &'a [Vec<usize>],
        id: &SubtaskId,
    ) -> impl Iterator<Item = &'a SubtaskId> {
        let of = self.index.get(id).and_then(|&i| edges.get(i));
        of.into_iter().flatten().filter_map(|&i| self.ids.get(i))
    }
}

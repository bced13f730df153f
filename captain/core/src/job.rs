//! The job: what was asked for ([`JobSpec`]), where it stands ([`Job`] and its states), and what each attempt was.
//! Every state carries what only that state knows; how one leads to another is in [`crate::machine`] alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aggregate::Artifacts;
use crate::ids::{Attempt, CommitId, JobId, SubtaskId, WorkerId};
use crate::outcome::{FailReason, JobResult, Outcome, StopReason};
use crate::plan::{Plan, PlanSpec, SubtaskSpec};
use crate::retry::Retries;

/// Attempts in all where neither subtask nor job says more: room for the retries of two classes of failure.
pub const DEFAULT_ATTEMPTS: u32 = 4;

/// How long a worker may be out of reach where the job does not say: longer than a reboot of a switch or an upgrade of
/// a node, and no longer than a person waits before looking.
pub const DEFAULT_UNREACHABLE_SECONDS: u64 = 600;

/// Subtasks at work at once where the job does not say: as many as a small machine bears.
pub const DEFAULT_MAX_PARALLEL: u32 = 4;

/// What a user asked for. It is stored and shown as it is: no secret belongs in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// What is to be reached, in the user's words.
    pub goal: String,
    /// Where the plan comes from.
    pub plan: PlanSource,
    /// The git repository to start from (a path on the captain's machine); an empty one when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// The branch, tag or commit of `repo` to start from; its HEAD when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Limits of the whole job.
    #[serde(default)]
    pub limits: JobLimits,
    /// Whether the plan waits for a person.
    #[serde(default)]
    pub approval: Approval,
    /// Settings for the workers (driver, model, sandbox), which only the shell around this crate understands.
    #[serde(default)]
    pub agent: serde_json::Value,
    /// The caller that owns the job; everybody else's requests find nothing.
    pub owner: String,
}

/// Where a plan comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum PlanSource {
    /// It was given with the job.
    Given {
        /// The plan.
        plan: PlanSpec,
    },
    /// A planner makes it from the goal.
    Planner {
        /// The planner's name.
        name: String,
    },
}

/// The limits of a job.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct JobLimits {
    /// Most subtasks at work at once; [`DEFAULT_MAX_PARALLEL`] when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Longest time from the start of the plan to the end of the job, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_seconds: Option<u64>,
    /// Most attempts of each subtask that does not say; [`DEFAULT_ATTEMPTS`] when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Further attempts after each class of failure, within `attempts`.
    #[serde(default, skip_serializing_if = "Retries::is_unset")]
    pub retries: Retries,
    /// How long a worker may be out of reach before it is stopped and given up, in seconds;
    /// [`DEFAULT_UNREACHABLE_SECONDS`] when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable_seconds: Option<u64>,
}

/// Whether a plan waits for a person before it runs.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// It runs at once.
    #[default]
    Auto,
    /// Somebody must approve it.
    Manual,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    /// A plan is being made. `problems` is filled when what came out was not valid, until the job fails for it.
    Planning {
        /// What was wrong with the plan.
        problems: Vec<String>,
    },
    /// There is a plan, and it has not been started.
    AwaitingApproval,
    /// Subtasks are at work.
    Running,
    /// All subtasks are done and their results are being put together.
    Integrating,
    /// It is being stopped.
    Cancelling {
        /// Why.
        reason: StopReason,
    },
    /// The result is there.
    Completed {
        /// What was left.
        result: JobResult,
    },
    /// It ended without a result.
    Failed {
        /// Why.
        reason: FailReason,
    },
    /// It was stopped on request.
    Cancelled,
}

impl JobState {
    /// Whether nothing can happen any more.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled
        )
    }

    /// The state's name, as in its JSON form.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planning { .. } => "planning",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Running => "running",
            Self::Integrating => "integrating",
            Self::Cancelling { .. } => "cancelling",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a subtask stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SubtaskState {
    /// Dependencies are not done.
    Waiting {
        /// Those dependencies.
        on: BTreeSet<SubtaskId>,
    },
    /// It may start as soon as there is room.
    Ready,
    /// A further attempt may start at a later time.
    Backoff {
        /// When.
        until: Timestamp,
    },
    /// Its workspace is being made from its dependencies' results.
    Preparing,
    /// Its worker is being started.
    Launching,
    /// Its worker is at work.
    Running,
    /// Its worker waits for an answer.
    InputRequired {
        /// The question.
        question: String,
    },
    /// The worker is done and its result is being taken into the job's repository.
    Merging,
    /// The attempt ended without a word of its worker, which may still be at work. It is being stopped; before that is
    /// confirmed nothing else may begin.
    Fencing {
        /// How the attempt ended.
        outcome: Outcome,
        /// Why it could not be stopped so far, where that failed. It is tried again until it works.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// The attempt is over and not done; whether there is another one is about to be decided.
    AttemptOver {
        /// How the attempt ended.
        outcome: Outcome,
    },
    /// The result is in the job's repository.
    Done {
        /// The commit that holds it.
        commit: CommitId,
    },
    /// The last attempt failed.
    Failed {
        /// How it ended.
        outcome: Outcome,
    },
    /// Never started, because something it depends on failed.
    Skipped {
        /// The dependency.
        because: SubtaskId,
    },
    /// Stopped, or never started, because the job was stopped.
    Cancelled,
}

impl SubtaskState {
    /// Whether nothing can happen any more.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Done { .. } | Self::Failed { .. } | Self::Skipped { .. } | Self::Cancelled
        )
    }

    /// Whether an attempt is under way, which takes one of the places that `max_parallel` counts.
    pub fn is_active(&self) -> bool {
        matches!(
            self,
            Self::Preparing
                | Self::Launching
                | Self::Running
                | Self::InputRequired { .. }
                | Self::Merging
                | Self::Fencing { .. }
        )
    }

    /// The state's name, as in its JSON form.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Ready => "ready",
            Self::Backoff { .. } => "backoff",
            Self::Preparing => "preparing",
            Self::Launching => "launching",
            Self::Running => "running",
            Self::InputRequired { .. } => "input_required",
            Self::Merging => "merging",
            Self::Fencing { .. } => "fencing",
            Self::AttemptOver { .. } => "attempt_over",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One try at a subtask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its number.
    pub attempt: Attempt,
    /// Its worker; the id is known before the worker exists.
    pub worker: WorkerId,
    /// When it began.
    pub started: Timestamp,
    /// When its time is over, if it is limited.
    pub deadline: Option<Timestamp>,
    /// Where its work starts from, once prepared.
    pub base: Option<CommitId>,
    /// Its workspace folder on the captain's machine, once prepared.
    pub workspace: Option<String>,
    /// The worker's A2A address, once launched.
    pub endpoint: Option<String>,
    /// The A2A task and context that the worker opened, once it took the prompt.
    pub task: Option<WorkerTask>,
    /// Whether the captain can reach the worker at present. Loss of contact is not death.
    pub contact: Contact,
    /// How many of the job's messages were there when it began: these are in its prompt.
    pub heard: u32,
    /// The last message that the worker was told, or that is in its prompt.
    pub told: u32,
    /// How many messages there were when its last question was asked; a later one is the answer.
    pub asked: u32,
    /// When and how it ended.
    pub ended: Option<(Timestamp, Outcome)>,
}

/// The worker's side of an attempt, as A2A names it (A2A §3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerTask {
    /// The A2A task id.
    pub task: String,
    /// The A2A context id.
    pub context: String,
}

/// Whether the captain can reach a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "contact")]
pub enum Contact {
    /// As far as is known.
    Reachable,
    /// Not at present. That is not its end: it goes on working, and is heard again from where it was left.
    Unreachable {
        /// Since when.
        since: Timestamp,
        /// What was seen.
        message: String,
    },
    /// Its platform says that it has ended. What it said last may still be on its way, and its platform may start it
    /// again.
    Gone {
        /// Since when.
        since: Timestamp,
        /// What its platform knows about why.
        message: String,
    },
}

impl Contact {
    /// Its name, as in its JSON form.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Unreachable { .. } => "unreachable",
            Self::Gone { .. } => "gone",
        }
    }
}

/// A job starts nothing for a while, because its model's provider fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProviderPause {
    /// The provider.
    pub provider: String,
    /// When it is asked again.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// Its last error.
    pub message: String,
}

/// Something that a person said to a job after it was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserMessage {
    /// Its number within the job, from 1.
    pub number: u32,
    /// Who said it.
    pub from: String,
    /// What was said.
    pub text: String,
    /// The name that its sender gave it, where the sender did.
    pub id: Option<String>,
    /// The subtask that it is for; all that have not ended when missing.
    pub to: Option<SubtaskId>,
}

impl UserMessage {
    /// Whether it is for this subtask.
    pub fn is_for(&self, subtask: &SubtaskId) -> bool {
        self.to.as_ref().is_none_or(|to| to == subtask)
    }
}

/// One subtask of a job's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtask {
    /// Where it stands.
    pub state: SubtaskState,
    /// Since when.
    pub since: Timestamp,
    /// Its attempts, the latest last.
    pub attempts: Vec<AttemptRecord>,
}

impl Subtask {
    /// The latest attempt.
    pub fn current(&self) -> Option<&AttemptRecord> {
        self.attempts.last()
    }
}

/// A job: what was asked for, where it stands and what came of it. Changed by [`Job::apply`] only.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub(crate) id: JobId,
    pub(crate) spec: JobSpec,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) started: Option<Timestamp>,
    pub(crate) state: JobState,
    pub(crate) plan: Option<Plan>,
    pub(crate) subtasks: BTreeMap<SubtaskId, Subtask>,
    pub(crate) artifacts: Artifacts,
    pub(crate) messages: Vec<UserMessage>,
    pub(crate) paused: Option<ProviderPause>,
}

impl Job {
    /// Its id.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// What was asked for.
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// Where it stands.
    pub fn state(&self) -> &JobState {
        &self.state
    }

    /// When it was submitted.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// When something last happened to it, output of agents not counted.
    pub fn updated(&self) -> Timestamp {
        self.updated
    }

    /// When its plan was started.
    pub fn started(&self) -> Option<Timestamp> {
        self.started
    }

    /// Its plan, once there is one.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Where the subtask `id` stands.
    pub fn subtask(&self, id: &SubtaskId) -> Option<&Subtask> {
        self.subtasks.get(id)
    }

    /// What was made so far.
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// What people said to it since it was submitted, oldest first.
    pub fn messages(&self) -> &[UserMessage] {
        &self.messages
    }

    /// Why it starts nothing at present, where its model's provider fails.
    pub fn paused(&self) -> Option<&ProviderPause> {
        self.paused.as_ref()
    }

    /// The subtasks in plan order: what was written, and where it stands. Empty before there is a plan.
    pub fn subtasks(&self) -> impl Iterator<Item = (&SubtaskId, &SubtaskSpec, &Subtask)> {
        let plan = self.plan.iter();
        plan.flat_map(|plan| plan.ids().zip(&plan.spec().subtasks))
            .filter_map(|(id, spec)| Some((id, spec, self.subtasks.get(id)?)))
    }

    /// Most subtasks at work at once.
    pub fn max_parallel(&self) -> usize {
        let wanted = self
            .spec
            .limits
            .max_parallel
            .unwrap_or(DEFAULT_MAX_PARALLEL)
            .max(1);
        usize::try_from(wanted).unwrap_or(usize::MAX)
    }

    /// Most attempts of a subtask, the first counted.
    pub fn max_attempts(&self, spec: &SubtaskSpec) -> u32 {
        spec.limits
            .attempts
            .or(self.spec.limits.attempts)
            .unwrap_or(DEFAULT_ATTEMPTS)
            .max(1)
    }

    /// Further attempts after a failure of each class: what the subtask says, else the job, else the defaults.
    pub fn retries(&self, spec: &SubtaskSpec) -> Retries {
        let mut retries = spec.limits.retries.or(self.spec.limits.retries);
        // Who allows three attempts means workers that are lost: that is what the number meant before there were classes.
        let attempts = spec.limits.attempts.or(self.spec.limits.attempts);
        retries.lost = retries.lost.or(attempts.map(|all| all.saturating_sub(1)));
        retries
    }

    /// How long a worker may be out of reach, in seconds.
    pub fn unreachable_seconds(&self) -> u64 {
        let wanted = self.spec.limits.unreachable_seconds;
        wanted.unwrap_or(DEFAULT_UNREACHABLE_SECONDS).max(1)
    }

    /// When the job's time is over, if it is limited and has begun.
    pub fn deadline(&self) -> Option<Timestamp> {
        Some(after(self.started?, self.spec.limits.time_seconds?))
    }
}

/// `seconds` after `from`; the end of time where that cannot be expressed.
pub(crate) fn after(from: Timestamp, seconds: u64) -> Timestamp {
    later(from, std::time::Duration::from_secs(seconds))
}

/// `wait` after `from`; the end of time where that cannot be expressed.
pub(crate) fn later(from: Timestamp, wait: std::time::Duration) -> Timestamp {
    from.checked_add(wait).unwrap_or(Timestamp::MAX)
}

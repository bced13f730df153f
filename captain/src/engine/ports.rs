//! What the engine needs from the world: four narrow traits, defined here because the engine is their one caller.
//! Planners, backends, links and workspaces implement them elsewhere; `engine::test_support` has scripted ones.
//!
//! Three rules hold for every method. It is idempotent: after a crash the engine asks again for what it asked before,
//! and finds what is already there. It may be dropped at any await point: that is how the engine ends what nobody
//! needs any more. And its error texts are for users; what only operators may see goes into the source.

use std::path::{Path, PathBuf};
use std::time::Duration;

use captain_core::job::WorkerTask;
use captain_core::plan::SubtaskLimits;
use captain_core::{
    Attempt, CommitId, Conflict, JobEvent, JobId, JobResult, PlanSpec, SubtaskId, WorkerId,
};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The file in an attempt's folder that holds the git bundle with its result.
pub const BUNDLE_FILE: &str = "result.bundle";

/// The cause of a failure, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Names one attempt; backends attach it to what they start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Labels {
    /// The job.
    pub job: JobId,
    /// The subtask of its plan.
    pub subtask: SubtaskId,
    /// The try at it.
    pub attempt: Attempt,
}

impl Labels {
    /// The worker of this attempt.
    pub fn worker(&self) -> WorkerId {
        WorkerId::of(&self.job, &self.subtask, self.attempt)
    }

    /// The folder for what the attempt made (artifacts and [`BUNDLE_FILE`]) below the folder of all jobs:
    /// `<jobs>/<job>/files/<subtask>-<attempt>`.
    pub fn files(&self, jobs: &Path) -> PathBuf {
        jobs.join(self.job.as_str())
            .join("files")
            .join(format!("{}-{}", self.subtask, self.attempt))
    }
}

/// Makes plans.
pub trait Planner: Send + Sync + 'static {
    /// A plan for the goal. The engine validates it; a plan given with the job never comes here.
    fn plan<'a>(
        &'a self,
        request: &'a PlanRequest,
    ) -> BoxFuture<'a, Result<PlanSpec, PlannerError>>;
}

/// What a plan is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRequest {
    /// The job.
    pub job: JobId,
    /// The planner's name, as the user gave it.
    pub planner: String,
    /// What is to be reached.
    pub goal: String,
}

/// Why there is no plan; every text goes to the user.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    /// There is no planner of that name.
    #[error("there is no planner {name:?}; there are: {known}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// The goal cannot be made into a plan.
    #[error("no plan can be made: {message}")]
    Refused {
        /// What is wrong, and where.
        message: String,
    },
    /// The planner itself failed.
    #[error("the planner failed: {message}")]
    Failed {
        /// What failed.
        message: String,
        /// Why.
        #[source]
        source: Option<Cause>,
    },
}

/// Starts and stops workers, and reports platform facts about them. It never says that a worker is ready or done.
pub trait Backend: Send + Sync + 'static {
    /// Starts the worker and gives its address. A worker of the same id that runs already is the answer.
    fn launch<'a>(&'a self, spec: &'a LaunchSpec) -> BoxFuture<'a, Result<Instance, BackendError>>;

    /// Stops the worker with everything that it started: politely, and after `grace` by force. When this is done
    /// nothing of it runs. A worker that is not there is stopped.
    fn stop<'a>(
        &'a self,
        worker: &'a WorkerId,
        grace: Duration,
    ) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Everything that this backend started and that is still there in some form, running or not.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, BackendError>>;

    /// Changes as they happen, from now on. Ends when the backend ends; the engine then calls it again.
    fn watch(&self) -> BoxStream<'static, Observation>;
}

/// A worker to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchSpec {
    /// Its id, which is also its `agent_id`.
    pub worker: WorkerId,
    /// The attempt it is for.
    pub labels: Labels,
    /// Its workspace folder.
    pub workspace: PathBuf,
    /// The skill it must have.
    pub skill: Option<String>,
    /// The hosts that its agent may reach besides the model.
    pub hosts: Vec<String>,
    /// Its limits, for the worker to enforce.
    pub limits: SubtaskLimits,
    /// The job's settings for workers, as they were submitted.
    pub agent: serde_json::Value,
}

/// A started worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Which.
    pub worker: WorkerId,
    /// Its A2A address.
    pub endpoint: String,
}

/// What a backend sees of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Which.
    pub worker: WorkerId,
    /// The attempt it was started for; none for workers that were started by hand.
    pub labels: Option<Labels>,
    /// What is seen.
    pub state: Observed,
}

/// The state of a worker as its platform sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// It was started and has no address yet.
    Starting,
    /// It runs and listens.
    Running {
        /// Its A2A address.
        endpoint: String,
    },
    /// It has ended.
    Exited {
        /// What is known about why: exit code, signal, last words of its log.
        message: String,
    },
}

/// Why a worker could not be started, stopped or seen; every text goes to the user.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Another try does not help: the settings are wrong, or the sandbox was refused.
    #[error("{message}")]
    Refused {
        /// What is wrong and what to do.
        message: String,
        /// Why.
        #[source]
        source: Option<Cause>,
    },
    /// It did not work this time.
    #[error("{message}")]
    Failed {
        /// What did not work.
        message: String,
        /// Why.
        #[source]
        source: Option<Cause>,
    },
}

/// Talks to workers.
pub trait Link: Send + Sync + 'static {
    /// Waits until the worker answers, gives it the prompt unless it has it, and tells what it does until it is done.
    ///
    /// - The last report is [`JobEvent::AttemptEnded`], and nothing comes after it. Before a completed end everything
    ///   that the attempt made is in [`Assignment::files`], the git bundle under [`BUNDLE_FILE`]; without a bundle
    ///   the attempt has changed nothing.
    /// - Every event names the assignment's subtask and attempt.
    /// - Loss of contact is [`JobEvent::WorkerUnreachable`], and the stream goes on trying. It need not find out whether
    ///   the worker lives: the engine asks the backend, and drops the stream.
    /// - With [`Assignment::task`] the worker has the prompt already. Without it the worker may still have it, from a
    ///   captain that died before it could note that: look for a task in the context [`Assignment::context`] first.
    /// - [`Report::cursor`] is the worker's own log number. All that one frame means is one report, so that a crash
    ///   repeats all of it or nothing.
    /// - Dropping the stream lets go of the worker and leaves it at work.
    fn follow(&self, assignment: Assignment) -> BoxStream<'static, Report>;

    /// Gives the worker a further message for its task, unless it has it. Done = the worker has it; what it makes of it
    /// comes over the stream of [`Link::follow`].
    fn tell<'a>(
        &'a self,
        assignment: &'a Assignment,
        note: &'a Note,
    ) -> BoxFuture<'a, Result<(), LinkError>>;

    /// Asks the worker to stop its task, and waits until it says so.
    fn cancel<'a>(&'a self, assignment: &'a Assignment) -> BoxFuture<'a, Result<(), LinkError>>;
}

/// One worker's work, from the captain's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The attempt.
    pub labels: Labels,
    /// The worker, which is also the audience of its tokens.
    pub worker: WorkerId,
    /// Its A2A address.
    pub endpoint: String,
    /// What it is asked to do.
    pub prompt: String,
    /// Its task, when it is known to have the prompt.
    pub task: Option<WorkerTask>,
    /// The last of its log numbers that is recorded; go on strictly after it.
    pub cursor: Option<u64>,
    /// Whether it is recorded as out of reach, so that the first contact is news.
    pub out_of_reach: bool,
    /// The folder for what it makes; the link makes it when needed.
    pub files: PathBuf,
}

impl Assignment {
    /// The A2A context for this work: the same for every captain that asks.
    pub fn context(&self) -> &str {
        self.worker.as_str()
    }

    /// The A2A message id of the prompt: the same for every captain that asks.
    pub fn message_id(&self) -> String {
        format!("{}-prompt", self.worker)
    }
}

/// A further message for a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The message's number within the job.
    pub number: u32,
    /// What was said.
    pub text: String,
}

impl Note {
    /// The A2A message id: the same for every captain that tells it.
    pub fn message_id(&self, worker: &WorkerId) -> String {
        format!("{worker}-message-{}", self.number)
    }
}

/// One thing that a worker did: one entry of its log, with all that the entry means.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The entry's number in the worker's log, where it has one.
    pub cursor: Option<u64>,
    /// What happened, in order; recorded together or not at all.
    pub events: Vec<JobEvent>,
}

impl Report {
    /// Something that is no entry of the worker's log.
    pub fn of(event: JobEvent) -> Self {
        Self {
            cursor: None,
            events: vec![event],
        }
    }
}

/// Chance, for waits that must not fall together.
pub trait Dice: Send + Sync + 'static {
    /// The next number.
    fn roll(&self) -> u64;
}

/// The system's chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDice;

impl Dice for SystemDice {
    fn roll(&self) -> u64 {
        use std::hash::{BuildHasher as _, Hasher as _};
        // The standard library seeds every map's hasher anew; for spreading waits that is chance enough.
        std::hash::RandomState::new().build_hasher().finish()
    }
}

/// Why a worker could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct LinkError {
    /// What did not work, for the user.
    pub message: String,
    /// Whether the same may work a little later.
    pub transient: bool,
    /// Why.
    #[source]
    pub source: Option<Cause>,
}

/// Keeps the jobs' git repositories.
pub trait Workspace: Send + Sync + 'static {
    /// Makes the attempt's workspace: the merge of what it starts from, checked out. Makes the job's repository first
    /// if it is not there. Done already, it gives the same answer and does not touch the workspace.
    fn prepare<'a>(
        &'a self,
        request: &'a PrepareRequest,
    ) -> BoxFuture<'a, Result<Prepared, WorkspaceError>>;

    /// Takes an attempt's result into the job's repository.
    fn import<'a>(
        &'a self,
        request: &'a ImportRequest,
    ) -> BoxFuture<'a, Result<Imported, WorkspaceError>>;

    /// Merges the results of the plan's leaves in the given order into the job's result.
    fn finish<'a>(
        &'a self,
        request: &'a FinishRequest,
    ) -> BoxFuture<'a, Result<JobResult, WorkspaceError>>;

    /// Says that an attempt's workspace is not needed any more and that its worker has stopped. Whether it is kept for
    /// a look is the implementation's policy.
    fn discard<'a>(&'a self, labels: &'a Labels) -> BoxFuture<'a, Result<(), WorkspaceError>>;
}

/// A workspace to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrepareRequest {
    /// The attempt it is for.
    pub labels: Labels,
    /// The repository that the job starts from; an empty one when missing.
    pub repo: Option<String>,
    /// The branch, tag or commit of it; its HEAD when missing.
    pub base: Option<String>,
    /// When the job was submitted: dates the first commit, so that it is the same whenever it is made.
    pub submitted: Timestamp,
    /// The results to start from, in plan order; the job's base alone when empty.
    pub from: Vec<(SubtaskId, CommitId)>,
}

/// A workspace that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its folder.
    pub workspace: PathBuf,
    /// The commit that is checked out; the result must build on it.
    pub base: CommitId,
}

/// A result to be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRequest {
    /// The attempt that made it.
    pub labels: Labels,
    /// The git bundle that holds it; none when nothing was changed.
    pub bundle: Option<PathBuf>,
}

/// A result that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The commit that holds it.
    pub commit: CommitId,
    /// The files that it changed against its base, sorted.
    pub files: Vec<String>,
}

/// A job's result to be put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishRequest {
    /// The job.
    pub job: JobId,
    /// The results of the plan's leaves, in dependency order.
    pub leaves: Vec<(SubtaskId, CommitId)>,
}

/// Why a workspace could not be used; every text goes to the user.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// Results do not fit together.
    #[error("{0}")]
    Conflict(Conflict),
    /// Something else failed: the repository, the bundle, the disk.
    #[error("{message}")]
    Failed {
        /// What failed and, where that helps, what to do.
        message: String,
        /// Why.
        #[source]
        source: Option<Cause>,
    },
}

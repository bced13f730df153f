//! The engine runs jobs: it feeds events to the pure core, stores them, and brings about what the core says is owed.
//!
//! One loop (`actor`) owns all jobs and gives every event its place; tasks (`driver`) do the waiting and report
//! back; cheap [`Handle`]s are all that others see. An event is stored before it is shown and before its effects run,
//! so a captain that ends at any point goes on, after its next start, from where the log ends.

mod actor;
mod cluster;
mod commit;
mod driver;
mod error;
mod feed;
mod handle;
pub mod ports;
mod provider;
mod recover;
mod strays;
mod talk;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::clock::{Clock, Ids};
use captain_core::breaker::BreakerRules;
use captain_core::plan::Bounds;
use daemon::tasks::{TaskKind, Tasks};
use tokio_util::sync::CancellationToken;

pub use error::EngineError;
pub use handle::{Handle, Reply, Snapshot, Subscription};

use crate::store::Store;
use ports::{Backend, Dice, Link, Planner, Workspace};

/// How the engine works.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of all jobs' files.
    pub jobs: PathBuf,
    /// Most workers at once, over all jobs.
    pub max_workers: usize,
    /// Most subtasks of one job at once, where the job does not say.
    pub max_parallel: u32,
    /// Most jobs that have not ended; further ones are refused.
    pub max_jobs: usize,
    /// How long a worker may take to end by itself when it is stopped.
    pub stop_grace: Duration,
    /// The model's provider of all workers, by the name that people know.
    pub provider: String,
    /// When that provider counts as failing.
    pub breaker: BreakerRules,
    /// What a plan may be at most.
    pub bounds: Bounds,
}

impl Options {
    /// The usual values, for jobs in the folder `jobs`.
    pub fn new(jobs: PathBuf) -> Self {
        Self {
            jobs,
            max_workers: 16,
            max_parallel: 4,
            max_jobs: 1000,
            stop_grace: Duration::from_secs(10),
            provider: "the model".to_owned(),
            breaker: BreakerRules::default(),
            bounds: Bounds::default(),
        }
    }
}

/// The world as the engine sees it.
#[derive(Clone)]
pub struct Ports {
    /// Makes plans.
    pub planner: Arc<dyn Planner>,
    /// Starts and stops workers.
    pub backend: Arc<dyn Backend>,
    /// Talks to workers.
    pub link: Arc<dyn Link>,
    /// Keeps repositories.
    pub workspace: Arc<dyn Workspace>,
    /// Keeps logs.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names jobs; must make UUIDs.
    pub ids: Arc<dyn Ids>,
    /// Spreads waits.
    pub dice: Arc<dyn Dice>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// Starts the engine: reads back the jobs that have not ended and goes on with them. It runs as an essential task until
/// `stop` is cancelled; workers are left at work then, and found again at the next start.
///
/// # Errors
/// [`EngineError::Store`] if the jobs cannot be read back.
pub async fn start(
    options: Options,
    ports: Ports,
    tasks: &Tasks,
    stop: &CancellationToken,
) -> Result<Handle, EngineError> {
    // Of several captains, each begins with none and claims what nobody has.
    let jobs = match ports.store.cluster() {
        None => recover::unfinished(&*ports.store).await?,
        Some(_) => Vec::new(),
    };
    let (actor, handle) = actor::Actor::new(
        options,
        ports,
        jobs,
        tasks.tracker().clone(),
        stop.child_token(),
    );
    tasks.spawn(TaskKind::Essential, "engine", actor.run());
    Ok(handle)
}

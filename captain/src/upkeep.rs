//! Retention: jobs that ended long ago are forgotten, with their logs, tasks, repositories and results. In small steps with
//! pauses, so that running jobs do not notice. A job that has not ended is never touched, whatever its age or the clock
//! says.
//!
//! The log goes first and the folder after it: a captain that dies in between leaves a folder without a job, which the
//! next round finds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::clock::Clock;
use a2a_proto::log::{LogError, SqliteLog};
use captain_core::JobId;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::store::{MAX_PRUNE, Store, StoreError};

/// How often what is old is looked for.
const EVERY: Duration = Duration::from_secs(600);
/// The pause between two steps, in which others write.
const PAUSE: Duration = Duration::from_millis(20);
/// A folder without a job that is younger than this may belong to a job that is about to be.
const YOUNG: SignedDuration = SignedDuration::from_hours(1);

/// Forgets what is old.
#[derive(Clone)]
pub struct Janitor {
    store: Arc<dyn Store>,
    tasks: Arc<SqliteLog>,
    jobs: PathBuf,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Janitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Janitor")
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Forgotten {
    /// Jobs with their logs and folders.
    pub jobs: usize,
    /// Tasks of the A2A interface; a job may have none or be told to one on several captains.
    pub tasks: usize,
    /// Folders whose job was not there any more.
    pub folders: usize,
}

/// Why not everything that is old was forgotten.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The jobs' logs.
    #[error("cannot forget jobs")]
    Store(#[from] StoreError),
    /// The tasks' log.
    #[error("cannot forget tasks")]
    Tasks(#[from] LogError),
    /// A folder.
    #[error("cannot remove {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Janitor {
    /// Of the jobs in `store`, whose folders are in `jobs` and whose tasks in `tasks`.
    pub fn new(
        store: Arc<dyn Store>,
        tasks: Arc<SqliteLog>,
        jobs: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            tasks,
            jobs,
            clock,
        }
    }

    /// The folder of the jobs' files.
    pub(crate) fn folder(&self) -> &Path {
        &self.jobs
    }

    /// Forgets everything that ended more than `age` ago. What was forgotten before a failure stays so.
    ///
    /// # Errors
    /// [`UpkeepError`] says where it stopped.
    pub async fn prune(&self, age: Duration) -> Result<Forgotten, UpkeepError> {
        let before = SignedDuration::try_from(age)
            .ok()
            .and_then(|age| self.clock.now().checked_sub(age).ok())
            .unwrap_or(Timestamp::MIN);
        let mut forgotten = Forgotten::default();
        loop {
            let gone = self.store.prune(before, MAX_PRUNE).await?;
            if gone.is_empty() {
                break;
            }
            forgotten.jobs += gone.len();
            for job in gone {
                self.remove(self.jobs.join(job.as_str())).await?;
            }
            tokio::time::sleep(PAUSE).await;
        }
        loop {
            let gone = self.tasks.forget_ended(before, usize::MAX).await?;
            if gone == 0 {
                break;
            }
            forgotten.tasks += gone;
            tokio::time::sleep(PAUSE).await;
        }
        for (job, path) in self.old_folders().await? {
            if self.store.head(&job).await?.is_none() {
                self.remove(path).await?;
                forgotten.folders += 1;
            }
        }
        Ok(forgotten)
    }

    /// Does so by itself, until the captain stops.
    pub(crate) async fn run(self, age: Duration, stop: CancellationToken) {
        let work = async {
            loop {
                match self.prune(age).await {
                    Ok(forgotten) if forgotten != Forgotten::default() => {
                        tracing::info!(?forgotten, "forgot what was old");
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(
                        error = daemon::cli::chain(&error),
                        "cannot forget what is old, trying again later"
                    ),
                }
                tokio::time::sleep(EVERY).await;
            }
        };
        stop.run_until_cancelled(work).await;
    }

    async fn remove(&self, path: PathBuf) -> Result<(), UpkeepError> {
        let named = path.clone();
        match tokio::fs::remove_dir_all(path).await {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(UpkeepError::Folder {
                path: named,
                source,
            }),
            _ => Ok(()),
        }
    }

    /// The folders of jobs that were not touched for a while.
    async fn old_folders(&self) -> Result<Vec<(JobId, PathBuf)>, UpkeepError> {
        let jobs = self.jobs.clone();
        let now = self.clock.now();
        let found = tokio::task::spawn_blocking(move || old_folders(&jobs, now)).await;
        let failed = |source| UpkeepError::Folder {
            path: self.jobs.clone(),
            source,
        };
        found.map_err(|error| failed(error.into()))?.map_err(failed)
    }
}

fn old_folders(jobs: &Path, now: Timestamp) -> io::Result<Vec<(JobId, PathBuf)>> {
    let entries = match std::fs::read_dir(jobs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut old = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(job) = name.to_str().and_then(|name| JobId::parse(name).ok()) else {
            continue;
        };
        let touched = entry.metadata().and_then(|of| of.modified())?;
        let touched = Timestamp::try_from(touched).map_err(io::Error::other)?;
        // A folder from the future is left alone.
        if now.duration_since(touched) > YOUNG {
            old.push((job, entry.path()));
        }
    }
    Ok(old)
}

#[cfg(test)]
mod tests;

//! Workers as processes of this machine that outlive a captain's crash. The state folders are the only memory: a captain
//! that starts again finds every worker by its files and watches it like one of its own.
//!
//! A worker is trusted as far as its process goes (it is our program), so this file reads its announcement. It never
//! asks the worker anything: whether it answers is the link's business.

mod begin;
mod card;
mod instance;
mod process;
mod spawn;
mod watch;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use captain_core::WorkerId;
use daemon::exit::Exit;
use daemon::process::ProcessIdentity;
use daemon::state::create_private_dir;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde_json::{Map, Value};
use tokio::process::Child;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use self::begin::Begun;
use self::instance::InstanceDir;
use self::watch::{Ended, Registry};
use super::{StandAlone, StandAloneCard};
use crate::config::AgentConfig;
use crate::engine::ports::{
    Backend, BackendError, Cause, Instance, Labels, LaunchSpec, Observation, Observed,
};

pub use self::spawn::find_worker;

/// First pause between two looks for a worker's announcement, and what it grows to. A worker is ready within tens of
/// milliseconds; a slow machine is not slowed down further.
const FIRST_LOOK: Duration = Duration::from_millis(4);
const LAST_LOOK: Duration = Duration::from_millis(100);
/// The pause between two looks at the size of a worker's log.
const LOG_LOOK: Duration = Duration::from_secs(30);
/// A worker that is not ready in time is not given long to end.
const FAILED_START_GRACE: Duration = Duration::from_secs(2);

/// What the local backend is made of.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// The folder in which every worker has its own.
    pub workers_dir: PathBuf,
    /// The folder for the workspaces of workers without a job.
    pub workspaces_dir: PathBuf,
    /// The worker program.
    pub worker_bin: PathBuf,
    /// The public keys whose tokens workers accept, as JSON (RFC 7517).
    pub trust: Vec<u8>,
    /// What every card says unless the job says otherwise.
    pub agent: AgentConfig,
    /// Workers alive at once.
    pub max_workers: usize,
    /// How long a worker may take until it listens.
    pub start_timeout: Duration,
    /// Keep the folders of workers that are gone.
    pub keep_folders: bool,
    /// Where the watching tasks run.
    pub tracker: TaskTracker,
}

/// Workers as processes of this machine.
#[derive(Debug, Clone)]
pub struct LocalBackend {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: LocalOptions,
    environment: Vec<(OsString, OsString)>,
    registry: Registry,
    /// Held while a worker is looked for and started, so that two calls cannot start the same one twice.
    starting: Arc<Mutex<()>>,
}

/// What a worker is to be started with.
struct Start {
    worker: WorkerId,
    labels: Option<Labels>,
    card: Map<String, Value>,
}

impl LocalBackend {
    /// Makes the folder of all workers. Starts nothing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(options: LocalOptions) -> Result<Self, daemon::state::StateError> {
        create_private_dir(&options.workers_dir)?;
        let registry = Registry::new(options.tracker.clone());
        Ok(Self {
            shared: Arc::new(Shared {
                options,
                environment: spawn::environment(),
                registry,
                starting: Arc::default(),
            }),
        })
    }

    async fn start(&self, start: Start) -> Result<Instance, BackendError> {
        let shared = &self.shared;
        let dir = InstanceDir::of(&shared.options.workers_dir, &start.worker);
        let deadline = Instant::now() + shared.options.start_timeout;
        let card = serde_json::to_vec_pretty(&start.card)
            .map_err(|error| failed("the worker's card cannot be written", error))?;
        let begun = {
            let guard = Arc::clone(&shared.starting).lock_owned().await;
            let (shared, dir, labels) = (Arc::clone(shared), dir.clone(), start.labels.clone());
            // The guard goes along, so that a caller who stops waiting cannot let a second start in.
            blocking(move || {
                let _guard = guard;
                match dir.process() {
                    Some(process) => Ok(Begun::Before(process)),
                    None => shared.spawn(&dir, labels.as_ref(), &card),
                }
            })
            .await?
        };
        match begun {
            Begun::Before(process) => self.adopt(&start.worker, &dir, process),
            Begun::Now(child, process) => {
                tracing::info!(worker = %start.worker, pid = process.pid, "worker started");
                self.follow(
                    observation(&start.worker, start.labels, Observed::Starting),
                    &dir,
                    child,
                    process,
                );
            }
        }
        self.wait_for_endpoint(&start.worker, &dir, deadline).await
    }

    /// Watches a process that this call started.
    fn follow(
        &self,
        started: Observation,
        dir: &InstanceDir,
        mut child: Child,
        process: ProcessIdentity,
    ) {
        let path = dir.path().to_owned();
        self.shared.registry.follow(process, started, async move {
            let status = with_bounded_log(&path, child.wait()).await?;
            Ok(ended_as(&path, Some(status)))
        });
    }

    /// Watches a process that an earlier captain (or an earlier call) started.
    fn adopt(&self, worker: &WorkerId, dir: &InstanceDir, process: ProcessIdentity) {
        let path = dir.path().to_owned();
        let state = dir
            .endpoint()
            .map_or(Observed::Starting, |endpoint| Observed::Running {
                endpoint: endpoint.url,
            });
        let found = observation(worker, dir.labels(), state);
        self.shared.registry.follow(process, found, async move {
            with_bounded_log(&path, process::ended(process)).await?;
            Ok(ended_as(&path, None))
        });
    }

    /// Waits until the worker has announced where it listens. Whatever stands in the way ends the worker.
    async fn wait_for_endpoint(
        &self,
        worker: &WorkerId,
        dir: &InstanceDir,
        deadline: Instant,
    ) -> Result<Instance, BackendError> {
        let mut pause = FIRST_LOOK;
        loop {
            // A few hundred bytes of a local file: read sooner than handed to another thread.
            if let Some(endpoint) = dir.endpoint() {
                let registry = &self.shared.registry;
                registry.listens(worker, endpoint.process, &endpoint.url);
                return Ok(Instance {
                    worker: worker.clone(),
                    endpoint: endpoint.url,
                });
            }
            let next = Instant::now() + pause;
            let exited = self.shared.registry.exited(worker);
            if let Ok(ended) = timeout_at(next.min(deadline), exited).await {
                return Err(ended_early(ended));
            }
            if Instant::now() >= deadline {
                break;
            }
            pause = (pause * 2).min(LAST_LOOK);
        }
        let lines = spawn::last_lines(dir.path());
        self.stop_process(worker, FAILED_START_GRACE).await?;
        Err(BackendError::Failed {
            message: format!(
                "the worker did not listen within {} s{}",
                self.shared.options.start_timeout.as_secs(),
                quoted(&lines)
            ),
            source: None,
        })
    }

    async fn stop_process(&self, worker: &WorkerId, grace: Duration) -> Result<(), BackendError> {
        let dir = InstanceDir::of(&self.shared.options.workers_dir, worker);
        let process = {
            let guard = Arc::clone(&self.shared.starting).lock_owned().await;
            let dir = dir.clone();
            blocking(move || {
                let _guard = guard;
                Ok(dir.process())
            })
            .await?
        };
        if let Some(process) = process {
            self.adopt(worker, &dir, process);
            process::end(process, grace)
                .await
                .map_err(|error| failed(format!("the worker {worker} cannot be stopped"), error))?;
            self.shared.registry.exited(worker).await;
            tracing::info!(%worker, pid = process.pid, "worker stopped");
        }
        Ok(())
    }

    async fn clear(&self, worker: &WorkerId) -> Result<(), BackendError> {
        let dir = InstanceDir::of(&self.shared.options.workers_dir, worker);
        let named = worker.clone();
        blocking(move || {
            if dir.process().is_some() {
                return Ok(());
            }
            dir.clear()
                .map_err(|error| failed(format!("the folder of {named} cannot be cleared"), error))
        })
        .await?;
        self.shared.registry.forget(worker);
        Ok(())
    }

    async fn observations(&self) -> Result<Vec<Observation>, BackendError> {
        let shared = Arc::clone(&self.shared);
        let found = blocking(move || {
            let look = |(worker, dir): (WorkerId, InstanceDir)| {
                let process = dir.process();
                (worker, dir, process)
            };
            Ok(shared.all()?.into_iter().map(look).collect::<Vec<_>>())
        })
        .await?;
        let mut observations = Vec::with_capacity(found.len());
        for (worker, dir, process) in found {
            let state = match process {
                Some(process) => {
                    self.adopt(&worker, &dir, process);
                    dir.endpoint()
                        .map_or(Observed::Starting, |endpoint| Observed::Running {
                            endpoint: endpoint.url,
                        })
                }
                None => match self.shared.registry.get(&worker).map(|known| known.state) {
                    Some(known @ Observed::Exited { .. }) => known,
                    Some(_) | None => Observed::Exited {
                        message: ended_as(dir.path(), None).message,
                    },
                },
            };
            observations.push(observation(&worker, dir.labels(), state));
        }
        Ok(observations)
    }
}

impl Backend for LocalBackend {
    fn launch<'a>(&'a self, spec: &'a LaunchSpec) -> BoxFuture<'a, Result<Instance, BackendError>> {
        Box::pin(async move {
            let card = card::for_attempt(&self.shared.options.agent, spec).map_err(|error| {
                BackendError::Refused {
                    message: "the job's settings for its workers cannot be used".to_owned(),
                    source: Some(error.into()),
                }
            })?;
            self.start(Start {
                worker: spec.worker.clone(),
                labels: Some(spec.labels.clone()),
                card,
            })
            .await
        })
    }

    fn stop<'a>(
        &'a self,
        worker: &'a WorkerId,
        grace: Duration,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            self.stop_process(worker, grace).await?;
            if self.shared.options.keep_folders {
                return Ok(());
            }
            self.clear(worker).await
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, BackendError>> {
        Box::pin(self.observations())
    }

    fn watch(&self) -> BoxStream<'static, Observation> {
        self.shared.registry.stream()
    }
}

impl StandAlone for LocalBackend {
    fn launch_card<'a>(
        &'a self,
        given: &'a StandAloneCard,
    ) -> BoxFuture<'a, Result<Instance, BackendError>> {
        Box::pin(async move {
            let options = &self.shared.options;
            let workspace = options.workspaces_dir.join(given.worker.as_str());
            if !given.card.contains_key("workspace") {
                create_private_dir(&workspace)
                    .map_err(|error| failed("the worker's workspace cannot be made", error))?;
            }
            let card = card::stand_alone(&options.agent, &given.worker, &workspace, &given.card);
            self.start(Start {
                worker: given.worker.clone(),
                labels: None,
                card,
            })
            .await
        })
    }
}

fn observation(worker: &WorkerId, labels: Option<Labels>, state: Observed) -> Observation {
    Observation {
        worker: worker.clone(),
        labels,
        state,
    }
}

/// Waits for `end` and keeps the worker's log within its bound meanwhile.
async fn with_bounded_log<T>(
    dir: &Path,
    end: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut end = std::pin::pin!(end);
    loop {
        match tokio::time::timeout(LOG_LOOK, &mut end).await {
            Ok(ended) => return ended,
            Err(_) => {
                let dir = dir.to_owned();
                let cut = tokio::task::spawn_blocking(move || spawn::bound_log(&dir)).await;
                if let Ok(Err(error)) = cut {
                    tracing::warn!(%error, "a worker's log cannot be cut");
                }
            }
        }
    }
}

/// What is known about a worker that has ended.
fn ended_as(dir: &Path, status: Option<ExitStatus>) -> Ended {
    let lines = quoted(&spawn::last_lines(dir));
    let code = status.and_then(|status| status.code());
    let signal = status.and_then(|status| status.signal());
    let message = match (code, signal) {
        (Some(code), _) => format!("the worker ended with exit code {code}{lines}"),
        (None, Some(signal)) => format!("the worker was killed by signal {signal}{lines}"),
        (None, None) => format!("the worker has ended{lines}"),
    };
    Ended { code, message }
}

fn quoted(lines: &str) -> String {
    if lines.is_empty() {
        String::new()
    } else {
        format!("; its last words:\n{lines}")
    }
}

/// A worker that ends before it listens says with its exit code whether another try can help: a wrong card, a missing
/// program and a refused sandbox stay what they are.
fn ended_early(ended: Ended) -> BackendError {
    let hopeless = [
        Exit::Usage,
        Exit::BadInput,
        Exit::Unavailable,
        Exit::NotPermitted,
    ];
    let message = ended.message;
    if hopeless
        .iter()
        .any(|exit| ended.code == Some(exit.code().into()))
    {
        BackendError::Refused {
            message,
            source: None,
        }
    } else {
        BackendError::Failed {
            message,
            source: None,
        }
    }
}

fn failed(message: impl Into<String>, source: impl Into<Cause>) -> BackendError {
    BackendError::Failed {
        message: message.into(),
        source: Some(source.into()),
    }
}

/// Runs file operations off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
) -> Result<T, BackendError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(failed("the backend's file work was interrupted", error)))
}

#[cfg(test)]
mod tests;

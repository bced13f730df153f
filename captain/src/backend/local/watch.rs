//! What is known about each worker's process, kept up to date by one small task per process and readable as a stream.
//! A stream compares what it last told with what is known now, so a slow reader misses no end state and nothing piles
//! up for it: the bound is the number of workers.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use captain_core::WorkerId;
use daemon::process::ProcessIdentity;
use futures_util::stream::{BoxStream, StreamExt as _, unfold};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::engine::ports::{Observation, Observed};

/// How a process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its exit code; unknown for a process that another captain started, or that a signal ended.
    pub(super) code: Option<i32>,
    /// What is known about why, for people.
    pub(super) message: String,
}

/// The processes that this captain watches.
#[derive(Debug, Clone)]
pub(super) struct Registry {
    known: Arc<Mutex<BTreeMap<WorkerId, Known>>>,
    version: Arc<watch::Sender<u64>>,
    tracker: TaskTracker,
}

#[derive(Debug, Clone)]
struct Known {
    process: ProcessIdentity,
    observation: Observation,
    /// The exit code that goes with [`Observed::Exited`].
    code: Option<i32>,
}

impl Registry {
    /// Watches nothing yet; the watching tasks run on `tracker`.
    pub(super) fn new(tracker: TaskTracker) -> Self {
        Self {
            known: Arc::default(),
            version: Arc::new(watch::Sender::new(0)),
            tracker,
        }
    }

    /// What is known about `worker`.
    pub(super) fn get(&self, worker: &WorkerId) -> Option<Observation> {
        let known = self.lock();
        Some(known.get(worker)?.observation.clone())
    }

    /// Notes that a worker was started as `process`, and when `end` is done, how it ended. A process that is watched
    /// already is left alone; a new process of the same worker takes the place of the old one.
    pub(super) fn follow(
        &self,
        process: ProcessIdentity,
        started: Observation,
        end: impl Future<Output = io::Result<Ended>> + Send + 'static,
    ) {
        let worker = started.worker.clone();
        {
            let mut known = self.lock();
            if known
                .get(&worker)
                .is_some_and(|known| known.process == process)
            {
                return;
            }
            let observation = started;
            known.insert(
                worker.clone(),
                Known {
                    process,
                    observation,
                    code: None,
                },
            );
        }
        self.changed();
        let registry = self.clone();
        self.tracker.spawn(async move {
            let ended = end.await.unwrap_or_else(|error| {
                tracing::warn!(%worker, %error, "cannot watch the worker's process");
                Ended::default()
            });
            registry.update(&worker, process, |known| {
                known.code = ended.code;
                known.observation.state = Observed::Exited {
                    message: ended.message,
                };
            });
        });
    }

    /// Notes where a worker that was starting listens.
    pub(super) fn listens(&self, worker: &WorkerId, process: ProcessIdentity, endpoint: &str) {
        self.update(worker, process, |known| {
            if known.observation.state == Observed::Starting {
                known.observation.state = Observed::Running {
                    endpoint: endpoint.to_owned(),
                };
            }
        });
    }

    /// Forgets a worker that is gone.
    pub(super) fn forget(&self, worker: &WorkerId) {
        self.lock().remove(worker);
        self.changed();
    }

    fn update(&self, worker: &WorkerId, process: ProcessIdentity, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.lock().get_mut(worker)
            && known.process == process
        {
            change(known);
        }
        self.changed();
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// Resolves when `worker` is known to be gone, with what is known about why.
    pub(super) async fn exited(&self, worker: &WorkerId) -> Ended {
        let mut version = self.version.subscribe();
        loop {
            match self.lock().get(worker) {
                Some(Known {
                    observation:
                        Observation {
                            state: Observed::Exited { message },
                            ..
                        },
                    code,
                    ..
                }) => {
                    return Ended {
                        code: *code,
                        message: message.clone(),
                    };
                }
                Some(_) => {}
                None => return Ended::default(),
            }
            if version.changed().await.is_err() {
                return Ended::default();
            }
        }
    }

    /// Every change from now on, beginning with what is known.
    pub(super) fn stream(&self) -> BoxStream<'static, Observation> {
        struct Reader {
            registry: Registry,
            version: watch::Receiver<u64>,
            told: BTreeMap<WorkerId, Observation>,
        }
        let reader = Reader {
            registry: self.clone(),
            version: self.version.subscribe(),
            told: BTreeMap::new(),
        };
        unfold(reader, |mut reader| async move {
            loop {
                let next = reader.registry.next(&reader.told);
                if let Some(observation) = next {
                    // What has ended and was told need not be remembered once it is forgotten.
                    reader.told.retain(|worker, then| {
                        !matches!(then.state, Observed::Exited { .. })
                            || reader.registry.get(worker).is_some()
                    });
                    reader
                        .told
                        .insert(observation.worker.clone(), observation.clone());
                    return Some((observation, reader));
                }
                reader.version.changed().await.ok()?;
            }
        })
        .boxed()
    }

    /// The first thing that differs from what was told. A worker that was forgotten has ended.
    fn next(&self, told: &BTreeMap<WorkerId, Observation>) -> Option<Observation> {
        let known = self.lock();
        let changed = known
            .values()
            .map(|known| &known.observation)
            .find(|now| told.get(&now.worker) != Some(now));
        changed.cloned().or_else(|| {
            told.values()
                .filter(|then| !known.contains_key(&then.worker))
                .find(|then| !matches!(then.state, Observed::Exited { .. }))
                .map(|then| Observation {
                    state: Observed::Exited {
                        message: "the worker was stopped".to_owned(),
                    },
                    ..then.clone()
                })
        })
    }

    /// The map is whole after any panic, so a poisoned lock is as good as a clean one.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The couriers of one server, and the rules about configurations that need more than one look: how many there may be,
//! that a replaced one has stopped before its successor begins, that every open one has its courier.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::courier::Courier;
use super::post::Receiver;
use super::{KeyError, Pusher, Registration, Shared};
use crate::clock::Clock;
use crate::log::{DeadLetter, LogError, LogTask, OpenPush, PushRow, PushState, StoredPush};
use crate::types::{self, TaskPushNotificationConfig};
use crate::version::ProtocolVersion;

/// Why a configuration was not stored or cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    #[error("the task has {limit} push configurations already: delete one first")]
    TooMany { limit: usize },
    #[error("{limit} push configurations are at work already")]
    Busy { limit: usize },
    #[error("cannot use the task log")]
    Log(#[from] LogError),
    #[error("cannot seal or open a push configuration")]
    Key(#[from] KeyError),
    #[error("cannot write a push configuration")]
    Write(#[source] serde_json::Error),
    #[error("a stored push configuration cannot be read")]
    Read(#[source] crate::error::A2aError),
    #[error("a thread of the server panicked")]
    Panicked,
}

/// By task and configuration.
type Name = (Arc<str>, Arc<str>);

/// The couriers of one server.
pub(crate) struct Couriers {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    /// Events tell the generation of their task.
    generations: bool,
    running: Mutex<HashMap<Name, Running>>,
    /// One change of configurations at a time: they are rare, and counting them needs it.
    changing: tokio::sync::Mutex<()>,
}

struct Running {
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Couriers {
    pub(crate) fn new(
        pusher: &Pusher,
        clock: Arc<dyn Clock>,
        tracker: TaskTracker,
        shutdown: CancellationToken,
        generations: bool,
    ) -> Self {
        Self {
            shared: Arc::clone(&pusher.0),
            clock,
            tracker,
            shutdown,
            generations,
            running: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Checks a configuration that a client wants; see [`Registration::check`].
    pub(crate) fn check(
        &self,
        config: TaskPushNotificationConfig,
        path: &str,
    ) -> Result<Registration, crate::error::A2aError> {
        Registration::check(config, &self.shared.options.allow, path)
    }

    /// Refuses when there are as many couriers as there may be.
    pub(crate) fn check_room(&self) -> Result<(), PushError> {
        let limit = self.shared.options.open_configs;
        if self.lock().len() < limit {
            Ok(())
        } else {
            Err(PushError::Busy { limit })
        }
    }

    /// Seals a configuration for its task. Its id must be set.
    pub(crate) async fn seal(
        &self,
        config: &TaskPushNotificationConfig,
        protocol: ProtocolVersion,
    ) -> Result<PushRow, PushError> {
        let plain =
            secrecy::zeroize::Zeroizing::new(serde_json::to_vec(config).map_err(PushError::Write)?);
        let keys = self.shared.options.keys.clone();
        let (task, id) = (config.task_id.clone(), config.id.clone());
        let sealed = tokio::task::spawn_blocking(move || keys.seal(&task, &id, &plain));
        let (key_id, sealed) = sealed.await.map_err(|_| PushError::Panicked)??;
        Ok(PushRow {
            id: config.id.as_str().into(),
            protocol,
            key_id,
            sealed,
        })
    }

    /// The configuration that was sealed.
    pub(crate) async fn open(
        &self,
        task_id: &str,
        row: &PushRow,
    ) -> Result<TaskPushNotificationConfig, PushError> {
        let keys = self.shared.options.keys.clone();
        let (row, task) = (row.clone(), task_id.to_owned());
        let opened = tokio::task::spawn_blocking(move || {
            keys.open(&row.key_id, &task, &row.id, &row.sealed)
        });
        let plain = opened.await.map_err(|_| PushError::Panicked)??;
        types::from_slice(&plain).map_err(PushError::Read)
    }

    /// Makes a change of one configuration with `store`, which stores it, while its courier rests. With `counted`, it
    /// may be one more, which is refused where there are enough.
    pub(crate) async fn change<T, E: From<PushError>>(
        self: &Arc<Self>,
        task: &LogTask,
        id: &Arc<str>,
        counted: bool,
        store: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let changing = self.changing.lock().await;
        if counted {
            self.check_count(task, id).await?;
        }
        self.stop(task, id).await;
        let stored = store.await;
        // Whatever became of it: what is stored now is delivered.
        let started = self.start(task, id).await;
        drop(changing);
        let stored = stored?;
        started.map_err(PushError::from)?;
        Ok(stored)
    }

    async fn check_count(&self, task: &LogTask, id: &Arc<str>) -> Result<(), PushError> {
        if task.push_config(id).await?.is_some() {
            return Ok(());
        }
        self.check_room()?;
        let limit = self.shared.options.configs_per_task;
        if task.push_configs("", limit).await?.len() < limit {
            Ok(())
        } else {
            Err(PushError::TooMany { limit })
        }
    }

    /// Starts the courier of a configuration if it is stored, open, and has none.
    pub(crate) async fn start(
        self: &Arc<Self>,
        task: &LogTask,
        id: &Arc<str>,
    ) -> Result<(), LogError> {
        let Some(stored) = task.push_config(id).await? else {
            return Ok(());
        };
        if stored.state != PushState::Open || self.shutdown.is_cancelled() {
            return Ok(());
        }
        match self.receiver(task, &stored).await {
            Ok(receiver) => {
                self.spawn(task.clone(), &stored, receiver);
                Ok(())
            }
            Err(reason) => {
                tracing::warn!(
                    task = task.id(),
                    config = id.as_ref(),
                    reason = reason.as_str(),
                    "a push configuration cannot be used"
                );
                let letter = DeadLetter {
                    seq: stored.delivered + 1,
                    tries: 0,
                    at: self.clock.now(),
                    reason,
                };
                task.end_push(id, PushState::Suspended(letter)).await
            }
        }
    }

    /// Starts the couriers of everything that the server before this one left.
    pub(crate) async fn resume(self: &Arc<Self>, open: Vec<OpenPush>) -> Result<(), LogError> {
        for OpenPush { task, id } in open {
            self.start(&task, &id).await?;
        }
        Ok(())
    }

    async fn receiver(&self, task: &LogTask, stored: &StoredPush) -> Result<Receiver, String> {
        let config = self.open(task.id(), &stored.row).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            cause.unwrap_or_else(|| error.to_string())
        })?;
        Receiver::new(&config, stored.row.protocol, &self.shared.options.allow)
    }

    fn spawn(self: &Arc<Self>, task: LogTask, stored: &StoredPush, receiver: Receiver) {
        let name: Name = (task.id().into(), Arc::clone(&stored.row.id));
        let mut running = self.lock();
        if running.contains_key(&name) {
            return;
        }
        let courier = Courier {
            shared: Arc::clone(&self.shared),
            clock: Arc::clone(&self.clock),
            task,
            id: Arc::clone(&stored.row.id),
            protocol: stored.row.protocol,
            receiver,
            delivered: stored.delivered,
            shutdown: self.shutdown.clone(),
            generations: self.generations,
            slow: false,
        };
        let stop = CancellationToken::new();
        let ended = {
            let (couriers, name, stop) = (Arc::clone(self), name.clone(), stop.clone());
            // Takes the lock at its end, so it cannot end before it is in the table.
            self.tracker.spawn(async move {
                courier.run(stop.clone()).await;
                // Whoever stops it has taken it out already.
                if !stop.is_cancelled() {
                    couriers.lock().remove(&name);
                }
            })
        };
        running.insert(name, Running { stop, ended });
    }

    /// Stops the courier of a configuration and waits until it is gone.
    async fn stop(&self, task: &LogTask, id: &Arc<str>) {
        let running = self.lock().remove(&(task.id().into(), Arc::clone(id)));
        if let Some(Running { stop, ended }) = running {
            stop.cancel();
            // A courier that panicked has said so already.
            let _ = ended.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Couriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Couriers")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

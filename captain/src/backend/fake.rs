//! Workers that are only remembered: a real implementation of the contract without processes, for tests of everything
//! above. What it does can be scripted: how a launch fails, that a worker dies.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use captain_core::WorkerId;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt as _, unfold};
use tokio::sync::watch;

use super::{StandAlone, StandAloneCard};
use crate::engine::ports::{Backend, BackendError, Instance, LaunchSpec, Observation, Observed};

/// The in-memory backend (cheap to clone; all clones are one backend).
#[derive(Debug, Clone)]
pub(crate) struct FakeBackend {
    state: Arc<Mutex<State>>,
    version: Arc<watch::Sender<usize>>,
}

#[derive(Debug, Default)]
struct State {
    workers: BTreeMap<WorkerId, Observation>,
    /// Every observation ever made, so that each stream can tell all that happened since it began.
    history: Vec<Observation>,
    failures: VecDeque<BackendError>,
    launched: Vec<LaunchSpec>,
    endpoints: VecDeque<String>,
}

impl Default for FakeBackend {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            version: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl FakeBackend {
    /// The next launch fails so; may be called several times.
    pub(crate) fn fail_next(&self, error: BackendError) {
        self.lock().failures.push_back(error);
    }

    /// The next worker listens there; may be called several times.
    pub(crate) fn next_endpoint(&self, endpoint: impl Into<String>) {
        self.lock().endpoints.push_back(endpoint.into());
    }

    /// The worker dies by itself.
    pub(crate) fn kill(&self, worker: &WorkerId, message: &str) {
        let known = self.lock().workers.get(worker).cloned();
        if let Some(observation) = known {
            self.note(Observation {
                state: Observed::Exited {
                    message: message.to_owned(),
                },
                ..observation
            });
        }
    }

    /// What was launched for attempts so far, in order.
    pub(crate) fn launched(&self) -> Vec<LaunchSpec> {
        self.lock().launched.clone()
    }

    /// Whether the worker runs.
    pub(crate) fn is_running(&self, worker: &WorkerId) -> bool {
        self.lock()
            .workers
            .get(worker)
            .is_some_and(|seen| matches!(seen.state, Observed::Running { .. }))
    }

    fn start(&self, new: Observation) -> Result<Instance, BackendError> {
        let worker = new.worker.clone();
        let mut state = self.lock();
        if let Some(Observation {
            state: Observed::Running { endpoint },
            ..
        }) = state.workers.get(&worker)
        {
            let endpoint = endpoint.clone();
            return Ok(Instance { worker, endpoint });
        }
        if let Some(error) = state.failures.pop_front() {
            return Err(error);
        }
        let endpoint = state
            .endpoints
            .pop_front()
            .unwrap_or_else(|| format!("http://{worker}.invalid"));
        drop(state);
        self.note(Observation {
            state: Observed::Running {
                endpoint: endpoint.clone(),
            },
            ..new
        });
        Ok(Instance { worker, endpoint })
    }

    fn note(&self, observation: Observation) {
        let mut state = self.lock();
        state
            .workers
            .insert(observation.worker.clone(), observation.clone());
        state.history.push(observation);
        let length = state.history.len();
        drop(state);
        self.version.send_replace(length);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for FakeBackend {
    fn launch<'a>(&'a self, spec: &'a LaunchSpec) -> BoxFuture<'a, Result<Instance, BackendError>> {
        Box::pin(async move {
            let instance = self.start(Observation {
                worker: spec.worker.clone(),
                labels: Some(spec.labels.clone()),
                state: Observed::Starting,
            })?;
            self.lock().launched.push(spec.clone());
            Ok(instance)
        })
    }

    fn stop<'a>(
        &'a self,
        worker: &'a WorkerId,
        _grace: Duration,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            self.kill(worker, "the worker was stopped");
            self.lock().workers.remove(worker);
            Ok(())
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, BackendError>> {
        Box::pin(async move { Ok(self.lock().workers.values().cloned().collect()) })
    }

    fn watch(&self) -> BoxStream<'static, Observation> {
        let start = self.lock().history.len();
        let reader = (self.clone(), self.version.subscribe(), start);
        unfold(reader, |(backend, mut version, next)| async move {
            loop {
                let found = backend.lock().history.get(next).cloned();
                if let Some(observation) = found {
                    return Some((observation, (backend, version, next + 1)));
                }
                version.changed().await.ok()?;
            }
        })
        .boxed()
    }
}

impl StandAlone for FakeBackend {
    fn launch_card<'a>(
        &'a self,
        card: &'a StandAloneCard,
    ) -> BoxFuture<'a, Result<Instance, BackendError>> {
        Box::pin(async move {
            self.start(Observation {
                worker: card.worker.clone(),
                labels: None,
                state: Observed::Starting,
            })
        })
    }
}

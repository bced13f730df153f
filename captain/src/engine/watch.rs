//! Watches the backend: which workers have ended, and which run that nobody needs. The backend tells facts only; that
//! a worker without a process is lost is concluded here, and told to whoever follows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use captain_core::WorkerId;
use futures_util::StreamExt;
use tokio::sync::watch;
use tracing::warn;

use super::actor::Input;
use super::driver::Driver;
use super::ports::{Observation, Observed};

/// How long to wait before a backend is asked again that ended its stream or could not list.
const RETRY: Duration = Duration::from_secs(2);

/// The workers that are followed, and what is known of those that have ended.
#[derive(Debug, Clone)]
pub(super) struct Exits(Arc<watch::Sender<BTreeMap<WorkerId, Option<String>>>>);

impl Default for Exits {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }
}

impl Exits {
    /// A worker is followed from now on.
    pub(super) fn expect(&self, worker: WorkerId) {
        self.0.send_modify(|known| {
            known.entry(worker).or_default();
        });
    }

    /// A worker is not followed any more.
    pub(super) fn forget(&self, worker: &WorkerId) {
        self.0.send_modify(|known| {
            known.remove(worker);
        });
    }

    /// Waits until a worker is known to have ended, and says what is known about it.
    pub(super) async fn exited(&self, worker: &WorkerId) -> String {
        let mut changes = self.0.subscribe();
        let ended = changes
            .wait_for(|known| known.get(worker).is_some_and(Option::is_some))
            .await;
        match ended
            .ok()
            .and_then(|known| known.get(worker).cloned().flatten())
        {
            Some(message) => message,
            // The sender is held by `self`, so this is never reached; waiting for ever is the neutral answer.
            None => std::future::pending().await,
        }
    }

    /// Waits until a worker that had ended is seen again.
    pub(super) async fn returned(&self, worker: &WorkerId) {
        let mut changes = self.0.subscribe();
        let back = changes.wait_for(|known| known.get(worker).is_none_or(Option::is_none));
        // The sender is held by `self`, so there is always an answer.
        drop(back.await);
    }

    fn note(&self, worker: &WorkerId, message: Option<String>) {
        self.0
            .send_if_modified(|known| match known.get_mut(worker) {
                Some(state) if *state != message => {
                    *state = message;
                    true
                }
                _ => false,
            });
    }

    fn followed(&self) -> Vec<WorkerId> {
        self.0.borrow().keys().cloned().collect()
    }

    fn observe(&self, seen: &Observation) {
        let message = match &seen.state {
            Observed::Exited { message } => Some(message.clone()),
            Observed::Starting | Observed::Running { .. } => None,
        };
        self.note(&seen.worker, message);
    }
}

/// Watches until the engine stops.
pub(super) fn spawn(driver: &Driver) {
    let (backend, exits, reports) = (
        Arc::clone(&driver.ports.backend),
        driver.exits.clone(),
        driver.reports.clone(),
    );
    let work = async move {
        loop {
            // First the stream, then the list: what changes in between is in one of them.
            let mut changes = backend.watch();
            let followed = exits.followed();
            match backend.list().await {
                Ok(workers) => {
                    for worker in followed {
                        if !workers.iter().any(|seen| seen.worker == worker) {
                            exits.note(&worker, Some("it is not there any more".to_owned()));
                        }
                    }
                    for seen in &workers {
                        exits.observe(seen);
                    }
                    reports.send(Input::Listed(workers)).await;
                }
                Err(failure) => warn!(%failure, "the workers could not be listed"),
            }
            while let Some(seen) = changes.next().await {
                exits.observe(&seen);
            }
            tokio::time::sleep(RETRY).await;
        }
    };
    let stop = driver.stop.clone();
    driver.tracker.spawn(async move {
        stop.run_until_cancelled(work).await;
    });
}

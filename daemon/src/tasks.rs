//! Background tasks with an owner. A task says, by its kind, what its failure means for the process, and the tracker
//! knows all of them by name, so that a stop can wait for them and name the one that does not end. This replaces
//! loose spawning, which clippy bans.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

/// What the end of a task with an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// The process cannot do its work without it: the error is logged, the process stops and exits with a failure.
    Essential,
    /// Only its own work is lost: the error is logged.
    Supporting,
}

/// The tasks of one process (cheap to clone).
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    running: Mutex<BTreeMap<&'static str, usize>>,
    failed: Mutex<Option<&'static str>>,
}

impl Tasks {
    /// No tasks yet; `stop` is cancelled when an essential task fails.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop,
            shared: Arc::default(),
        }
    }

    /// Runs `future` in the background under `name`.
    pub fn spawn<F, E>(&self, kind: TaskKind, name: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let stop = self.stop.clone();
        let shared = Arc::clone(&self.shared);
        let running = Running::new(Arc::clone(&shared), name);
        self.tracker.spawn(async move {
            let _running = running;
            if let Err(error) = future.await {
                match kind {
                    TaskKind::Essential => {
                        error!(task = name, %error, "essential task failed, stopping");
                        lock(&shared.failed).get_or_insert(name);
                        stop.cancel();
                    }
                    TaskKind::Supporting => warn!(task = name, %error, "task failed"),
                }
            }
        });
    }

    /// The tracker itself, for parts that spawn many short tasks of one kind (requests, turns).
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// The essential task whose failure stopped the process, if one did.
    pub fn failed(&self) -> Option<&'static str> {
        *lock(&self.shared.failed)
    }

    /// The names of the tasks that still run, with how many of each.
    pub fn pending(&self) -> BTreeMap<&'static str, usize> {
        lock(&self.shared.running).clone()
    }

    /// Waits until every task has ended. No task should be spawned after this.
    pub async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Counts a task as running until it is dropped, also when the task panics.
#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    name: &'static str,
}

impl Running {
    fn new(shared: Arc<Shared>, name: &'static str) -> Self {
        *lock(&shared.running).entry(name).or_insert(0) += 1;
        Self { shared, name }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = lock(&self.shared.running);
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

/// The data behind these locks is valid after any panic, so a poisoned lock is as good as a clean one.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn essential_failure_stops_the_process_and_is_named() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        tasks.spawn(TaskKind::Essential, "listener", async {
            Err::<(), _>("port gone")
        });
        stop.cancelled().await;
        tasks.wait().await;
        assert_eq!(tasks.failed(), Some("listener"));
        assert!(tasks.pending().is_empty());
    }

    #[tokio::test]
    async fn supporting_failure_goes_no_further() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        tasks.spawn(TaskKind::Supporting, "sweep", async {
            Err::<(), _>("busy")
        });
        tasks.wait().await;
        assert!(!stop.is_cancelled());
        assert_eq!(tasks.failed(), None);
    }

    #[tokio::test]
    async fn pending_names_what_still_runs() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let until = stop.clone();
        tasks.spawn(TaskKind::Supporting, "stream", async move {
            until.cancelled().await;
            Ok::<(), &str>(())
        });
        assert_eq!(tasks.pending(), BTreeMap::from([("stream", 1)]));
        stop.cancel();
        tasks.wait().await;
        assert!(tasks.pending().is_empty());
    }
}

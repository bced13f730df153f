//! Running the agent: one spawned turn per message, and the promise that every turn leaves its task in a state that
//! somebody can act on, whatever the agent does: an error, a panic or an end without a result becomes FAILED.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::{Agent, Inner, Turn, UpdateError, Updates};
use crate::log::{LogError, LogTask, TaskLog};
use crate::types::{Part, TaskState};

/// How long to wait before trying again to store the end of a task. A full disk is emptied by people.
const RETRY: Duration = Duration::from_secs(1);

/// The turns that run, by task.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Running>>);

struct Running {
    count: usize,
    cancelled: CancellationToken,
    /// Somebody asked for the end: the cancellation says how the task ended, not the turn.
    canceling: bool,
}

/// One running turn.
pub(super) struct Guard {
    turns: Arc<Turns>,
    task_id: String,
    pub(super) cancelled: CancellationToken,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a turn of the task from now on.
    pub(super) fn begin(self: &Arc<Self>, task_id: &str, shutdown: &CancellationToken) -> Guard {
        let mut running = self.lock();
        let entry = running
            .entry(task_id.to_owned())
            .or_insert_with(|| Running {
                count: 0,
                cancelled: shutdown.child_token(),
                canceling: false,
            });
        entry.count += 1;
        let cancelled = entry.cancelled.clone();
        drop(running);
        Guard {
            turns: Arc::clone(self),
            task_id: task_id.to_owned(),
            cancelled,
        }
    }

    /// Tells all turns of the task to stop, and leaves its end to the cancellation. Answers whether one runs.
    pub(super) fn cancel(&self, task_id: &str) -> bool {
        let mut running = self.lock();
        let entry = running.get_mut(task_id).map(|entry| {
            entry.canceling = true;
            entry.cancelled.cancel();
        });
        entry.is_some()
    }

    /// The cancellation failed: the end is the turns' again. Answers whether one still runs.
    pub(super) fn uncancel(&self, task_id: &str) -> bool {
        let mut running = self.lock();
        let entry = running.get_mut(task_id);
        entry.map(|entry| entry.canceling = false).is_some()
    }
}

impl Guard {
    /// Whether somebody is canceling the task.
    fn canceling(&self) -> bool {
        let running = self.turns.lock();
        running
            .get(&self.task_id)
            .is_some_and(|entry| entry.canceling)
    }

    /// Whether no other turn of the task runs.
    fn is_last(&self) -> bool {
        let running = self.turns.lock();
        running
            .get(&self.task_id)
            .is_none_or(|entry| entry.count == 1)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut running = self.turns.lock();
        if let Some(entry) = running.get_mut(&self.task_id) {
            entry.count -= 1;
            if entry.count == 0 {
                running.remove(&self.task_id);
            }
        }
    }
}

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// Runs one turn to its end.
    pub(super) async fn run(&self, turn: Turn, task: LogTask, guard: Guard) {
        let updates = self.updates(task);
        let turn = AssertUnwindSafe(self.agent.execute(turn, updates.clone()));
        let failure = match turn.catch_unwind().await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                tracing::warn!(
                    task = updates.task_id(),
                    error = &error as &dyn std::error::Error,
                    "a turn failed"
                );
                Some(error.message)
            }
            Err(_) => {
                tracing::error!(task = updates.task_id(), "the agent panicked");
                Some("the agent crashed".to_owned())
            }
        };
        self.settle(&updates, &guard, failure).await;
    }

    /// Ends the task if the turn leaves nobody else to do it.
    pub(super) async fn settle(&self, updates: &Updates, guard: &Guard, failure: Option<String>) {
        if let Some(text) = failure {
            if !guard.canceling() {
                self.fail(updates, text).await;
            }
            return;
        }
        // Nothing follows an end, so nothing can be queued.
        if updates.state().is_terminal() {
            return;
        }
        // Queued updates may hold the end.
        if let Err(error) = updates.flush().await {
            tracing::debug!(%error, "the last updates of a turn were not stored");
        }
        let state = updates.state();
        let in_progress = !state.is_terminal() && !state.is_interrupted();
        // A server that stops leaves the task to the next one.
        let stopping = self.options.shutdown.is_cancelled();
        if in_progress && guard.is_last() && !guard.canceling() && !stopping {
            self.fail(updates, "the agent ended without a result".to_owned())
                .await;
        }
    }

    /// Makes the task FAILED, waiting for space if there is none.
    pub(super) async fn fail(&self, updates: &Updates, text: String) {
        loop {
            let message = updates.agent_message(vec![Part::text(text.clone())]);
            match updates.try_status(TaskState::Failed, Some(message)).await {
                Ok(_) | Err(UpdateError::Terminal { .. } | UpdateError::Log(LogError::Closed)) => {
                    return;
                }
                Err(error) => {
                    tracing::error!(
                        task = updates.task_id(),
                        error = &error as &dyn std::error::Error,
                        "cannot store the end of a task"
                    );
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = self.options.shutdown.cancelled() => return,
            }
        }
    }
}

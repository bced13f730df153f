//! A reader of one task's events at its own speed: from memory while it keeps up, from the store while it does not.
//! It holds no events between two calls, so a slow reader costs nothing and a dropped one needs no goodbye.

use tokio::sync::watch;

use super::cell::Tail;
use super::task::LogTask;
use super::{Committed, LogError, LoggedEvent};

/// How many events one call answers at most.
const EVENTS: usize = 1024;

/// After how many bytes a call stops collecting: one large write to a socket.
const BYTES: usize = 64 * 1024;

/// Follows a task from a number on.
#[derive(Debug)]
pub struct Subscription {
    task: LogTask,
    after: u64,
    committed: watch::Receiver<Committed>,
}

impl Subscription {
    pub(super) fn new(task: LogTask, after: u64) -> Self {
        let committed = task.watch();
        Self {
            task,
            after,
            committed,
        }
    }

    /// The events that are stored already and were not answered before, without waiting for new ones. Empty when the
    /// reader has caught up. An error leaves the position where it was, so the call can be repeated.
    ///
    /// # Errors
    /// What reading the store says.
    pub async fn ready(&mut self) -> Result<Vec<LoggedEvent>, LogError> {
        let events = match self.task.cell().tail(self.after, EVENTS, BYTES) {
            Tail::Events(events) => events,
            Tail::Empty => Vec::new(),
            Tail::Behind => self.task.read_stored(self.after, EVENTS).await?,
        };
        if let Some(last) = events.last() {
            self.after = last.seq;
        }
        Ok(events)
    }

    /// The next events, at least one, waiting for them; empty when the task has ended and all were answered.
    ///
    /// # Errors
    /// What reading the store says.
    pub async fn next(&mut self) -> Result<Vec<LoggedEvent>, LogError> {
        loop {
            self.committed.mark_unchanged();
            let events = self.ready().await?;
            if !events.is_empty() || self.ended() {
                return Ok(events);
            }
            // The sender lives in the task that this subscription holds.
            let _ = self.committed.changed().await;
        }
    }

    /// Whether nothing can come any more.
    pub fn ended(&self) -> bool {
        self.task.cell().ended_at(self.after)
    }

    /// The number of the last event that was answered.
    pub fn position(&self) -> u64 {
        self.after
    }

    /// The task that is followed.
    pub fn task(&self) -> &LogTask {
        &self.task
    }
}

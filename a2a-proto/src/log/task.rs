//! [`LogTask`], the handle of one task: what producers append with and readers read with. It is the only way in to
//! the hot task, and cheap to clone. While a handle lives, its task stays in memory.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use tokio::sync::{oneshot, watch};

use super::cell::{Append, Events, Tail, TaskCell};
use super::storage::Prepared;
use super::subscription::Subscription;
use super::{Alias, Committed, Expect, LogError, LoggedEvent, Snapshot};
use crate::types::{StreamResponse, TaskState};

/// One task of a log.
#[derive(Clone)]
pub struct LogTask(Arc<TaskCell>);

impl LogTask {
    pub(super) fn new(cell: Arc<TaskCell>) -> Self {
        Self(cell)
    }

    pub(super) fn cell(&self) -> &TaskCell {
        &self.0
    }

    /// The task's id.
    pub fn id(&self) -> &str {
        &self.0.meta.id
    }

    /// The conversation that it belongs to.
    pub fn context_id(&self) -> &str {
        &self.0.meta.context_id
    }

    /// Who may see it.
    pub fn owner(&self) -> &str {
        &self.0.meta.owner
    }

    /// What the client calls it, in a dialect where clients choose ids.
    pub fn alias(&self) -> Option<&Alias> {
        self.0.meta.alias.as_ref()
    }

    /// Its state after the last stored event.
    pub fn state(&self) -> TaskState {
        self.0.state()
    }

    /// The task as of its last stored event.
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// Follows the number and state of the last stored event.
    pub fn watch(&self) -> watch::Receiver<Committed> {
        self.0.watch()
    }

    /// Appends `events`, all or none, if the task is as `expect` says. Done = stored and published.
    ///
    /// # Errors
    /// [`LogError::Conflict`] when the task is in another state, [`LogError::Full`] when there is no space;
    /// whatever the error, nothing was appended. An earlier [`LogTask::enqueue`] that failed is reported here.
    pub async fn append(
        &self,
        expect: Expect,
        events: Vec<StreamResponse>,
    ) -> Result<u64, LogError> {
        let events = events
            .into_iter()
            .map(prepare)
            .collect::<Result<Vec<_>, _>>()?;
        self.push_and_wait(expect, Events::Many(events)).await
    }

    /// Appends one event; like [`LogTask::append`].
    ///
    /// # Errors
    /// Like [`LogTask::append`].
    pub async fn append_one(&self, expect: Expect, event: StreamResponse) -> Result<u64, LogError> {
        let event = prepare(event)?;
        self.push_and_wait(expect, Events::One(event)).await
    }

    /// Queues one event and comes back when there was room for it; it is stored within milliseconds, in order with
    /// everything else that this task is sent. An event that finds the task ended is dropped, because the end won.
    ///
    /// # Errors
    /// [`LogError::Conflict`] when the task has ended already; the error of an earlier event that could not be stored.
    pub async fn enqueue(&self, event: StreamResponse) -> Result<(), LogError> {
        let state = self.state();
        if state.is_terminal() {
            return Err(LogError::Conflict { actual: state });
        }
        let events = Events::One(prepare(event)?);
        self.0
            .push(Append {
                expect: Expect::Open,
                create: false,
                events,
                reply: None,
            })
            .await
    }

    /// Waits until everything queued before is stored.
    ///
    /// # Errors
    /// The error of a queued event that could not be stored.
    pub async fn flush(&self) -> Result<(), LogError> {
        let waited = self
            .push_and_wait(Expect::Open, Events::Many(Vec::new()))
            .await;
        // Told here, it need not be told again.
        let lost = self.0.take_lost();
        waited?;
        lost.map_or(Ok(()), Err)
    }

    async fn push_and_wait(&self, expect: Expect, events: Events) -> Result<u64, LogError> {
        let (reply, answer) = oneshot::channel();
        self.0
            .push(Append {
                expect,
                create: false,
                events,
                reply: Some(reply),
            })
            .await?;
        answer.await.unwrap_or(Err(LogError::Closed))
    }

    /// Stores the task itself, its first event.
    pub(super) async fn create(&self, event: StreamResponse) -> Result<u64, LogError> {
        let events = Events::One(prepare(event)?);
        let (reply, answer) = oneshot::channel();
        self.0
            .push(Append {
                expect: Expect::Open,
                create: true,
                events,
                reply: Some(reply),
            })
            .await?;
        answer.await.unwrap_or(Err(LogError::Closed))
    }

    /// Up to about `limit` events after number `after`, oldest first; empty at the end.
    ///
    /// # Errors
    /// [`LogError::BeyondEnd`], or what reading the store says.
    pub async fn read(&self, after: u64, limit: usize) -> Result<Vec<LoggedEvent>, LogError> {
        self.check_position(after)?;
        match self.0.tail(after, limit, usize::MAX) {
            Tail::Events(events) => Ok(events),
            Tail::Empty => Ok(Vec::new()),
            Tail::Behind => {
                let mut events = self.read_stored(after, limit).await?;
                events.truncate(limit);
                Ok(events)
            }
        }
    }

    pub(super) async fn read_stored(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<LoggedEvent>, LogError> {
        let cell = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            let mut events = cell.shared.storage.read(cell.meta.key, after, limit)?;
            // The store can be ahead of what is published by one commit.
            let committed = cell.committed().seq;
            while events.last().is_some_and(|event| event.seq > committed) {
                events.pop();
            }
            Ok(events)
        })
        .await
        .unwrap_or(Err(LogError::Closed))
    }

    /// Follows the events after number `after`; 0 begins with the task as it was made.
    ///
    /// # Errors
    /// [`LogError::BeyondEnd`] when there is no such number yet.
    pub fn subscribe(&self, after: u64) -> Result<Subscription, LogError> {
        self.check_position(after)?;
        Ok(Subscription::new(self.clone(), after))
    }

    fn check_position(&self, after: u64) -> Result<(), LogError> {
        let last = self.0.committed().seq;
        if after > last {
            Err(LogError::BeyondEnd { after, last })
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for LogTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogTask")
            .field("id", &self.id())
            .field("committed", &self.0.committed())
            .finish_non_exhaustive()
    }
}

/// Serialized events are cut from blocks of this size: one allocation for dozens of token deltas. Small, because an
/// event that is kept keeps its block.
const BLOCK: usize = 8 * 1024;

thread_local! {
    static SERIALIZED: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// Serializes an event, once for all who will send it.
fn prepare(mut event: StreamResponse) -> Result<Prepared, LogError> {
    let json = SERIALIZED.with_borrow_mut(|buffer| {
        if buffer.capacity() < BLOCK / 16 {
            *buffer = BytesMut::with_capacity(BLOCK);
        }
        let result = serde_json::to_writer((&mut *buffer).writer(), &event);
        let json = buffer.split().freeze();
        result.map(|()| json)
    });
    let json = json.map_err(|source| LogError::Serialize(Arc::new(source)))?;
    // From here on only the aggregate needs the object, and it knows its own ids.
    match &mut event {
        StreamResponse::StatusUpdate(update) => {
            update.task_id = String::new();
            update.context_id = String::new();
        }
        StreamResponse::ArtifactUpdate(update) => {
            update.task_id = String::new();
            update.context_id = String::new();
        }
        StreamResponse::Task(_) | StreamResponse::Message(_) => {}
    }
    Ok(Prepared { event, json })
}

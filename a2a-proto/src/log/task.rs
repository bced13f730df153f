//! [`LogTask`], the handle of one task: what producers append with and readers read with. It is the only way in to
//! the hot task, and cheap to clone. While a handle lives, its task stays in memory.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use super::cell::{Append, Events, Tail, TaskCell};
use super::prepare;
use super::push::{PushRow, PushWrite};
use super::storage::Prepared;
use super::subscription::Subscription;
use super::{Alias, Committed, Expect, LogError, LoggedEvent, Snapshot};
use crate::types::{Artifact, StreamResponse, TaskState};

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
        self.0.meta.alias.as_ref().filter(|alias| !alias.is_key())
    }

    /// What the send that made the task said, in short, if it came with a key.
    pub(crate) fn key_content(&self) -> Option<&str> {
        let alias = self.0.meta.alias.as_ref().filter(|alias| alias.is_key())?;
        Some(&alias.form)
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
            .map(prepare::event)
            .collect::<Result<Vec<_>, _>>()?;
        self.push_and_wait(expect, Events::Many(events), None).await
    }

    /// Appends one event; like [`LogTask::append`].
    ///
    /// # Errors
    /// Like [`LogTask::append`].
    pub async fn append_one(&self, expect: Expect, event: StreamResponse) -> Result<u64, LogError> {
        let event = prepare::event(event)?;
        self.push_and_wait(expect, Events::One(event), None).await
    }

    /// Queues one event and comes back when there was room for it; it is stored within milliseconds, in order with
    /// everything else that this task is sent. An event that finds the task ended is dropped, because the end won. An
    /// event that finds the disk full is kept and tried again until there is space; meanwhile the room is used up.
    ///
    /// # Errors
    /// [`LogError::Conflict`] when the task has ended already; the error of an earlier event that could not be stored.
    pub async fn enqueue(&self, event: StreamResponse) -> Result<(), LogError> {
        self.check_open()?;
        self.queue(prepare::event(event)?).await
    }

    /// Queues an artifact event; like [`LogTask::enqueue`] of one, and much cheaper.
    ///
    /// # Errors
    /// Like [`LogTask::enqueue`].
    pub async fn enqueue_artifact(
        &self,
        artifact: Artifact,
        append: bool,
        last_chunk: bool,
    ) -> Result<(), LogError> {
        self.check_open()?;
        let prepared = prepare::artifact(&self.0.artifact_head, artifact, append, last_chunk)?;
        self.queue(prepared).await
    }

    fn check_open(&self) -> Result<(), LogError> {
        let state = self.state();
        if state.is_terminal() {
            return Err(LogError::Conflict { actual: state });
        }
        Ok(())
    }

    async fn queue(&self, prepared: Prepared) -> Result<(), LogError> {
        let append = Append {
            expect: Expect::Open,
            create: false,
            events: Events::One(prepared),
            push: None,
            reply: None,
        };
        self.0.push(append).await
    }

    /// Waits until everything queued before is stored.
    ///
    /// # Errors
    /// The error of a queued event that could not be stored; after [`LogError::Full`] it will be, when there is space.
    pub async fn flush(&self) -> Result<(), LogError> {
        let waited = self
            .push_and_wait(Expect::Open, Events::Many(Vec::new()), None)
            .await;
        // Told here, it need not be told again.
        let lost = self.0.take_lost();
        waited?;
        lost.map_or(Ok(()), Err)
    }

    pub(super) async fn push_and_wait(
        &self,
        expect: Expect,
        events: Events,
        push: Option<PushWrite>,
    ) -> Result<u64, LogError> {
        let (reply, answer) = oneshot::channel();
        self.0
            .push(Append {
                expect,
                create: false,
                events,
                push: push.map(Box::new),
                reply: Some(reply),
            })
            .await?;
        answer.await.unwrap_or(Err(LogError::Closed))
    }

    /// Stores the task itself, its first event.
    pub(super) async fn create(
        &self,
        event: Prepared,
        push: Option<PushRow>,
    ) -> Result<u64, LogError> {
        let events = Events::One(event);
        let (reply, answer) = oneshot::channel();
        self.0
            .push(Append {
                expect: Expect::Open,
                create: true,
                events,
                push: push.map(|row| Box::new(PushWrite::Put { row, after: 0 })),
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

    pub(super) async fn push_append(&self, append: Append) -> Result<(), LogError> {
        self.0.push(append).await
    }

    /// Reads from the store, on a thread that may block.
    pub(super) async fn read_push<T: Send + 'static>(
        &self,
        read: impl FnOnce(&TaskCell) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let cell = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || read(&cell))
            .await
            .unwrap_or(Err(LogError::Closed))
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

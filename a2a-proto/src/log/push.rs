//! Push configurations as the log keeps them: beside the task that they belong to, written by the same thread in the
//! same transactions, so that a task and its configuration are stored together or not at all. What a configuration
//! says is sealed by whoever stores it; the log sees an identifier, a position and a state, and posts nothing.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::cell::{Append, Events};
use super::{Expect, LogError, LogTask};
use crate::version::ProtocolVersion;

/// A configuration to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRow {
    /// Unique within the task.
    pub id: Arc<str>,
    /// The dialect in which it was registered, and so in which its events are posted (A2A §4.3; receivers of older
    /// versions expect other bodies).
    pub protocol: ProtocolVersion,
    /// Which key sealed it.
    pub key_id: Arc<str>,
    /// What it says, sealed.
    pub sealed: Bytes,
}

/// Why and where the delivery to a configuration was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event that could not be delivered; those after it were not tried.
    pub seq: u64,
    /// How often it was tried.
    pub tries: u32,
    /// When it was given up.
    pub at: Timestamp,
    /// What the last try met, without addresses and secrets.
    pub reason: String,
}

/// How a configuration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushState {
    /// Events are delivered, now or as soon as there are any.
    Open,
    /// The task has ended and everything was delivered.
    Done,
    /// An event could not be delivered; nothing is sent until the configuration is replaced.
    Suspended(DeadLetter),
}

/// A configuration as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPush {
    /// The configuration.
    pub row: PushRow,
    /// The number of the last event that was delivered, or that came before the configuration.
    pub delivered: u64,
    /// How it stands.
    pub state: PushState,
}

/// A configuration with something left to deliver.
#[derive(Debug, Clone)]
pub struct OpenPush {
    /// Its task.
    pub task: LogTask,
    /// Its id.
    pub id: Arc<str>,
}

/// A change of the stored configurations of one task.
#[derive(Debug, Clone)]
pub(super) enum PushWrite {
    /// Stores a configuration. A new one begins after event `after`; one with the same id is replaced and its
    /// successor goes on where it stood.
    Put { row: PushRow, after: u64 },
    /// Removes one; nothing happens when it is not there.
    Delete { id: Arc<str> },
    /// Everything up to `seq` was delivered.
    Delivered { id: Arc<str>, seq: u64 },
    /// Nothing more is delivered, because of `state`.
    End { id: Arc<str>, state: PushState },
}

impl PushWrite {
    /// Adds `self` to the changes of one commit; `seq` is the number of the last event before it.
    pub(super) fn stage(mut self, writes: &mut Vec<Self>, seq: u64) {
        if let Self::Put { after, .. } = &mut self {
            *after = seq;
        }
        match (&mut self, writes.last_mut()) {
            // A position replaces the one before it: a fast receiver costs one write per commit.
            (
                Self::Delivered { id, seq },
                Some(Self::Delivered {
                    id: before,
                    seq: at,
                }),
            ) if id == before => {
                *at = (*at).max(*seq);
            }
            _ => writes.push(self),
        }
    }
}

impl LogTask {
    /// Stores a configuration; one with the same id is replaced, and the new one goes on where the old one stood. A
    /// new one begins after the last event of now. Done = stored.
    ///
    /// # Errors
    /// What writing to the store says.
    pub async fn put_push(&self, row: PushRow) -> Result<(), LogError> {
        self.write_push(PushWrite::Put { row, after: 0 }).await
    }

    /// Removes a configuration, if it is there. Done = stored.
    ///
    /// # Errors
    /// What writing to the store says.
    pub async fn delete_push(&self, id: &Arc<str>) -> Result<(), LogError> {
        let id = Arc::clone(id);
        self.write_push(PushWrite::Delete { id }).await
    }

    /// Says that everything up to `seq` was delivered. Comes back when there was room for it in the queue; it is
    /// stored within milliseconds.
    ///
    /// # Errors
    /// [`LogError::Closed`].
    pub async fn delivered_push(&self, id: &Arc<str>, seq: u64) -> Result<(), LogError> {
        let id = Arc::clone(id);
        self.queue_push(PushWrite::Delivered { id, seq }, None)
            .await
    }

    /// Says that nothing more is delivered. Done = stored.
    ///
    /// # Errors
    /// What writing to the store says.
    pub async fn end_push(&self, id: &Arc<str>, state: PushState) -> Result<(), LogError> {
        let id = Arc::clone(id);
        self.write_push(PushWrite::End { id, state }).await
    }

    /// Appends one event like [`LogTask::append_one`] and stores a configuration with it, which begins with that event
    /// if it is new.
    ///
    /// # Errors
    /// Like [`LogTask::append_one`]; then the configuration is not stored either.
    pub async fn append_with_push(
        &self,
        expect: Expect,
        event: crate::types::StreamResponse,
        row: PushRow,
    ) -> Result<u64, LogError> {
        let event = super::prepare::event(event)?;
        self.push_and_wait(
            expect,
            Events::One(event),
            Some(PushWrite::Put { row, after: 0 }),
        )
        .await
    }

    /// The configuration with this id.
    ///
    /// # Errors
    /// What reading the store says.
    pub async fn push_config(&self, id: &str) -> Result<Option<StoredPush>, LogError> {
        let id = id.to_owned();
        self.read_push(move |cell| cell.shared.storage.push_config(cell.meta.key, &id))
            .await
    }

    /// Up to `limit` configurations with ids after `after`, by id.
    ///
    /// # Errors
    /// What reading the store says.
    pub async fn push_configs(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<Vec<StoredPush>, LogError> {
        let after = after.to_owned();
        self.read_push(move |cell| {
            cell.shared
                .storage
                .push_configs(cell.meta.key, &after, limit)
        })
        .await
    }

    async fn write_push(&self, write: PushWrite) -> Result<(), LogError> {
        let (reply, answer) = oneshot::channel();
        self.queue_push(write, Some(reply)).await?;
        answer.await.unwrap_or(Err(LogError::Closed)).map(drop)
    }

    async fn queue_push(
        &self,
        write: PushWrite,
        reply: Option<oneshot::Sender<Result<u64, LogError>>>,
    ) -> Result<(), LogError> {
        self.push_append(Append {
            expect: Expect::Open,
            create: false,
            events: Events::Many(Vec::new()),
            push: Some(Box::new(write)),
            reply,
        })
        .await
    }
}

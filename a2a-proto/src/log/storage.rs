//! The seam between the hot tasks and what keeps them: a few calls, all synchronous, made by one thread at a time
//! (`commit`) or from blocking threads (the rest). An implementation stores and finds; sequence numbers, states,
//! publishing and retries are none of its business.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::list::{ListFilter, Position};
use super::push::{PushWrite, StoredPush};
use super::{Alias, LogError, LoggedEvent, Snapshot};
use crate::types::{
    Artifact, Part, StreamResponse, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus,
};

/// The store's own short name of a task.
pub(super) type TaskKey = i64;

/// The highest number of an event: stores keep it in 32 bits. At a thousand events per second a task gets there after
/// seven weeks.
pub(super) const MAX_SEQ: u64 = u32::MAX as u64;

/// What never changes about a task.
#[derive(Debug)]
pub(super) struct TaskMeta {
    pub(super) key: TaskKey,
    pub(super) id: Arc<str>,
    pub(super) owner: Arc<str>,
    pub(super) context_id: Arc<str>,
    pub(super) alias: Option<Alias>,
}

/// An event that is ready to be stored: the change for the aggregate, the bytes for everybody else.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) change: Change,
    pub(super) json: Bytes,
}

/// What an event does to the aggregate. A token delta is moved four times on its way, so it is kept small.
#[derive(Debug)]
pub(super) enum Change {
    /// The task itself, which the aggregate begins with; with its status.
    Begin(TaskState, Timestamp),
    /// More text for an artifact, and nothing else: what token streams are made of.
    Text { artifact_id: String, text: String },
    /// More parts for an artifact, and nothing else.
    Parts {
        artifact_id: String,
        parts: Vec<Part>,
    },
    /// Everything else.
    Event(Box<StreamResponse>),
}

impl Change {
    /// The change that `event` makes.
    pub(super) fn of(event: StreamResponse) -> Self {
        match event {
            StreamResponse::ArtifactUpdate(update) => {
                Self::of_artifact(update.artifact, update.append)
            }
            other => Self::Event(Box::new(other)),
        }
    }

    /// The change that an artifact event makes; its ids and its own metadata make none.
    pub(super) fn of_artifact(mut artifact: Artifact, append: bool) -> Self {
        if append && artifact.metadata.is_none() {
            let artifact_id = std::mem::take(&mut artifact.artifact_id);
            let mut parts = std::mem::take(&mut artifact.parts);
            return match parts.as_mut_slice() {
                [part] if part.as_bare_text().is_some() => Self::Text {
                    artifact_id,
                    text: part.take_text(),
                },
                _ => Self::Parts { artifact_id, parts },
            };
        }
        Self::Event(Box::new(StreamResponse::ArtifactUpdate(
            TaskArtifactUpdateEvent {
                artifact,
                append,
                ..TaskArtifactUpdateEvent::default()
            },
        )))
    }

    /// Makes the change.
    pub(super) fn apply(self, task: &mut Task) {
        match self {
            Self::Begin(..) => {}
            Self::Text { artifact_id, text } => task.append_parts(artifact_id, [Part::text(text)]),
            Self::Parts { artifact_id, parts } => task.append_parts(artifact_id, parts),
            Self::Event(event) => task.apply_owned(*event),
        }
    }

    /// The status that the event writes, if it writes one.
    pub(super) fn status(&self) -> Option<(TaskState, Timestamp)> {
        let event = match self {
            Self::Begin(state, at) => return Some((*state, *at)),
            Self::Event(event) => &**event,
            Self::Text { .. } | Self::Parts { .. } => return None,
        };
        match event {
            StreamResponse::Task(task) => Some(written(&task.status)),
            StreamResponse::StatusUpdate(update) => Some(written(&update.status)),
            StreamResponse::Message(_) | StreamResponse::ArtifactUpdate(_) => None,
        }
    }

    /// Whether nothing may follow.
    pub(super) fn ends(&self) -> bool {
        match self {
            Self::Begin(state, _) => state.is_terminal(),
            Self::Event(event) => event.ends_stream(),
            Self::Text { .. } | Self::Parts { .. } => false,
        }
    }
}

/// A status as the store finds tasks by it.
pub(super) fn written(status: &TaskStatus) -> (TaskState, Timestamp) {
    let at = status.timestamp.unwrap_or(Timestamp::UNIX_EPOCH);
    (status.state, at)
}

/// What one commit changes in one task.
#[derive(Debug)]
pub(super) struct TaskBatch {
    pub(super) meta: Arc<TaskMeta>,
    /// The task is new: its row and its alias are made too.
    pub(super) create: bool,
    /// The number of the first of `events`.
    pub(super) first_seq: u64,
    pub(super) events: Vec<Prepared>,
    /// The newest status, if the status was written.
    pub(super) status: Option<(TaskState, Timestamp)>,
    /// Changes of the task's push configurations, in order.
    pub(super) push: Vec<PushWrite>,
}

impl TaskBatch {
    /// Whether there is nothing to store.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.push.is_empty()
    }

    /// Leaves nothing to store.
    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.push.clear();
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.first_seq + self.events.len() as u64 - 1
    }
}

/// One transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) tasks: Vec<TaskBatch>,
    /// Ended tasks whose final aggregate is kept beside the events.
    pub(super) finals: Vec<(TaskKey, Snapshot)>,
}

/// Why a commit was not made. Whatever the reason, nothing of the batch is stored.
#[derive(Debug)]
pub(super) enum CommitError {
    /// The new task at this index of the batch exists already, by id or by alias.
    Duplicate(usize),
    /// It would have to be waited for, and the caller does not want to.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "memory is always free")
    )]
    Busy,
    /// Everything in the batch failed.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "memory does not fail")
    )]
    Failed(LogError),
}

/// How long a commit may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is made between other work: nothing may be waited for.
    Short,
    /// It is made on the log's own thread: other programs may be waited for, and work that was put off is due.
    Long,
}

/// How a commit went, for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It was as quick as it should be.
    Quick,
    /// It took long, or work was put off: the next ones need [`Patience::Long`].
    Slow,
}

/// A task as found in the store.
#[derive(Debug)]
pub(super) struct StoredTask {
    pub(super) meta: Arc<TaskMeta>,
    pub(super) task: Task,
    pub(super) seq: u64,
    /// Roughly how much memory it takes.
    pub(super) bytes: usize,
}

/// One line of a list: enough to find the task, and the task itself if reading it was cheap.
#[derive(Debug)]
pub(super) struct StoredLine {
    pub(super) id: Arc<str>,
    /// An event at or after the one that wrote the status by which the line was found.
    pub(super) seq: u64,
    pub(super) position: Position,
    pub(super) task: Option<Snapshot>,
}

/// Where tasks are kept.
pub(super) trait Storage: Send + Sync + 'static {
    /// Stores the batch, all or nothing. One thread at a time calls it. An empty batch has done what was put off.
    fn commit(&self, batch: &Batch, patience: Patience) -> Result<Pace, CommitError>;

    /// Whether a commit put something off that can be done when it is quiet.
    fn has_more(&self) -> bool {
        false
    }

    /// The whole task with `id`.
    fn load(&self, id: &str) -> Result<Option<StoredTask>, LogError>;

    /// Up to about `limit` events after `after`: an implementation may answer more, never none while there are some.
    fn read(&self, key: TaskKey, after: u64, limit: usize) -> Result<Vec<LoggedEvent>, LogError>;

    /// One page of lines, and how many match without paging.
    fn list(&self, filter: &ListFilter) -> Result<(Vec<StoredLine>, u64), LogError>;

    /// The id of the task that `owner` calls `client_id`.
    fn alias(&self, owner: &str, client_id: &str) -> Result<Option<String>, LogError>;

    /// One push configuration of a task.
    fn push_config(&self, key: TaskKey, id: &str) -> Result<Option<StoredPush>, LogError>;

    /// Up to `limit` push configurations of a task with ids after `after`, by id.
    fn push_configs(
        &self,
        key: TaskKey,
        after: &str,
        limit: usize,
    ) -> Result<Vec<StoredPush>, LogError>;

    /// The ids of tasks and configurations that have something left to deliver, of every owner.
    fn open_pushes(&self) -> Result<Vec<(String, Arc<str>)>, LogError>;
}

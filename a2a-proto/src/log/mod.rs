//! The task log: everything that ever happened to a task, in one order, numbered from 1 without gaps. It is here,
//! below the server, because every promise of the server rests on it: an event is stored before anybody sees it,
//! the first terminal state wins, a reader of any speed gets every event once, and a resume by number works after a
//! restart.
//!
//! [`MemoryLog`] and [`SqliteLog`] are the same machine over two stores: a registry of hot tasks, each with its
//! aggregate, the tail of its events and a bounded queue of what is to be appended; one thread at a time that drains
//! the queues, commits them in groups and publishes after the commit: mostly the one that has something to append and
//! would wait for it, else the log's own. Nothing here knows a protocol binding.

mod cell;
mod commit;
mod desk;
mod engine;
mod error;
mod list;
mod memory;
mod prepare;
mod push;
mod registry;
mod shared;
#[cfg(feature = "sqlite")]
mod sqlite;
mod storage;
mod subscription;
mod task;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use crate::types::{StreamResponse, Task, TaskState};

pub use self::error::LogError;
pub use self::list::{ListFilter, ListPage, PageToken};
pub use self::memory::MemoryLog;
pub use self::push::{DeadLetter, OpenPush, PushRow, PushState, StoredPush};
pub use self::shared::LogOptions;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteLog;
pub use self::subscription::Subscription;
pub use self::task::LogTask;

/// A durable, ordered log of the events of many tasks.
///
/// It finds tasks; what is done with one (append, read, follow) is done with its [`LogTask`]. Every method that names an
/// owner is scoped to it: for anybody else the task does not exist.
pub trait TaskLog: Send + Sync + 'static {
    /// Makes a task. Its first event, number 1, is the task itself. Done = stored.
    fn create(&self, new: NewTask) -> impl Future<Output = Result<LogTask, LogError>> + Send;

    /// The task `id` of `owner`, loaded from the store when it is not in memory.
    fn open(&self, owner: &str, id: &str)
    -> impl Future<Output = Result<LogTask, LogError>> + Send;

    /// The tasks that match, newest status first. The page is a snapshot, its token a position and not a handle.
    fn list(&self, filter: &ListFilter) -> impl Future<Output = Result<ListPage, LogError>> + Send;

    /// The task that `owner` made under an id of its own choice, `None` if it made none.
    fn alias(
        &self,
        owner: &str,
        client_id: &str,
    ) -> impl Future<Output = Result<Option<String>, LogError>> + Send;

    /// The tasks that had not ended, of every owner: what a restarted server has to decide about.
    fn unfinished(&self) -> impl Future<Output = Result<Vec<LogTask>, LogError>> + Send;

    /// The push configurations with something left to deliver, of every owner: what a restarted server goes on with.
    fn open_pushes(&self) -> impl Future<Output = Result<Vec<OpenPush>, LogError>> + Send;
}

/// What makes a task.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Who may see it.
    pub owner: Arc<str>,
    /// What the client calls it, in a dialect where clients choose ids.
    pub alias: Option<Alias>,
    /// The task as it begins: id, context, first status, first message in the history.
    pub task: Task,
    /// Where its events are posted, stored together with it so that none is missed.
    pub push: Option<PushRow>,
}

/// What a client that chooses ids calls a task. The log keeps it beside the task, which does not show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The id that the client chose; unique for its owner.
    pub id: String,
    /// How the client spoke, in a word of the dialect's own.
    pub form: String,
}

impl Alias {
    /// How the id begins under which a send with a key is kept. No client calls a task so.
    pub(crate) const KEY: char = '\u{1f}';

    fn is_key(&self) -> bool {
        self.id.starts_with(Self::KEY)
    }
}

/// The condition under which an append is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The task has not ended.
    Open,
    /// The task is in exactly this state, which is not a terminal one.
    State(TaskState),
    /// The last event of the task, which has not ended, is this one.
    After(u64),
}

impl Expect {
    /// Checks a task in `state` after event `seq`.
    pub(self) fn check(self, seq: u64, state: TaskState) -> Result<(), LogError> {
        match self {
            Self::After(expected) if expected != seq => Err(LogError::Passed { last: seq }),
            Self::State(expected) if expected != state => Err(LogError::Conflict { actual: state }),
            _ if state.is_terminal() => Err(LogError::Conflict { actual: state }),
            _ => Ok(()),
        }
    }
}

/// One event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its number within the task, from 1.
    pub seq: u64,
    /// The event as canonical A2A 1.0 JSON, serialized once and shared by everybody who sends it.
    pub json: Bytes,
}

impl LoggedEvent {
    /// The event as an object. Reading it back costs a parse, so hot paths send [`LoggedEvent::json`] as it is.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] when the store holds something that is no event.
    pub fn event(&self) -> Result<StreamResponse, LogError> {
        serde_json::from_slice(&self.json).map_err(|source| LogError::Corrupt {
            seq: self.seq,
            source: Arc::new(source),
        })
    }
}

/// A task and the number of the last event it contains.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The aggregate; cheap to clone.
    pub task: Arc<Task>,
    /// The number of the last event that went into it.
    pub seq: u64,
}

/// The number of the last stored event and the state of the task after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The number; 0 only before the task itself is stored.
    pub seq: u64,
    /// The state.
    pub state: TaskState,
}

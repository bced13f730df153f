//! What can go wrong in the log. One enum for all implementations, cloneable because one failed commit answers many
//! waiting appends. It must not carry text of a task's content.

use std::error::Error;
use std::sync::Arc;

use crate::types::TaskState;

/// A failure of the task log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// No such task, or it belongs to somebody else.
    #[error("no task {id}")]
    NotFound {
        /// The id that was asked for.
        id: String,
    },
    /// The task was not in the expected state; nothing was appended.
    #[error("the task is {actual:?} already")]
    Conflict {
        /// The state it was in.
        actual: TaskState,
    },
    /// The task had another last event than expected; nothing was appended.
    #[error("the last event of the task is {last}")]
    Passed {
        /// The number of the last event.
        last: u64,
    },
    /// A task with this id, or with this id of the client's own, exists already.
    #[error("a task with this id exists already")]
    Duplicate,
    /// A read that begins after the end of the log.
    #[error("event {after} is beyond the last one, {last}")]
    BeyondEnd {
        /// The number that was asked for.
        after: u64,
        /// The number of the last event.
        last: u64,
    },
    /// The append can never succeed: it is empty, or events follow a terminal one.
    #[error("cannot append: {reason}")]
    Refused {
        /// Why.
        reason: &'static str,
    },
    /// An event cannot be written as JSON.
    #[error("cannot serialize an event")]
    Serialize(#[source] Arc<serde_json::Error>),
    /// The store holds something that is no event.
    #[error("stored event {seq} cannot be read")]
    Corrupt {
        /// Its number.
        seq: u64,
        /// What the parser said.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// There is no space left where the log is stored. Appends work again as soon as there is.
    #[error("no space left for the task log at {place}")]
    Full {
        /// Where the log is.
        place: String,
    },
    /// The store was written by a newer version of this program.
    #[error(
        "the task log at {place} has format {found}, this program knows formats up to {known}: \
         start the newer program that wrote it, or choose another state directory"
    )]
    Newer {
        /// Where the log is.
        place: String,
        /// Its format.
        found: i64,
        /// The newest format that this program reads.
        known: i64,
    },
    /// Another process has the store open.
    #[error("the task log at {place} is in use by another process")]
    InUse {
        /// Where the log is.
        place: String,
    },
    /// The store failed.
    #[error("cannot {doing} the task log at {place}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Where the log is.
        place: String,
        /// What the store said.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The log was closed.
    #[error("the task log is closed")]
    Closed,
}

//! The jobs' logs. [`Store`] is what the engine needs of a database; [`MemoryStore`], [`SqliteStore`] and `PgStore` are
//! such databases, held to the same promises by one contract test suite. [`Cluster`] is what several captains on one
//! database need beside it. Nothing here knows what an event means beyond its class.

mod cluster;
#[cfg(test)]
pub(crate) mod contract;
mod fence;
pub(crate) mod files;
mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
mod sqlite;

use std::borrow::Cow;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use captain_core::{Envelope, Job, JobId};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::Serialize;

pub use cluster::{Cluster, Handed};
pub use fence::Fence;
pub use memory::MemoryStore;
pub use sqlite::SqliteStore;

/// Most entries that one read gives, whatever was asked for: bounds the memory of one reader.
pub const MAX_READ: usize = 1024;

/// Most heads that one listing gives, whatever was asked for.
pub const MAX_LIST: usize = 500;

/// Keeps the jobs' logs and, beside each, its head: the few facts that lists show.
pub trait Store: Send + Sync + 'static {
    /// Adds entries to one or more logs, all of them or none.
    ///
    /// When this is done the entries survive the end of the process, however it ends. If it is dropped or fails with
    /// anything but [`StoreError::Conflict`] they may or may not have been added; asking again with the same batch is
    /// safe after such a failure, because a batch that was added conflicts.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a log does not end where the batch says; [`StoreError::Full`] if there is no room.
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The entries of a log strictly after `after`, in order, at most `limit` and [`MAX_READ`]; empty at its end and
    /// for a job that is not there.
    fn read<'a>(
        &'a self,
        job: &'a JobId,
        after: u64,
        limit: usize,
        which: Which,
    ) -> BoxFuture<'a, Result<Vec<Arc<Entry>>, StoreError>>;

    /// The head of one job.
    fn head<'a>(&'a self, job: &'a JobId) -> BoxFuture<'a, Result<Option<Head>, StoreError>>;

    /// The heads that pass the filter, newest job first.
    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Vec<Head>, StoreError>>;

    /// Forgets jobs that ended before `before` with their logs: the oldest, at most `limit` and [`MAX_PRUNE`], in one
    /// transaction. Gives their names; none when there is nothing left to forget. Whatever the clock has done, a job
    /// that has not ended is never forgotten.
    fn prune(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<JobId>, StoreError>>;

    /// What several captains on this database need of it; none for a database that one captain has to itself.
    fn cluster(&self) -> Option<&dyn Cluster> {
        None
    }
}

/// Most jobs that are forgotten in one transaction: with logs of usual length it is a fraction of a second, and
/// everything else that is to be written waits as long.
pub const MAX_PRUNE: usize = 32;

/// Why a database did not do it, in its own words.
pub type Cause = Box<dyn Error + Send + Sync>;

/// What kind of entry it is; all that readers need to know without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Output for people; a job can be rebuilt without it.
    Output,
    /// Changes the job.
    State,
    /// The last entry of a log.
    Terminal,
}

/// Which entries to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// All but [`Class::Output`].
    WithoutOutput,
}

/// One event as it is stored and sent: serialized once, shared by everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the job's log, from 1 and without gaps.
    pub seq: u64,
    /// Its kind.
    pub class: Class,
    /// The event's dotted name.
    pub name: Cow<'static, str>,
    /// The [`Envelope`] as JSON.
    pub json: Bytes,
}

impl Entry {
    /// Serializes an envelope.
    ///
    /// # Errors
    /// [`StoreError::Encode`] if the event has no JSON form.
    pub fn encode(envelope: &Envelope) -> Result<Self, StoreError> {
        let event = &envelope.event;
        let class = match (event.is_output(), event.is_terminal()) {
            (true, _) => Class::Output,
            (false, true) => Class::Terminal,
            (false, false) => Class::State,
        };
        let json = serde_json::to_vec(envelope).map_err(StoreError::Encode)?;
        Ok(Self {
            seq: envelope.seq,
            class,
            name: Cow::Borrowed(event.name()),
            json: json.into(),
        })
    }

    /// Reads the envelope back.
    ///
    /// # Errors
    /// [`StoreError::Decode`] if this program does not know the event.
    pub fn decode(&self) -> Result<Envelope, StoreError> {
        serde_json::from_slice(&self.json).map_err(|source| StoreError::Decode {
            seq: self.seq,
            source,
        })
    }
}

/// What lists show of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Head {
    /// The job.
    pub job: JobId,
    /// Who owns it.
    pub owner: String,
    /// What was asked for.
    pub goal: String,
    /// The name of its state.
    pub state: String,
    /// Whether nothing will happen any more.
    pub terminal: bool,
    /// When it was submitted.
    #[schemars(with = "String")]
    pub created: Timestamp,
    /// When something last happened to it.
    #[schemars(with = "String")]
    pub updated: Timestamp,
    /// The place of the last entry of its log.
    pub last_seq: u64,
}

impl Head {
    /// The head of a job whose log ends at `last_seq`.
    pub fn of(job: &Job, last_seq: u64) -> Self {
        Self {
            job: job.id().clone(),
            owner: job.spec().owner.clone(),
            goal: job.spec().goal.clone(),
            state: job.state().name().to_owned(),
            terminal: job.state().is_terminal(),
            created: job.created(),
            updated: job.updated(),
            last_seq,
        }
    }
}

/// Entries for one log.
#[derive(Debug, Clone)]
pub struct Append {
    /// Where the log ends now; 0 for a new job.
    pub expected: u64,
    /// The head that the job has after them; its `last_seq` is the last entry's.
    pub head: Head,
    /// The entries, numbered on from `expected`.
    pub entries: Vec<Arc<Entry>>,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this owner.
    pub owner: Option<String>,
    /// Only those in this state.
    pub state: Option<String>,
    /// Only those that have not ended.
    pub unfinished: bool,
    /// Only those older than this one, which need not exist: the last job of the page before.
    pub before: Option<JobId>,
    /// At most so many, and at most [`MAX_LIST`]; 0 means [`MAX_LIST`].
    pub limit: usize,
}

impl Filter {
    fn page(&self) -> usize {
        if self.limit == 0 {
            MAX_LIST
        } else {
            self.limit.min(MAX_LIST)
        }
    }
}

/// Why a log could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened or brought up to date.
    #[error("cannot open the database {place}")]
    Open {
        /// The file, or the address without a password.
        place: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Another process has the database file.
    #[error(
        "another captain uses the database {}: stop it, or give this one another folder with --state-dir",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer program has written the database.
    #[error(
        "the database {place} has format {found}, this program knows up to {known}: use the program that wrote it, or a newer one"
    )]
    TooNew {
        /// The file, or the address without a password.
        place: String,
        /// Its format.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// There is no room left.
    #[error(
        "the disk or the database is full: free some space, the captain goes on by itself then"
    )]
    Full(#[source] Cause),
    /// The database server cannot be reached, or does not answer.
    #[error("the database {place} does not answer: is it running, and reachable from here?")]
    Unreachable {
        /// The address without a password.
        place: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The job is not this captain's any more: its lease has ended, and another captain may have taken the job over.
    #[error("job {job} is another captain's now")]
    Fenced {
        /// The job.
        job: JobId,
    },
    /// Somebody else has written the log.
    #[error(
        "the log of job {job} does not end at {expected}: is a second captain using this database?"
    )]
    Conflict {
        /// The job.
        job: JobId,
        /// Where it was expected to end.
        expected: u64,
    },
    /// Entries could not be added.
    #[error("cannot write to the database")]
    Write(#[source] Cause),
    /// Entries could not be read.
    #[error("cannot read the database")]
    Read(#[source] Cause),
    /// An event has no JSON form.
    #[error("cannot encode an event")]
    Encode(#[source] serde_json::Error),
    /// A stored event is not known.
    #[error("cannot decode the stored event {seq}: was it written by a newer program?")]
    Decode {
        /// Its place in the log.
        seq: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A stored value is not what it should be.
    #[error("the database holds a bad {what}: {value:?}")]
    Corrupt {
        /// Which value.
        what: &'static str,
        /// What it is.
        value: String,
    },
    /// The store's thread has ended.
    #[error("the database is closed")]
    Closed,
}

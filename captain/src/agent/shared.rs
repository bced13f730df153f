//! The tasks of a captain that is one of several. A task is what the job's log comes to, and that log is in the common
//! database; so each captain makes the tasks that it is asked for from the jobs' logs, into a task log of its own, and
//! keeps them in step like those that it made first. A captain that has the database to itself makes nothing here.
//!
//! What only the captain knows that took a message is not in the job's log: the client's own context, and words that
//! were said later. So the numbers of a task's events are a captain's own once somebody has said a second word.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use a2a_proto::log::{
    ListFilter, ListPage, LogError, LogTask, NewTask, OpenPush, SqliteLog, TaskLog,
};
use a2a_proto::server::Caller;
use captain_core::JobId;

use super::{CaptainAgent, Tasks};
use crate::store::Filter;

/// Jobs that a list looks through for tasks that are not made yet: the newest ones.
const LISTED: usize = 500;
/// How long the end of a job may take on its way into its task: its files are read for that.
const TOLD: Duration = Duration::from_secs(5);
/// Jobs that are remembered as having their tasks; forgetting one costs a look.
const REMEMBERED: usize = 16 * 1024;

/// A task log that makes up for what it does not hold.
#[derive(Debug)]
pub(crate) struct SharedLog {
    own: Arc<SqliteLog>,
    /// Makes tasks of jobs; none for a captain that is alone.
    agent: Option<Arc<CaptainAgent<SqliteLog>>>,
    made: Mutex<HashSet<JobId>>,
}

impl SharedLog {
    /// Over the captain's own task log.
    pub(crate) fn new(own: Arc<SqliteLog>, agent: Option<Arc<CaptainAgent<SqliteLog>>>) -> Self {
        Self {
            own,
            agent,
            made: Mutex::default(),
        }
    }

    /// Makes the task of a job that is not known to have one.
    async fn make(&self, agent: &CaptainAgent<SqliteLog>, job: JobId, ended: bool) {
        let known = |made: &HashSet<JobId>| made.contains(&job);
        if known(&self.made.lock().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        agent.adopt(&job).await;
        // What has ended is shown as it ended; what runs is on its way here anyway.
        if let Some(told) = agent.telling(&job).filter(|_| ended) {
            let _ = tokio::time::timeout(TOLD, told.cancelled()).await;
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= REMEMBERED {
            made.clear();
        }
        made.insert(job);
    }
}

impl TaskLog for SharedLog {
    async fn create(&self, new: NewTask) -> Result<LogTask, LogError> {
        self.own.create(new).await
    }

    async fn open(&self, owner: &str, id: &str) -> Result<LogTask, LogError> {
        let found = self.own.open(owner, id).await;
        let (Err(LogError::NotFound { .. }), Some(agent), Ok(job)) =
            (&found, &self.agent, JobId::parse(id))
        else {
            return found;
        };
        // Whose it is, is asked of the job before anything is made.
        if let Ok(head) = agent.options.engine.head(&job).await
            && *Caller::new(head.owner.as_str()).owner() == *owner
        {
            self.make(agent, job, head.terminal).await;
        }
        self.own.open(owner, id).await
    }

    async fn list(&self, filter: &ListFilter) -> Result<ListPage, LogError> {
        if let (Some(agent), Some(owner)) = (&self.agent, &filter.owner) {
            let newest = Filter {
                owner: Some(Caller::of_owner(owner).subject.to_string()),
                limit: LISTED,
                ..Filter::default()
            };
            match agent.options.engine.list(&newest).await {
                Ok(heads) => {
                    for head in heads {
                        self.make(agent, head.job, head.terminal).await;
                    }
                }
                Err(error) => tracing::warn!(
                    error = daemon::cli::chain(&error),
                    "other captains' tasks are not listed"
                ),
            }
        }
        self.own.list(filter).await
    }

    async fn alias(&self, owner: &str, client_id: &str) -> Result<Option<String>, LogError> {
        self.own.alias(owner, client_id).await
    }

    async fn unfinished(&self) -> Result<Vec<LogTask>, LogError> {
        self.own.unfinished().await
    }

    async fn open_pushes(&self) -> Result<Vec<OpenPush>, LogError> {
        self.own.open_pushes().await
    }
}

//! The logs in memory: for tests and for captains that keep nothing. It makes all the promises of a [`Store`] but the
//! one about the end of the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use captain_core::JobId;
use futures_util::future::{BoxFuture, FutureExt, ready};
use jiff::Timestamp;

use super::{Append, Class, Entry, Filter, Head, MAX_PRUNE, MAX_READ, Store, StoreError, Which};

/// Each job's head and log.
type Jobs = BTreeMap<JobId, (Head, Vec<Arc<Entry>>)>;

/// Keeps everything until it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    jobs: Mutex<Jobs>,
}

impl MemoryStore {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut jobs = self.jobs();
        let misplaced = batch.iter().find(|part| {
            let end = jobs
                .get(&part.head.job)
                .map_or(0, |(head, _)| head.last_seq);
            end != part.expected
        });
        let result = match misplaced {
            Some(part) => Err(StoreError::Conflict {
                job: part.head.job.clone(),
                expected: part.expected,
            }),
            None => {
                for part in batch {
                    let (head, log) = jobs
                        .entry(part.head.job.clone())
                        .or_insert_with(|| (part.head.clone(), Vec::new()));
                    *head = part.head;
                    log.extend(part.entries);
                }
                Ok(())
            }
        };
        ready(result).boxed()
    }

    fn read<'a>(
        &'a self,
        job: &'a JobId,
        after: u64,
        limit: usize,
        which: Which,
    ) -> BoxFuture<'a, Result<Vec<Arc<Entry>>, StoreError>> {
        let jobs = self.jobs();
        let log = jobs.get(job).map_or(&[][..], |(_, log)| log);
        // Entry n stands at place n - 1, so what comes after n begins at place n.
        let begin = usize::try_from(after).unwrap_or(usize::MAX).min(log.len());
        let found = log[begin..]
            .iter()
            .filter(|entry| which == Which::All || entry.class != Class::Output)
            .take(limit.min(MAX_READ))
            .cloned()
            .collect();
        ready(Ok(found)).boxed()
    }

    fn head<'a>(&'a self, job: &'a JobId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        ready(Ok(self.jobs().get(job).map(|(head, _)| head.clone()))).boxed()
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Vec<Head>, StoreError>> {
        let jobs = self.jobs();
        let fits = |head: &&Head| {
            filter
                .owner
                .as_ref()
                .is_none_or(|owner| *owner == head.owner)
                && filter
                    .state
                    .as_ref()
                    .is_none_or(|state| *state == head.state)
                && filter
                    .before
                    .as_ref()
                    .is_none_or(|before| head.job < *before)
                && !(filter.unfinished && head.terminal)
        };
        let found = jobs
            .values()
            .rev()
            .map(|(head, _)| head)
            .filter(fits)
            .take(filter.page())
            .cloned()
            .collect();
        ready(Ok(found)).boxed()
    }
    fn prune(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<JobId>, StoreError>> {
        let mut jobs = self.jobs();
        let mut old: Vec<(Timestamp, JobId)> = jobs
            .values()
            .filter(|(head, _)| head.terminal && head.updated < before)
            .map(|(head, _)| (head.updated, head.job.clone()))
            .collect();
        old.sort();
        old.truncate(limit.min(MAX_PRUNE));
        for (_, job) in &old {
            jobs.remove(job);
        }
        ready(Ok(old.into_iter().map(|(_, job)| job).collect())).boxed()
    }
}

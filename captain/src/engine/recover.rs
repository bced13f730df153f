//! Jobs read back from their logs: all unfinished ones when the engine starts, and finished ones when somebody asks.
//! Recovery is nothing but the stored events sent through the core again.

use std::collections::BTreeMap;

use captain_core::{Attempt, Job, JobId, SubtaskId};

use super::EngineError;
use crate::store::{Filter, MAX_READ, Store, Which};

/// A job with its place in its log.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) job: Job,
    /// The last entry of its log.
    pub(super) seq: u64,
    /// How far each subtask's worker has been listened to.
    pub(super) cursors: Cursors,
}

/// The last recorded log number of each subtask's worker, with the attempt that it belongs to.
pub(super) type Cursors = BTreeMap<SubtaskId, (Attempt, u64)>;

/// All jobs that have not ended.
pub(super) async fn unfinished(store: &dyn Store) -> Result<Vec<Recovered>, EngineError> {
    let mut jobs = Vec::new();
    let mut filter = Filter {
        unfinished: true,
        ..Filter::default()
    };
    loop {
        let page = store.list(&filter).await?;
        let Some(last) = page.last() else {
            return Ok(jobs);
        };
        filter.before = Some(last.job.clone());
        for head in page {
            // Output is needed for the cursors.
            jobs.extend(read(store, &head.job, Which::All).await?);
        }
    }
}

/// One job; none if there is none. Its cursors are right only if `which` is [`Which::All`].
pub(super) async fn read(
    store: &dyn Store,
    id: &JobId,
    which: Which,
) -> Result<Option<Recovered>, EngineError> {
    let Some(head) = store.head(id).await? else {
        return Ok(None);
    };
    let follow = |source| EngineError::Refused {
        job: id.clone(),
        source,
    };
    let mut job: Option<Job> = None;
    let mut cursors = Cursors::new();
    let mut seq = 0;
    loop {
        let page = store.read(id, seq, MAX_READ, which).await?;
        let Some(last) = page.last() else { break };
        seq = last.seq;
        for entry in page {
            let envelope = entry.decode()?;
            note_cursor(&mut cursors, &envelope.event, envelope.cursor);
            job = Some(match job {
                None => {
                    Job::create(id.clone(), envelope.at, &envelope.event)
                        .map_err(follow)?
                        .0
                }
                Some(mut job) => {
                    job.apply(envelope.at, &envelope.event).map_err(follow)?;
                    job
                }
            });
        }
    }
    // The head may be a moment older than the entries, and is right where output was left out.
    Ok(job.map(|job| Recovered {
        job,
        seq: seq.max(head.last_seq),
        cursors,
    }))
}

/// A job as it stood after the entry `through`, its output left out.
pub(super) async fn as_of(
    store: &dyn Store,
    id: &JobId,
    through: u64,
) -> Result<Option<Job>, EngineError> {
    let follow = |source| EngineError::Refused {
        job: id.clone(),
        source,
    };
    let mut job: Option<Job> = None;
    let mut seq = 0;
    loop {
        let page = store.read(id, seq, MAX_READ, Which::WithoutOutput).await?;
        if page.is_empty() {
            return Ok(job);
        }
        for entry in page {
            seq = entry.seq;
            if seq > through {
                return Ok(job);
            }
            let envelope = entry.decode()?;
            match &mut job {
                None => {
                    let (created, _) =
                        Job::create(id.clone(), envelope.at, &envelope.event).map_err(follow)?;
                    job = Some(created);
                }
                Some(job) => {
                    job.apply(envelope.at, &envelope.event).map_err(follow)?;
                }
            }
        }
    }
}

/// Remembers how far the worker behind an event has been listened to.
pub(super) fn note_cursor(
    cursors: &mut Cursors,
    event: &captain_core::JobEvent,
    cursor: Option<u64>,
) {
    if let (Some((subtask, attempt)), Some(cursor)) = (event.attempt(), cursor) {
        // Output comes often and the key is nearly always there: no copy of the id then.
        match cursors.get_mut(subtask) {
            Some(known) => *known = (attempt, cursor),
            None => {
                cursors.insert(subtask.clone(), (attempt, cursor));
            }
        }
    }
}

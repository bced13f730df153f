//! Jobs read back from their logs: all unfinished ones when the engine starts, and finished ones when somebody asks.
//! Recovery is nothing but the stored events sent through the core again.

use captain_core::heard::Heard;
use captain_core::{Job, JobId};

use super::EngineError;
use crate::store::{Filter, MAX_READ, Store, Which};

/// A job with its place in its log.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) job: Job,
    /// The last entry of its log.
    pub(super) seq: u64,
    /// How far each subtask's worker has been listened to.
    pub(super) heard: Heard,
}

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

/// One job; none if there is none. What it has heard is right only if `which` is [`Which::All`].
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
    let mut heard = Heard::default();
    let mut seq = 0;
    loop {
        let page = store.read(id, seq, MAX_READ, which).await?;
        let Some(last) = page.last() else { break };
        seq = last.seq;
        for entry in page {
            let envelope = entry.decode()?;
            heard.note(&envelope.event, envelope.cursor);
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
        heard,
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

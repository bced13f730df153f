//! What can be saved of the jobs' database when it is damaged. Every event that can still be read is read, by itself where
//! it must be; of each job as much is kept as stands without a gap from its beginning, because a job is what its events
//! make of it. The head is made anew from them. A job that had ended and lost its end is kept out: it would begin again.

use std::collections::BTreeMap;
use std::path::Path;

use captain_core::{Envelope, Job};
use rusqlite::{Connection, params};

use super::{FileError, finish, open, part_of, private};
use crate::store::sqlite::{add, schema};
use crate::store::{Append, Entry, Head};
use std::sync::Arc;

/// Single events of one job that are looked for behind a damaged place, at most.
const MAX_LOOKS: i64 = 100_000;

/// What was saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Jobs with every event.
    pub(crate) whole: usize,
    /// Jobs that go on from an earlier place: the job, the events that were kept, the events that it had.
    pub(crate) cut: Vec<(String, u64, u64)>,
    /// Jobs that are lost, with the reason.
    pub(crate) lost: Vec<(String, String)>,
}

/// A job's row as far as it can be read.
#[derive(Debug, Default)]
struct Known {
    id: Option<String>,
    last_seq: Option<u64>,
    terminal: bool,
}

/// Reads the damaged database at `from` and writes what can be saved to `to`, which must not be there yet.
///
/// # Errors
/// [`FileError::Open`] if nothing at all can be read; [`FileError::Write`].
pub(crate) fn salvage(from: &Path, to: &Path) -> Result<Saved, FileError> {
    let damaged = open(from)?;
    let jobs = known_jobs(&damaged);
    let read = |source| FileError::Read {
        path: from.to_owned(),
        source,
    };
    if jobs.is_empty() {
        // Nothing is there, or nothing can be found: the reason tells which.
        damaged
            .query_row("SELECT count(*) FROM jobs", (), |row| row.get::<_, i64>(0))
            .map_err(read)?;
    }
    let part = part_of(to);
    let write = |source: crate::store::Cause| FileError::Write {
        path: to.to_owned(),
        source,
    };
    private(&part).map_err(|error| write(error.into()))?;
    let save = || -> Result<Saved, FileError> {
        let mut new = schema::open(&part).map_err(|error| write(error.into()))?;
        // One file, without companions.
        new.pragma_update(None, "journal_mode", "DELETE")
            .map_err(|error| write(error.into()))?;
        let transaction = new.transaction().map_err(|error| write(error.into()))?;
        let mut saved = Saved::default();
        for (key, known) in jobs {
            let name = known.id.clone().unwrap_or_else(|| format!("number {key}"));
            match rebuild(&damaged, key, &known) {
                Ok(append) => {
                    let kept = append.head.last_seq;
                    add(&transaction, &append).map_err(|error| write(error.into()))?;
                    match known.last_seq {
                        Some(had) if had > kept => {
                            saved.cut.push((append.head.job.to_string(), kept, had));
                        }
                        _ => saved.whole += 1,
                    }
                }
                Err(reason) => saved.lost.push((name, reason)),
            }
        }
        transaction.commit().map_err(|error| write(error.into()))?;
        drop(new);
        finish(&part, to)?;
        Ok(saved)
    };
    let saved = save();
    if saved.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    saved
}

/// The jobs by their keys: from their rows, from the index of their ids, and from the events.
fn known_jobs(damaged: &Connection) -> BTreeMap<i64, Known> {
    let mut jobs: BTreeMap<i64, Known> = BTreeMap::new();
    // Each is read as far as it goes, from both ends; what one cannot give another may.
    for order in ["ASC", "DESC"] {
        let rows = format!(
            "SELECT key, id, last_seq, terminal FROM jobs NOT INDEXED ORDER BY key {order}"
        );
        each(damaged, &rows, |row| {
            let known = jobs.entry(row.get(0)?).or_default();
            known.id = Some(row.get(1)?);
            known.last_seq = u64::try_from(row.get::<_, i64>(2)?).ok();
            known.terminal = row.get(3)?;
            Ok(())
        });
        let index = format!(
            "SELECT id, key FROM jobs INDEXED BY sqlite_autoindex_jobs_1 ORDER BY id {order}"
        );
        each(damaged, &index, |row| {
            let (id, key): (String, i64) = (row.get(0)?, row.get(1)?);
            jobs.entry(key).or_default().id.get_or_insert(id);
            Ok(())
        });
        let events = format!("SELECT DISTINCT job FROM events ORDER BY job {order}");
        each(damaged, &events, |row| {
            jobs.entry(row.get(0)?).or_default();
            Ok(())
        });
    }
    jobs
}

/// Reads rows until the end or the first that cannot be read.
fn each(
    connection: &Connection,
    sql: &str,
    mut take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
) {
    let Ok(mut statement) = connection.prepare(sql) else {
        return;
    };
    let Ok(mut rows) = statement.query(()) else {
        return;
    };
    while let Ok(Some(row)) = rows.next() {
        if take(row).is_err() {
            return;
        }
    }
}

/// A job from its events.
fn rebuild(damaged: &Connection, key: i64, known: &Known) -> Result<Append, String> {
    let mut job: Option<Job> = None;
    let mut entries = Vec::new();
    for json in events(damaged, key) {
        let seq = entries.len() as u64 + 1;
        let Ok(envelope) = serde_json::from_slice::<Envelope>(&json) else {
            break;
        };
        if envelope.seq != seq {
            break;
        }
        let fits = match &mut job {
            None => {
                let id = envelope.job.clone();
                Job::create(id, envelope.at, &envelope.event)
                    .map(|(created, _)| job = Some(created))
            }
            Some(job) => job.apply(envelope.at, &envelope.event).map(drop),
        };
        if fits.is_err() {
            break;
        }
        let Ok(mut entry) = Entry::encode(&envelope) else {
            break;
        };
        // Byte by byte what readers have seen.
        entry.json = json.into();
        entries.push(Arc::new(entry));
    }
    let Some(job) = job else {
        return Err("its first event cannot be read".to_owned());
    };
    let kept = entries.len() as u64;
    if known.terminal && !job.state().is_terminal() {
        return Err(format!(
            "it had ended, and only its first {kept} events can be read"
        ));
    }
    Ok(Append {
        expected: 0,
        head: Head::of(&job, kept),
        entries,
    })
}

/// The events of a job from the first on, up to the first that cannot be read by any means.
fn events(damaged: &Connection, key: i64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    loop {
        let before = found.len();
        let after = i64::try_from(before).unwrap_or(i64::MAX);
        // In one sweep as far as it goes.
        let mut sweep = || -> rusqlite::Result<()> {
            let mut statement = damaged.prepare_cached(
                "SELECT seq, json FROM events WHERE job = ?1 AND seq > ?2 ORDER BY seq",
            )?;
            let mut rows = statement.query(params![key, after])?;
            while let Some(row) = rows.next()? {
                if row.get::<_, i64>(0)? != i64::try_from(found.len()).unwrap_or(i64::MAX) + 1 {
                    return Ok(());
                }
                found.push(row.get(1)?);
            }
            Ok(())
        };
        if sweep().is_ok() {
            return found;
        }
        // One by itself: a page that is damaged need not be on the way to it.
        let next = i64::try_from(found.len()).unwrap_or(i64::MAX) + 1;
        let one: rusqlite::Result<Vec<u8>> = damaged.query_row(
            "SELECT json FROM events WHERE job = ?1 AND seq = ?2",
            [key, next],
            |row| row.get(0),
        );
        match one {
            Ok(json) if next < MAX_LOOKS => found.push(json),
            _ => return found,
        }
    }
}

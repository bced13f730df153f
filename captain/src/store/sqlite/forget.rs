//! Retention: whole jobs are taken out of the file, and their pages given back to the disk.

use captain_core::JobId;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{StoreError, failed, signed, unsigned};
use crate::store::MAX_PRUNE;

/// Events that are forgotten in one transaction; a single longer log makes it more.
const MAX_PRUNE_EVENTS: u64 = 20_000;

/// Pages of the file that are given back to the disk after each step of forgetting: a megabyte.
const VACUUM_PAGES: u32 = 256;

/// Forgets the oldest ended jobs in one transaction, and gives their pages back to the disk.
pub(super) fn prune(
    connection: &mut Connection,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<JobId>, StoreError> {
    let transaction = connection.transaction().map_err(failed)?;
    let mut gone = Vec::new();
    {
        let sql = "SELECT key, id, last_seq FROM jobs WHERE terminal = 1 AND updated < ?1 ORDER BY updated LIMIT ?2";
        let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
        let limit = signed(limit.min(MAX_PRUNE) as u64);
        let rows = statement
            .query_map(params![before.to_string(), limit], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, i64>(2)?,
                ))
            })
            .map_err(failed)?;
        let mut events = 0;
        for row in rows {
            let (key, id, last_seq) = row.map_err(failed)?;
            events += unsigned(last_seq);
            if events > MAX_PRUNE_EVENTS && !gone.is_empty() {
                break;
            }
            gone.push((key, id));
        }
    }
    for (key, _) in &gone {
        for sql in [
            "DELETE FROM events WHERE job = ?1",
            "DELETE FROM jobs WHERE key = ?1",
        ] {
            let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
            statement.execute([key]).map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)?;
    if !gone.is_empty() {
        // A file of an older program has no list of free pages: its pages are used again, and it stays as large as it is.
        let vacuum = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
        let mut statement = connection.prepare_cached(&vacuum).map_err(failed)?;
        let mut pages = statement.query(()).map_err(failed)?;
        // One page with each step.
        while pages.next().map_err(failed)?.is_some() {}
    }
    gone.into_iter()
        .map(|(_, id)| {
            JobId::parse(id.as_str()).map_err(|_| StoreError::Corrupt {
                what: "job id",
                value: id,
            })
        })
        .collect()
}

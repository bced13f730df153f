//! The table of push configurations: the writes that ride with a commit, and the reads.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::log::push::PushWrite;
use crate::log::storage::TaskKey;
use crate::log::{DeadLetter, PushRow, PushState, StoredPush};
use crate::version::ProtocolVersion;

const OPEN: i64 = 0;
const DONE: i64 = 1;
const SUSPENDED: i64 = 2;

/// Makes the changes within the transaction that is open; answers about how many bytes that were.
pub(super) fn write(
    connection: &Connection,
    task: TaskKey,
    writes: &[PushWrite],
) -> rusqlite::Result<u64> {
    let mut bytes = 0;
    for write in writes {
        match write {
            PushWrite::Put { row, after } => {
                connection
                    .prepare_cached(
                        "INSERT INTO push_configs (task, id, protocol, key_id, sealed, delivered, state)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                         ON CONFLICT (task, id) DO UPDATE SET
                             protocol = excluded.protocol, key_id = excluded.key_id, sealed = excluded.sealed,
                             state = excluded.state,
                             dead_seq = NULL, dead_tries = NULL, dead_millis = NULL, dead_reason = NULL",
                    )?
                    .execute(params![
                        task,
                        row.id,
                        row.protocol.as_str(),
                        row.key_id,
                        row.sealed.as_ref(),
                        after.cast_signed(),
                        OPEN
                    ])?;
                bytes += row.sealed.len() as u64;
            }
            PushWrite::Delete { id } => {
                connection
                    .prepare_cached("DELETE FROM push_configs WHERE task = ?1 AND id = ?2")?
                    .execute(params![task, id])?;
            }
            PushWrite::Delivered { id, seq } => {
                connection
                    .prepare_cached(
                        "UPDATE push_configs SET delivered = max(delivered, ?3) WHERE task = ?1 AND id = ?2",
                    )?
                    .execute(params![task, id, seq.cast_signed()])?;
            }
            PushWrite::End { id, state } => end(connection, task, id, state)?,
        }
        // A row is small; what it costs is the page that it is on.
        bytes += 128;
    }
    Ok(bytes)
}

fn end(
    connection: &Connection,
    task: TaskKey,
    id: &str,
    state: &PushState,
) -> rusqlite::Result<()> {
    let (code, dead) = match state {
        PushState::Open => (OPEN, None),
        PushState::Done => (DONE, None),
        PushState::Suspended(dead) => (SUSPENDED, Some(dead)),
    };
    connection
        .prepare_cached(
            "UPDATE push_configs SET state = ?3, dead_seq = ?4, dead_tries = ?5, dead_millis = ?6, dead_reason = ?7
             WHERE task = ?1 AND id = ?2",
        )?
        .execute(params![
            task,
            id,
            code,
            dead.map(|dead| dead.seq.cast_signed()),
            dead.map(|dead| dead.tries),
            dead.map(|dead| dead.at.as_millisecond()),
            dead.map(|dead| &dead.reason)
        ])?;
    Ok(())
}

const COLUMNS: &str = "SELECT id, protocol, key_id, sealed, delivered, state, dead_seq, dead_tries, dead_millis, dead_reason
     FROM push_configs WHERE task = ?1";

pub(super) fn one(
    connection: &Connection,
    task: TaskKey,
    id: &str,
) -> rusqlite::Result<Option<StoredPush>> {
    connection
        .prepare_cached(&format!("{COLUMNS} AND id = ?2"))?
        .query_row(params![task, id], stored)
        .optional()
}

pub(super) fn page(
    connection: &Connection,
    task: TaskKey,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<StoredPush>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached(&format!("{COLUMNS} AND id > ?2 ORDER BY id LIMIT ?3"))?
        .query_map(params![task, after, limit], stored)?
        .collect()
}

/// The ids of tasks and configurations that are open.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<Vec<(String, Arc<str>)>> {
    connection
        .prepare_cached(
            "SELECT tasks.id, push_configs.id FROM push_configs JOIN tasks ON tasks.key = push_configs.task
             WHERE push_configs.state = 0 ORDER BY push_configs.task",
        )?
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// The dialect by the name under which it is stored.
fn protocol(name: &str) -> Option<ProtocolVersion> {
    match name {
        "simple" => Some(ProtocolVersion::Simple),
        official => ProtocolVersion::from_text(official),
    }
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredPush> {
    let damaged = |column| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            Type::Integer,
            "not what this column can hold".into(),
        )
    };
    let state = match row.get::<_, i64>(5)? {
        OPEN => PushState::Open,
        DONE => PushState::Done,
        SUSPENDED => PushState::Suspended(DeadLetter {
            seq: row.get::<_, i64>(6)?.cast_unsigned(),
            tries: row.get(7)?,
            at: Timestamp::from_millisecond(row.get(8)?).map_err(|_| damaged(8))?,
            reason: row.get(9)?,
        }),
        _ => return Err(damaged(5)),
    };
    Ok(StoredPush {
        row: PushRow {
            id: row.get(0)?,
            protocol: protocol(row.get_ref(1)?.as_str()?).ok_or_else(|| damaged(1))?,
            key_id: row.get(2)?,
            sealed: Bytes::from(row.get::<_, Vec<u8>>(3)?),
        },
        delivered: row.get::<_, i64>(4)?.cast_unsigned(),
        state,
    })
}

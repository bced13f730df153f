//! The tables, and how older databases become newer ones. `user_version` counts the migrations that were applied;
//! each runs in one transaction. A database with a higher count was written by a newer program and is not touched.

use rusqlite::{Connection, TransactionBehavior};

use super::checkpoint::KEPT;
use super::{BUSY, LogError, failure};

/// Bytes of a page, for databases that are made from now on. Most commits add a few small rows near the end of one tree,
/// and each page that changes goes to the write-ahead log: larger pages are fewer calls, smaller ones fewer bytes, and
/// this is where both together cost least.
pub(super) const PAGE: u64 = 4096;

/// Migration n brings a database from version n to n + 1. Never change one that was released: add another.
pub(super) const MIGRATIONS: &[&str] = &["
    CREATE TABLE tasks (
        key             INTEGER PRIMARY KEY,
        id              TEXT NOT NULL UNIQUE,
        owner           TEXT NOT NULL,
        context_id      TEXT NOT NULL,
        -- What the client calls the task, and how it spoke.
        client_id       TEXT,
        client_form     TEXT,
        state           INTEGER NOT NULL,
        status_millis   INTEGER NOT NULL,
        status_seq      INTEGER NOT NULL,
        -- What an ended task came to: the number of its last event, the task without its artifacts, the artifacts.
        -- Last, so that reading the columns before them does not touch their pages.
        ended_seq       INTEGER,
        ended_task      BLOB,
        ended_artifacts BLOB
    ) STRICT;
    CREATE UNIQUE INDEX tasks_by_client_id ON tasks (owner, client_id) WHERE client_id IS NOT NULL;
    CREATE INDEX tasks_by_owner ON tasks (owner, status_millis, id);
    -- A context has few tasks, so they are sorted when they are listed; this index never changes with a status.
    CREATE INDEX tasks_by_context ON tasks (context_id);
    -- One row per task and commit: a run of events, each as its length (u32, little endian) and JSON. The id is the
    -- task's key, shifted left by 32 bits, and the number of the first event: with such a key one table holds the
    -- events of each task side by side, and finding a place never looks into a payload.
    CREATE TABLE events (
        id      INTEGER PRIMARY KEY,
        payload BLOB NOT NULL
    ) STRICT;
", "
    CREATE TABLE push_configs (
        task        INTEGER NOT NULL,
        id          TEXT NOT NULL,
        -- The dialect in which it was registered.
        protocol    TEXT NOT NULL,
        -- The configuration itself, sealed with that key: an address can be as secret as a token.
        key_id      TEXT NOT NULL,
        sealed      BLOB NOT NULL,
        -- The last event that was delivered.
        delivered   INTEGER NOT NULL,
        -- 0 open, 1 done, 2 suspended.
        state       INTEGER NOT NULL,
        -- Why it is suspended.
        dead_seq    INTEGER,
        dead_tries  INTEGER,
        dead_millis INTEGER,
        dead_reason TEXT,
        PRIMARY KEY (task, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX open_push_configs ON push_configs (task) WHERE state = 0;
", "
    -- From here on a run of events can be in the shorter form that `payload` describes, and a task with a key above that
    -- of every row has none yet: a program that does not know either must not open the database.
", "
    -- The states that end a task, by their numbers in the protocol.
    CREATE INDEX ended_tasks ON tasks (status_millis) WHERE state IN (3, 4, 5, 7);
"];

/// Sets the connection up for writing and brings the database up to date. Answers whether it is new. A new one holds
/// nothing that a power cut could take, so its making does not wait for the disk six times; the caller brings it there.
pub(super) fn prepare(connection: &mut Connection, place: &str) -> Result<bool, LogError> {
    let failed = |error| failure("open", place, error);
    connection.busy_timeout(BUSY).map_err(failed)?;
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(LogError::Newer {
            place: place.to_owned(),
            found,
            known,
        });
    }
    let new = found == 0;
    let synchronous = if new { "OFF" } else { "NORMAL" };
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = {synchronous};
             PRAGMA page_size = {PAGE};
             PRAGMA journal_mode = WAL;
             -- The checkpoint thread does it.
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = {KEPT};"
        ))
        .map_err(failed)?;
    for (version, migration) in (1_i64..)
        .zip(MIGRATIONS)
        .filter(|(version, _)| *version > found)
    {
        let mut migrate = || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()
        };
        migrate().map_err(|error| failure("migrate", place, error))?;
    }
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .map_err(failed)?;
    Ok(new)
}

//! The database's form and its history. `user_version` counts the steps that were made; each step is one transaction.
//! A step that was released is never changed: a new form is a new step at the end.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::super::StoreError;

/// All steps; the first makes the database.
const STEPS: &[&str] = &[
    "
    CREATE TABLE jobs (
        key      INTEGER PRIMARY KEY,
        id       TEXT NOT NULL UNIQUE,
        owner    TEXT NOT NULL,
        goal     TEXT NOT NULL,
        state    TEXT NOT NULL,
        terminal INTEGER NOT NULL,
        created  TEXT NOT NULL,
        updated  TEXT NOT NULL,
        last_seq INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX unfinished_jobs ON jobs (id) WHERE terminal = 0;

    -- class: 0 output, 1 state, 2 terminal
    CREATE TABLE events (
        job   INTEGER NOT NULL REFERENCES jobs (key),
        seq   INTEGER NOT NULL,
        class INTEGER NOT NULL,
        name  TEXT NOT NULL,
        json  BLOB NOT NULL,
        PRIMARY KEY (job, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX state_events ON events (job, seq) WHERE class > 0;
",
    "
    CREATE INDEX ended_jobs ON jobs (updated) WHERE terminal = 1;
",
];

/// How long a reader or a second process is waited for; the writer's transactions take milliseconds.
const BUSY: Duration = Duration::from_secs(5);

/// A connection that writes, to a database of the newest form.
pub(in crate::store) fn open(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source: rusqlite::Error| StoreError::Open {
        place: path.display().to_string(),
        source: source.into(),
    };
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    let found: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::TooNew {
            place: path.display().to_string(),
            found,
            known,
        });
    }
    if found == 0 {
        // Only a file without tables can learn to give pages back.
        connection
            .pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .map_err(failed)?;
    }
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(failed)?;
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .map_err(failed)?;
    for (version, step) in (1_u32..).zip(STEPS).skip(found as usize) {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(step).map_err(failed)?;
        transaction
            .pragma_update(None, "user_version", version)
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source: rusqlite::Error| StoreError::Open {
        place: path.display().to_string(),
        source: source.into(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    Ok(connection)
}

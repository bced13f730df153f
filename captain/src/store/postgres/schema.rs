//! The database's form and its history, as `sqlite::schema` has them for SQLite. Everything is in a schema of its own, so
//! that the database may hold other things too. One row counts the steps that were made; a step that was released is
//! never changed. Captains that start at the same time wait for each other here.

use tokio_postgres::Client;

use super::super::StoreError;
use super::connect::Connection;

/// All steps; the first makes the tables.
const STEPS: &[&str] = &["
    -- A lease of a captain that runs. What it counts up is looked at by the others; no clock is compared.
    CREATE TABLE captains (
        epoch BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name  TEXT NOT NULL,
        host  TEXT NOT NULL,
        beat  BIGINT NOT NULL DEFAULT 0
    );

    -- Times are nanoseconds since 1970. epoch: the lease of the captain that runs the job.
    CREATE TABLE jobs (
        key      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id       TEXT COLLATE \"C\" NOT NULL UNIQUE,
        owner    TEXT NOT NULL,
        goal     TEXT NOT NULL,
        state    TEXT NOT NULL,
        terminal BOOLEAN NOT NULL,
        created  BIGINT NOT NULL,
        updated  BIGINT NOT NULL,
        last_seq BIGINT NOT NULL,
        epoch    BIGINT NOT NULL
    );
    CREATE INDEX unfinished_jobs ON jobs (id) WHERE NOT terminal;
    CREATE INDEX ended_jobs ON jobs (updated) WHERE terminal;

    -- class: 0 output, 1 state, 2 terminal
    CREATE TABLE events (
        job   BIGINT NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
        seq   BIGINT NOT NULL,
        class SMALLINT NOT NULL,
        name  TEXT NOT NULL,
        json  BYTEA NOT NULL,
        PRIMARY KEY (job, seq)
    );
    CREATE INDEX state_events ON events (job, seq) WHERE class > 0;

    -- What was asked of a captain that is not the job's owner.
    CREATE TABLE orders (
        id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        job    BIGINT NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
        body   TEXT NOT NULL,
        answer TEXT
    );
    CREATE INDEX open_orders ON orders (job) WHERE answer IS NULL;

    -- The public key of the captains that may use this database.
    CREATE TABLE identity (
        one_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (one_row),
        kid  TEXT NOT NULL
    );
"];

/// Any number that other programs on the same database do not happen to use for their locks.
const LOCK: i64 = 0x466c_6f74_696c_6c61;

/// Makes the tables or brings them up to date.
pub(super) async fn migrate(client: &Client, place: &str) -> Result<(), StoreError> {
    let failed = |source: tokio_postgres::Error| StoreError::Open {
        place: place.to_owned(),
        source: source.into(),
    };
    client.batch_execute("BEGIN").await.map_err(failed)?;
    client
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await
        .map_err(failed)?;
    let make = "CREATE SCHEMA IF NOT EXISTS flotilla; \
        CREATE TABLE IF NOT EXISTS version (number INTEGER NOT NULL)";
    client.batch_execute(make).await.map_err(failed)?;
    let row = client
        .query_opt("SELECT number FROM version", &[])
        .await
        .map_err(failed)?;
    let found = row.map_or(0, |row| row.get::<_, i32>(0));
    let found = u32::try_from(found).unwrap_or(0);
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if found > known {
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(StoreError::TooNew {
            place: place.to_owned(),
            found,
            known,
        });
    }
    for step in STEPS.iter().skip(found as usize) {
        client.batch_execute(step).await.map_err(failed)?;
    }
    let count = format!("DELETE FROM version; INSERT INTO version VALUES ({known}); COMMIT");
    client.batch_execute(&count).await.map_err(failed)
}

const SERVER: &str =
    "SELECT current_setting('server_version'), to_regclass('flotilla.version') IS NOT NULL";

const STATE: &str = "SELECT (SELECT number FROM version), (SELECT count(*) FROM captains), \
    (SELECT count(*) FROM jobs), (SELECT count(*) FROM jobs WHERE NOT terminal)";

/// What there is, in words.
pub(super) async fn describe(connection: &Connection) -> Result<String, StoreError> {
    let server = connection.query(SERVER, &[]).await?;
    let Some(server) = server.first() else {
        return Err(StoreError::Closed);
    };
    let version: String = server.get(0);
    if !server.get::<_, bool>(1) {
        return Ok(format!(
            "PostgreSQL {version}, empty, the first start makes the tables"
        ));
    }
    let state = connection.query(STATE, &[]).await?;
    let Some(state) = state.first() else {
        return Err(StoreError::Closed);
    };
    let (format, captains): (i32, i64) = (state.get(0), state.get(1));
    let (jobs, unfinished): (i64, i64) = (state.get(2), state.get(3));
    Ok(format!(
        "PostgreSQL {version}, format {format}, {captains} leases, {jobs} jobs, {unfinished} of them unfinished"
    ))
}

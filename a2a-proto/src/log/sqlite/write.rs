//! The writing half: one batch, one transaction. Statements are prepared once and the buffers kept, because this is
//! what every event of every task passes through.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};

use super::checkpoint::Checkpointer;
use super::schema::PAGE;
use super::{BUSY, failure, payload, push};
use crate::log::Snapshot;
use crate::log::storage::{Batch, CommitError, Pace, Patience, TaskBatch, TaskKey};
use crate::types::{Task, TaskState};

pub(super) struct Writer {
    connection: Connection,
    payload: Vec<u8>,
    checkpointer: Checkpointer,
    /// What the connection is set to.
    patience: Patience,
}

/// Why a batch was not written.
enum Stop {
    Duplicate(usize),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Writer {
    pub(super) fn new(connection: Connection, checkpointer: Checkpointer) -> Self {
        Self {
            connection,
            payload: Vec::new(),
            checkpointer,
            patience: Patience::Long,
        }
    }

    pub(super) fn commit(
        &mut self,
        batch: &Batch,
        patience: Patience,
        place: &str,
    ) -> Result<Pace, CommitError> {
        let stop = match self.begin(patience).and_then(|()| self.write(batch)) {
            Ok(bytes) => return Ok(self.checkpointer.wrote(bytes, &self.connection, patience)),
            Err(stop) => stop,
        };
        // Some errors end the transaction by themselves.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot roll back");
        }
        Err(match stop {
            Stop::Duplicate(index) => CommitError::Duplicate(index),
            // Somebody else, a backup or a shell, has the database for a moment.
            Stop::Sqlite(error)
                if patience == Patience::Short
                    && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) =>
            {
                CommitError::Busy
            }
            Stop::Sqlite(error) => CommitError::Failed(failure("write to", place, error)),
        })
    }

    fn begin(&mut self, patience: Patience) -> Result<(), Stop> {
        if self.patience != patience {
            self.connection.busy_timeout(match patience {
                Patience::Short => Duration::ZERO,
                Patience::Long => BUSY,
            })?;
            self.patience = patience;
        }
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute(())?;
        Ok(())
    }

    /// Answers by about how many bytes the write-ahead log grew.
    fn write(&mut self, batch: &Batch) -> Result<u64, Stop> {
        let mut pages = 0;
        for (index, task) in batch
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| !task.is_empty())
        {
            if task.create {
                // The table and its three indexes.
                pages += 4;
                if !create(&self.connection, task)? {
                    return Err(Stop::Duplicate(index));
                }
            } else if let Some((state, at)) = task.status {
                // The table and the index with the time.
                pages += 2;
                self.connection
                    .prepare_cached("UPDATE tasks SET state = ?2, status_millis = ?3, status_seq = ?4 WHERE key = ?1")?
                    .execute(params![task.meta.key, code(state), at.as_millisecond(), task.last_seq().cast_signed()])?;
            }
            pages += push::write(&self.connection, task.meta.key, &task.push)?.div_ceil(PAGE);
            if task.events.is_empty() {
                continue;
            }
            payload::write(&mut self.payload, &task.events);
            pages += 1 + self.payload.len() as u64 / PAGE;
            self.connection
                .prepare_cached("INSERT INTO events (id, payload) VALUES (?1, ?2)")?
                .execute(params![
                    payload::row_id(task.meta.key, task.first_seq),
                    self.payload
                ])?;
        }
        for (key, ended) in &batch.finals {
            pages += 1 + finish(&self.connection, *key, ended)? / PAGE;
        }
        self.connection.prepare_cached("COMMIT")?.execute(())?;
        // One huge commit must not keep its buffer for ever.
        self.payload.shrink_to(1024 * 1024);
        Ok(pages * PAGE)
    }

    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        self.connection
            .pragma_update(None, "max_page_count", pages)
            .unwrap();
    }
}

/// Makes the task's row; `false` when the id or the client's id is taken.
fn create(connection: &Connection, task: &TaskBatch) -> rusqlite::Result<bool> {
    let (meta, (state, at)) = (&task.meta, task.status.unwrap_or_default());
    let alias = meta.alias.as_ref();
    let made = connection
        .prepare_cached(
            "INSERT INTO tasks (key, id, owner, context_id, client_id, client_form, state, status_millis, status_seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            meta.key,
            meta.id,
            meta.owner,
            meta.context_id,
            alias.map(|alias| &alias.id),
            alias.map(|alias| &alias.form),
            code(state),
            at.as_millisecond(),
            task.last_seq().cast_signed()
        ])?;
    Ok(made == 1)
}

/// Keeps what an ended task came to; answers its size.
fn finish(connection: &Connection, key: TaskKey, ended: &Snapshot) -> rusqlite::Result<u64> {
    let task = &ended.task;
    let head = Task {
        id: task.id.clone(),
        context_id: task.context_id.clone(),
        status: task.status.clone(),
        artifacts: Vec::new(),
        history: task.history.clone(),
        metadata: task.metadata.clone(),
        ..Task::default()
    };
    let json = |value: serde_json::Result<Vec<u8>>| {
        value.map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
    };
    let head = json(serde_json::to_vec(&head))?;
    let artifacts = json(serde_json::to_vec(&task.artifacts))?;
    connection
        .prepare_cached(
            "UPDATE tasks SET ended_seq = ?2, ended_task = ?3, ended_artifacts = ?4 WHERE key = ?1",
        )?
        .execute(params![key, ended.seq.cast_signed(), head, artifacts])?;
    Ok((head.len() + artifacts.len()) as u64)
}

/// How a state is stored: by its number in the protocol.
pub(super) fn code(state: TaskState) -> i32 {
    state as i32
}

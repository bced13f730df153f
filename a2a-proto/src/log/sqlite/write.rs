//! The writing half: one batch, one transaction. Statements are prepared once and the buffers kept, because this is
//! what every event of every task passes through.

use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};

use super::checkpoint::Checkpointer;
use super::late::{Late, TaskRow};
use super::schema::PAGE;
use super::{BUSY, failure, payload, push};
use crate::log::Snapshot;
use crate::log::shared::lock;
use crate::log::storage::{Batch, CommitError, Pace, Patience, TaskKey, TaskMeta};
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

    /// Stores `batch`; an empty one has the rows of `late` written.
    pub(super) fn commit(
        &mut self,
        batch: &Batch,
        late: &Mutex<Late>,
        patience: Patience,
        place: &str,
    ) -> Result<Pace, CommitError> {
        // Nobody looks for a task while it is being stored.
        let written = self
            .begin(patience)
            .and_then(|()| self.write(batch, &mut lock(late)));
        let stop = match written {
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
    fn write(&mut self, batch: &Batch, late: &mut Late) -> Result<u64, Stop> {
        let mut pages = 0;
        let new = batch.tasks.iter().filter(|task| task.create).count();
        // What an ended task came to is written to its row.
        let write_rows = batch.tasks.is_empty() || !batch.finals.is_empty() || late.is_due(new);
        let mut written = late.written();
        if write_rows {
            // Rows of one table and three indexes, side by side.
            pages += 4 + late.write(&self.connection)? as u64 / 4;
            written = late.last_key();
        }
        let mut without_row = Vec::new();
        let mut bytes = 0;
        for (index, task) in batch
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| !task.is_empty())
        {
            let meta = &task.meta;
            if task.create {
                if taken_by(&without_row, meta) || late.is_taken(&self.connection, meta)? {
                    return Err(Stop::Duplicate(index));
                }
                let row = TaskRow::of(task);
                if meta.key > written {
                    without_row.push(row);
                } else {
                    // The table and its three indexes.
                    pages += 4;
                    row.insert(&self.connection)?;
                }
            } else if let Some((state, at)) = task.status
                && (write_rows || !late.has(meta.key))
            {
                // The table and the index with the time.
                pages += 2;
                self.connection
                    .prepare_cached("UPDATE tasks SET state = ?2, status_millis = ?3, status_seq = ?4 WHERE key = ?1")?
                    .execute(params![meta.key, code(state), at.as_millisecond(), task.last_seq().cast_signed()])?;
            }
            pages += push::write(&self.connection, meta.key, &task.push)?.div_ceil(PAGE);
            if task.events.is_empty() {
                continue;
            }
            let begin = task.create.then_some(&**meta);
            payload::write(&mut self.payload, begin, &task.events);
            bytes += self.payload.len() as u64;
            pages += 1 + self.payload.len() as u64 / PAGE;
            self.connection
                .prepare_cached("INSERT INTO events (id, payload) VALUES (?1, ?2)")?
                .execute(params![
                    payload::row_id(meta.key, task.first_seq),
                    self.payload
                ])?;
        }
        for (key, ended) in &batch.finals {
            pages += 1 + finish(&self.connection, *key, ended)? / PAGE;
        }
        self.connection.prepare_cached("COMMIT")?.execute(())?;
        if write_rows {
            late.clear();
        }
        late.stored(&batch.tasks, bytes);
        without_row.into_iter().for_each(|row| late.add(row));
        // One huge commit must not keep its buffer for ever.
        self.payload.shrink_to(1024 * 1024);
        Ok(pages * PAGE)
    }

    /// The connection, between two commits.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        self.connection
            .pragma_update(None, "max_page_count", pages)
            .unwrap();
    }
}

/// Whether a task that comes in the same commit is called the same. Ids are no matter here: of two new tasks with one id
/// only the first gets as far as a commit.
fn taken_by(others: &[TaskRow], meta: &TaskMeta) -> bool {
    meta.alias.as_ref().is_some_and(|alias| {
        let same = |other: &TaskMeta| {
            other.owner == meta.owner && other.alias.as_ref().is_some_and(|it| it.id == alias.id)
        };
        others.iter().any(|other| same(&other.meta))
    })
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

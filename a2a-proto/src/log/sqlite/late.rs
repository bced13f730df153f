//! Rows of tasks that are written later than the tasks. What a new task's row and its entries in the indexes say is in its
//! events too, so a commit that makes a task writes only these, and the rows of many tasks follow in one commit.
//!
//! No list of the tasks without rows is stored: they are those whose keys are above that of every row. Rows are written
//! for all of them at once, and a task that comes with a lower key, because another one overtook it, gets its row with
//! its first event; so this always holds, and [`recover`] finds them after a crash. Until then a task is found by what is
//! kept here; whoever lists tasks has the rows written first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::payload;
use super::read::{alias as called, damaged, unpack};
use super::write::code;
use crate::log::LoggedEvent;
use crate::log::storage::{Change, TaskBatch, TaskKey, TaskMeta};
use crate::types::{StreamResponse, TaskState};

/// So many tasks are without rows at most: enough that each page of the table and its indexes is written once for many of
/// them, and few enough that writing them takes a fraction of a millisecond, which whoever commits then waits.
const MOST: usize = 128;

/// So many bytes of events are written at most while a task is without its row. They are read after a crash.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// What a task's row says while the task goes on.
#[derive(Debug)]
pub(super) struct TaskRow {
    pub(super) meta: Arc<TaskMeta>,
    state: TaskState,
    status_millis: i64,
    status_seq: u64,
}

impl TaskRow {
    /// The row of a task that `batch` makes.
    pub(super) fn of(batch: &TaskBatch) -> Self {
        let mut row = Self {
            meta: Arc::clone(&batch.meta),
            state: TaskState::default(),
            status_millis: 0,
            status_seq: 0,
        };
        row.set_status(batch);
        row
    }

    fn set_status(&mut self, batch: &TaskBatch) {
        if let Some((state, at)) = batch.status {
            self.state = state;
            self.status_millis = at.as_millisecond();
            self.status_seq = batch.last_seq();
        }
    }

    /// Writes it.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        let meta = &self.meta;
        let alias = meta.alias.as_ref();
        connection
            .prepare_cached(
                "INSERT INTO tasks (key, id, owner, context_id, client_id, client_form, state, status_millis, status_seq)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                meta.key,
                meta.id,
                meta.owner,
                meta.context_id,
                alias.map(|alias| &alias.id),
                alias.map(|alias| &alias.form),
                code(self.state),
                self.status_millis,
                self.status_seq.cast_signed()
            ])?;
        Ok(())
    }
}

/// The tasks that are stored without rows.
#[derive(Debug, Default)]
pub(super) struct Late {
    rows: BTreeMap<TaskKey, TaskRow>,
    by_id: HashMap<Arc<str>, TaskKey>,
    /// By owner and by what the client calls them.
    by_client: HashMap<(Arc<str>, String), TaskKey>,
    /// The highest key that a row has.
    written: TaskKey,
    /// No id of a task is above this one. Ids are mostly made in order, so a new one is mostly not looked for.
    last_id: Arc<str>,
    /// How many bytes of events were written since there are any.
    bytes: u64,
}

impl Late {
    /// None, beside the rows that are there.
    pub(super) fn begin(connection: &Connection) -> rusqlite::Result<Self> {
        let highest = "SELECT coalesce(max(key), 0), coalesce(max(id), '') FROM tasks";
        connection.query_row(highest, (), |row| {
            Ok(Self {
                written: row.get(0)?,
                last_id: row.get(1)?,
                ..Self::default()
            })
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether the rows are to be written before `more` tasks come.
    pub(super) fn is_due(&self, more: usize) -> bool {
        !self.is_empty() && (self.rows.len() + more > MOST || self.bytes > MOST_BYTES)
    }

    pub(super) fn has(&self, key: TaskKey) -> bool {
        self.rows.contains_key(&key)
    }

    /// The highest key that a row has when all are written.
    pub(super) fn last_key(&self) -> TaskKey {
        let last = self.rows.last_key_value().map(|(key, _)| *key);
        last.map_or(self.written, |last| last.max(self.written))
    }

    /// The highest key that a row has.
    pub(super) fn written(&self) -> TaskKey {
        self.written
    }

    pub(super) fn task(&self, id: &str) -> Option<Arc<TaskMeta>> {
        let row = self.rows.get(self.by_id.get(id)?)?;
        Some(Arc::clone(&row.meta))
    }

    /// The task that `owner` calls `client_id`.
    pub(super) fn called(&self, owner: &str, client_id: &str) -> Option<Arc<TaskMeta>> {
        // Mostly there is none, and then nothing is copied to look for it.
        if self.by_client.is_empty() {
            return None;
        }
        let key = self
            .by_client
            .get(&(Arc::from(owner), client_id.to_owned()))?;
        Some(Arc::clone(&self.rows.get(key)?.meta))
    }

    /// Whether a task has the id of a new one, or is called the same by its client.
    pub(super) fn is_taken(
        &self,
        connection: &Connection,
        meta: &TaskMeta,
    ) -> rusqlite::Result<bool> {
        let known = meta.id <= self.last_id;
        if known && (self.by_id.contains_key(&meta.id) || has_row(connection, &meta.id)?) {
            return Ok(true);
        }
        let Some(alias) = &meta.alias else {
            return Ok(false);
        };
        Ok(self.called(&meta.owner, &alias.id).is_some()
            || called(connection, &meta.owner, &alias.id)?.is_some())
    }

    /// Writes all rows; answers how many there were. They stay here until the commit is made and [`Late::clear`] called.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<usize> {
        for row in self.rows.values() {
            row.insert(connection)?;
        }
        Ok(self.rows.len())
    }

    /// All rows are written.
    pub(super) fn clear(&mut self) {
        self.written = self.last_key();
        self.bytes = 0;
        self.rows.clear();
        self.by_id.clear();
        self.by_client.clear();
    }

    /// A task is stored without its row.
    pub(super) fn add(&mut self, row: TaskRow) {
        let meta = &row.meta;
        if meta.id > self.last_id {
            self.last_id = Arc::clone(&meta.id);
        }
        self.by_id.insert(Arc::clone(&meta.id), meta.key);
        if let Some(alias) = &meta.alias {
            let called = (Arc::clone(&meta.owner), alias.id.clone());
            self.by_client.insert(called, meta.key);
        }
        self.rows.insert(meta.key, row);
    }

    /// Events of some tasks are stored.
    pub(super) fn stored(&mut self, batches: &[TaskBatch], bytes: u64) {
        if self.is_empty() {
            return;
        }
        self.bytes += bytes;
        for batch in batches
            .iter()
            .filter(|batch| !batch.create && batch.status.is_some())
        {
            if let Some(row) = self.rows.get_mut(&batch.meta.key) {
                row.set_status(batch);
            }
        }
    }
}

/// Writes the rows that a crash left unwritten.
pub(super) fn recover(connection: &mut Connection) -> rusqlite::Result<()> {
    let written = Late::begin(connection)?.written;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut last: Option<TaskRow> = None;
    {
        let mut statement =
            transaction.prepare("SELECT id, payload FROM events WHERE id >= ?1 ORDER BY id")?;
        let mut rows = statement.query([payload::row_id(written + 1, 0)])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            let key = payload::key_of(row.get(0)?);
            let begin = unpack(row, &mut events)?;
            if last.as_ref().is_none_or(|last| last.meta.key != key) {
                let begin = begin.ok_or_else(|| damaged(1, "a task without a beginning"))?;
                let first = events
                    .first()
                    .ok_or_else(|| damaged(1, "a task without events"))?;
                let begun = begun(key, begin, first)?;
                if let Some(whole) = last.replace(begun) {
                    whole.insert(&transaction)?;
                }
            }
            for event in events.drain(..) {
                let status = Change::of(parsed(&event)?).status();
                if let (Some(row), Some((state, at))) = (&mut last, status) {
                    row.state = state;
                    row.status_millis = at.as_millisecond();
                    row.status_seq = event.seq;
                }
            }
        }
    }
    if let Some(whole) = &last {
        whole.insert(&transaction)?;
    }
    transaction.commit()
}

/// The row of the task that `first` makes; its status comes from that event like every other.
fn begun(key: TaskKey, begin: payload::Begin, first: &LoggedEvent) -> rusqlite::Result<TaskRow> {
    let StreamResponse::Task(task) = parsed(first)? else {
        return Err(damaged(1, "a task that begins with another event"));
    };
    let meta = TaskMeta {
        key,
        id: task.id.into(),
        owner: begin.owner.into(),
        context_id: task.context_id.into(),
        alias: begin.alias,
    };
    Ok(TaskRow {
        meta: Arc::new(meta),
        state: TaskState::default(),
        status_millis: 0,
        status_seq: 0,
    })
}

fn parsed(event: &LoggedEvent) -> rusqlite::Result<StreamResponse> {
    serde_json::from_slice(&event.json).map_err(|error| damaged(1, error))
}

fn has_row(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    let found = connection
        .prepare_cached("SELECT 1 FROM tasks WHERE id = ?1")?
        .query_row([id], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

//! The reading half: one task, a run of events, a page of the list. Every call works on one consistent view.

use std::sync::Arc;

use rusqlite::types::{Type, Value};
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};

use super::payload::{self, Begin};
use super::write::code;
use crate::log::list::{ListFilter, Position};
use crate::log::storage::{StoredLine, StoredTask, TaskKey, TaskMeta};
use crate::log::{Alias, LoggedEvent, Snapshot};
use crate::types::{Task, TaskState};

const TERMINAL: [TaskState; 4] = [
    TaskState::Completed,
    TaskState::Failed,
    TaskState::Canceled,
    TaskState::Rejected,
];

pub(super) fn load(connection: &Connection, id: &str) -> rusqlite::Result<Option<StoredTask>> {
    // One transaction, so that row and events belong together.
    let view = connection.unchecked_transaction()?;
    let found = view
        .prepare_cached(
            "SELECT key, id, owner, context_id, client_id, client_form, ended_seq, ended_task, ended_artifacts
             FROM tasks WHERE id = ?1",
        )?
        .query_row([id], |row| {
            let (id, form): (Option<String>, Option<String>) = (row.get(4)?, row.get(5)?);
            let meta = TaskMeta {
                key: row.get(0)?,
                id: row.get(1)?,
                owner: row.get(2)?,
                context_id: row.get(3)?,
                alias: id.zip(form).map(|(id, form)| Alias { id, form }),
            };
            let seq = row.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned);
            let ended = seq
                .map(|seq| Ok::<_, rusqlite::Error>((seq, ended(row, 7, Some(8))?)))
                .transpose()?;
            Ok((Arc::new(meta), ended))
        })
        .optional()?;
    match found {
        None => Ok(None),
        Some((meta, None)) => replay(&view, meta).map(Some),
        Some((meta, Some((seq, (task, bytes))))) => Ok(Some(StoredTask {
            meta,
            task,
            seq,
            bytes,
        })),
    }
}

/// The task that the events come to.
pub(super) fn replay(connection: &Connection, meta: Arc<TaskMeta>) -> rusqlite::Result<StoredTask> {
    let (mut task, mut seq, mut bytes) = (Task::default(), 0, 0);
    let mut statement = connection.prepare_cached(ROWS)?;
    let mut rows = statement.query(rows_of(meta.key, 0))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        unpack(row, &mut events)?;
        for event in events.drain(..) {
            task.apply(&serde_json::from_slice(&event.json).map_err(|error| damaged(1, error))?);
            seq = event.seq;
            bytes += event.json.len();
        }
    }
    Ok(StoredTask {
        meta,
        task,
        seq,
        bytes,
    })
}

/// The rows of a task from one on.
const ROWS: &str = "SELECT id, payload FROM events WHERE id >= ?1 AND id < ?2 ORDER BY id";

fn rows_of(key: TaskKey, first: u64) -> [i64; 2] {
    [payload::row_id(key, first), payload::row_id(key + 1, 0)]
}

pub(super) fn events(
    connection: &Connection,
    key: TaskKey,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<LoggedEvent>> {
    let view = connection.unchecked_transaction()?;
    // The row that holds the event can begin before it.
    let begin = view
        .prepare_cached(
            "SELECT id FROM events WHERE id >= ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1",
        )?
        .query_row(
            [payload::row_id(key, 0), payload::row_id(key, after + 1)],
            |row| row.get(0),
        )
        .optional()?;
    let first = begin.map_or(0, payload::first_of);
    let mut statement = view.prepare_cached(ROWS)?;
    let mut rows = statement.query(rows_of(key, first))?;
    let mut events = Vec::new();
    while events.len() < limit
        && let Some(row) = rows.next()?
    {
        let first_row = events.is_empty();
        unpack(row, &mut events)?;
        if first_row {
            events.retain(|event| event.seq > after);
        }
    }
    Ok(events)
}

pub(super) fn list(
    connection: &Connection,
    filter: &ListFilter,
) -> rusqlite::Result<(Vec<StoredLine>, u64)> {
    let mut conditions = String::from("TRUE");
    let mut values: Vec<Value> = Vec::new();
    let mut condition = |sql: &str, bound: &mut dyn Iterator<Item = Value>| {
        conditions.push_str(" AND ");
        conditions.push_str(sql);
        values.extend(bound);
    };
    let mut one = |sql: &str, value: Value| condition(sql, &mut std::iter::once(value));
    if let Some(owner) = &filter.owner {
        // The plus keeps the index of the owner, who may have many tasks, from being chosen before the context's.
        let column = match &filter.context_id {
            Some(_) => "+owner = ?",
            None => "owner = ?",
        };
        one(column, Value::Text(owner.as_ref().to_owned()));
    }
    if let Some(context_id) = &filter.context_id {
        one("context_id = ?", Value::Text(context_id.clone()));
    }
    if let Some(state) = filter.state {
        one("state = ?", Value::Integer(code(state).into()));
    }
    if let Some(millis) = filter.after_millis() {
        one("status_millis >= ?", Value::Integer(millis));
    }
    if filter.unfinished {
        let mut states = TERMINAL
            .map(|state| Value::Integer(code(state).into()))
            .into_iter();
        condition("state NOT IN (?, ?, ?, ?)", &mut states);
    }
    let view = connection.unchecked_transaction()?;
    let count = format!("SELECT count(*) FROM tasks WHERE {conditions}");
    let total: i64 = view
        .prepare_cached(&count)?
        .query_row(params_from_iter(&values), |row| row.get(0))?;
    if let Some(after) = &filter.after {
        conditions.push_str(" AND (status_millis, id) < (?, ?)");
        values.extend([
            Value::Integer(after.0.millis),
            Value::Text(after.0.id.clone()),
        ]);
    }
    let page = format!(
        "SELECT id, status_seq, status_millis, ended_seq, ended_task, {} FROM tasks WHERE {conditions}
         ORDER BY status_millis DESC, id DESC LIMIT ?",
        if filter.artifacts {
            "ended_artifacts"
        } else {
            "NULL"
        }
    );
    values.push(Value::Integer(
        i64::try_from(filter.limit).unwrap_or(i64::MAX),
    ));
    let mut statement = view.prepare_cached(&page)?;
    let lines =
        statement.query_map(params_from_iter(&values), |row| line(row, filter.artifacts))?;
    Ok((lines.collect::<Result<_, _>>()?, total.cast_unsigned()))
}

pub(super) fn alias(
    connection: &Connection,
    owner: &str,
    client_id: &str,
) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT id FROM tasks WHERE owner = ?1 AND client_id = ?2")?
        .query_row([owner, client_id], |row| row.get(0))
        .optional()
}

fn line(row: &Row<'_>, artifacts: bool) -> rusqlite::Result<StoredLine> {
    let id: Arc<str> = row.get(0)?;
    let task = match row.get::<_, Option<i64>>(3)? {
        Some(seq) => Some(Snapshot {
            task: Arc::new(ended(row, 4, artifacts.then_some(5))?.0),
            seq: seq.cast_unsigned(),
        }),
        None => None,
    };
    let position = Position {
        millis: row.get(2)?,
        id: id.as_ref().to_owned(),
    };
    Ok(StoredLine {
        id,
        seq: row.get::<_, i64>(1)?.cast_unsigned(),
        position,
        task,
    })
}

/// The final aggregate of an ended task, and its size.
fn ended(row: &Row<'_>, head: usize, artifacts: Option<usize>) -> rusqlite::Result<(Task, usize)> {
    let json = row.get_ref(head)?.as_blob()?;
    let mut bytes = json.len();
    let mut task: Task = serde_json::from_slice(json).map_err(|error| damaged(head, error))?;
    if let Some(column) = artifacts {
        let json = row.get_ref(column)?.as_blob()?;
        bytes += json.len();
        task.artifacts = serde_json::from_slice(json).map_err(|error| damaged(column, error))?;
    }
    Ok((task, bytes))
}

/// Reads a row of `id, payload`, and what stands before the first event of a task.
pub(super) fn unpack(
    row: &Row<'_>,
    events: &mut Vec<LoggedEvent>,
) -> rusqlite::Result<Option<Begin>> {
    let first = payload::first_of(row.get(0)?);
    payload::read(row.get_ref(1)?.as_blob()?, first, events)
        .ok_or_else(|| damaged(1, "an event is cut short"))
}

pub(super) fn damaged(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, error.into())
}

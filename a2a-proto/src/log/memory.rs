//! [`MemoryLog`]: the task log without a disk, for tests and for agents that need no memory of their own. It keeps
//! everything until it is dropped.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::engine::Engine;
use super::list::{ListFilter, ListPage, Position};
use super::push::PushWrite;
use super::shared::{LogOptions, lock};
use super::storage::{
    Batch, CommitError, Pace, Patience, Storage, StoredLine, StoredTask, TaskBatch, TaskKey,
    TaskMeta,
};
use super::{
    LogError, LogTask, LoggedEvent, NewTask, OpenPush, PushState, Snapshot, StoredPush, TaskLog,
};
use crate::types::{Task, TaskState};

/// A task log that lives as long as the process.
#[derive(Debug)]
pub struct MemoryLog(Engine);

impl MemoryLog {
    /// An empty log with default bounds.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn new() -> std::io::Result<Self> {
        Self::with_options(LogOptions::default())
    }

    /// An empty log.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn with_options(options: LogOptions) -> std::io::Result<Self> {
        Engine::start(Arc::new(MemoryStorage::default()), options, 0).map(Self)
    }

    #[cfg(test)]
    pub(super) fn hot_tasks(&self) -> usize {
        self.0.hot_tasks()
    }
}

impl TaskLog for MemoryLog {
    async fn create(&self, new: NewTask) -> Result<LogTask, LogError> {
        self.0.create(new).await
    }

    async fn open(&self, owner: &str, id: &str) -> Result<LogTask, LogError> {
        self.0.open(Some(owner), id).await
    }

    async fn list(&self, filter: &ListFilter) -> Result<ListPage, LogError> {
        self.0.list(filter).await
    }

    async fn alias(&self, owner: &str, client_id: &str) -> Result<Option<String>, LogError> {
        self.0.alias(owner, client_id).await
    }

    async fn unfinished(&self) -> Result<Vec<LogTask>, LogError> {
        self.0.unfinished().await
    }

    async fn open_pushes(&self) -> Result<Vec<OpenPush>, LogError> {
        self.0.open_pushes().await
    }
}

#[derive(Default)]
struct MemoryStorage(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    tasks: HashMap<TaskKey, Row>,
    ids: HashMap<Arc<str>, TaskKey>,
    aliases: HashMap<(Arc<str>, String), TaskKey>,
}

struct Row {
    meta: Arc<TaskMeta>,
    events: Vec<LoggedEvent>,
    state: TaskState,
    status_millis: i64,
    status_seq: u64,
    ended: Option<Arc<Task>>,
    push: BTreeMap<Arc<str>, StoredPush>,
}

impl Row {
    fn write_push(&mut self, write: &PushWrite) {
        match write {
            PushWrite::Put { row, after } => {
                let delivered = self.push.get(&row.id).map_or(*after, |old| old.delivered);
                let stored = StoredPush {
                    row: row.clone(),
                    delivered,
                    state: PushState::Open,
                };
                self.push.insert(Arc::clone(&row.id), stored);
            }
            PushWrite::Delete { id } => {
                self.push.remove(id);
            }
            PushWrite::Delivered { id, seq } => {
                if let Some(stored) = self.push.get_mut(id) {
                    stored.delivered = stored.delivered.max(*seq);
                }
            }
            PushWrite::End { id, state } => {
                if let Some(stored) = self.push.get_mut(id) {
                    stored.state = state.clone();
                }
            }
        }
    }
}

impl Tables {
    fn create(&mut self, batch: &TaskBatch) {
        let meta = &batch.meta;
        self.ids.insert(Arc::clone(&meta.id), meta.key);
        if let Some(called) = called(meta) {
            self.aliases.insert(called, meta.key);
        }
        let row = Row {
            meta: Arc::clone(meta),
            events: Vec::new(),
            state: TaskState::Unspecified,
            status_millis: 0,
            status_seq: 0,
            ended: None,
            push: BTreeMap::new(),
        };
        self.tasks.insert(meta.key, row);
    }

    fn exists(&self, meta: &TaskMeta) -> bool {
        self.ids.contains_key(&meta.id)
            || called(meta).is_some_and(|called| self.aliases.contains_key(&called))
    }
}

impl Storage for MemoryStorage {
    fn commit(&self, batch: &Batch, _patience: Patience) -> Result<Pace, CommitError> {
        let mut tables = lock(&self.0);
        let new = || {
            batch
                .tasks
                .iter()
                .enumerate()
                .filter(|(_, task)| task.create && !task.events.is_empty())
        };
        let twice = |at: usize, task: &TaskBatch| {
            new().take(at).any(|(before, other)| {
                let taken = called(&other.meta);
                before < at && taken.is_some() && taken == called(&task.meta)
            })
        };
        if let Some((index, _)) =
            new().find(|(at, task)| tables.exists(&task.meta) || twice(*at, task))
        {
            return Err(CommitError::Duplicate(index));
        }
        for task in batch.tasks.iter().filter(|task| !task.is_empty()) {
            if task.create {
                tables.create(task);
            }
            let Some(row) = tables.tasks.get_mut(&task.meta.key) else {
                continue;
            };
            let numbered = (task.first_seq..).zip(&task.events);
            row.events.extend(numbered.map(|(seq, event)| LoggedEvent {
                seq,
                json: event.json.clone(),
            }));
            if let Some((state, at)) = task.status {
                row.state = state;
                row.status_millis = at.as_millisecond();
                row.status_seq = task.last_seq();
            }
            task.push.iter().for_each(|write| row.write_push(write));
        }
        for (key, ended) in &batch.finals {
            if let Some(row) = tables.tasks.get_mut(key) {
                row.ended = Some(Arc::clone(&ended.task));
            }
        }
        Ok(Pace::Quick)
    }

    fn load(&self, id: &str) -> Result<Option<StoredTask>, LogError> {
        let tables = lock(&self.0);
        let Some(row) = tables.ids.get(id).and_then(|key| tables.tasks.get(key)) else {
            return Ok(None);
        };
        let task = match &row.ended {
            Some(task) => Task::clone(task),
            None => replay(&row.events)?,
        };
        let bytes = row.events.iter().map(|event| event.json.len()).sum();
        Ok(Some(StoredTask {
            meta: Arc::clone(&row.meta),
            task,
            seq: row.events.len() as u64,
            bytes,
        }))
    }

    fn read(&self, key: TaskKey, after: u64, limit: usize) -> Result<Vec<LoggedEvent>, LogError> {
        let tables = lock(&self.0);
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        let events = tables
            .tasks
            .get(&key)
            .map(|row| row.events.iter().skip(skip).take(limit).cloned().collect());
        Ok(events.unwrap_or_default())
    }

    fn list(&self, filter: &ListFilter) -> Result<(Vec<StoredLine>, u64), LogError> {
        let tables = lock(&self.0);
        let mut lines: Vec<_> = tables
            .tasks
            .values()
            .filter(|row| matches(row, filter))
            .map(|row| StoredLine {
                id: Arc::clone(&row.meta.id),
                seq: row.status_seq,
                position: Position {
                    millis: row.status_millis,
                    id: row.meta.id.as_ref().to_owned(),
                },
                task: row.ended.as_ref().map(|task| Snapshot {
                    task: Arc::clone(task),
                    seq: row.events.len() as u64,
                }),
            })
            .collect();
        drop(tables);
        lines.sort_by(|a, b| b.position.cmp(&a.position));
        let total = lines.len() as u64;
        if let Some(after) = &filter.after {
            lines.retain(|line| line.position < after.0);
        }
        lines.truncate(filter.limit);
        Ok((lines, total))
    }

    fn alias(&self, owner: &str, client_id: &str) -> Result<Option<String>, LogError> {
        let tables = lock(&self.0);
        let key = tables
            .aliases
            .get(&(Arc::from(owner), client_id.to_owned()));
        let row = key.and_then(|key| tables.tasks.get(key));
        Ok(row.map(|row| row.meta.id.as_ref().to_owned()))
    }

    fn push_config(&self, key: TaskKey, id: &str) -> Result<Option<StoredPush>, LogError> {
        let tables = lock(&self.0);
        let row = tables.tasks.get(&key);
        Ok(row.and_then(|row| row.push.get(id)).cloned())
    }

    fn push_configs(
        &self,
        key: TaskKey,
        after: &str,
        limit: usize,
    ) -> Result<Vec<StoredPush>, LogError> {
        let tables = lock(&self.0);
        let all = tables.tasks.get(&key).into_iter().flat_map(|row| &row.push);
        let page = all.filter(|(id, _)| ***id > *after).take(limit);
        Ok(page.map(|(_, stored)| stored.clone()).collect())
    }

    fn open_pushes(&self) -> Result<Vec<(String, Arc<str>)>, LogError> {
        let tables = lock(&self.0);
        let mut found = Vec::new();
        for row in tables.tasks.values() {
            let open = row
                .push
                .iter()
                .filter(|(_, stored)| stored.state == PushState::Open);
            found.extend(open.map(|(id, _)| (row.meta.id.as_ref().to_owned(), Arc::clone(id))));
        }
        Ok(found)
    }
}

/// Who calls the task by which id.
fn called(meta: &TaskMeta) -> Option<(Arc<str>, String)> {
    let alias = meta.alias.as_ref()?;
    Some((Arc::clone(&meta.owner), alias.id.clone()))
}

fn matches(row: &Row, filter: &ListFilter) -> bool {
    filter
        .owner
        .as_ref()
        .is_none_or(|owner| *owner == row.meta.owner)
        && filter
            .context_id
            .as_ref()
            .is_none_or(|context| **context == *row.meta.context_id)
        && filter.state.is_none_or(|state| state == row.state)
        && filter
            .after_millis()
            .is_none_or(|millis| row.status_millis >= millis)
        && !(filter.unfinished && row.state.is_terminal())
}

/// The task that a list of events, from the first, amounts to.
fn replay(events: &[LoggedEvent]) -> Result<Task, LogError> {
    let mut task = Task::default();
    for event in events {
        task.apply(&event.event()?);
    }
    Ok(task)
}

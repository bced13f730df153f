//! The machine that all logs share: the log's thread, and the way from an id to a hot task. A log is this over
//! its store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use super::cell::TaskCell;
use super::list::{ListFilter, ListPage, PageToken};
use super::shared::{LogOptions, Shared};
use super::storage::{Storage, StoredLine, TaskKey, TaskMeta};
use super::{LogError, LogTask, NewTask, OpenPush, Snapshot, commit, prepare};

pub(super) struct Engine {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    next_key: AtomicI64,
}

impl Engine {
    /// Starts the log's thread. `last_key` is the highest key that the store has given out.
    pub(super) fn start(
        storage: Arc<dyn Storage>,
        options: LogOptions,
        last_key: TaskKey,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(options, storage));
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("task-log".to_owned())
            .spawn(move || commit::run(&for_thread))?;
        Ok(Self {
            shared,
            thread: Some(thread),
            next_key: AtomicI64::new(last_key + 1),
        })
    }

    pub(super) async fn create(&self, new: NewTask) -> Result<LogTask, LogError> {
        let meta = TaskMeta {
            key: self.next_key.fetch_add(1, Ordering::Relaxed),
            id: Arc::from(new.task.id.as_str()),
            owner: new.owner,
            context_id: Arc::from(new.task.context_id.as_str()),
            alias: new.alias,
        };
        let event = prepare::begin(&new.task)?;
        let cell = Arc::new(TaskCell::new(
            Arc::new(meta),
            Arc::clone(&self.shared),
            new.task,
            0,
            0,
        ));
        // In the registry before it is stored: nobody may load a second cell of it between commit and publishing.
        if !Arc::ptr_eq(&self.shared.registry.insert(Arc::clone(&cell)), &cell) {
            return Err(LogError::Duplicate);
        }
        let task = LogTask::new(cell);
        task.create(event, new.push).await?;
        Ok(task)
    }

    pub(super) async fn open(&self, owner: Option<&str>, id: &str) -> Result<LogTask, LogError> {
        let cell = match self.shared.registry.get(id) {
            Some(cell) => cell,
            None => self.load(id).await?,
        };
        // Somebody else's task is not found, and neither is one that is not stored yet.
        if owner.is_some_and(|owner| *owner != *cell.meta.owner) || cell.committed().seq == 0 {
            return Err(not_found(id));
        }
        Ok(LogTask::new(cell))
    }

    async fn load(&self, id: &str) -> Result<Arc<TaskCell>, LogError> {
        let stored = {
            let (shared, id) = (Arc::clone(&self.shared), id.to_owned());
            blocking(move || shared.storage.load(&id)).await?
        };
        let stored = stored.ok_or_else(|| not_found(id))?;
        let shared = Arc::clone(&self.shared);
        let cell = TaskCell::new(stored.meta, shared, stored.task, stored.seq, stored.bytes);
        Ok(self.shared.registry.insert(Arc::new(cell)))
    }

    pub(super) async fn alias(
        &self,
        owner: &str,
        client_id: &str,
    ) -> Result<Option<String>, LogError> {
        let (shared, owner, client_id) = (
            Arc::clone(&self.shared),
            owner.to_owned(),
            client_id.to_owned(),
        );
        blocking(move || shared.storage.alias(&owner, &client_id)).await
    }

    pub(super) async fn list(&self, filter: &ListFilter) -> Result<ListPage, LogError> {
        // One line more than asked for tells whether there is another page.
        let one_more = ListFilter {
            limit: filter.limit.saturating_add(1),
            ..filter.clone()
        };
        let (mut lines, total) = self.lines(one_more).await?;
        let more = lines.len() > filter.limit;
        lines.truncate(filter.limit);
        let next = lines
            .last()
            .filter(|_| more)
            .map(|line| PageToken(line.position.clone()));
        let mut tasks = Vec::with_capacity(lines.len());
        for line in lines {
            tasks.push(self.task_of(line).await?);
        }
        Ok(ListPage { tasks, next, total })
    }

    pub(super) async fn unfinished(&self) -> Result<Vec<LogTask>, LogError> {
        let filter = ListFilter {
            unfinished: true,
            limit: usize::MAX,
            ..ListFilter::of(None)
        };
        let mut tasks = Vec::new();
        for line in self.lines(filter).await?.0 {
            tasks.push(self.open(None, &line.id).await?);
        }
        Ok(tasks)
    }

    pub(super) async fn open_pushes(&self) -> Result<Vec<OpenPush>, LogError> {
        let shared = Arc::clone(&self.shared);
        let mut found = Vec::new();
        for (task, id) in blocking(move || shared.storage.open_pushes()).await? {
            let task = self.open(None, &task).await?;
            found.push(OpenPush { task, id });
        }
        Ok(found)
    }

    async fn lines(&self, filter: ListFilter) -> Result<(Vec<StoredLine>, u64), LogError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.storage.list(&filter)).await
    }

    async fn task_of(&self, line: StoredLine) -> Result<Snapshot, LogError> {
        if let Some(cell) = self.shared.registry.get(&line.id) {
            // The store can be ahead of what is published by one commit.
            let _ = cell
                .watch()
                .wait_for(|committed| committed.seq >= line.seq)
                .await;
            return Ok(cell.snapshot());
        }
        match line.task {
            Some(snapshot) => Ok(snapshot),
            None => Ok(self.open(None, &line.id).await?.snapshot()),
        }
    }

    #[cfg(feature = "sqlite")]
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    #[cfg(test)]
    pub(super) fn hot_tasks(&self) -> usize {
        self.shared.registry.len()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.desk.close();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
        self.shared.registry.clear();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

fn not_found(id: &str) -> LogError {
    LogError::NotFound { id: id.to_owned() }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or(Err(LogError::Closed))
}

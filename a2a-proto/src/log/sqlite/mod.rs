//! [`SqliteLog`]: the task log on disk. One connection writes, one transaction per group of appends; a few connections
//! read. WAL with `synchronous=NORMAL`: a killed process loses nothing that was
//! acknowledged, a power cut may lose the last commits but never leaves half of one.

mod checkpoint;
mod forget;
mod late;
mod payload;
mod push;
mod read;
mod schema;
mod write;

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use self::late::Late;
use super::engine::Engine;
use super::list::{ListFilter, ListPage};
use super::shared::{LogOptions, lock};
use super::storage::{
    Batch, CommitError, Pace, Patience, Storage, StoredLine, StoredTask, TaskKey,
};
use super::{LogError, LogTask, LoggedEvent, NewTask, OpenPush, StoredPush, TaskLog};

/// How many connections read at once; more readers wait. Reads are short and the writer never waits for them.
const READERS: usize = 4;

/// How long a connection waits for a lock that only another program (a backup, a shell) can hold.
const BUSY: Duration = Duration::from_secs(5);

/// A task log in an SQLite database.
#[derive(Debug)]
pub struct SqliteLog(Engine, Arc<SqliteStorage>);

impl SqliteLog {
    /// Opens the database at `path`, making it if it is not there, with default bounds.
    ///
    /// # Errors
    /// [`LogError::InUse`], [`LogError::Newer`], [`LogError::Full`], or what SQLite and the file system say.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LogError> {
        Self::open_with(path, LogOptions::default())
    }

    /// Opens the database at `path`, making it if it is not there.
    ///
    /// # Errors
    /// Like [`SqliteLog::open`].
    pub fn open_with(path: impl AsRef<Path>, options: LogOptions) -> Result<Self, LogError> {
        Self::over(SqliteStorage::open(path.as_ref())?, options)
    }

    fn over(storage: SqliteStorage, options: LogOptions) -> Result<Self, LogError> {
        let last_key = storage.last_key;
        let place = storage.place.clone();
        let storage = Arc::new(storage);
        let engine = Engine::start(Arc::clone(&storage) as Arc<dyn Storage>, options, last_key);
        engine
            .map(|engine| Self(engine, storage))
            .map_err(|source| LogError::Store {
                doing: "start the writer of",
                place,
                source: Arc::new(source),
            })
    }

    /// A log whose database can grow to `pages` only, until the answered switch is thrown.
    #[cfg(test)]
    pub(super) fn open_small(path: &Path, pages: u32) -> (Self, impl Fn(u32) + use<>) {
        let storage = SqliteStorage::open(path).unwrap();
        storage.limit_pages(pages);
        let storage = Arc::new(storage);
        let last_key = storage.last_key;
        let engine = Engine::start(
            Arc::clone(&storage) as Arc<dyn Storage>,
            LogOptions::default(),
            last_key,
        )
        .unwrap();
        let log = Self(engine, Arc::clone(&storage));
        (log, move |pages| storage.limit_pages(pages))
    }

    fn storage(&self) -> Arc<SqliteStorage> {
        Arc::clone(&self.1)
    }

    #[cfg(test)]
    pub(super) fn hot_tasks(&self) -> usize {
        self.0.hot_tasks()
    }
}

impl TaskLog for SqliteLog {
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

impl std::fmt::Debug for SqliteStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStorage")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

struct SqliteStorage {
    path: PathBuf,
    /// The path, for messages.
    place: String,
    writer: Mutex<write::Writer>,
    /// Tasks whose rows are not written yet.
    late: Mutex<Late>,
    readers: Mutex<Readers>,
    returned: Condvar,
    /// The highest key of a task when the log was opened.
    last_key: TaskKey,
    /// Held as long as the log is open: hot tasks are a cache that no other process may invalidate.
    _lock: File,
}

#[derive(Default)]
struct Readers {
    idle: Vec<Connection>,
    open: usize,
}

impl SqliteStorage {
    fn open(path: &Path) -> Result<Self, LogError> {
        let place = path.display().to_string();
        let file = |doing: &'static str| {
            let place = place.clone();
            move |source: std::io::Error| match source.kind() {
                std::io::ErrorKind::StorageFull => LogError::Full { place },
                _ => LogError::Store {
                    doing,
                    place,
                    source: Arc::new(source),
                },
            }
        };
        // SQLite gives its companion files the mode of the database, so it is enough to make that one private.
        let private = || {
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .to_owned()
        };
        private().open(path).map_err(file("make"))?;
        let lock_path = PathBuf::from(format!("{}.lock", path.display()));
        let lock = private().open(&lock_path).map_err(file("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(LogError::InUse { place }),
            Err(std::fs::TryLockError::Error(source)) => return Err(file("lock")(source)),
        }
        let failed = |error| failure("open", &place, error);
        let mut connection = Connection::open_with_flags(path, flags(false)).map_err(failed)?;
        let new = schema::prepare(&mut connection, &place)?;
        let late = late::recover(&mut connection).and_then(|()| Late::begin(&connection));
        let late = late.map_err(|error| failure("read", &place, error))?;
        let checkpointer =
            checkpoint::Checkpointer::start(path, new).map_err(file("start the checkpoints of"))?;
        let writer = Mutex::new(write::Writer::new(connection, checkpointer));
        Ok(Self {
            path: path.to_owned(),
            place,
            writer,
            last_key: late.last_key(),
            late: Mutex::new(late),
            readers: Mutex::default(),
            returned: Condvar::new(),
            _lock: lock,
        })
    }

    /// Runs `read` on a connection of its own.
    fn reading<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LogError> {
        let connection = self
            .reader()
            .map_err(|error| failure("open", &self.place, error))?;
        let result = read(&connection).map_err(|error| failure(doing, &self.place, error));
        lock(&self.readers).idle.push(connection);
        self.returned.notify_one();
        result
    }

    /// Has the rows of all tasks written, for a look at more than one of them.
    fn write_rows(&self) -> Result<(), LogError> {
        if !self.has_more() {
            return Ok(());
        }
        match self.commit(&Batch::default(), Patience::Long) {
            Err(CommitError::Failed(error)) => Err(error),
            // There is nothing in the batch that could be a duplicate, and nothing is busy for the patient.
            Ok(_) | Err(CommitError::Duplicate(_) | CommitError::Busy) => Ok(()),
        }
    }

    fn reader(&self) -> rusqlite::Result<Connection> {
        let mut readers = lock(&self.readers);
        loop {
            if let Some(connection) = readers.idle.pop() {
                return Ok(connection);
            }
            if readers.open < READERS {
                let connection = Connection::open_with_flags(&self.path, flags(true))?;
                connection.busy_timeout(BUSY)?;
                readers.open += 1;
                return Ok(connection);
            }
            readers = self
                .returned
                .wait(readers)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    #[cfg(test)]
    fn limit_pages(&self, pages: u32) {
        lock(&self.writer).limit_pages(pages);
    }
}

impl Storage for SqliteStorage {
    fn commit(&self, batch: &Batch, patience: Patience) -> Result<Pace, CommitError> {
        let mut writer = match (self.writer.try_lock(), patience) {
            (Ok(writer), _) => writer,
            // Somebody has rows written, and may wait for another program.
            (Err(TryLockError::WouldBlock), Patience::Short) => return Err(CommitError::Busy),
            (Err(_), _) => lock(&self.writer),
        };
        writer.commit(batch, &self.late, patience, &self.place)
    }

    fn has_more(&self) -> bool {
        !lock(&self.late).is_empty()
    }

    fn load(&self, id: &str) -> Result<Option<StoredTask>, LogError> {
        // Here first: a row that is not found is never written in between.
        let late = lock(&self.late).task(id);
        self.reading("read", |connection| match late {
            Some(meta) => read::replay(connection, meta).map(Some),
            None => read::load(connection, id),
        })
    }

    fn read(&self, key: TaskKey, after: u64, limit: usize) -> Result<Vec<LoggedEvent>, LogError> {
        self.reading("read", |connection| {
            read::events(connection, key, after, limit)
        })
    }

    fn list(&self, filter: &ListFilter) -> Result<(Vec<StoredLine>, u64), LogError> {
        self.write_rows()?;
        self.reading("list", |connection| read::list(connection, filter))
    }

    fn alias(&self, owner: &str, client_id: &str) -> Result<Option<String>, LogError> {
        if let Some(meta) = lock(&self.late).called(owner, client_id) {
            return Ok(Some(meta.id.as_ref().to_owned()));
        }
        self.reading("read", |connection| {
            read::alias(connection, owner, client_id)
        })
    }

    fn push_config(&self, key: TaskKey, id: &str) -> Result<Option<StoredPush>, LogError> {
        self.reading("read", |connection| push::one(connection, key, id))
    }

    fn push_configs(
        &self,
        key: TaskKey,
        after: &str,
        limit: usize,
    ) -> Result<Vec<StoredPush>, LogError> {
        self.reading("read", |connection| {
            push::page(connection, key, after, limit)
        })
    }

    fn open_pushes(&self) -> Result<Vec<(String, Arc<str>)>, LogError> {
        self.write_rows()?;
        self.reading("read", push::open)
    }
}

/// Each connection is used by one thread at a time, so SQLite's own locking of connections is switched off.
fn flags(read_only: bool) -> OpenFlags {
    let mode = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    mode | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn failure(doing: &'static str, place: &str, error: rusqlite::Error) -> LogError {
    let place = place.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LogError::Full { place },
        _ => LogError::Store {
            doing,
            place,
            source: Arc::new(error),
        },
    }
}

//! The logs in one SQLite file. One thread owns the writing connection and commits everything that waits in one
//! transaction; readers have connections of their own, which WAL keeps out of the writer's way.
//!
//! `synchronous=NORMAL`: what was committed survives the end of the process in any form; a power cut may take the last
//! commits, never the consistency of the file.

mod forget;
mod lock;
pub(super) mod schema;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use captain_core::JobId;
use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use tokio::sync::{mpsc, oneshot};

use super::{Append, Class, Entry, Filter, Head, MAX_READ, Store, StoreError, Which};

/// Batches that may wait for the writer. The engine waits for each of its own, so this only has to be small.
const QUEUE: usize = 64;

/// Idle reading connections that are kept; each holds a page cache of up to 2 MB.
const IDLE_READERS: usize = 4;

const READ_ALL: &str = "SELECT seq, class, name, json FROM events JOIN jobs ON job = key \
    WHERE id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";

/// The partial index holds no output, however much of it lies between.
const READ_WITHOUT_OUTPUT: &str = "SELECT seq, class, name, json FROM events JOIN jobs ON job = key \
    WHERE id = ?1 AND seq > ?2 AND class > 0 ORDER BY seq LIMIT ?3";

/// The logs in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    /// None only while it is being dropped.
    writer: Option<mpsc::Sender<Work>>,
    /// The writer's thread.
    thread: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
    /// The file is ours until this is dropped.
    _lock: Option<File>,
}

/// What waits for the writer, and where its answer goes.
#[derive(Debug)]
enum Work {
    Append(Vec<Append>, oneshot::Sender<Result<(), StoreError>>),
    Prune {
        before: Timestamp,
        limit: usize,
        answer: oneshot::Sender<Result<Vec<JobId>, StoreError>>,
    },
}

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteStore {
    /// Opens the file, making it or bringing it up to date where needed. Blocks for as long as that takes. Nobody else
    /// can open it until the store is dropped or its process has ended in whatever way.
    ///
    /// # Errors
    /// [`StoreError::InUse`]; [`StoreError::Open`]; [`StoreError::TooNew`] for a file that a newer program has written,
    /// which stays untouched.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = lock::take(path)?;
        let mut store = Self::start(path, schema::open(path)?)?;
        store._lock = Some(lock);
        Ok(store)
    }

    fn start(path: &Path, connection: Connection) -> Result<Self, StoreError> {
        let (writer, queue) = mpsc::channel(QUEUE);
        let opened = |source: std::io::Error| StoreError::Open {
            place: path.display().to_string(),
            source: source.into(),
        };
        // The thread ends when the last sender is dropped, which is when the store is.
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_all(connection, queue))
            .map_err(opened)?;
        let readers = Readers {
            path: path.to_owned(),
            idle: Mutex::default(),
        };
        Ok(Self {
            writer: Some(writer),
            thread: Some(thread),
            readers: Arc::new(readers),
            _lock: None,
        })
    }

    /// Has the writer do something.
    async fn ask<T>(
        &self,
        work: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Work,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let writer = self.writer.as_ref().ok_or(StoreError::Closed)?;
        writer
            .send(work(answer))
            .await
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `read` on a thread for blocking work.
    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let work = move || {
            let connection = readers.take()?;
            let result = read(&connection);
            readers.give_back(connection);
            result
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| StoreError::Closed)?
    }
}

impl Drop for SqliteStore {
    /// Waits until everything is written and the file is closed: the last to close it brings its write-ahead log into it.
    fn drop(&mut self) {
        let readers = &self.readers.idle;
        readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        drop(self.writer.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Store for SqliteStore {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask(|answer| Work::Append(batch, answer)).boxed()
    }

    fn read<'a>(
        &'a self,
        job: &'a JobId,
        after: u64,
        limit: usize,
        which: Which,
    ) -> BoxFuture<'a, Result<Vec<Arc<Entry>>, StoreError>> {
        let job = job.clone();
        self.reading(move |connection| {
            let sql = match which {
                Which::All => READ_ALL,
                Which::WithoutOutput => READ_WITHOUT_OUTPUT,
            };
            let mut statement = connection.prepare_cached(sql).map_err(unread)?;
            let rows = statement
                .query_map(
                    params![
                        job.as_str(),
                        signed(after),
                        signed(limit.min(MAX_READ) as u64)
                    ],
                    entry,
                )
                .map_err(unread)?;
            rows.map(|row| row.map(Arc::new).map_err(unread)).collect()
        })
        .boxed()
    }

    fn head<'a>(&'a self, job: &'a JobId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        let job = job.clone();
        self.reading(move |connection| {
            let sql = format!("SELECT {HEAD} FROM jobs WHERE id = ?1");
            let mut statement = connection.prepare_cached(&sql).map_err(unread)?;
            let found = statement
                .query_row([job.as_str()], raw_head)
                .optional()
                .map_err(unread)?;
            found.map(RawHead::check).transpose()
        })
        .boxed()
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Vec<Head>, StoreError>> {
        let filter = filter.clone();
        self.reading(move |connection| {
            let sql = format!(
                "SELECT {HEAD} FROM jobs WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR state = ?2) \
                 AND (?3 IS NULL OR id < ?3) AND terminal <= ?4 ORDER BY id DESC LIMIT ?5"
            );
            let mut statement = connection.prepare_cached(&sql).map_err(unread)?;
            let before = filter.before.as_ref().map(JobId::as_str);
            let wanted =
                params![filter.owner, filter.state, before, !filter.unfinished, signed(filter.page() as u64)];
            let rows = statement.query_map(wanted, raw_head).map_err(unread)?;
            rows.map(|row| row.map_err(unread)?.check()).collect()
        })
        .boxed()
    }

    fn prune(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<JobId>, StoreError>> {
        let work = move |answer| Work::Prune {
            before,
            limit,
            answer,
        };
        self.ask(work).boxed()
    }
}

impl Readers {
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        idle.map_or_else(|| schema::open_to_read(&self.path), Ok)
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
    }
}

/// The writer's thread: whatever waits is committed together.
fn write_all(mut connection: Connection, mut queue: mpsc::Receiver<Work>) {
    let mut waiting = Vec::new();
    while queue.blocking_recv_many(&mut waiting, QUEUE) > 0 {
        let (mut batches, mut answers) = (Vec::new(), Vec::new());
        let mut prunes = Vec::new();
        for work in waiting.drain(..) {
            match work {
                Work::Append(batch, answer) => {
                    batches.push(batch);
                    answers.push(answer);
                }
                Work::Prune {
                    before,
                    limit,
                    answer,
                } => prunes.push((before, limit, answer)),
            }
        }
        for (result, answer) in commit(&mut connection, &batches).into_iter().zip(answers) {
            // Whoever asked may be gone; the entries are there all the same.
            let _ = answer.send(result);
        }
        for (before, limit, answer) in prunes {
            let _ = answer.send(forget::prune(&mut connection, before, limit));
        }
    }
}

/// One transaction for all batches; each batch that conflicts is undone by itself, any other failure undoes all.
fn commit(connection: &mut Connection, batches: &[Vec<Append>]) -> Vec<Result<(), StoreError>> {
    let mut results = Vec::with_capacity(batches.len());
    let mut all = || -> Result<(), StoreError> {
        let mut transaction = connection.transaction().map_err(failed)?;
        for batch in batches {
            let savepoint = transaction.savepoint().map_err(failed)?;
            match batch.iter().try_for_each(|part| add(&savepoint, part)) {
                Ok(()) => savepoint.commit().map_err(failed)?,
                Err(conflict @ StoreError::Conflict { .. }) => {
                    drop(savepoint);
                    results.push(Err(conflict));
                    continue;
                }
                Err(other) => return Err(other),
            }
            results.push(Ok(()));
        }
        transaction.commit().map_err(failed)
    };
    match all() {
        Ok(()) => results,
        Err(error) if batches.len() == 1 => vec![Err(error)],
        // Which batch was at fault is not known; each is tried by itself.
        Err(_) => batches
            .iter()
            .flat_map(|batch| commit(connection, std::slice::from_ref(batch)))
            .collect(),
    }
}

pub(super) fn add(connection: &Connection, part: &Append) -> Result<(), StoreError> {
    let head = &part.head;
    let conflict = || StoreError::Conflict {
        job: head.job.clone(),
        expected: part.expected,
    };
    let (created, updated) = (head.created.to_string(), head.updated.to_string());
    let values = params![
        head.job.as_str(),
        head.owner,
        head.goal,
        head.state,
        head.terminal,
        created,
        updated,
        signed(head.last_seq),
        signed(part.expected)
    ];
    // The comparison with the expected end is the compare-and-set that lets only one captain write a log.
    let sql = if part.expected == 0 {
        concat!(
            "INSERT INTO jobs (id, owner, goal, state, terminal, created, updated, last_seq) ",
            "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE ?9 = 0 ON CONFLICT (id) DO NOTHING RETURNING key"
        )
    } else {
        concat!(
            "UPDATE jobs SET owner = ?2, goal = ?3, state = ?4, terminal = ?5, created = ?6, updated = ?7, ",
            "last_seq = ?8 WHERE id = ?1 AND last_seq = ?9 RETURNING key"
        )
    };
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let key: Option<i64> = statement
        .query_row(values, |row| row.get(0))
        .optional()
        .map_err(failed)?;
    let key = key.ok_or_else(conflict)?;
    let sql = "INSERT INTO events (job, seq, class, name, json) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    for entry in &part.entries {
        let values = params![
            key,
            signed(entry.seq),
            class_number(entry.class),
            entry.name,
            &entry.json[..]
        ];
        statement.execute(values).map_err(failed)?;
    }
    Ok(())
}

fn failed(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(error.into()),
        _ => StoreError::Write(error.into()),
    }
}

fn unread(error: rusqlite::Error) -> StoreError {
    StoreError::Read(error.into())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let class = match row.get::<_, i64>(1)? {
        0 => Class::Output,
        1 => Class::State,
        _ => Class::Terminal,
    };
    let json: Vec<u8> = row.get(3)?;
    Ok(Entry {
        seq: unsigned(row.get(0)?),
        class,
        name: Cow::Owned(row.get(2)?),
        json: Bytes::from(json),
    })
}

fn class_number(class: Class) -> i64 {
    match class {
        Class::Output => 0,
        Class::State => 1,
        Class::Terminal => 2,
    }
}

/// The columns of a [`RawHead`], in order.
const HEAD: &str = "id, owner, goal, state, terminal, created, updated, last_seq";

/// A head as the database holds it.
struct RawHead {
    job: String,
    owner: String,
    goal: String,
    state: String,
    terminal: bool,
    created: String,
    updated: String,
    last_seq: i64,
}

fn raw_head(row: &Row<'_>) -> rusqlite::Result<RawHead> {
    Ok(RawHead {
        job: row.get(0)?,
        owner: row.get(1)?,
        goal: row.get(2)?,
        state: row.get(3)?,
        terminal: row.get(4)?,
        created: row.get(5)?,
        updated: row.get(6)?,
        last_seq: row.get(7)?,
    })
}

impl RawHead {
    fn check(self) -> Result<Head, StoreError> {
        let time = |what, text: String| {
            text.parse()
                .map_err(|_| StoreError::Corrupt { what, value: text })
        };
        Ok(Head {
            job: JobId::parse(self.job.as_str()).map_err(|_| StoreError::Corrupt {
                what: "job id",
                value: self.job,
            })?,
            owner: self.owner,
            goal: self.goal,
            state: self.state,
            terminal: self.terminal,
            created: time("time of creation", self.created)?,
            updated: time("time of change", self.updated)?,
            last_seq: unsigned(self.last_seq),
        })
    }
}

/// SQLite's integers are signed; logs never come near the difference.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

//! Moving what the write-ahead log holds into the database, on a thread of its own: a checkpoint waits for the disk,
//! and the writer, on whom every acknowledgement waits, should not. Only when the writer outruns the checkpoints does
//! it stop for one, so that the write-ahead log stays bounded.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::flags;
use crate::log::shared::lock;
use crate::log::storage::{Pace, Patience};

/// After so many bytes in the write-ahead log a checkpoint is due.
const DUE: u64 = 16 * 1024 * 1024;

/// A write-ahead log larger than this makes the writer wait, so that it can begin again at its start. Large, because it
/// then waits for the disk, which takes what comes in such numbers more slowly than it comes.
const TOO_LARGE: u64 = 1024 * 1024 * 1024;

/// A write-ahead log that was larger is cut to this when it begins again. Not smaller, because cutting and growing the
/// file costs more than writing to it.
pub(super) const KEPT: u64 = 256 * 1024 * 1024;

pub(super) struct Checkpointer {
    /// Since the last checkpoint was asked for.
    written: u64,
    /// About so many bytes are in the write-ahead log.
    in_log: Arc<AtomicU64>,
    /// Held during a checkpoint: SQLite refuses a second one instead of waiting for the first.
    running: Arc<Mutex<()>>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// For the database at `path`; a `new` one is brought to the disk first.
    pub(super) fn start(path: &Path, new: bool) -> std::io::Result<Self> {
        // One request waits at most: a second would ask for the same.
        let (wake, asked) = sync_channel(1);
        let in_log = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&in_log);
        let running = Arc::new(Mutex::new(()));
        let run_alone = Arc::clone(&running);
        let path = path.to_owned();
        let run = move || {
            if new && let Err(error) = bring_to_disk(&path) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot bring the new task log to the disk"
                );
            }
            // Made when it is needed, which in a short life is never.
            let mut connection = None;
            while asked.recv().is_ok() {
                let _alone = lock(&run_alone);
                let before = counted.load(Ordering::Relaxed);
                // Only when all of it was moved does the writer begin again at the start.
                if moved(&mut connection, &path) {
                    // The writer may have begun to count anew.
                    let less = |bytes: u64| Some(bytes.saturating_sub(before));
                    let _ = counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("task-log-disk".to_owned())
            .spawn(run)?;
        Ok(Self {
            written: 0,
            in_log,
            running,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// Tells that the write-ahead log grew by so many bytes. A writer without patience is told when it has to stop.
    pub(super) fn wrote(&mut self, bytes: u64, writer: &Connection, patience: Patience) -> Pace {
        self.written += bytes;
        let in_log = self.in_log.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if in_log > TOO_LARGE {
            if patience == Patience::Short {
                return Pace::Slow;
            }
            let _alone = lock(&self.running);
            let all = checkpoint(writer, "PRAGMA wal_checkpoint(RESTART)");
            // Where a reader was in the way, it is not tried again at once.
            let left = if all { 0 } else { TOO_LARGE - DUE };
            self.in_log.store(left, Ordering::Relaxed);
            self.written = 0;
        } else if self.written >= DUE
            && let Some(wake) = &self.wake
        {
            // A request that waits already will do.
            let _ = wake.try_send(());
            self.written = 0;
        }
        Pace::Quick
    }
}

/// The file, what is written ahead of it, and their names.
fn bring_to_disk(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()?;
    File::open(format!("{}-wal", path.display()))?.sync_all()?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn moved(connection: &mut Option<Connection>, path: &Path) -> bool {
    if connection.is_none() {
        match Connection::open_with_flags(path, flags(false)) {
            Ok(opened) => *connection = Some(opened),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot open the task log for a checkpoint"
            ),
        }
    }
    connection
        .as_ref()
        .is_some_and(|connection| checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)"))
}

/// Answers whether everything was moved. A checkpoint that fails is tried again with the next one; nothing depends on it
/// but space.
fn checkpoint(connection: &Connection, sql: &str) -> bool {
    let done = connection.query_row(sql, (), |row| {
        let [busy, in_log, moved]: [i64; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        Ok(busy == 0 && in_log == moved)
    });
    done.unwrap_or_else(|error| {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a checkpoint of the task log failed"
        );
        false
    })
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

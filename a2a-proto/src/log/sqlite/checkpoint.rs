//! Moving what the write-ahead log holds into the database, on a thread of its own: a checkpoint waits for the disk,
//! and the writer, on whom every acknowledgement waits, should not. Only when the writer outruns the checkpoints does
//! it stop for one, so that the write-ahead log stays bounded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// After so many bytes written a checkpoint is due.
const DUE: u64 = 16 * 1024 * 1024;

/// A write-ahead log larger than this makes the writer wait, so that it can begin again at its start.
const TOO_LARGE: u64 = 256 * 1024 * 1024;

pub(super) struct Checkpointer {
    written: u64,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    behind: Arc<AtomicBool>,
}

impl Checkpointer {
    /// `connection` is for this alone.
    pub(super) fn start(connection: Connection, path: &Path) -> std::io::Result<Self> {
        // One request waits at most: a second would ask for the same.
        let (wake, asked) = sync_channel(1);
        let behind = Arc::new(AtomicBool::new(false));
        let (flag, wal) = (
            Arc::clone(&behind),
            PathBuf::from(format!("{}-wal", path.display())),
        );
        let run = move || {
            while asked.recv().is_ok() {
                checkpoint(&connection, "PRAGMA wal_checkpoint(PASSIVE)");
                let size = std::fs::metadata(&wal).map_or(0, |file| file.len());
                flag.store(size > TOO_LARGE, Ordering::Relaxed);
            }
        };
        let thread = std::thread::Builder::new()
            .name("task-log-disk".to_owned())
            .spawn(run)?;
        Ok(Self {
            written: 0,
            wake: Some(wake),
            thread: Some(thread),
            behind,
        })
    }

    /// Tells that the writer committed so many bytes.
    pub(super) fn wrote(&mut self, bytes: u64, writer: &Connection) {
        self.written += bytes;
        if self.written < DUE {
            return;
        }
        self.written = 0;
        if self.behind.swap(false, Ordering::Relaxed) {
            checkpoint(writer, "PRAGMA wal_checkpoint(RESTART)");
        } else if let Some(wake) = &self.wake {
            // A request that waits already will do.
            let _ = wake.try_send(());
        }
    }
}

/// A checkpoint that fails is tried again with the next one; nothing depends on it but space.
fn checkpoint(connection: &Connection, sql: &str) {
    if let Err(error) = connection.query_row(sql, (), |_| Ok(())) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a checkpoint of the task log failed"
        );
    }
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

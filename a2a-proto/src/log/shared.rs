//! What all tasks of one log share: the options, the store, the registry of hot tasks, the desk where tasks wait to be
//! committed, and the committer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::commit::Committer;
use super::desk::Desk;
use super::registry::Registry;
use super::storage::Storage;

/// Bounds of a task log. The defaults suit one worker or one captain.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Events of one task that may wait for their commit; further appends wait for room.
    pub pending_events: usize,
    /// Bytes of one task that may wait for their commit; one event may exceed it.
    pub pending_bytes: usize,
    /// Newest events of one task that are kept in memory for its readers.
    pub tail_events: usize,
    /// Bytes of the newest events of one task that are kept in memory.
    pub tail_bytes: usize,
    /// Tasks kept in memory. Only idle ones are evicted, so more can be there while they are in use.
    pub hot_tasks: usize,
    /// Bytes of tasks kept in memory, roughly; idle ones beyond it are evicted.
    pub hot_bytes: usize,
    /// How long an event that nobody waits for may wait for others to share its commit.
    pub linger: Duration,
    /// A commit that takes longer has waited for the disk, and the next ones may do so too: the log's own thread makes
    /// them until one is quick again.
    pub slow: Duration,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            // 512 events of a token stream are some 150 KiB: enough for a full commit, little to lose.
            pending_events: 512,
            pending_bytes: 1024 * 1024,
            // A reader that keeps up needs a few commits' worth; the bytes are the bound that counts.
            tail_events: 8192,
            tail_bytes: 1024 * 1024,
            // What was made before them has left the processor's caches, and reading a task back takes microseconds.
            hot_tasks: 256,
            // An ended task is kept for who asks for its result, which is mostly soon and mostly once.
            hot_bytes: 8 * 1024 * 1024,
            // Shorter than anybody can see, long enough to turn hundreds of token deltas into one commit.
            linger: Duration::from_millis(1),
            slow: Duration::from_millis(5),
        }
    }
}

/// A poisoned lock only says that another thread panicked; every critical section here leaves valid data.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Shared {
    pub(super) options: LogOptions,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) registry: Registry,
    pub(super) desk: Desk,
    /// Used by whoever has the role, so nobody ever waits for this lock.
    pub(super) committer: Mutex<Committer>,
}

impl Shared {
    pub(super) fn new(options: LogOptions, storage: Arc<dyn Storage>) -> Self {
        let registry = Registry::new(options.hot_tasks, options.hot_bytes);
        Self {
            options,
            storage,
            registry,
            desk: Desk::default(),
            committer: Mutex::default(),
        }
    }
}

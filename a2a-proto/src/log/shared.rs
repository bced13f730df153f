//! What all tasks of one log share: the options, the store, the registry of hot tasks, and the list of tasks that
//! have something to commit. The writer thread sleeps on that list. Nothing here touches a single event.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cell::TaskCell;
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
            hot_tasks: 1024,
            hot_bytes: 32 * 1024 * 1024,
            // Shorter than anybody can see, long enough to turn hundreds of token deltas into one commit.
            linger: Duration::from_millis(1),
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
    work: Mutex<Work>,
    arrived: Condvar,
}

#[derive(Default)]
struct Work {
    /// Tasks with something to commit, each once.
    dirty: Vec<Arc<TaskCell>>,
    /// Somebody waits for one of them.
    urgent: bool,
    closed: bool,
    writer: Writer,
}

/// What the writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Writer {
    /// It commits, and looks again when it has.
    #[default]
    Busy,
    /// It waits, but not for longer than an event may linger.
    Naps,
    /// It waits to be woken.
    Sleeps,
}

/// After so many naps without work it is quiet.
const QUIET: u32 = 4;

impl Shared {
    pub(super) fn new(options: LogOptions, storage: Arc<dyn Storage>) -> Self {
        let registry = Registry::new(options.hot_tasks, options.hot_bytes);
        Self {
            options,
            storage,
            registry,
            work: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    /// Hands a task to the writer. `first` says that its queue was empty before. Answers whether the log is open.
    pub(super) fn submit(&self, cell: &Arc<TaskCell>, first: bool, urgent: bool) -> bool {
        let mut work = lock(&self.work);
        if work.closed {
            return false;
        }
        if first {
            work.dirty.push(Arc::clone(cell));
        }
        // A writer that naps looks by itself in time for what may linger.
        let wake = match work.writer {
            Writer::Busy => false,
            Writer::Naps => urgent,
            Writer::Sleeps => true,
        };
        work.urgent |= urgent;
        if wake {
            work.writer = Writer::Busy;
        }
        drop(work);
        if wake {
            self.arrived.notify_one();
        }
        true
    }

    /// Commits what there is without further lingering.
    pub(super) fn hurry(&self) {
        let mut work = lock(&self.work);
        work.urgent = true;
        let wake = work.writer != Writer::Busy;
        drop(work);
        if wake {
            self.arrived.notify_one();
        }
    }

    /// Waits until there is something to commit and it has lingered; `None` after the close, when everything was handed
    /// out. With `leftover`, nothing comes when it has been quiet for a while.
    pub(super) fn next_work(&self, leftover: bool) -> Option<Vec<Arc<TaskCell>>> {
        let mut work = lock(&self.work);
        let mut naps = 0;
        loop {
            let lingered = naps > 0 && !work.dirty.is_empty();
            if (work.urgent || work.closed || lingered) && !work.dirty.is_empty() {
                work.urgent = false;
                work.writer = Writer::Busy;
                return Some(std::mem::take(&mut work.dirty));
            }
            if work.closed {
                return None;
            }
            if leftover && naps >= QUIET {
                work.writer = Writer::Busy;
                return Some(Vec::new());
            }
            // After work there is mostly more of it: napping first spares everybody the cost of waking the writer.
            work = if naps < QUIET || !work.dirty.is_empty() {
                work.writer = Writer::Naps;
                naps += 1;
                let nap = self.arrived.wait_timeout(work, self.options.linger);
                nap.unwrap_or_else(PoisonError::into_inner).0
            } else {
                work.writer = Writer::Sleeps;
                self.arrived
                    .wait(work)
                    .unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Refuses further appends; the writer commits what it has and ends.
    pub(super) fn close(&self) {
        lock(&self.work).closed = true;
        self.arrived.notify_one();
    }
}

//! One job's newest entries, for those who follow it live. A reader that falls behind them reads the log and comes
//! back: it costs no memory, holds nobody up and misses nothing. What is here is stored already.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use captain_core::JobId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::store::Entry;

/// Entries that are kept at most. A reader that keeps up is a few behind.
const MAX_ENTRIES: usize = 512;

/// Bytes that are kept at most; the newest entry is kept whatever its size.
const MAX_BYTES: usize = 512 * 1024;

/// The feeds of all jobs that have not ended.
pub(super) type Feeds = Arc<Mutex<HashMap<JobId, Arc<Feed>>>>;

/// One job's newest entries.
#[derive(Debug)]
pub(super) struct Feed {
    end: watch::Sender<u64>,
    recent: Mutex<Recent>,
    /// Cancelled when nothing more will come here.
    closed: CancellationToken,
}

#[derive(Debug, Default)]
struct Recent {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
}

impl Feed {
    /// The feed of a log that ends at `end`.
    pub(super) fn new(end: u64, closed: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            end: watch::Sender::new(end),
            recent: Mutex::default(),
            closed,
        })
    }

    /// Tells those who follow that nothing more will come here.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Cancelled when nothing more will come here.
    pub(super) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Shows entries that have been stored; they follow what was shown before.
    pub(super) fn publish(&self, entries: Vec<Arc<Entry>>) {
        let Some(end) = entries.last().map(|entry| entry.seq) else {
            return;
        };
        let mut recent = lock(&self.recent);
        for entry in entries {
            recent.bytes += entry.json.len();
            recent.entries.push_back(entry);
        }
        while recent.entries.len() > MAX_ENTRIES
            || (recent.bytes > MAX_BYTES && recent.entries.len() > 1)
        {
            let oldest = recent
                .entries
                .pop_front()
                .map_or(0, |entry| entry.json.len());
            recent.bytes -= oldest;
        }
        drop(recent);
        self.end.send_replace(end);
    }

    /// Where the log ends, and how to wait for more.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// Up to `limit` entries strictly after `seq`; none when they are not all here any more.
    pub(super) fn after(&self, seq: u64, limit: usize) -> Option<Vec<Arc<Entry>>> {
        let recent = lock(&self.recent);
        let first = recent.entries.front()?.seq;
        let skip = (seq + 1).checked_sub(first)?;
        let skip = usize::try_from(skip).ok()?;
        Some(
            recent
                .entries
                .iter()
                .skip(skip)
                .take(limit)
                .cloned()
                .collect(),
        )
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

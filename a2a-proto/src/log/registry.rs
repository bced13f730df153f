//! The hot tasks by id, bounded in number and bytes. A task is evicted only when nobody but the registry holds it:
//! no reader, no producer, nothing queued. What is evicted is loaded again from the store when it is asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::cell::TaskCell;
use super::shared::lock;

/// How many tasks one sweep looks at, so that a full house of busy tasks costs little.
const SWEEP: usize = 64;

pub(super) struct Registry {
    hot: Mutex<Hot>,
    bytes: AtomicUsize,
    max_tasks: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Hot {
    cells: HashMap<Arc<str>, Arc<TaskCell>>,
    /// Every id of `cells` once; the front was looked at longest ago.
    order: VecDeque<Arc<str>>,
}

impl Registry {
    pub(super) fn new(max_tasks: usize, max_bytes: usize) -> Self {
        Self {
            hot: Mutex::default(),
            bytes: AtomicUsize::new(0),
            max_tasks,
            max_bytes,
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<TaskCell>> {
        lock(&self.hot).cells.get(id).map(Arc::clone)
    }

    /// Puts the cell in, or answers the one that is there.
    pub(super) fn insert(&self, cell: Arc<TaskCell>) -> Arc<TaskCell> {
        let mut hot = lock(&self.hot);
        let id = &cell.meta.id;
        if let Some(there) = hot.cells.get(id) {
            return Arc::clone(there);
        }
        let evicted = self.sweep(&mut hot);
        hot.order.push_back(Arc::clone(id));
        hot.cells.insert(Arc::clone(id), Arc::clone(&cell));
        drop(hot);
        // Freeing a large aggregate takes a while; nobody waits for it here.
        drop(evicted);
        cell
    }

    /// Takes out a task that was never stored.
    pub(super) fn remove(&self, id: &str) {
        let mut hot = lock(&self.hot);
        let removed = hot.cells.remove(id);
        hot.order.retain(|other| **other != *id);
        drop(hot);
        drop(removed);
    }

    /// Takes out a task that is about to be forgotten. False if somebody holds it.
    #[cfg(feature = "sqlite")]
    pub(super) fn let_go(&self, id: &str) -> bool {
        let mut hot = lock(&self.hot);
        // The lock is held, so a count of one cannot grow.
        if hot
            .cells
            .get(id)
            .is_some_and(|cell| Arc::strong_count(cell) > 1)
        {
            return false;
        }
        let removed = hot.cells.remove(id);
        hot.order.retain(|other| **other != *id);
        drop(hot);
        drop(removed);
        true
    }

    /// Evicts idle tasks while there are too many or they are too large.
    pub(super) fn trim(&self) {
        if self.bytes.load(Ordering::Relaxed) > self.max_bytes {
            let evicted = self.sweep(&mut lock(&self.hot));
            drop(evicted);
        }
    }

    fn sweep(&self, hot: &mut Hot) -> Vec<Arc<TaskCell>> {
        let mut evicted = Vec::new();
        let mut freed = 0;
        for _ in 0..SWEEP.min(hot.order.len()) {
            let full = hot.cells.len() >= self.max_tasks
                || self.bytes.load(Ordering::Relaxed).saturating_sub(freed) > self.max_bytes;
            if !full {
                break;
            }
            let Some(id) = hot.order.pop_front() else {
                break;
            };
            // The lock is held, so a count of one cannot grow: nobody else can find the cell.
            match hot.cells.get(&id) {
                Some(cell) if Arc::strong_count(cell) == 1 && cell.committed().seq > 0 => {
                    freed += cell.bytes();
                    evicted.extend(hot.cells.remove(&id));
                }
                _ => hot.order.push_back(id),
            }
        }
        evicted
    }

    pub(super) fn grew(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn shrank(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives up what is queued for every task.
    pub(super) fn abandon(&self) {
        let cells: Vec<_> = lock(&self.hot).cells.values().map(Arc::clone).collect();
        cells.iter().for_each(|cell| cell.abandon());
    }

    /// Lets go of every task: they hold what holds them.
    pub(super) fn clear(&self) {
        let cells = std::mem::take(&mut *lock(&self.hot));
        drop(cells);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.hot).cells.len()
    }
}

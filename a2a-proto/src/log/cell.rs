//! One hot task: on the producers' side a bounded queue of appends, on the readers' side the aggregate, the tail of
//! the newest events and the committed number. The writer thread moves things from the first to the second, after
//! the commit. Producers never wait for readers, readers never for producers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot, watch};

use super::prepare;
use super::push::PushWrite;
use super::shared::{Shared, lock};
use super::storage::{Prepared, TaskMeta};
use super::{Committed, Expect, LogError, LoggedEvent, Snapshot};
use crate::types::{Task, TaskState};

/// One append on its way to the writer.
pub(super) struct Append {
    pub(super) expect: Expect,
    pub(super) create: bool,
    pub(super) events: Events,
    /// A change of the task's push configurations, made just before the events.
    pub(super) push: Option<Box<PushWrite>>,
    /// Where to answer; without it nobody waits, and a failure is told to the next append.
    pub(super) reply: Option<oneshot::Sender<Result<u64, LogError>>>,
}

/// Most appends carry one event, which needs no list.
pub(super) enum Events {
    One(Prepared),
    Many(Vec<Prepared>),
}

impl Events {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(events) => events.len(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::One(event) => event.json.len(),
            Self::Many(events) => events.iter().map(|event| event.json.len()).sum(),
        }
    }

    pub(super) fn as_slice(&self) -> &[Prepared] {
        match self {
            Self::One(event) => std::slice::from_ref(event),
            Self::Many(events) => events,
        }
    }
}

/// What waits for the writer.
#[derive(Default)]
struct Pending {
    appends: Vec<Append>,
    events: usize,
    bytes: usize,
    /// An append that nobody waited for failed with this.
    lost: Option<LogError>,
}

/// What readers see.
struct Hot {
    task: Arc<Task>,
    seq: u64,
    tail: VecDeque<Bytes>,
    tail_bytes: usize,
}

/// What a reader finds after a number.
pub(super) enum Tail {
    /// Events, at least one.
    Events(Vec<LoggedEvent>),
    /// There are some, but only the store still has them.
    Behind,
    /// Nothing yet.
    Empty,
}

pub(super) struct TaskCell {
    pub(super) meta: Arc<TaskMeta>,
    /// How the JSON of every artifact event of this task begins.
    pub(super) artifact_head: Box<[u8]>,
    pub(super) shared: Arc<Shared>,
    pending: Mutex<Pending>,
    room: Notify,
    hot: Mutex<Hot>,
    committed: watch::Sender<Committed>,
    /// Rough size of the aggregate and the tail, for the registry's bound.
    bytes: AtomicUsize,
}

impl TaskCell {
    /// A cell over what is stored: `seq` 0 for a task that is not stored yet.
    pub(super) fn new(
        meta: Arc<TaskMeta>,
        shared: Arc<Shared>,
        task: Task,
        seq: u64,
        bytes: usize,
    ) -> Self {
        let committed = watch::Sender::new(Committed {
            seq,
            state: task.status.state,
        });
        shared.registry.grew(bytes);
        let hot = Hot {
            task: Arc::new(task),
            seq,
            tail: VecDeque::new(),
            tail_bytes: 0,
        };
        Self {
            artifact_head: prepare::artifact_head(&meta.id, &meta.context_id),
            meta,
            shared,
            pending: Mutex::default(),
            room: Notify::new(),
            hot: Mutex::new(hot),
            committed,
            bytes: AtomicUsize::new(bytes),
        }
    }

    pub(super) fn committed(&self) -> Committed {
        *self.committed.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Committed> {
        self.committed.subscribe()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let hot = lock(&self.hot);
        Snapshot {
            task: Arc::clone(&hot.task),
            seq: hot.seq,
        }
    }

    /// Queues an append, waiting for room first. Fails at once when an append that nobody waited for was lost.
    pub(super) async fn push(self: &Arc<Self>, append: Append) -> Result<(), LogError> {
        let Some(mut append) = self.try_push(append)? else {
            return Ok(());
        };
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            // Registered before the next look, so that no wake-up falls between look and wait.
            room.as_mut().enable();
            match self.try_push(append)? {
                None => return Ok(()),
                Some(back) => append = back,
            }
            room.await;
        }
    }

    /// Queues an append, or gives it back when there is no room.
    fn try_push(self: &Arc<Self>, append: Append) -> Result<Option<Append>, LogError> {
        let bytes = append.events.bytes();
        // A configuration waits like an event, so that the queue stays bounded.
        let events = append.events.len() + usize::from(append.push.is_some());
        // What the deliveries write is nothing of the producers, whom a lost event concerns.
        let of_producer = append.push.is_none() || append.events.len() > 0;
        let limits = &self.shared.options;
        let mut pending = lock(&self.pending);
        if of_producer && let Some(error) = pending.lost.take() {
            return Err(error);
        }
        let first = pending.appends.is_empty();
        let fits = pending.events + events <= limits.pending_events
            && pending.bytes + bytes <= limits.pending_bytes;
        if !fits && !first {
            // Whoever fills a queue has lingered enough.
            self.shared.hurry();
            return Ok(Some(append));
        }
        if !self.shared.submit(self, first, append.reply.is_some()) {
            return Err(LogError::Closed);
        }
        pending.events += events;
        pending.bytes += bytes;
        pending.appends.push(append);
        Ok(None)
    }

    /// Takes everything that is queued, leaving `empty` in its place.
    pub(super) fn take(&self, empty: Vec<Append>) -> Vec<Append> {
        let mut pending = lock(&self.pending);
        pending.events = 0;
        pending.bytes = 0;
        let taken = std::mem::replace(&mut pending.appends, empty);
        drop(pending);
        self.room.notify_waiters();
        taken
    }

    /// Remembers that an append that nobody waited for failed.
    pub(super) fn lose(&self, error: LogError) {
        lock(&self.pending).lost.get_or_insert(error);
    }

    /// The failure of an append that nobody waited for, told once.
    pub(super) fn take_lost(&self) -> Option<LogError> {
        lock(&self.pending).lost.take()
    }

    /// Makes stored events visible.
    pub(super) fn publish(&self, events: Vec<Prepared>) {
        let limits = &self.shared.options;
        let mut added = 0;
        let committed = {
            let mut hot = lock(&self.hot);
            let hot = &mut *hot;
            let task = Arc::make_mut(&mut hot.task);
            for Prepared { change, json } in events {
                // A created task is its own first event already.
                if hot.seq > 0 {
                    change.apply(task);
                }
                hot.seq += 1;
                added += json.len();
                hot.tail_bytes += json.len();
                hot.tail.push_back(json);
            }
            while hot.tail.len() > limits.tail_events
                || hot.tail_bytes > limits.tail_bytes && hot.tail.len() > 1
            {
                hot.tail_bytes -= hot.tail.pop_front().map_or(0, |json| json.len());
            }
            Committed {
                seq: hot.seq,
                state: hot.task.status.state,
            }
        };
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.shared.registry.grew(added);
        self.committed.send_replace(committed);
    }

    /// Up to `limit` events, or about `bytes` of them, after number `after`.
    pub(super) fn tail(&self, after: u64, limit: usize, bytes: usize) -> Tail {
        let hot = lock(&self.hot);
        if after >= hot.seq {
            return Tail::Empty;
        }
        let first = hot.seq - hot.tail.len() as u64 + 1;
        let Some(skip) = (after + 1).checked_sub(first) else {
            return Tail::Behind;
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let mut size = 0;
        let events: Vec<_> = (after + 1..)
            .zip(hot.tail.iter().skip(skip).take(limit))
            .take_while(|(_, json)| {
                let fits = size < bytes;
                size += json.len();
                fits
            })
            .map(|(seq, json)| LoggedEvent {
                seq,
                json: json.clone(),
            })
            .collect();
        if events.is_empty() {
            Tail::Behind
        } else {
            Tail::Events(events)
        }
    }

    /// Whether the task has ended and `after` is its last event.
    pub(super) fn ended_at(&self, after: u64) -> bool {
        let committed = self.committed();
        committed.state.is_terminal() && committed.seq <= after
    }

    pub(super) fn state(&self) -> TaskState {
        self.committed().state
    }
}

impl Drop for TaskCell {
    fn drop(&mut self) {
        self.shared.registry.shrank(self.bytes());
    }
}

//! One hot task: on the producers' side a bounded queue of appends, on the readers' side the aggregate, the tail of
//! the newest events and the committed number. Whoever commits moves things from the first to the second, after
//! the commit. Producers never wait for readers, readers never for producers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot, watch};

use super::desk::{Pledge, Role, Submitted};
use super::push::PushWrite;
use super::shared::{Shared, lock};
use super::storage::{Prepared, TaskMeta};
use super::{Committed, Expect, LogError, LoggedEvent, Snapshot, commit, prepare};
use crate::types::{Task, TaskState};

/// One append on its way to a commit.
pub(super) struct Append {
    pub(super) expect: Expect,
    pub(super) create: bool,
    pub(super) events: Events,
    /// A change of the task's push configurations, made just before the events.
    pub(super) push: Option<Box<PushWrite>>,
    /// Where to answer; without it nobody waits, and a failure is told to the next append.
    pub(super) reply: Option<oneshot::Sender<Result<u64, LogError>>>,
}

impl Append {
    /// The room that it takes. A push configuration waits like an event, so that the queue stays bounded.
    pub(super) fn load(&self) -> Load {
        let mut load = Load::of(self.events.as_slice());
        load.events += usize::from(self.push.is_some());
        load
    }
}

/// Most appends carry one event, which needs no list.
pub(super) enum Events {
    One(Prepared),
    Many(Vec<Prepared>),
}

impl Events {
    pub(super) fn as_slice(&self) -> &[Prepared] {
        match self {
            Self::One(event) => std::slice::from_ref(event),
            Self::Many(events) => events,
        }
    }
}

/// What waits for a commit.
#[derive(Default)]
struct Pending {
    appends: Vec<Append>,
    /// How many events and bytes are queued or being committed.
    load: Load,
    /// An append that nobody waited for failed with this.
    lost: Option<LogError>,
    /// What is queued found no space, and this is what was said.
    full: Option<LogError>,
}

/// An amount of events.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

impl Load {
    pub(super) fn of(events: &[Prepared]) -> Self {
        Self {
            events: events.len(),
            bytes: events.iter().map(|event| event.json.len()).sum(),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            bytes: self.bytes + other.bytes,
        }
    }

    pub(super) fn less(self, other: Self) -> Self {
        Self {
            events: self.events.saturating_sub(other.events),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// What came of an attempt to queue.
enum Pushed<'a> {
    /// It is in the queue; with a pledge, the caller has to see to its commit.
    Queued(Option<Pledge<'a>>),
    /// There was no room; with a role, the caller can make some.
    NoRoom(Append, Option<Role<'a>>),
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

    /// Queues an append, waiting for room first, and commits it if nobody else does. Fails at once when an append that
    /// nobody waited for was lost.
    pub(super) async fn push(self: &Arc<Self>, append: Append) -> Result<(), LogError> {
        let Some(pledge) = self.push_when_there_is_room(append).await? else {
            return Ok(());
        };
        // Whatever else is ready on this thread goes first: what it appends goes into the same commit.
        tokio::task::yield_now().await;
        if let Some(role) = pledge.redeem() {
            commit::here(&self.shared, role);
        }
        Ok(())
    }

    async fn push_when_there_is_room(
        self: &Arc<Self>,
        append: Append,
    ) -> Result<Option<Pledge<'_>>, LogError> {
        let mut append = match self.try_push(append)? {
            Pushed::Queued(pledge) => return Ok(pledge),
            Pushed::NoRoom(back, role) => {
                self.make_room(role);
                back
            }
        };
        loop {
            // A producer that is always ready would keep its readers, who share the thread, from sending.
            tokio::task::yield_now().await;
            let mut room = std::pin::pin!(self.room.notified());
            // Registered before the next look, so that no wake-up falls between look and wait.
            room.as_mut().enable();
            match self.try_push(append)? {
                Pushed::Queued(pledge) => return Ok(pledge),
                Pushed::NoRoom(back, role) => {
                    self.make_room(role);
                    append = back;
                }
            }
            room.await;
        }
    }

    /// Has the caller commit what is in its way.
    fn make_room(&self, role: Option<Role<'_>>) {
        if let Some(role) = role {
            commit::here(&self.shared, role);
        }
    }

    /// Queues an append, or gives it back when there is no room.
    fn try_push(self: &Arc<Self>, append: Append) -> Result<Pushed<'_>, LogError> {
        let load = append.load();
        // What the deliveries write is nothing of the producers, whom a lost event concerns.
        let of_producer = append.push.is_none() || !append.events.as_slice().is_empty();
        let limits = &self.shared.options;
        let mut pending = lock(&self.pending);
        if of_producer && let Some(error) = pending.lost.take() {
            return Err(error);
        }
        let sum = pending.load.plus(load);
        let fits = sum.events <= limits.pending_events && sum.bytes <= limits.pending_bytes;
        // One append may be larger than all the room there is.
        if !fits && pending.load.events > 0 {
            // Whoever waits for an answer is not kept until there is space.
            if let (Some(_), Some(full)) = (&append.reply, &pending.full) {
                return Err(full.clone());
            }
            drop(pending);
            // Whoever fills a queue has lingered enough.
            return Ok(Pushed::NoRoom(append, self.shared.desk.hurry()));
        }
        let first = pending.appends.is_empty();
        let urgent = append.reply.is_some();
        let pledge = match self.shared.desk.submit(self, first, urgent) {
            Submitted::Refused => return Err(LogError::Closed),
            Submitted::Queued => None,
            Submitted::Pledged(pledge) => Some(pledge),
        };
        pending.load = sum;
        pending.appends.push(append);
        Ok(Pushed::Queued(pledge))
    }

    /// Takes everything that is queued, leaving `empty` in its place. The room is still used until [`TaskCell::free`].
    pub(super) fn take(&self, empty: Vec<Append>) -> Vec<Append> {
        let mut pending = lock(&self.pending);
        pending.full = None;
        std::mem::replace(&mut pending.appends, empty)
    }

    /// Makes room, after a commit.
    pub(super) fn free(&self, load: Load) {
        if load.events > 0 {
            let mut pending = lock(&self.pending);
            pending.load = pending.load.less(load);
            drop(pending);
            self.room.notify_waiters();
        }
    }

    /// Puts taken events, for which there was no space, back to the front of the queue. Answers whether it was empty.
    pub(super) fn put_back(&self, events: Vec<Prepared>, full: LogError) -> bool {
        let mut pending = lock(&self.pending);
        pending.full = Some(full);
        let first = pending.appends.is_empty();
        let append = Append {
            expect: Expect::Open,
            create: false,
            events: Events::Many(events),
            push: None,
            reply: None,
        };
        pending.appends.insert(0, append);
        drop(pending);
        // For those who wait for an answer and not for room.
        self.room.notify_waiters();
        first
    }

    /// Gives up what is queued: whoever waits for it is told that the log is closed.
    pub(super) fn abandon(&self) {
        let mut pending = lock(&self.pending);
        pending.load = Load::default();
        let appends = std::mem::take(&mut pending.appends);
        drop(pending);
        drop(appends);
        self.room.notify_waiters();
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
        // Most short tasks have no reader. Whoever becomes one at this moment looks at the value first.
        self.committed.send_if_modified(|now| {
            *now = committed;
            self.committed.receiver_count() > 0
        });
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

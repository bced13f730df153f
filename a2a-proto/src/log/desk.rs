//! Who commits, and when. One thread at a time has the [`Role`]: mostly the one that appends something and waits for
//! it, because a commit takes less time than waking another thread; the log's own thread takes what nobody waits for,
//! what takes long, and what could not be stored for want of space. Nothing here touches a single event.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cell::TaskCell;
use super::shared::lock;
use super::storage::Pace;

/// After so many naps without work it is quiet.
const QUIET: u32 = 4;

/// How long what found the disk full waits before it is tried again: soon enough for a person who has made room, and
/// seldom enough to cost nothing.
const HOLD: Duration = Duration::from_millis(250);

/// Where tasks wait to be committed.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    /// Tasks with something to commit, each once.
    dirty: Vec<Arc<TaskCell>>,
    /// Somebody waits for one of them.
    urgent: bool,
    /// Tasks whose events found the disk full, and when they are tried again.
    held: Vec<Arc<TaskCell>>,
    retry_at: Option<Instant>,
    /// Somebody has the role.
    taken: bool,
    /// The log's thread has to go on with what another thread began.
    handed: bool,
    /// Something is to be stored when it is quiet.
    leftover: bool,
    /// A commit took long, so the log's thread makes them until one is quick again.
    slow: bool,
    closed: bool,
    /// A commit panicked.
    broken: bool,
    thread: Thread,
}

/// What the log's thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Thread {
    /// It commits, and looks again when it has.
    #[default]
    Busy,
    /// It waits, but not for longer than an event may linger.
    Naps,
    /// It waits to be woken.
    Sleeps,
}

/// What became of an append.
pub(super) enum Submitted<'a> {
    /// The log is closed.
    Refused,
    /// Somebody will commit it.
    Queued,
    /// The caller has to see to its commit.
    Pledged(Pledge<'a>),
}

/// The duty to see that what was handed in is committed. Between taking it and [`Pledge::redeem`] others can hand in
/// theirs, for the same commit. Dropped, it falls to the log's thread.
pub(super) struct Pledge<'a> {
    desk: &'a Desk,
}

/// The right to commit. It is given back by [`Role::next`]; dropped by a panic, it closes the log, because nobody knows
/// what was stored.
pub(super) struct Role<'a> {
    desk: &'a Desk,
    given_back: bool,
}

impl Desk {
    /// Hands in a task. `first` says that its queue was empty before.
    pub(super) fn submit(&self, cell: &Arc<TaskCell>, first: bool, urgent: bool) -> Submitted<'_> {
        let mut state = lock(&self.state);
        if state.closed {
            return Submitted::Refused;
        }
        if first {
            state.dirty.push(Arc::clone(cell));
        }
        state.urgent |= urgent;
        if urgent && !state.slow && !state.handed {
            return Submitted::Pledged(Pledge { desk: self });
        }
        // A thread that naps looks by itself in time for what may linger; whoever has the role looks when done.
        let wake = match state.thread {
            Thread::Busy => false,
            Thread::Naps => urgent,
            Thread::Sleeps => true,
        };
        if wake && !state.taken {
            self.wake(&mut state);
        }
        Submitted::Queued
    }

    /// Has what there is committed without further lingering.
    pub(super) fn hurry(&self) -> Option<Role<'_>> {
        let mut state = lock(&self.state);
        if state.dirty.is_empty() {
            // What holds up the caller is being committed, or the disk is full.
            return None;
        }
        state.urgent = true;
        if state.may_commit_here() {
            return Some(self.role(&mut state));
        }
        if !state.taken {
            self.wake(&mut state);
        }
        None
    }

    fn role(&self, state: &mut State) -> Role<'_> {
        state.taken = true;
        Role {
            desk: self,
            given_back: false,
        }
    }

    fn wake(&self, state: &mut State) {
        if state.thread != Thread::Busy {
            state.thread = Thread::Busy;
            self.arrived.notify_one();
        }
    }

    /// Keeps a task whose events found the disk full.
    pub(super) fn hold(&self, cell: Arc<TaskCell>) {
        let mut state = lock(&self.state);
        state.held.push(cell);
        state.retry_at.get_or_insert_with(|| Instant::now() + HOLD);
        // If the thread sleeps, then until somebody wakes it.
        self.wake(&mut state);
    }

    /// For the log's thread: waits until there is something for it to do; `None` when the log is closed and all is done.
    pub(super) fn wait(&self, linger: Duration) -> Option<Role<'_>> {
        let mut state = lock(&self.state);
        let mut naps = 0;
        loop {
            if state.retry_at.is_some_and(|at| at <= Instant::now()) || state.closed {
                state.retry_held();
            }
            let due = state.handed
                || state.leftover && (naps >= QUIET || state.closed)
                || !state.dirty.is_empty() && (state.urgent || state.closed || naps > 0);
            if due && !state.taken {
                state.thread = Thread::Busy;
                state.handed = false;
                state.leftover = false;
                return Some(self.role(&mut state));
            }
            if state.closed && !state.taken {
                return None;
            }
            // After work there is mostly more of it: napping first spares everybody the cost of waking this thread.
            let nap = naps < QUIET || !state.dirty.is_empty() || state.taken || state.leftover;
            let timeout = if nap {
                state.thread = Thread::Naps;
                naps += 1;
                linger
            } else {
                state.thread = Thread::Sleeps;
                state.retry_at.map_or(Duration::MAX, |at| {
                    at.saturating_duration_since(Instant::now())
                })
            };
            let waited = self.arrived.wait_timeout(state, timeout);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Refuses further appends; the log's thread commits what there is and ends.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.thread = Thread::Busy;
        self.arrived.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// Whether a commit panicked: what is queued will never be stored.
    pub(super) fn is_broken(&self) -> bool {
        lock(&self.state).broken
    }
}

impl<'a> Pledge<'a> {
    /// The right to commit, if it is still needed and nobody has it.
    pub(super) fn redeem(self) -> Option<Role<'a>> {
        let desk = self.desk;
        let mut state = lock(&desk.state);
        let needed = state.urgent && !state.dirty.is_empty();
        let role = (needed && state.may_commit_here()).then(|| desk.role(&mut state));
        // Before `self` is dropped, which looks whether somebody else has to see to it.
        drop(state);
        role
    }
}

impl Drop for Pledge<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.desk.state);
        // Whoever has the role looks at what is urgent when done.
        if !state.taken && state.urgent && !state.dirty.is_empty() {
            self.desk.wake(&mut state);
        }
    }
}

impl State {
    fn may_commit_here(&self) -> bool {
        !self.taken && !self.slow && !self.handed
    }

    fn retry_held(&mut self) {
        self.dirty.append(&mut self.held);
        self.retry_at = None;
    }
}

impl Role<'_> {
    /// What there is to commit.
    pub(super) fn take(&self) -> Vec<Arc<TaskCell>> {
        let mut state = lock(&self.desk.state);
        state.urgent = false;
        std::mem::take(&mut state.dirty)
    }

    /// After one commit: whether the caller has to make another one. If not, the role is given back.
    ///
    /// `rest` says that something was taken and not committed yet, `leftover` that something waits for quiet, `stop`
    /// that the caller has something better to do.
    pub(super) fn next(&mut self, pace: Pace, rest: bool, leftover: bool, stop: bool) -> bool {
        let desk = self.desk;
        let mut state = lock(&desk.state);
        state.slow = pace == Pace::Slow;
        let more = rest || state.urgent && !state.dirty.is_empty();
        if more && !stop {
            return true;
        }
        state.taken = false;
        state.handed |= rest;
        state.leftover |= leftover;
        let asleep = state.thread == Thread::Sleeps && (!state.dirty.is_empty() || leftover);
        if more || asleep || state.closed {
            desk.wake(&mut state);
        }
        self.given_back = true;
        false
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        if !self.given_back {
            let mut state = lock(&self.desk.state);
            state.taken = false;
            state.closed = true;
            state.broken = true;
            // To tell everybody who waits.
            state.handed = true;
            self.desk.wake(&mut state);
        }
    }
}

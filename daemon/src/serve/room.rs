//! The bound on connections, and who leaves when it is reached: the connection that has been without an open request for
//! longest. Clients that connect and say nothing can so not keep others out, however many they are. Only where every
//! connection has a request open do further ones wait in the system's queue. Nothing is read or written here.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use hyper::body::{Frame, SizeHint};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Files that a process has open beside its connections: databases, pipes, what it reads and writes.
const OTHER_FILES: u64 = 256;
/// Connections that there are in any case, however few files are allowed.
const FEWEST: usize = 16;

/// As many connections as are wanted, or as many as the system's limit on open files has room for. The limit is raised as
/// far as it may be: by default it is far below what a server needs.
pub(super) fn seats(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let needed = u64::try_from(wanted)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    let Some(current) = limit.current.filter(|current| *current < needed) else {
        return wanted;
    };
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    limit.current = Some(raised);
    let files = match setrlimit(Resource::Nofile, limit) {
        Ok(()) => raised,
        Err(_) => current,
    };
    let room = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    let seats = room.max(FEWEST).min(wanted);
    if seats < wanted {
        tracing::warn!(
            seats,
            wanted,
            files,
            "the limit on open files allows fewer connections"
        );
    }
    seats
}

/// The open connections of one listener.
pub(super) struct Room {
    seats: Arc<Semaphore>,
    guests: Mutex<HashMap<u64, Arc<Guest>>>,
    next: AtomicU64,
    began: Instant,
    /// Told when a connection has no open request any more.
    idle: Arc<Notify>,
}

/// What is known of one connection.
pub(super) struct Guest {
    /// Requests whose answers are not finished.
    open: AtomicUsize,
    /// Whether there was a request at all.
    used: AtomicBool,
    /// When the last of them was finished, or the connection made, in milliseconds since `began`.
    since: AtomicU64,
    began: Instant,
    asked: AtomicBool,
    leave: Notify,
    idle: Arc<Notify>,
}

/// A connection's place in the room, held while it is open.
pub(super) struct Seat {
    pub(super) guest: Arc<Guest>,
    number: u64,
    room: Arc<Room>,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new(seats: usize) -> Arc<Self> {
        Arc::new(Self {
            seats: Arc::new(Semaphore::new(seats)),
            guests: Mutex::default(),
            next: AtomicU64::new(0),
            began: Instant::now(),
            idle: Arc::default(),
        })
    }

    /// A seat for a new connection. Where there is none, the one that has been idle for longest is asked to leave; where
    /// none is idle, one is waited for.
    pub(super) async fn seat(self: &Arc<Self>) -> Seat {
        loop {
            if let Ok(permit) = Arc::clone(&self.seats).try_acquire_owned() {
                return self.place(permit);
            }
            let idle = self.idle.notified();
            let leaves = self.ask_idlest();
            if !leaves {
                tracing::debug!("every connection has a request open: a new one waits");
            }
            tokio::select! {
                permit = Arc::clone(&self.seats).acquire_owned() => {
                    // Never closed, so never an error.
                    if let Ok(permit) = permit {
                        return self.place(permit);
                    }
                }
                () = idle, if !leaves => {}
            }
        }
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Seat {
        let guest = Arc::new(Guest {
            open: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            since: AtomicU64::new(millis(self.began)),
            began: self.began,
            asked: AtomicBool::new(false),
            leave: Notify::new(),
            idle: Arc::clone(&self.idle),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.guests().insert(number, Arc::clone(&guest));
        Seat {
            guest,
            number,
            room: Arc::clone(self),
            _permit: permit,
        }
    }

    /// Whether there is one to ask.
    fn ask_idlest(&self) -> bool {
        let guests = self.guests();
        let idle = guests
            .values()
            .filter(|guest| guest.is_idle() && !guest.asked.load(Ordering::Relaxed));
        let idlest = idle.min_by_key(|guest| guest.since.load(Ordering::Relaxed));
        if let Some(guest) = idlest {
            guest.asked.store(true, Ordering::Relaxed);
            guest.leave.notify_one();
        }
        idlest.is_some()
    }

    fn guests(&self) -> MutexGuard<'_, HashMap<u64, Arc<Guest>>> {
        // Nobody panics while holding it.
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.guests().remove(&self.number);
    }
}

impl Guest {
    /// Comes back when this connection is to make room.
    pub(super) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    /// Whether there was a request at all.
    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// For how long there has been no open request; zero while there is one.
    pub(super) fn idle_for(&self) -> Duration {
        if !self.is_idle() {
            return Duration::ZERO;
        }
        let since = self.since.load(Ordering::Relaxed);
        Duration::from_millis(millis(self.began).saturating_sub(since))
    }

    /// Comes back when there has been no open request for so long, counted from now on.
    pub(super) async fn quiet(&self, time: Duration) {
        loop {
            tokio::time::sleep(time).await;
            if self.idle_for() >= time {
                return;
            }
        }
    }

    /// A request, open until this is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.used.store(true, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }
}

/// An open request.
pub(super) struct Open(Arc<Guest>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.since.store(millis(self.0.began), Ordering::Relaxed);
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// An answer whose request is open until its last byte was taken.
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) _open: Open,
}

impl hyper::body::Body for Answer {
    type Data = <Body as hyper::body::Body>::Data;
    type Error = <Body as hyper::body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

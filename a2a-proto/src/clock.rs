//! Time and identifiers, injected. Everything in the workspace that needs the time or a fresh id asks one of these
//! two traits, so that tests can hold the clock still and predict ids. The system implementations here are the only
//! places that may read the real clock or the real random source.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The present instant, in UTC.
    fn now(&self) -> Timestamp;
}

/// Makes identifiers that are unique across processes and restarts.
///
/// Identifiers contain neither `:` nor `/`, since the HTTP+JSON binding splits paths at both (A2A §11.3).
pub trait Ids: Send + Sync + 'static {
    /// A fresh identifier.
    fn next(&self) -> String;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the real clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// UUIDs of version 7 (RFC 9562 §5.7): random, and sorted by the time of their making.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidV7;

impl Ids for UuidV7 {
    #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
    fn next(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }
}

/// A clock that moves only when it is told to.
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_millisecond()))
    }

    /// Moves the clock forward by `milliseconds`.
    pub fn advance(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // A clock moved beyond year 9999 stays at the last instant that jiff can express.
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

/// Identifiers `prefix-1`, `prefix-2`, …: predictable, for tests and transcripts.
#[derive(Debug)]
pub struct SequentialIds {
    prefix: String,
    last: AtomicU64,
}

impl SequentialIds {
    /// Begins at `prefix-1`.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            last: AtomicU64::new(0),
        }
    }
}

impl Ids for SequentialIds {
    fn next(&self) -> String {
        format!(
            "{}-{}",
            self.prefix,
            self.last.fetch_add(1, Ordering::SeqCst) + 1
        )
    }
}

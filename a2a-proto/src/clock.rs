//! Time and identifiers, injected. Everything in the workspace that needs the time or a fresh id asks one of these
//! two traits, so that tests can hold the clock still and predict ids. The system implementations here are the only
//! places that may read the real clock or the real random source.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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
///
/// Within one millisecond a counter sorts them (RFC 9562 §6.2, method 1). The rest is a keyed hash of a running number,
/// with keys from the operating system: as hard to guess as its random bytes, without a system call per id.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidV7;

/// The millisecond of the last id, and its counter of 26 bits.
static LAST: Mutex<(u64, u32)> = Mutex::new((0, 0));

thread_local! {
    static RANDOM: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
}

fn random() -> u64 {
    RANDOM.with(|(keys, number)| {
        number.set(number.get() + 1);
        keys.hash_one(number.get())
    })
}

impl Ids for UuidV7 {
    fn next(&self) -> String {
        let now = u64::try_from(SystemClock.now().as_millisecond()).unwrap_or(0);
        let random = random();
        let (millis, counter) = {
            let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
            // Begins anywhere in the lower half, so that it does not run over within a millisecond.
            let (millis, counter) = match *last {
                (millis, counter) if now <= millis => (millis, counter + 1),
                _ => (now, u32::try_from(random >> 39).unwrap_or(0)),
            };
            *last = (millis, counter);
            *last
        };
        let [.., c0, c1, c2, c3] =
            ((u64::from(counter) >> 14 << 16) | (u64::from(counter) & 0x3fff)).to_be_bytes();
        let [_, _, r0, r1, r2, r3, r4, r5] = random.to_be_bytes();
        let bytes = [c0, c1, c2, c3, r0, r1, r2, r3, r4, r5];
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes)
            .into_uuid()
            .to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_sorted_by_their_making() {
        let made: Vec<String> = (0..20_000).map(|_| UuidV7.next()).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        for id in &made {
            let id = uuid::Uuid::parse_str(id).unwrap();
            assert_eq!(
                (id.get_version_num(), id.get_variant()),
                (7, uuid::Variant::RFC4122)
            );
        }
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..5_000).map(|_| UuidV7.next()).collect::<Vec<_>>()))
            .collect();
        let mut all: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        all.extend(made);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 40_000);
    }
}

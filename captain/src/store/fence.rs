//! Whether this captain may still act for its jobs. A captain with a database to itself always may. One of several may for
//! as long as its lease surely holds, by a clock of its own that nobody can set and that goes on while the process is
//! stopped. So a captain that was stopped past its lease finds the fence down before it does anything else.
//!
//! The fence is the near side of a lease. The far side is the database, which refuses what comes too late; this one
//! keeps a captain from acting on workers and folders, where no database is asked.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// One lease's fence; cheap to clone. Once it is down it stays down.
#[derive(Debug, Clone, Default)]
pub struct Fence(Option<Arc<AtomicU64>>);

impl Fence {
    /// A fence that is never down.
    pub fn always() -> Self {
        Self(None)
    }

    /// A fence that is down from now on.
    pub fn down() -> Self {
        Self(Some(Arc::default()))
    }

    /// A fence that holds for `lease` from `since` on.
    pub fn for_lease(since: Tick, lease: Duration) -> Self {
        Self(Some(Arc::new(AtomicU64::new(since.after(lease)))))
    }

    /// Whether this captain may act.
    pub fn holds(&self) -> bool {
        match &self.0 {
            None => true,
            Some(until) => Tick::now().0 < until.load(Ordering::Acquire),
        }
    }

    /// Makes it hold for `lease` from `since` on. False if it was down already: then it stays down.
    pub fn extend(&self, since: Tick, lease: Duration) -> bool {
        let Some(until) = &self.0 else { return true };
        if !self.holds() {
            return false;
        }
        until.fetch_max(since.after(lease), Ordering::AcqRel);
        true
    }

    /// Takes it down.
    pub fn fall(&self) {
        if let Some(until) = &self.0 {
            until.store(0, Ordering::Release);
        }
    }

    /// Runs `work` for as long as the fence holds, which is looked at before every step of it. None if it fell.
    pub async fn gate<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            if !self.holds() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}

/// A moment of the machine's clock since boot, in milliseconds: it counts also while the process is stopped or the machine
/// sleeps, and cannot be set (`man 2 clock_gettime`, `CLOCK_BOOTTIME`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    /// Now.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
        Self(seconds * 1000 + nanoseconds / 1_000_000)
    }

    /// The time that has passed since then.
    pub fn elapsed(self) -> Duration {
        Duration::from_millis(Self::now().0.saturating_sub(self.0))
    }

    fn after(self, time: Duration) -> u64 {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.saturating_add(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_goes_on_while_it_holds_and_takes_no_step_after() {
        let fence = Fence::for_lease(Tick::now(), Duration::from_secs(60));
        assert_eq!(fence.gate(async { 1 }).await, Some(1));
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let mut reached = false;
        let work = fence.gate(async {
            let _ = receiver.await;
            reached = true;
        });
        let stop = async {
            fence.fall();
            drop(sender);
        };
        let (ended, ()) = tokio::join!(work, stop);
        assert_eq!(ended, None);
        assert!(!reached, "it went on behind a fence that was down");
    }

    #[test]
    fn a_fence_that_fell_stays_down() {
        let fence = Fence::for_lease(Tick::now(), Duration::ZERO);
        assert!(!fence.holds());
        assert!(!fence.extend(Tick::now(), Duration::from_secs(60)));
        assert!(!fence.holds());
        let fence = Fence::for_lease(Tick::now(), Duration::from_secs(60));
        assert!(fence.extend(Tick::now(), Duration::from_secs(60)) && fence.holds());
        // A late answer to an early beat does not shorten it.
        assert!(fence.extend(Tick(0), Duration::ZERO) && fence.holds());
        fence.fall();
        assert!(!fence.holds() && Fence::always().holds() && !Fence::down().holds());
    }
}

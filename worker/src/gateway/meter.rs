//! What the gateway counts and the watchdogs read: model calls, signs of life, failures in a row. Counters only grow, so a
//! reader compares with what it saw at the start of its turn.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use http::StatusCode;
use tokio::sync::Notify;

/// Counters of one gateway.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    calls: AtomicU64,
    signs_of_life: AtomicU64,
    failure: Mutex<Failures>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u64,
    last: String,
    /// Whether the latest call for a step failed because of the provider.
    failing: bool,
}

impl Meter {
    /// A model call began.
    pub(crate) fn call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.alive();
        self.changed.notify_waiters();
    }

    /// Bytes came from the model.
    pub(crate) fn alive(&self) {
        self.signs_of_life.fetch_add(1, Ordering::Relaxed);
    }

    /// The provider answered at all.
    pub(crate) fn reached(&self) {
        self.failures().in_a_row = 0;
    }

    /// The provider answered a call for a step. A key that is refused, a limit that is reached and a defect of its own
    /// are the provider's failures; what it says of a wrong request is the agent's.
    pub(crate) fn answered(&self, status: StatusCode) {
        self.failures().failing = status.is_server_error()
            || matches!(
                status,
                StatusCode::UNAUTHORIZED
                    | StatusCode::PAYMENT_REQUIRED
                    | StatusCode::FORBIDDEN
                    | StatusCode::REQUEST_TIMEOUT
                    | StatusCode::TOO_MANY_REQUESTS
            );
    }

    /// Whether the provider failed at the latest step.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures().failing
    }

    /// The provider could not be reached.
    pub(crate) fn unreachable(&self, why: String) {
        let mut failures = self.failures();
        failures.failing = true;
        failures.in_a_row += 1;
        failures.last = why;
        drop(failures);
        self.changed.notify_waiters();
    }

    /// Model calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Changes whenever the model shows life.
    pub(crate) fn signs_of_life(&self) -> u64 {
        self.signs_of_life.load(Ordering::Relaxed)
    }

    /// How often in a row the provider could not be reached, and the last reason.
    pub(crate) fn unreachable_in_a_row(&self) -> (u64, String) {
        let failures = self.failures();
        (failures.in_a_row, failures.last.clone())
    }

    /// Waits for the next call or failure.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

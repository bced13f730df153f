//! Waiting for a value with a deadline: the only way in which tests wait.
//!
//! Here so that no test sleeps for luck: a value that is there at once costs nothing, one that never comes fails the test
//! with the name of what was awaited and what was seen last.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

/// How often a value is looked at. Short against everything that is awaited, long against the work of looking.
const INTERVAL: Duration = Duration::from_millis(20);

/// Long enough for anything that should happen at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Long enough for a job of several opencode sessions on two busy cores.
pub const JOB: Duration = Duration::from_secs(180);

/// Looks at `look` until `good` accepts what it gives, and returns that.
///
/// # Panics
/// When `deadline` passes; the message has `what` and the last value.
pub async fn until<T: Debug, F: Future<Output = T>>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> F,
    good: impl Fn(&T) -> bool,
) -> T {
    let start = Instant::now();
    loop {
        let value = look().await;
        if good(&value) {
            return value;
        }
        assert!(
            start.elapsed() < deadline,
            "waited {deadline:?} for {what}; last seen: {value:?}"
        );
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Waits until `fact` holds.
///
/// # Panics
/// When `deadline` passes.
pub async fn until_true(what: &str, deadline: Duration, mut fact: impl FnMut() -> bool) {
    until(
        what,
        deadline,
        || std::future::ready(fact()),
        |holds| *holds,
    )
    .await;
}

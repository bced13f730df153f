//! What the service manager is told (`man 3 sd_notify`): that the process is ready, that it stops, and that it is alive. Where
//! no service manager has started the process, nothing is told to nobody.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// The process does its work from now on.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The process is about to end, in the time that the service manager gives it.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells that the process is alive for as long as `probe` says so, twice in the time after which the service manager would
/// start it anew (`WatchdogSec=`). Ends at once where that is not asked for.
pub async fn watchdog<F>(probe: impl Fn() -> F, stop: CancellationToken)
where
    F: Future<Output = bool>,
{
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    while stop
        .run_until_cancelled(tokio::time::sleep(pause(limit)))
        .await
        .is_some()
    {
        if probe().await {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!(
                "the process does not do its work, the service manager is not told that it is alive"
            );
        }
    }
}

fn pause(limit: Duration) -> Duration {
    (limit / 2).max(Duration::from_millis(1))
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

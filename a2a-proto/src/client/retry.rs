//! Trying again what changes nothing: a call that got no answer, or one of a server that was overloaded or broken. Bounded
//! in number, spread in time. What may be tried again is the caller's to know.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::ClientError;
use crate::error::A2aError;

/// How often and how fast.
#[derive(Debug, Clone)]
pub struct RetryOptions {
    /// After so many further tries the last failure stands; 0 never tries again.
    pub max_retries: usize,
    /// Before the first of them; doubled, with jitter, for each one after it.
    pub min_delay: Duration,
    /// The longest wait, also where the agent asks for more.
    pub max_delay: Duration,
}

impl Default for RetryOptions {
    /// Three more tries within about two seconds: enough for a restart of the agent, short for somebody who waits.
    fn default() -> Self {
        Self {
            max_retries: 3,
            min_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(2),
        }
    }
}

/// Runs `call` until it works, fails for good, or was tried often enough.
pub(super) async fn retrying<T, F>(
    options: &RetryOptions,
    mut call: impl FnMut() -> F,
) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut waits = ExponentialBuilder::new()
        .with_min_delay(options.min_delay)
        .with_max_delay(options.max_delay)
        .with_max_times(options.max_retries)
        .with_jitter()
        .build();
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) if !error.is_transient() => return Err(error),
            Err(error) => error,
        };
        let Some(wait) = waits.next() else {
            return Err(error);
        };
        let asked_for = error
            .agent_error()
            .and_then(A2aError::retry_after)
            .unwrap_or_default();
        tracing::debug!(error = %error, "trying a call again");
        tokio::time::sleep(wait.max(asked_for.min(options.max_delay))).await;
    }
}

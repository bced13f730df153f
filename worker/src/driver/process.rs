//! The process behind a session: how it is ended.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Ends what a session consists of.
#[derive(Debug)]
pub(crate) struct ProcessHandle {
    stop: CancellationToken,
    done: JoinHandle<()>,
}

/// Why a program did not start in the sandbox.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox did not start")]
pub(crate) struct ProcessError;

impl ProcessHandle {
    /// A session that is a task of this process.
    pub(crate) fn of_task(stop: CancellationToken, done: JoinHandle<()>) -> Self {
        Self { stop, done }
    }

    /// Ends it and waits for its end.
    pub(crate) async fn kill(self) {
        self.stop.cancel();
        // A task that panicked has ended too.
        let _ = self.done.await;
    }
}

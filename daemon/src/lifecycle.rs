//! The two-phase stop. The soft token asks every part to finish what it is doing and take nothing new; the hard token,
//! its parent, ends what is left. SIGTERM and SIGINT begin the soft phase; a second signal or the deadline begins the
//! hard one. When a task and not a signal caused the stop, the exit code says so.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::exit::Exit;
use crate::tasks::Tasks;

/// The stop signals of one process and the tasks that obey them.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    hard: CancellationToken,
    soft: CancellationToken,
    tasks: Tasks,
}

impl Lifecycle {
    /// A process that runs until it is told to stop.
    pub fn new() -> Self {
        let hard = CancellationToken::new();
        let soft = hard.child_token();
        let tasks = Tasks::new(soft.clone());
        Self { hard, soft, tasks }
    }

    /// Cancelled when the process should finish: take no new work.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when the process must end: drop what is left.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// The background tasks of the process.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Waits for a signal or a cancelled soft token, then for the tasks to end: at most `grace` in the soft phase and
    /// `grace` again in the hard one. Tasks that ignore even that are named in the log and abandoned.
    ///
    /// # Errors
    ///
    /// Fails when the signal handlers cannot be installed.
    pub async fn run_to_stop(&self, grace: Duration) -> std::io::Result<Exit> {
        let mut signals = Signals::install()?;
        tokio::select! {
            name = signals.next() => info!(signal = name, "stopping"),
            () = self.soft.cancelled() => {}
        }
        self.soft.cancel();
        crate::notify::stopping();
        tokio::select! {
            () = self.tasks.wait() => {}
            name = signals.next() => info!(signal = name, "stopping now"),
            () = tokio::time::sleep(grace) => warn!(pending = ?self.tasks.pending(), "deadline of the soft stop passed"),
        }
        self.hard.cancel();
        if tokio::time::timeout(grace, self.tasks.wait())
            .await
            .is_err()
        {
            warn!(pending = ?self.tasks.pending(), "tasks did not end, abandoned");
        }
        Ok(match self.tasks.failed() {
            Some(_) => Exit::Internal,
            None => Exit::Ok,
        })
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

//! A running sandbox: wait for it, signal it, kill it. It must not be possible to forget one: dropping it kills it.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Pid;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;

use super::keeper::{DropGuard, Ended, Guard, ended};
use super::stdio::Ours;
use crate::error::SandboxError;
use crate::protocol::{ToInit, send};
use crate::report::SandboxReport;

/// Killed processes vanish in milliseconds; only one that hangs in the kernel (a dead network disk) needs longer.
pub(super) const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How the agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, if it ended by itself.
    pub code: Option<i32>,
    /// Signal number, if a signal ended it (9 after [`Running::kill`]).
    pub signal: Option<i32>,
    /// The kernel killed a process of this sandbox for lack of memory: the likely cause of an end by signal 9 or code 137.
    pub out_of_memory: bool,
}

impl Exit {
    /// The exit code as a shell gives it: 128 + signal number for an end by signal.
    pub fn shell_code(&self) -> i32 {
        self.code
            .unwrap_or_else(|| 128 + self.signal.unwrap_or(libc::SIGKILL))
    }

    /// Exit code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// A running sandbox. Dropping it kills everything inside.
#[derive(Debug)]
pub struct Running {
    /// Host pid of the sandbox's init. The number may be reused once the sandbox is gone: use it for display only.
    pub pid: u32,
    /// What was seen to hold before the agent was started.
    pub report: SandboxReport,
    /// The agent's stdin, if it is a pipe.
    pub stdin: Option<ChildStdin>,
    /// The agent's stdout, if it is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The agent's stderr, if it is a pipe.
    pub stderr: Option<ChildStderr>,
    guard: DropGuard,
    exit: watch::Receiver<Option<Ended>>,
    control: UnixStream,
}

/// Kills a sandbox and waits, from anywhere; many may exist, and they do not keep the sandbox alive.
#[derive(Debug, Clone)]
pub struct Killer {
    guard: Guard,
    exit: watch::Receiver<Option<Ended>>,
}

impl Killer {
    /// Kills everything inside and waits until it is gone and the control group is removed.
    ///
    /// # Errors
    /// [`SandboxError::KillTimeout`] when processes hang in the kernel for more than ten seconds.
    pub async fn kill(&self) -> Result<Exit, SandboxError> {
        self.guard.kill();
        match tokio::time::timeout(KILL_LIMIT, ended(self.exit.clone())).await {
            Ok(ended) => Ok(ended.exit),
            Err(_) => Err(SandboxError::KillTimeout { limit: KILL_LIMIT }),
        }
    }

    /// Waits for the end.
    pub async fn wait(&self) -> Exit {
        ended(self.exit.clone()).await.exit
    }
}

impl Running {
    /// Waits until the agent has ended, everything inside is gone and the control group is removed. May be called again.
    pub async fn wait(&mut self) -> Exit {
        ended(self.exit.clone()).await.exit
    }

    /// Sends a signal to the agent's process group: SIGTERM asks it to end. Does not wait.
    ///
    /// # Errors
    /// The sandbox has ended.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        send(&self.control, &ToInit::Signal(number))
    }

    /// Kills everything inside and waits until it is gone.
    ///
    /// # Errors
    /// As [`Killer::kill`].
    pub async fn kill(&mut self) -> Result<Exit, SandboxError> {
        self.killer().kill().await
    }

    /// SIGTERM, and SIGKILL when it has not ended after `grace`; then waits until everything is gone.
    ///
    /// # Errors
    /// As [`Killer::kill`].
    pub async fn stop(&mut self, grace: Duration) -> Result<Exit, SandboxError> {
        // If it has ended meanwhile, there is nobody to ask.
        let _ended = self.signal(libc::SIGTERM);
        match tokio::time::timeout(grace, self.wait()).await {
            Ok(exit) => Ok(exit),
            Err(_) => self.kill().await,
        }
    }

    /// A handle that can kill this sandbox from elsewhere.
    pub fn killer(&self) -> Killer {
        Killer {
            guard: self.guard.0.clone(),
            exit: self.exit.clone(),
        }
    }
}

impl Ours {
    /// Our ends of the pipes become tokio handles.
    pub(super) fn into_running(
        self,
        pid: Pid,
        report: SandboxReport,
        guard: DropGuard,
        exit: watch::Receiver<Option<Ended>>,
        control: UnixStream,
    ) -> Result<Running, SandboxError> {
        let failed = |source| SandboxError::Prepare {
            step: "the agent's streams",
            source,
        };
        let stdin = self
            .stdin
            .map(|fd| ChildStdin::from_std(fd.into()))
            .transpose()
            .map_err(failed)?;
        let stdout = self
            .stdout
            .map(|fd| ChildStdout::from_std(fd.into()))
            .transpose()
            .map_err(failed)?;
        let stderr = self
            .stderr
            .map(|fd| ChildStderr::from_std(fd.into()))
            .transpose()
            .map_err(failed)?;
        Ok(Running {
            pid: pid.as_raw_nonzero().get().unsigned_abs(),
            report,
            stdin,
            stdout,
            stderr,
            guard,
            exit,
            control,
        })
    }
}

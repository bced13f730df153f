//! Waiting for and ending one process that need not be a child of this one: a worker started by an earlier captain
//! looks the same as one started by this. It knows nothing of workers.

use std::io;
use std::time::Duration;

use daemon::process::ProcessIdentity;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

/// How long the kernel may take to end a killed process before this is an error: only a process stuck in the kernel
/// (a dead network file system) needs longer.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// Waits until the process has ended. A process that ended long ago is done at once.
///
/// # Errors
/// What the system said when the process cannot be observed.
pub(super) async fn ended(process: ProcessIdentity) -> io::Result<()> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Ok(());
    };
    // First the descriptor, then the check: from then on the descriptor names this process and no later one.
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !process.is_alive() {
        return Ok(());
    }
    // pidfd_open(2): the descriptor becomes readable when the process ends.
    #[expect(
        deprecated,
        reason = "the successor is an unsafe function; an OwnedFd stays open and the same as long as it lives, which is what it asks for"
    )]
    let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
    let _ready = descriptor.readable().await?;
    Ok(())
}

/// Ends the process: asks first, kills after `grace`, and returns when it is gone.
///
/// # Errors
/// What the system said, or that the process did not end even after the kill.
pub(super) async fn end(process: ProcessIdentity, grace: Duration) -> io::Result<()> {
    if !process.signal(Signal::TERM)? {
        return Ok(());
    }
    if let Ok(result) = timeout(grace, ended(process)).await {
        return result;
    }
    tracing::warn!(pid = process.pid, "the worker ignored SIGTERM, killing it");
    process.signal(Signal::KILL)?;
    timeout(KILL_DEADLINE, ended(process))
        .await
        .unwrap_or_else(|_| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("process {} does not end", process.pid),
            ))
        })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn shell(script: &str) -> (Child, ProcessIdentity) {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        (child, identity)
    }

    #[tokio::test]
    async fn polite_process_ends_by_the_first_signal() {
        let (mut child, process) = shell("exec sleep 600");
        end(process, Duration::from_secs(60)).await.unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
        end(process, Duration::from_secs(60)).await.unwrap();
    }

    #[tokio::test]
    async fn stubborn_process_is_killed() {
        use std::io::{BufRead as _, BufReader};
        let mut child = Command::new("sh")
            .args(["-c", "trap '' TERM; echo ready; exec sleep 600"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let process = ProcessIdentity::of(child.id()).unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        end(process, Duration::from_millis(50)).await.unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn identity_of_another_process_is_not_waited_for() {
        let (mut child, process) = shell("exec sleep 600");
        let other = ProcessIdentity {
            started: process.started + 1,
            ..process
        };
        ended(other).await.unwrap();
        end(other, Duration::ZERO).await.unwrap();
        assert!(process.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

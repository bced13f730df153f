//! `worker stop ID`: ends a worker of this machine and waits until it is gone, with everything that its agent started. Asks
//! first; a worker that does not answer is killed, and the kernel then kills its sandbox.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::process::ProcessIdentity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::list::{default_root, running_in};

/// A killed process vanishes at once; only one that hangs in the kernel does not.
const DEATH: Duration = Duration::from_secs(5);

/// Arguments of `worker stop`.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// The worker's agent_id, as `worker list` shows it
    #[arg(value_name = "ID")]
    agent_id: String,
    /// Seconds until a worker that does not end is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    grace: u64,
    /// The worker's state folder, if it was started with --state-dir
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Stop {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.agent_id.is_empty() || !self.agent_id.bytes().all(valid) {
            return Err(Failure::new(
                Exit::Usage,
                format!("{:?} is not an agent_id", self.agent_id),
            )
            .with_hint("`worker list` shows the workers that run"));
        }
        let folder = match &self.state_dir {
            Some(folder) => folder.clone(),
            None => default_root()?.join(&self.agent_id),
        };
        let not_running = || {
            Failure::new(
                Exit::Unavailable,
                format!("no worker {} is running", self.agent_id),
            )
            .with_hint("`worker list` shows the workers that run")
        };
        let process = running_in(&folder)?.ok_or_else(not_running)?.process;
        let how = end(process, Duration::from_secs(self.grace))?.ok_or_else(not_running)?;
        let text = match how {
            How::Asked => "stopped",
            How::Killed => "killed",
        };
        writeln!(out, "{text} {}", self.agent_id)
            .map_err(|error| Failure::from_error(Exit::Io, &error))?;
        Ok(Exit::Ok)
    }
}

enum How {
    Asked,
    Killed,
}

/// Ends the process and waits; `None` when it was gone already.
fn end(process: ProcessIdentity, grace: Duration) -> Result<Option<How>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::from_error(Exit::NotPermitted, &error).with_hint("it may belong to another user")
    };
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    // Opened before the identity is checked: from then on it names this process only.
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
        return Ok(None);
    };
    if !process.signal(Signal::TERM).map_err(failed)? {
        return Ok(None);
    }
    let gone = |limit: Duration| -> Result<bool, Failure> {
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: 0,
        };
        let ready = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit));
        Ok(ready.map_err(|error| failed(error.into()))? > 0)
    };
    if gone(grace)? {
        return Ok(Some(How::Asked));
    }
    process.signal(Signal::KILL).map_err(failed)?;
    if gone(DEATH)? {
        return Ok(Some(How::Killed));
    }
    Err(Failure::new(
        Exit::Internal,
        format!(
            "process {} does not die; it may hang in the kernel",
            process.pid
        ),
    ))
}

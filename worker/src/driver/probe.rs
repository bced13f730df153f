//! Whether this machine lets bubblewrap work, found out before the worker promises anything.
//!
//! One bubblewrap with the namespaces that every start needs, running `true`. It is started first and asked last, and runs on
//! a thread of its own, so that its few milliseconds pass beside the worker's other preparations. That every layer holds is
//! checked at each start of an agent.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use daemon::cli::Failure;
use daemon::exit::Exit;
use worker_sandbox::{Sandbox, SandboxError};

/// A trial that is under way.
#[derive(Debug)]
pub(crate) struct Probe {
    located: Receiver<Result<Sandbox, SandboxError>>,
    trial: JoinHandle<Result<(), SandboxError>>,
}

impl Probe {
    /// Starts looking for bubblewrap, and then the trial.
    pub(crate) fn begin() -> Result<Self, Failure> {
        let (sender, located) = mpsc::sync_channel(1);
        let trial = std::thread::Builder::new()
            .name("probe".to_owned())
            .spawn(move || {
                let trial = begin_trial();
                // Nobody listens any more if something else has stopped the start.
                let _ = sender.send(Sandbox::locate(None));
                judge(trial)
            })
            .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
        Ok(Self { located, trial })
    }

    /// The sandbox that was found, long before the trial ends. Asked once.
    pub(crate) fn sandbox(&self) -> Result<Sandbox, Failure> {
        let located = self.located.recv().map_err(|_| panicked())?;
        located.map_err(|error| sandbox_failure(&error))
    }

    /// Waits for the trial's result.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let result = self.trial.join().map_err(|_| panicked())?;
        result.map_err(|error| sandbox_failure(&error))
    }
}

fn panicked() -> Failure {
    Failure::new(Exit::Internal, "the trial of the sandbox panicked")
}

fn begin_trial() -> std::io::Result<Child> {
    let namespaces = [
        "--unshare-all",
        "--unshare-user",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
    ];
    // Its options are the oldest ones, so it need not wait for the look at which ones this bubblewrap has.
    Command::new("bwrap")
        .args(namespaces)
        .args(["--ro-bind", "/", "/", "--proc", "/proc", "--", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

fn judge(trial: std::io::Result<Child>) -> Result<(), SandboxError> {
    let output = trial
        .and_then(Child::wait_with_output)
        .map_err(SandboxError::Spawn)?;
    if output.status.success() {
        return Ok(());
    }
    let detail = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(SandboxError::NamespacesRefused { detail })
}

/// What a sandbox error means for the caller of this program.
pub(crate) fn sandbox_failure(error: &SandboxError) -> Failure {
    let exit = match error {
        SandboxError::NamespacesRefused { .. } | SandboxError::NotEnforced { .. } => {
            Exit::NotPermitted
        }
        SandboxError::Policy(_) => Exit::BadInput,
        SandboxError::Bwrap(_) | SandboxError::Agent { .. } | SandboxError::Spawn(_) => {
            Exit::Unavailable
        }
        SandboxError::Seccomp(_)
        | SandboxError::Prepare { .. }
        | SandboxError::Setup { .. }
        | SandboxError::Inside { .. }
        | SandboxError::StartTimeout { .. }
        | SandboxError::Control(_)
        | SandboxError::KillTimeout { .. } => Exit::Internal,
    };
    let failure = Failure::from_error(exit, error);
    match error.remedy() {
        Some(remedy) => failure.with_hint(remedy),
        None => failure.with_hint("`worker doctor` says what is missing"),
    }
}

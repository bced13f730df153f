//! Whether this machine lets bubblewrap work, found out before the worker promises anything.
//!
//! One bubblewrap with the namespaces that every start needs, running `true`. It is started first and asked last, and runs on
//! a thread of its own, so that its few milliseconds pass beside the worker's other preparations. That every layer holds is
//! checked at each start of an agent.

use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use daemon::cli::Failure;
use daemon::exit::Exit;
use worker_sandbox::{Sandbox, SandboxError};

/// A trial that is under way.
#[derive(Debug)]
pub(crate) struct Probe(JoinHandle<Result<Sandbox, SandboxError>>);

impl Probe {
    /// Starts looking for bubblewrap, and then the trial.
    pub(crate) fn begin() -> Result<Self, Failure> {
        std::thread::Builder::new()
            .name("probe".to_owned())
            .spawn(attempt)
            .map(Self)
            .map_err(|error| Failure::from_error(Exit::Internal, &error))
    }

    /// Waits for the trial's result.
    pub(crate) fn finish(self) -> Result<Sandbox, Failure> {
        let result = self
            .0
            .join()
            .map_err(|_| Failure::new(Exit::Internal, "the trial of the sandbox panicked"))?;
        result.map_err(|error| sandbox_failure(&error))
    }
}

fn attempt() -> Result<Sandbox, SandboxError> {
    let namespaces = [
        "--unshare-all",
        "--unshare-user",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
    ];
    // Its options are the oldest ones, so it need not wait for the look at which ones this bubblewrap has.
    let trial = Command::new("bwrap")
        .args(namespaces)
        .args(["--ro-bind", "/", "/", "--proc", "/proc", "--", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let sandbox = Sandbox::locate(None)?;
    let output = trial
        .and_then(Child::wait_with_output)
        .map_err(SandboxError::Spawn)?;
    if output.status.success() {
        return Ok(sandbox);
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

//! Whether this machine lets bubblewrap work, found out before the worker promises anything.
//!
//! One bubblewrap with the namespaces that every start needs, running `true`. It is started first and asked last, so that its
//! few milliseconds pass beside the worker's other preparations. That every layer holds is checked at each start of an agent.

use std::process::{Child, Command, Stdio};

use daemon::cli::Failure;
use daemon::exit::Exit;
use worker_sandbox::{Sandbox, SandboxError};

/// A trial that is under way.
#[derive(Debug)]
pub(crate) struct Probe {
    sandbox: Sandbox,
    child: Child,
}

impl Probe {
    /// Finds bubblewrap and starts the trial.
    pub(crate) fn begin() -> Result<Self, Failure> {
        let sandbox = Sandbox::locate(None).map_err(|error| sandbox_failure(&error))?;
        let namespaces = [
            "--unshare-all",
            "--unshare-user",
            "--die-with-parent",
            "--cap-drop",
            "ALL",
        ];
        let child = Command::new(sandbox.bwrap().path())
            .args(namespaces)
            .args(["--ro-bind", "/", "/", "--proc", "/proc", "--", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| sandbox_failure(&SandboxError::Spawn(error)))?;
        Ok(Self { sandbox, child })
    }

    /// Waits for the trial's result.
    pub(crate) fn finish(self) -> Result<Sandbox, Failure> {
        let output = self
            .child
            .wait_with_output()
            .map_err(|error| sandbox_failure(&SandboxError::Spawn(error)))?;
        if output.status.success() {
            return Ok(self.sandbox);
        }
        let detail = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(sandbox_failure(&SandboxError::NamespacesRefused { detail }))
    }
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

//! The start of one worker: folder, command line, process, in this order, so that a captain that dies in between leaves
//! something that the next one recognises. All of it blocks and runs off the runtime's threads.

use std::ffi::OsString;
use std::path::Path;

use captain_core::WorkerId;
use daemon::process::ProcessIdentity;
use tokio::process::Child;

use super::instance::{CARD_FILE, InstanceDir, TRUST_FILE};
use super::{Shared, failed, spawn};
use crate::engine::ports::{BackendError, Labels};

/// A worker that runs.
pub(super) enum Begun {
    /// It was started earlier.
    Before(ProcessIdentity),
    /// It was started by this call.
    Now(Child, ProcessIdentity),
}

impl Shared {
    /// Starts a worker; blocks.
    pub(super) fn spawn(
        &self,
        dir: &InstanceDir,
        labels: Option<&Labels>,
        card: &[u8],
    ) -> Result<Begun, BackendError> {
        let options = &self.options;
        if labels.is_none() {
            self.check_room()?;
        }
        dir.prepare(labels, card, &options.trust)
            .map_err(|error| failed("the worker's folder cannot be made", error))?;
        let program = &options.worker_bin;
        let arguments = self.arguments(dir.path());
        let (child, process) = spawn::start(program, &arguments, &self.environment, dir.path())
            .map_err(|error| {
                let message = format!(
                    "the worker program {} cannot be started: {error}",
                    program.display()
                );
                failed(message, error)
            })?;
        dir.started(process)
            .map_err(|error| failed("the worker's folder cannot be written", error))?;
        Ok(Begun::Now(child, process))
    }

    fn arguments(&self, dir: &Path) -> Vec<OsString> {
        let agent = &self.options.agent;
        let mut arguments: Vec<OsString> = vec![
            "serve".into(),
            "--card".into(),
            dir.join(CARD_FILE).into(),
            "--trust".into(),
            dir.join(TRUST_FILE).into(),
            "--state-dir".into(),
            dir.into(),
            "--listen".into(),
            "127.0.0.1:0".into(),
        ];
        if let Some(driver) = &agent.driver {
            arguments.extend(["--driver".into(), driver.into()]);
        }
        if let Some(program) = &agent.agent_bin {
            arguments.extend(["--agent-bin".into(), program.into()]);
        }
        arguments
    }

    /// The engine counts the workers of jobs by itself; workers that are started by hand take what it left.
    fn check_room(&self) -> Result<(), BackendError> {
        let limit = self.options.max_workers;
        let alive = self
            .all()?
            .into_iter()
            .filter(|(_, dir)| dir.process().is_some())
            .count();
        if alive < limit {
            return Ok(());
        }
        Err(BackendError::Failed {
            message: format!(
                "{alive} workers run already, which is the limit (limits.max_workers)"
            ),
            source: None,
        })
    }

    /// Every worker that a captain started; blocks.
    pub(super) fn all(&self) -> Result<Vec<(WorkerId, InstanceDir)>, BackendError> {
        let workers = &self.options.workers_dir;
        InstanceDir::all(workers)
            .map_err(|error| failed(format!("{} cannot be read", workers.display()), error))
    }
}

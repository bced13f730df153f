//! What a launch leaves in its state folder while it runs, so that `worker list` and `worker stop` find it. The counterpart of a
//! server's `endpoint.json`; it holds no arguments, since those may be confidential.

use std::path::Path;

use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::process::ProcessIdentity;
use serde::{Deserialize, Serialize};

const FILE: &str = "launch.json";
/// The record is one line; more is not ours.
const MAX_BYTES: u64 = 64 << 10;

/// A launch.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Record {
    /// Which process it is.
    #[serde(flatten)]
    pub(in crate::cli) process: ProcessIdentity,
    /// The program that was launched.
    pub(in crate::cli) program: String,
}

impl Record {
    pub(super) fn write(state: &Path, argv: &[String]) -> Result<Self, Failure> {
        let process = ProcessIdentity::current()
            .ok_or_else(|| Failure::new(Exit::Internal, "cannot read /proc/self/stat"))?;
        let record = Self {
            process,
            program: argv.first().cloned().unwrap_or_default(),
        };
        let json = serde_json::to_vec(&record)
            .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
        daemon::state::write_private(&state.join(FILE), &json).map_err(|error| {
            Failure::from_error(Exit::Io, &error)
                .with_hint("check the free space and the owner of the state folder")
        })?;
        Ok(record)
    }

    pub(super) fn remove(self, state: &Path) {
        // A record of a process that is gone is ignored anyway.
        let _gone = std::fs::remove_file(state.join(FILE));
    }

    /// The launch that runs in this state folder.
    pub(in crate::cli) fn find(state: &Path) -> Option<Self> {
        let path = state.join(FILE);
        let fits = std::fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_BYTES);
        let record: Self =
            serde_json::from_slice(&fits.then(|| std::fs::read(&path).ok())??).ok()?;
        record.process.is_alive().then_some(record)
    }
}

//! What the local backend keeps on disk about one worker: the folder, the labels, the process. The files are the only
//! memory of the backend, so a captain that starts again knows every worker that an earlier one started.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use captain_core::WorkerId;
use daemon::process::ProcessIdentity;
use daemon::state::{Endpoint, StateError, create_private_dir, write_private};
use serde::{Deserialize, Serialize};

use crate::engine::ports::Labels;

/// The agent ID card that the worker was started with.
pub(super) const CARD_FILE: &str = "agent-id-card.json";
/// The public keys whose tokens the worker accepts (RFC 7517 JWK set).
pub(super) const TRUST_FILE: &str = "captain-keys.json";
/// Labels and process of the worker.
const INSTANCE_FILE: &str = "instance.json";
/// Instance files are a few hundred bytes; more is not ours.
const MAX_INSTANCE_BYTES: u64 = 64 * 1024;

/// The content of `instance.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Labels>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<ProcessIdentity>,
}

/// One worker's folder.
#[derive(Debug, Clone)]
pub(super) struct InstanceDir {
    path: PathBuf,
}

impl InstanceDir {
    /// The folder of `worker`, whether it is there or not.
    pub(super) fn of(workers: &Path, worker: &WorkerId) -> Self {
        Self {
            path: workers.join(worker.as_str()),
        }
    }

    /// Every worker that a captain started in `workers`; folders of other origin are left out.
    ///
    /// # Errors
    /// What the system said about the folder itself.
    pub(super) fn all(workers: &Path) -> io::Result<Vec<(WorkerId, Self)>> {
        let entries = match fs::read_dir(workers) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Some(worker) = entry
                .file_name()
                .to_str()
                .and_then(|name| WorkerId::parse(name).ok())
            else {
                continue;
            };
            let dir = Self { path: entry.path() };
            if dir.path.join(INSTANCE_FILE).is_file() {
                found.push((worker, dir));
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder and writes what the worker is started with; the process is noted later.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub(super) fn prepare(
        &self,
        labels: Option<&Labels>,
        card: &[u8],
        trust: &[u8],
    ) -> Result<(), StateError> {
        create_private_dir(&self.path)?;
        write_private(&self.path.join(CARD_FILE), card)?;
        write_private(&self.path.join(TRUST_FILE), trust)?;
        self.write(&Record {
            labels: labels.cloned(),
            process: None,
        })
    }

    /// Notes the process of a started worker.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub(super) fn started(&self, process: ProcessIdentity) -> Result<(), StateError> {
        let mut record = self.read();
        record.process = Some(process);
        self.write(&record)
    }

    /// The labels the worker was started with.
    pub(super) fn labels(&self) -> Option<Labels> {
        self.read().labels
    }

    /// The worker's process, if it still runs. A captain may have died between the start and the note of it; the
    /// worker's own announcement fills that gap.
    pub(super) fn process(&self) -> Option<ProcessIdentity> {
        let announced = Endpoint::read(&self.path).ok().flatten();
        self.read()
            .process
            .into_iter()
            .chain(announced.map(|endpoint| endpoint.process))
            .find(ProcessIdentity::is_alive)
    }

    /// Where the worker listens, if it runs and has said so.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        Endpoint::find(&self.path).ok().flatten()
    }

    /// Removes everything but the logs.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn clear(&self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.contains(".log"))
            {
                continue;
            }
            let path = entry.path();
            // Never through a link: the type is the entry's own.
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// An absent or damaged file is an empty record: the worker's own announcement is the other source.
    fn read(&self) -> Record {
        let path = self.path.join(INSTANCE_FILE);
        let fits = path
            .metadata()
            .is_ok_and(|metadata| metadata.len() <= MAX_INSTANCE_BYTES);
        fits.then(|| fs::read(&path).ok())
            .flatten()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or(Record {
                labels: None,
                process: None,
            })
    }

    fn write(&self, record: &Record) -> Result<(), StateError> {
        let path = self.path.join(INSTANCE_FILE);
        let json = serde_json::to_vec(record).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        write_private(&path, &json)
    }
}

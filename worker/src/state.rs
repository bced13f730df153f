//! The worker's state folder: where its files are, and its own signing key.
//!
//! ```text
//! endpoint.json    where the running worker listens
//! lock             held by the running worker
//! key.pem          the key of a worker that has no captain
//! tasks.db         the log of tasks and events
//! push.key         what push configurations are sealed with, made with the first one
//! sessions.json    the agent's own names of its sessions
//! audit.jsonl      one line per request of the agent to the outside
//! gateway.sock     the agent's way out
//! agent/           the agent's configuration, read-only for it
//! home/            the agent's home, the one folder here that it can write
//! shadow.git/      the worker's record of the workspace
//! artifacts/       results to be fetched
//! ```

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use a2a_proto::auth::{Signer, SignerError};
use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::state::{self, Endpoint, StateError};
use rustix::fs::{FlockOperation, flock};
use secrecy::ExposeSecret;
use thiserror::Error;

/// Why the state folder cannot be used.
#[derive(Debug, Error)]
pub(crate) enum StateDirError {
    /// The folder or a file in it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The key.
    #[error("cannot use the worker's key {}", path.display())]
    Key {
        path: PathBuf,
        #[source]
        source: SignerError,
    },
    /// The lock file.
    #[error("cannot lock {}", path.display())]
    Lock {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Another worker has it.
    #[error("a worker with this agent_id is running already{at}")]
    Running { at: String },
}

impl StateDirError {
    pub(crate) fn into_failure(self) -> Failure {
        let (exit, hint) = match &self {
            Self::State(StateError::NotPrivate { .. }) | Self::Key { .. } => (Exit::BadInput, ""),
            Self::State(StateError::NoHome) => (Exit::Usage, ""),
            Self::State(_) | Self::Lock { .. } => (
                Exit::Io,
                "check the folder's owner and the free space, or choose another with --state-dir",
            ),
            Self::Running { .. } => (
                Exit::Unavailable,
                "stop it with `worker stop`, or give this one another agent_id",
            ),
        };
        let failure = Failure::from_error(exit, &self);
        if hint.is_empty() {
            failure
        } else {
            failure.with_hint(hint)
        }
    }
}

/// One worker's state folder.
#[derive(Debug, Clone)]
pub(crate) struct StateDir {
    path: PathBuf,
}

/// Held while the worker runs; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

impl StateDir {
    /// The folder of this agent: as given, else below the user's state folder. Makes it if it is missing.
    pub(crate) fn of(agent_id: &str, given: Option<&Path>) -> Result<Self, StateDirError> {
        let path = match given {
            Some(given) => std::path::absolute(given).map_err(|source| StateError::CreateDir {
                path: given.to_owned(),
                source,
            })?,
            None => state::default_root()?.join("workers").join(agent_id),
        };
        state::create_private_dir(&path)?;
        // The sandbox wants paths without links, and so do we: the agent must not be able to move its home.
        let path = path
            .canonicalize()
            .map_err(|source| StateError::CreateDir { path, source })?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a private folder in the folder.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, StateDirError> {
        let path = self.path.join(name);
        state::create_private_dir(&path)?;
        Ok(path)
    }

    /// Makes sure that no other worker uses the folder.
    pub(crate) fn lock(&self) -> Result<StateLock, StateDirError> {
        let path = self.file("lock");
        let lock_error = |source| StateDirError::Lock {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(lock_error)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(StateLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let at = Endpoint::find(&self.path).ok().flatten();
                let at = at.map(|endpoint| {
                    format!(" (process {} at {})", endpoint.process.pid, endpoint.url)
                });
                Err(StateDirError::Running {
                    at: at.unwrap_or_default(),
                })
            }
            Err(error) => Err(lock_error(error.into())),
        }
    }

    /// The worker's own key, made at its first use.
    pub(crate) fn signer(&self) -> Result<Signer, StateDirError> {
        let path = self.file("key.pem");
        let key_error = |source| StateDirError::Key {
            path: path.clone(),
            source,
        };
        if path.exists() {
            return Signer::from_pem(&state::read_secret(&path)?).map_err(key_error);
        }
        let signer = Signer::generate().map_err(key_error)?;
        state::write_private(&path, signer.to_pem().expose_secret().as_bytes())?;
        Ok(signer)
    }
}

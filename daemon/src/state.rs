//! Files that a server keeps between runs: private folders and files, written whole or not at all, and the
//! `endpoint.json` by which other processes of the same user find a running server. Only the owner may read any of
//! them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::process::ProcessIdentity;

/// The name of the file by which a running server is found.
pub const ENDPOINT_FILE: &str = "endpoint.json";

/// What went wrong with a state file.
#[derive(Debug, Error)]
pub enum StateError {
    /// Neither the state folder nor the home folder is known.
    #[error(
        "no folder for state: neither XDG_STATE_HOME nor HOME is set; give one with --state-dir"
    )]
    NoHome,
    /// A folder could not be made.
    #[error("cannot create the folder {path}")]
    CreateDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A secret file can be read by others.
    #[error("{path} can be read by other users (mode {mode:04o}); run: chmod 600 {path}")]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file has another form than expected.
    #[error("{path} is damaged; remove it to start afresh")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
}

/// The folder under which Flotilla keeps its state: `$XDG_STATE_HOME/flotilla`, else `~/.local/state/flotilla`
/// (XDG Base Directory Specification).
///
/// # Errors
///
/// [`StateError::NoHome`] when the environment names neither.
pub fn default_root() -> Result<PathBuf, StateError> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("flotilla"))
        .ok_or(StateError::NoHome)
}

/// Makes a folder (and its parents) that only the owner may enter.
///
/// # Errors
///
/// What the system said, with the path.
pub fn create_private_dir(path: &Path) -> Result<(), StateError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StateError::CreateDir {
            path: path.to_owned(),
            source,
        })
}

/// Writes a file that only the owner may read, whole or not at all: a reader sees the old content or the new one.
///
/// # Errors
///
/// What the system said, with the path; the old content is untouched then.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), StateError> {
    replace(path, content, File::sync_all)
}

/// As [`write_private`]; `settle` decides whether the content must reach the disk first.
fn replace(
    path: &Path,
    content: &[u8],
    settle: fn(&File) -> io::Result<()>,
) -> Result<(), StateError> {
    let failed = |source| StateError::Write {
        path: path.to_owned(),
        source,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        settle(&file)?;
        fs::rename(&temporary, path)
    })();
    written.map_err(|source| {
        // Best effort: the write has failed already and that is what the caller must hear.
        let _ignored = fs::remove_file(&temporary);
        failed(source)
    })
}

/// Reads a small secret file that must be private to its owner; surrounding white space is not part of the secret.
///
/// # Errors
///
/// When it cannot be read, or when others may read it.
pub fn read_secret(path: &Path) -> Result<String, StateError> {
    let failed = |source| StateError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StateError::NotPrivate {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(&mut file, MAX_SECRET_BYTES), &mut text)
        .map_err(failed)?;
    Ok(text.trim().to_owned())
}

/// Keys and tokens are far shorter; more than this is not a secret file but a mistake.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// How other processes find a running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where it listens, for example `http://127.0.0.1:8000`.
    pub url: String,
    /// Which process it is.
    #[serde(flatten)]
    pub process: ProcessIdentity,
    /// The program's version.
    pub version: String,
}

impl Endpoint {
    /// Announces this process under `state_dir`. The file stays when the process is killed; [`Endpoint::find`] tells
    /// a live server from a dead one.
    ///
    /// # Errors
    ///
    /// What the system said, with the path.
    pub fn announce(state_dir: &Path, url: &str, version: &str) -> Result<Self, StateError> {
        let path = state_dir.join(ENDPOINT_FILE);
        let process = ProcessIdentity::current().ok_or_else(|| StateError::Read {
            path: PathBuf::from("/proc/self/stat"),
            source: io::Error::from(io::ErrorKind::NotFound),
        })?;
        let endpoint = Self {
            url: url.to_owned(),
            process,
            version: version.to_owned(),
        };
        let json = serde_json::to_vec(&endpoint).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        // It names a process of this boot: after a crash of the machine it is worth nothing, so nothing waits for the disk.
        replace(&path, &json, |_| Ok(()))?;
        Ok(endpoint)
    }

    /// The server that announced itself under `state_dir`, if it still runs.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is damaged. An absent file is `None`.
    pub fn find(state_dir: &Path) -> Result<Option<Self>, StateError> {
        Ok(Self::read(state_dir)?.filter(|endpoint| endpoint.process.is_alive()))
    }

    /// What was last announced under `state_dir`, by a live or a dead process.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::find`].
    pub fn read(state_dir: &Path) -> Result<Option<Self>, StateError> {
        let path = state_dir.join(ENDPOINT_FILE);
        match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(|source| StateError::Damaged { path, source }),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::Read { path, source }),
        }
    }

    /// Takes the announcement back, at an orderly end.
    ///
    /// # Errors
    ///
    /// What the system said, with the path. An absent file is fine.
    pub fn withdraw(state_dir: &Path) -> Result<(), StateError> {
        let path = state_dir.join(ENDPOINT_FILE);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Write { path, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_private_and_refused_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, b"abc\n").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(read_secret(&path).unwrap(), "abc");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_secret(&path).unwrap_err().to_string();
        assert!(
            error.contains("mode 0644") && error.contains("chmod 600"),
            "{error}"
        );
    }

    #[test]
    fn endpoint_of_a_dead_process_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Endpoint::find(dir.path()).unwrap(), None);
        let announced = Endpoint::announce(dir.path(), "http://127.0.0.1:1", "0.1.0").unwrap();
        assert_eq!(Endpoint::find(dir.path()).unwrap(), Some(announced.clone()));
        let dead = Endpoint {
            process: ProcessIdentity {
                started: 1,
                ..announced.process
            },
            ..announced
        };
        write_private(
            &dir.path().join(ENDPOINT_FILE),
            &serde_json::to_vec(&dead).unwrap(),
        )
        .unwrap();
        assert_eq!(Endpoint::find(dir.path()).unwrap(), None);
        assert_eq!(Endpoint::read(dir.path()).unwrap(), Some(dead));
        Endpoint::withdraw(dir.path()).unwrap();
        Endpoint::withdraw(dir.path()).unwrap();
    }

    #[test]
    fn failed_write_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("taken");
        fs::create_dir(&target).unwrap();
        assert!(write_private(&target, b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

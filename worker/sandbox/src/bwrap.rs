//! Finds bubblewrap and learns from its own help text what it can do: versions differ between distributions, which also backport
//! options. It must not decide policy; `bwrap::command` turns a checked policy into a command line.

mod command;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) use self::command::{Descriptors, arguments};

/// Options without which no sandbox is built. All are in bubblewrap 0.5 (2021).
const REQUIRED: &[&str] = &[
    "--unshare-all",
    "--unshare-user",
    "--uid",
    "--gid",
    "--hostname",
    "--die-with-parent",
    "--new-session",
    "--as-pid-1",
    "--cap-drop",
    "--clearenv",
    "--seccomp",
    "--json-status-fd",
    "--remount-ro",
    "--perms",
    "--file",
];

/// The command that installs it, for error messages.
pub const INSTALL_REMEDY: &str = "install it, for example: sudo apt-get install bubblewrap";

/// Why bubblewrap is not usable.
#[derive(Debug, thiserror::Error)]
pub enum BwrapError {
    /// It is not installed where we look.
    #[error("no program bwrap in {searched}")]
    NotFound {
        /// Where we looked.
        searched: String,
    },
    /// It does not run.
    #[error("cannot run {path:?}")]
    Run {
        /// The program.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is too old.
    #[error("{path:?} ({version}) lacks {missing}; version 0.5 or newer is needed")]
    TooOld {
        /// The program.
        path: PathBuf,
        /// What it calls itself.
        version: String,
        /// The options that it lacks.
        missing: String,
    },
}

/// A bubblewrap program and what it can do.
#[derive(Debug, Clone)]
pub struct Bwrap {
    path: PathBuf,
    options: BTreeSet<String>,
}

impl Bwrap {
    /// Takes the given program, or the first `bwrap` in `PATH`, and asks it for its options.
    ///
    /// # Errors
    /// Not found, not runnable or too old.
    pub fn locate(explicit: Option<&Path>) -> Result<Self, BwrapError> {
        let path = match explicit {
            Some(path) if is_program(path) => path.to_owned(),
            Some(path) => {
                return Err(BwrapError::NotFound {
                    searched: path.display().to_string(),
                });
            }
            // The one place where PATH matters: NixOS, Guix and home-made installs keep bwrap in folders of their own.
            None => search(std::env::var_os("PATH").as_deref())?,
        };
        let help = output(&path, "--help")?;
        let options: BTreeSet<String> = help
            .split_whitespace()
            .filter(|word| word.starts_with("--"))
            .map(str::to_owned)
            .collect();
        let missing: Vec<&str> = REQUIRED
            .iter()
            .copied()
            .filter(|option| !options.contains(*option))
            .collect();
        if !missing.is_empty() {
            let version = output(&path, "--version").unwrap_or_default();
            return Err(BwrapError::TooOld {
                path,
                version: version.trim().to_owned(),
                missing: missing.join(" "),
            });
        }
        Ok(Self { path, options })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it knows the option, for example `--disable-userns` (0.8).
    pub fn has(&self, option: &str) -> bool {
        self.options.contains(option)
    }

    /// What `bwrap --version` says, for example `bubblewrap 0.8.0`.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn version(&self) -> Result<String, BwrapError> {
        Ok(output(&self.path, "--version")?.trim().to_owned())
    }
}

fn output(path: &Path, argument: &str) -> Result<String, BwrapError> {
    let run = Command::new(path)
        .arg(argument)
        .stdin(Stdio::null())
        .output();
    let output = run.map_err(|source| BwrapError::Run {
        path: path.to_owned(),
        source,
    })?;
    // Old versions print the help to stderr.
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn search(path: Option<&OsStr>) -> Result<PathBuf, BwrapError> {
    let folders = path.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"));
    let found = std::env::split_paths(folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("bwrap"));
    found
        .into_iter()
        .find(|candidate| is_program(candidate))
        .ok_or_else(|| BwrapError::NotFound {
            searched: format!("PATH ({})", folders.to_string_lossy()),
        })
}

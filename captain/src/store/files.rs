//! Database files from outside, without a captain's help and whether one runs or not: what state they are in, a copy of
//! one, and what can be saved of one that is damaged. A file is only ever read here; what is written is a new one.

mod salvage;

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

pub(crate) use self::salvage::{Saved, salvage};

/// Damaged places that are named; more say no more.
const MAX_PROBLEMS: u32 = 5;

/// Why a file could not be looked at, copied or saved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be opened as a database.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// It can be opened and not read.
    #[error("cannot read the database {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The new file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: super::Cause,
    },
    /// The new file is there and not sound.
    #[error("the copy {} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
}

/// What a look at a database found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    /// The number of its form.
    pub(crate) version: u32,
    /// Its size in bytes, without what is still in its write-ahead log.
    pub(crate) bytes: u64,
    /// What is damaged; empty for a sound one.
    pub(crate) problems: Vec<String>,
}

/// Looks a database over. Reads all of it.
///
/// # Errors
/// [`FileError::Open`] for what is no database at all.
pub(crate) fn examine(path: &Path) -> Result<Health, FileError> {
    let connection = open(path)?;
    let failed = |source| FileError::Open {
        path: path.to_owned(),
        source,
    };
    let version = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    let check = || -> rusqlite::Result<Vec<String>> {
        let mut statement =
            connection.prepare(&format!("PRAGMA integrity_check({MAX_PROBLEMS})"))?;
        let lines = statement.query_map((), |row| row.get(0))?;
        lines.collect()
    };
    // A check that cannot go on has found enough.
    let mut problems = check().unwrap_or_else(|error| vec![error.to_string()]);
    problems.retain(|line| line != "ok");
    Ok(Health {
        version,
        bytes: fs::metadata(path).map_or(0, |file| file.len()),
        problems,
    })
}

/// Copies a database as it is at this moment, to a file that must not be there yet; gives what the copy is.
///
/// # Errors
/// [`FileError`]; nothing is left then.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<Health, FileError> {
    let connection = open(from)?;
    let part = part_of(to);
    let write = |source: super::Cause| FileError::Write {
        path: to.to_owned(),
        source,
    };
    // SQLite writes into an empty file that is there, which decides who may read it.
    private(&part).map_err(|error| write(error.into()))?;
    let done = || -> Result<Health, FileError> {
        let name = part.display().to_string();
        connection
            .execute("VACUUM INTO ?1", [name])
            .map_err(|error| write(error.into()))?;
        finish(&part, to)
    };
    let done = done();
    if done.is_err() {
        let _ = fs::remove_file(&part);
    }
    done
}

/// Checks a new file and gives it its name.
fn finish(part: &Path, to: &Path) -> Result<Health, FileError> {
    let write = |source: std::io::Error| FileError::Write {
        path: to.to_owned(),
        source: source.into(),
    };
    let health = examine(part)?;
    if let Some(problem) = health.problems.first() {
        return Err(FileError::Damaged {
            path: to.to_owned(),
            problem: problem.clone(),
        });
    }
    File::open(part)
        .and_then(|file| file.sync_all())
        .map_err(write)?;
    // Never over a file that somebody else has put there meanwhile.
    fs::hard_link(part, to).map_err(write)?;
    fs::remove_file(part).map_err(write)?;
    Ok(health)
}

fn part_of(to: &Path) -> PathBuf {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

fn private(path: &Path) -> std::io::Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// A connection that only reads. The write-ahead log that a captain left is read with the file.
fn open(path: &Path) -> Result<Connection, FileError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |source| FileError::Open {
        path: path.to_owned(),
        source,
    };
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection
        .busy_timeout(std::time::Duration::from_secs(5))
        .map_err(failed)?;
    Ok(connection)
}

#[cfg(test)]
mod tests;

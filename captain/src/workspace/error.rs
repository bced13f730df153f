//! What can go wrong with a job's repository. The causes that are somebody's fault (a worker's bundle, results that do
//! not fit together, a wrong `--repo`) are kept apart from those of the machine, since different people must act.

use std::io;
use std::path::PathBuf;

use captain_core::{CommitId, Conflict};

use super::git::GitError;

/// A failed operation on a job's repository.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// A call of `git` failed that should not.
    #[error("the job's repository: {0}")]
    Git(#[from] GitError),
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What we were doing.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The repository that the user named cannot be used.
    #[error("cannot take the repository {}: {problem}", path.display())]
    BadSource {
        /// As it was named.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// There is no such job repository.
    #[error("there is no repository of this job in {}", .0.display())]
    NoRepository(PathBuf),
    /// `git` answered something that we do not understand.
    #[error("`git` gave an unexpected answer to {what}: {answer:?}")]
    Answer {
        /// The question.
        what: &'static str,
        /// The answer.
        answer: String,
    },
    /// There is no such file in the result.
    #[error("there is no file {0:?} in the result")]
    NoSuchFile(String),
}

/// A failed merge.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The results of two or more subtasks do not fit together.
    #[error("{0}")]
    Conflict(Conflict),
    /// Something else failed.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

/// A bundle that is refused, or could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is larger than allowed.
    #[error("the bundle has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// It is not a plain file.
    #[error("the bundle {} is not a plain file", .0.display())]
    NotAFile(PathBuf),
    /// `git` cannot read it, or finds its objects malformed.
    #[error("the bundle is not valid: {0}")]
    Malformed(String),
    /// It does not hold exactly the one branch that was agreed.
    #[error("the bundle must hold the one branch {expected:?}, but holds {found:?}")]
    Branches {
        /// The full name of the branch that was expected.
        expected: &'static str,
        /// What it holds.
        found: Vec<String>,
    },
    /// Its commit does not build on the prepared one.
    #[error(
        "the bundle's commit {commit} does not descend from {prepared}, the commit that the subtask started from"
    )]
    NotDescendant {
        /// What it holds.
        commit: CommitId,
        /// What it must build on.
        prepared: CommitId,
    },
    /// It changes a path that no result may have.
    #[error("the bundle changes {path:?}: {problem}")]
    BadPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It holds more than allowed.
    #[error("the bundle holds {count} {what}, at most {limit} are allowed")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        count: u64,
        /// How many may be.
        limit: u64,
    },
    /// The attempt was never prepared, so nothing can come back from it.
    #[error("nothing was prepared for this attempt")]
    NotPrepared,
    /// The captain's side failed.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

impl From<GitError> for MergeError {
    fn from(error: GitError) -> Self {
        Self::Workspace(error.into())
    }
}

impl From<GitError> for BundleError {
    fn from(error: GitError) -> Self {
        Self::Workspace(error.into())
    }
}

/// For `map_err` on calls of the file system.
pub(super) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> WorkspaceError {
    let path = path.into();
    move |source| WorkspaceError::Io {
        action,
        path,
        source,
    }
}

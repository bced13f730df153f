//! The agent's working folder, seen from outside: what it looked like when a task began and what has changed since.
//!
//! The folder and its `.git` are writable by the agent and so hostile: no git command of ours may read that repository once
//! the agent has run. All bookkeeping is in a shadow repository in the worker's state folder, which the agent cannot see, with the
//! workspace as its work tree. Before the agent first runs, the commit that the captain prepared is copied into the shadow,
//! so that results are its descendants and travel as a git bundle. Symbolic links are recorded and never followed, nested
//! repositories are left out, and no filter, hook or monitor that the workspace names is ever run.

pub(crate) mod download;
mod git;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::info;

use git::{Git, GitError};
use snapshot::Skipped;

/// Files and patches up to this size travel inside the event; larger ones are fetched.
pub(crate) const MAX_INLINE: u64 = 256 * 1024;

/// All inline files of one task together. A stream of more is no longer an event stream.
const MAX_INLINE_TOTAL: u64 = 16 * 1024 * 1024;

/// Changed files that are listed one by one; a task that changes more is described by its patch and bundle.
const MAX_LISTED: usize = 5_000;

/// The commit that the workspace held before any agent ran, if it was a repository.
const ORIGIN: &str = "refs/flotilla/origin";
/// The newest snapshot.
const TIP: &str = "refs/flotilla/tip";
/// The branch that the bundle carries.
pub(crate) const RESULT: &str = "refs/heads/flotilla/result";

/// Why the workspace could not be read.
#[derive(Debug, Error)]
pub(crate) enum WorkspaceError {
    /// A git command failed.
    #[error("cannot {doing}")]
    Git {
        doing: &'static str,
        #[source]
        source: GitError,
    },
    /// A file of ours could not be written or read.
    #[error("cannot use {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The work tree could not be looked at.
    #[error("cannot look at the workspace's files")]
    Look(#[source] io::Error),
    /// More than can be collected.
    #[error("the workspace {what}; add generated folders to .gitignore")]
    TooMuch { what: &'static str },
    /// git printed something that is not its documented format.
    #[error("cannot understand git's answer about the workspace")]
    Format,
}

/// What a task changed.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The commit that a receiver of the bundle must have; none for a workspace that was no repository.
    pub(crate) origin: Option<String>,
    /// The workspace when the task began.
    pub(crate) base: String,
    /// The workspace now.
    pub(crate) commit: String,
    /// Created and changed files, in path order.
    pub(crate) files: Vec<ChangedFile>,
    /// Deleted files.
    pub(crate) deleted: Vec<String>,
    /// Files that were not recorded, with the reason.
    pub(crate) skipped: Vec<Skipped>,
    /// The patch; none when nothing changed.
    pub(crate) patch: Option<Stored>,
    /// The git bundle; none when nothing changed.
    pub(crate) bundle: Option<Stored>,
}

/// A created or changed file.
#[derive(Debug)]
pub(crate) struct ChangedFile {
    /// Path from the workspace's root.
    pub(crate) path: String,
    /// Size in bytes.
    pub(crate) size: u64,
    /// The content, where it is small.
    pub(crate) content: Option<Bytes>,
}

/// A result that is kept in the state folder.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Size in bytes.
    pub(crate) size: u64,
    /// The content, where it is small.
    pub(crate) content: Option<Bytes>,
}

/// What can be fetched of one task, kept beside the stored results.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Index {
    /// Whose task it is; nobody else is served.
    pub(crate) owner: String,
    /// From path to object id.
    pub(crate) files: BTreeMap<String, String>,
}

/// The names under which patch and bundle are fetched. `.flotilla/` keeps them apart from the workspace's own files.
pub(crate) const PATCH_PATH: &str = ".flotilla/changes.patch";
pub(crate) const BUNDLE_PATH: &str = ".flotilla/result.bundle";

/// One worker's workspace with its shadow repository.
#[derive(Debug)]
pub(crate) struct Workspace {
    git: Git,
    artifacts: PathBuf,
}

impl Workspace {
    /// Touches nothing: an idle worker pays nothing for its workspace.
    pub(crate) fn new(root: &Path, state_dir: &Path) -> Self {
        Self {
            git: Git::new(root, &state_dir.join("shadow.git")),
            artifacts: state_dir.join("artifacts"),
        }
    }

    /// Makes the shadow repository and copies the captain's commit into it. Must be called, and awaited, before the agent first
    /// runs; later calls, also after a restart, do nothing, since by then the workspace's own repository cannot be trusted.
    pub(crate) async fn prepare(&self) -> Result<(), WorkspaceError> {
        if self.git.is_ready() {
            return Ok(());
        }
        self.git
            .init()
            .await
            .map_err(doing("make the shadow repository"))?;
        match self
            .git
            .import(ORIGIN)
            .await
            .map_err(doing("read the workspace's repository"))?
        {
            Some(commit) => {
                info!(commit, "the workspace is a git repository");
                self.git
                    .update_ref(TIP, &commit)
                    .await
                    .map_err(doing("record the workspace's commit"))?;
                self.git
                    .read_tree(&commit)
                    .await
                    .map_err(doing("read the workspace's commit"))?;
            }
            None => info!("the workspace is not a git repository"),
        }
        self.git
            .set_ready()
            .map_err(doing("finish the shadow repository"))
    }

    /// Records what the workspace looks like at the start of `task`; a later turn of the same task keeps the first record.
    pub(crate) async fn begin(&self, task: &str) -> Result<(), WorkspaceError> {
        self.prepare().await?;
        let name = base_ref(task);
        if self
            .git
            .resolve(&name)
            .await
            .map_err(doing("look for the task's base"))?
            .is_none()
        {
            let (commit, _) = self.snapshot("The workspace as the task found it").await?;
            self.git
                .update_ref(&name, &commit)
                .await
                .map_err(doing("record the task's base"))?;
        }
        Ok(())
    }

    /// Records the workspace as it is now and says what `task` changed. Keeps the results for `owner` to fetch.
    pub(crate) async fn collect(
        &self,
        task: &str,
        owner: &str,
        title: &str,
    ) -> Result<Changes, WorkspaceError> {
        let git = &self.git;
        let base = git
            .resolve(&base_ref(task))
            .await
            .map_err(doing("look for the task's base"))?;
        let base = base.ok_or(WorkspaceError::Format)?;
        let origin = git
            .resolve(ORIGIN)
            .await
            .map_err(doing("look for the captain's commit"))?;
        let (commit, skipped) = self.snapshot(title).await?;
        git.update_ref(RESULT, &commit)
            .await
            .map_err(doing("record the result"))?;
        let mut changes = Changes {
            origin,
            base,
            commit,
            files: Vec::new(),
            deleted: Vec::new(),
            skipped,
            patch: None,
            bundle: None,
        };
        if changes.base == changes.commit {
            return Ok(changes);
        }
        let folder = self.folder(task);
        std::fs::create_dir_all(&folder).map_err(file_error(&folder))?;
        let mut index = Index {
            owner: owner.to_owned(),
            files: BTreeMap::new(),
        };
        self.list(&mut changes, &mut index).await?;

        let patch = folder.join("changes.patch");
        git.write_patch(&changes.base, &changes.commit, &patch)
            .await
            .map_err(doing("write the patch"))?;
        changes.patch = Some(stored(&patch)?);
        let bundle = folder.join("result.bundle");
        git.write_bundle(RESULT, changes.origin.as_deref(), &bundle)
            .await
            .map_err(doing("write the git bundle"))?;
        changes.bundle = Some(stored(&bundle)?);

        let index_file = folder.join("index.json");
        let text = serde_json::to_vec(&index).map_err(|_| WorkspaceError::Format)?;
        std::fs::write(&index_file, text).map_err(file_error(&index_file))?;
        Ok(changes)
    }

    /// Fills in the changed files, their sizes, and the content of small ones.
    async fn list(&self, changes: &mut Changes, index: &mut Index) -> Result<(), WorkspaceError> {
        let entries = self
            .git
            .diff_tree(&changes.base, &changes.commit)
            .await
            .map_err(doing("compare with the base"))?;
        let mut found = Vec::new();
        for entry in entries {
            let Ok(path) = String::from_utf8(entry.path) else {
                changes.skipped.push(Skipped::new(
                    "(a name that is not UTF-8)",
                    "its name is not UTF-8; see the bundle",
                ));
                continue;
            };
            if entry.deleted {
                changes.deleted.push(path);
            } else if entry.regular {
                found.push((path, entry.object));
            }
        }
        if found.len() > MAX_LISTED {
            changes.skipped.push(Skipped::new(
                "(all files)",
                "too many changed files to list; see the bundle",
            ));
            return Ok(());
        }
        let objects: Vec<&str> = found.iter().map(|(_, object)| object.as_str()).collect();
        let sizes = self
            .git
            .sizes(&objects)
            .await
            .map_err(doing("measure changed files"))?;
        let mut inline_left = MAX_INLINE_TOTAL;
        let mut wanted = Vec::new();
        for ((path, object), size) in found.into_iter().zip(sizes) {
            let inline = size <= MAX_INLINE && size <= inline_left;
            if inline {
                inline_left -= size;
                wanted.push(object.clone());
            }
            index.files.insert(path.clone(), object);
            changes.files.push(ChangedFile {
                path,
                size,
                content: inline.then(Bytes::new),
            });
        }
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let contents = self
            .git
            .contents(&wanted)
            .await
            .map_err(doing("read changed files"))?;
        let inline = changes
            .files
            .iter_mut()
            .filter(|file| file.content.is_some());
        for (file, content) in inline.zip(contents) {
            file.content = Some(content);
        }
        Ok(())
    }

    fn folder(&self, task: &str) -> PathBuf {
        self.artifacts.join(task)
    }
}

/// The ref that keeps a task's base. Task ids are made by this worker's server and contain neither ':' nor '/'.
fn base_ref(task: &str) -> String {
    format!("refs/flotilla/base/{task}")
}

fn doing(doing: &'static str) -> impl FnOnce(GitError) -> WorkspaceError {
    move |source| WorkspaceError::Git { doing, source }
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> WorkspaceError + '_ {
    move |source| WorkspaceError::File {
        path: path.to_owned(),
        source,
    }
}

fn stored(path: &Path) -> Result<Stored, WorkspaceError> {
    let size = std::fs::metadata(path).map_err(file_error(path))?.len();
    let content = match size {
        0..=MAX_INLINE => Some(Bytes::from(std::fs::read(path).map_err(file_error(path))?)),
        _ => None,
    };
    Ok(Stored { size, content })
}

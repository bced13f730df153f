//! Recording the work tree as a commit of the shadow repository, within limits.
//!
//! The list of paths comes from git (which knows `.gitignore`), the decision what to record is made here by looking at each path
//! itself: `git add` would enter nested repositories, and would run commands inside known ones.

use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use serde::Serialize;

use super::git::as_path;
use super::{TIP, Workspace, WorkspaceError, doing};

/// The most files that a workspace may hold besides ignored ones.
const MAX_FILES: usize = 200_000;

/// Larger files are not recorded: they would fill the state folder and no event could carry them.
const MAX_FILE: u64 = 100 * 1024 * 1024;

/// New or changed bytes of one snapshot.
const MAX_TOTAL: u64 = 1024 * 1024 * 1024;

/// A file that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Skipped {
    /// Its path from the workspace's root.
    pub(crate) path: String,
    /// Why it was left out.
    pub(crate) reason: &'static str,
}

impl Skipped {
    pub(super) fn new(path: impl Into<String>, reason: &'static str) -> Self {
        Self {
            path: path.into(),
            reason,
        }
    }
}

/// What is to be done with the paths of the work tree.
#[derive(Debug, Default)]
struct Sorted {
    record: Vec<Vec<u8>>,
    remove: Vec<Vec<u8>>,
    skipped: Vec<Skipped>,
    new_bytes: u64,
}

impl Workspace {
    /// The workspace as a commit: the newest snapshot itself where nothing has changed since.
    pub(super) async fn snapshot(
        &self,
        message: &str,
    ) -> Result<(String, Vec<Skipped>), WorkspaceError> {
        let git = &self.git;
        let tracked = git.tracked().await.map_err(doing("list known files"))?;
        let untracked = git.untracked().await.map_err(doing("list new files"))?;
        if tracked.len() + untracked.len() > MAX_FILES {
            return Err(WorkspaceError::TooMuch {
                what: "holds more than 200,000 files",
            });
        }
        let work_tree = git.work_tree().to_owned();
        let sorted =
            tokio::task::spawn_blocking(move || sort_out(&work_tree, tracked, untracked)).await;
        let Sorted {
            record,
            remove,
            skipped,
            new_bytes,
        } = sorted
            .map_err(|_| WorkspaceError::Look(std::io::ErrorKind::Interrupted.into()))?
            .map_err(WorkspaceError::Look)?;
        if new_bytes > MAX_TOTAL {
            return Err(WorkspaceError::TooMuch {
                what: "holds more than 1 GiB of new files",
            });
        }
        if !remove.is_empty() {
            git.remove(&remove)
                .await
                .map_err(doing("record deleted files"))?;
        }
        if !record.is_empty() {
            git.add(&record).await.map_err(doing("record files"))?;
        }
        let tree = git
            .write_tree()
            .await
            .map_err(doing("record the workspace"))?;
        let parent = git
            .resolve(TIP)
            .await
            .map_err(doing("look for the newest snapshot"))?;
        if let Some(parent) = &parent
            && git
                .tree_of(parent)
                .await
                .map_err(doing("read the newest snapshot"))?
                == tree
        {
            return Ok((parent.clone(), skipped));
        }
        let commit = git
            .commit(&tree, parent.as_deref(), message)
            .await
            .map_err(doing("record the workspace"))?;
        git.update_ref(TIP, &commit)
            .await
            .map_err(doing("record the newest snapshot"))?;
        Ok((commit, skipped))
    }
}

/// Looks at every path itself, without following a link in any part of it.
fn sort_out(
    work_tree: &Path,
    tracked: Vec<(Vec<u8>, bool)>,
    untracked: Vec<Vec<u8>>,
) -> std::io::Result<Sorted> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(work_tree, flags, Mode::empty())?;
    let mut sorted = Sorted::default();
    // What the captain's commit itself holds as a nested repository stays as it is.
    let tracked = tracked
        .into_iter()
        .filter_map(|(path, nested)| (!nested).then_some((path, true)));
    for (path, known) in tracked.chain(untracked.into_iter().map(|path| (path, false))) {
        if path.ends_with(b"/") {
            sorted.skip(&path, "it is a git repository of its own");
            continue;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::openat2(
            &root,
            as_path(&path),
            flags,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH,
        )
        .and_then(rustix::fs::fstat);
        // Gone, or behind a link or file that took its folder's place.
        let Ok(found) = found else {
            if known {
                sorted.remove.push(path);
            }
            continue;
        };
        let size = u64::try_from(found.st_size).unwrap_or(0);
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => sorted.record.push(path),
            FileType::RegularFile if size > MAX_FILE => {
                sorted.skip(&path, "it is larger than 100 MiB");
            }
            FileType::RegularFile
                if found.st_mode & 0o400 == 0 && !rustix::process::geteuid().is_root() =>
            {
                sorted.skip(&path, "it cannot be read");
            }
            FileType::RegularFile => {
                sorted.new_bytes += if known { 0 } else { size };
                sorted.record.push(path);
            }
            // A folder, pipe or socket in the place of a known file: the file is gone.
            _ if known => sorted.remove.push(path),
            _ => sorted.skip(&path, "it is neither a file nor a symbolic link"),
        }
    }
    Ok(sorted)
}

impl Sorted {
    fn skip(&mut self, path: &[u8], reason: &'static str) {
        self.skipped
            .push(Skipped::new(String::from_utf8_lossy(path), reason));
    }
}

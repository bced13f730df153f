//! Taking a worker's result in. A bundle is made where an agent has been at work, so nothing in it is believed: it is
//! opened in a repository of its own, looked over there, and only then fetched into the job's, with `git`'s own checks
//! of every new object on the way. What is refused leaves no trace.

use std::path::Path;

use captain_core::{Attempt, CommitId, SubtaskId};

use super::error::{BundleError, WorkspaceError, io_error};
use super::git::{Call, GitError};
use super::outputs::{RawChange, parse_raw};
use super::repository::{JobRepository, commit_id, make_folder, remove_tree, subtask_ref};

/// The branch that a worker's bundle holds.
pub(super) const BUNDLE_REF: &str = "refs/heads/flotilla/result";

/// In the look-over repository: the commit that the attempt started from. The bundle may rest on it and what is before.
const PREPARED_REF: &str = "refs/heads/prepared";
/// In the look-over repository: what came in.
const INCOMING_REF: &str = "refs/heads/incoming";

/// From this size on, `git` treats a file as a stream and never holds it whole, so that a small bundle that unpacks to
/// something huge costs time, not memory.
const STREAMED_FROM: &str = "core.bigFileThreshold=8m";

/// Longest path (PATH_MAX of Linux, less the folder it will lie in).
const MAX_PATH_BYTES: usize = 3072;
/// Longest name of one file or folder (NAME_MAX).
const MAX_NAME_BYTES: usize = 255;

/// What a bundle may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportLimits {
    /// Size of the bundle, in bytes.
    pub bundle_bytes: u64,
    /// Changed files.
    pub files: u64,
    /// Size of all changed files together, unpacked, in bytes.
    pub unpacked_bytes: u64,
    /// New commits.
    pub commits: u64,
}

impl Default for ImportLimits {
    fn default() -> Self {
        Self {
            bundle_bytes: 512 << 20,
            files: 50_000,
            unpacked_bytes: 2 << 30,
            commits: 10_000,
        }
    }
}

impl JobRepository {
    /// Takes `bundle` in as the branch `subtask/<id>/<attempt>` and gives its commit. Done already, it gives the same
    /// commit again.
    pub async fn import(
        &self,
        subtask: &SubtaskId,
        attempt: Attempt,
        bundle: &Path,
        limits: &ImportLimits,
    ) -> Result<CommitId, BundleError> {
        let branch = subtask_ref(subtask, attempt);
        if let Some(commit) = self.resolve(&branch).await? {
            return Ok(commit);
        }
        let prepared = self
            .prepared(subtask, attempt)
            .await?
            .ok_or(BundleError::NotPrepared)?;
        let found = tokio::fs::symlink_metadata(bundle)
            .await
            .map_err(io_error("read", bundle))?;
        if !found.is_file() {
            return Err(BundleError::NotAFile(bundle.to_owned()));
        }
        if found.len() > limits.bundle_bytes {
            return Err(BundleError::TooLarge {
                size: found.len(),
                limit: limits.bundle_bytes,
            });
        }
        let room = self
            .scratch()
            .await?
            .join(format!("import-{subtask}-{attempt}"));
        remove_tree(&room).await?;
        let taken = self.take(&room, &prepared, bundle, limits, &branch).await;
        remove_tree(&room).await?;
        taken
    }

    /// Says that an attempt changed nothing: its result is what it started from.
    pub async fn import_unchanged(
        &self,
        subtask: &SubtaskId,
        attempt: Attempt,
    ) -> Result<CommitId, BundleError> {
        let branch = subtask_ref(subtask, attempt);
        if let Some(commit) = self.resolve(&branch).await? {
            return Ok(commit);
        }
        let prepared = self
            .prepared(subtask, attempt)
            .await?
            .ok_or(BundleError::NotPrepared)?;
        self.set_ref(&branch, &prepared).await?;
        Ok(prepared)
    }

    async fn take(
        &self,
        room: &Path,
        prepared: &CommitId,
        bundle: &Path,
        limits: &ImportLimits,
        branch: &str,
    ) -> Result<CommitId, BundleError> {
        make_folder(room).await?;
        self.init(room, &["--bare"]).await?;
        // Ours can be read from there, so that the bundle need not hold what we have.
        let alternates = room.join("objects/info/alternates");
        make_folder(&room.join("objects/info")).await?;
        let objects = format!("{}\n", self.path().join("objects").display());
        tokio::fs::write(&alternates, objects)
            .await
            .map_err(io_error("write", &alternates))?;
        self.share_cut(room).await?;
        let look = Look {
            repository: self,
            room,
        };
        look.call()
            .args(["update-ref", PREPARED_REF, prepared.as_str()])
            .run()
            .await?;
        look.branches(bundle).await?;
        let commit = look.unpack(bundle).await?;
        if !look.descends(prepared, &commit).await? {
            return Err(BundleError::NotDescendant {
                commit,
                prepared: prepared.clone(),
            });
        }
        look.check_commits(prepared, &commit, limits).await?;
        let changes = look.changes(prepared, &commit).await?;
        look.check_changes(&changes, limits).await?;
        self.call()
            .args(["-c", "fetch.fsckObjects=true", "-c", STREAMED_FROM])
            .args([
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--",
            ])
            .arg(room)
            .arg(format!("{INCOMING_REF}:{branch}"))
            .run()
            .await
            .map_err(malformed)?;
        Ok(commit)
    }
}

/// The look-over repository.
struct Look<'a> {
    repository: &'a JobRepository,
    room: &'a Path,
}

impl Look<'_> {
    fn call(&self) -> Call<'_> {
        self.repository.git.bare(self.room)
    }

    /// The bundle must hold the agreed branch and nothing else.
    async fn branches(&self, bundle: &Path) -> Result<(), BundleError> {
        let answer = self
            .call()
            .args(["bundle", "list-heads"])
            .arg(bundle)
            .run()
            .await
            .map_err(malformed)?;
        let text = String::from_utf8_lossy(&answer.stdout);
        let found: Vec<String> = text
            .lines()
            .filter_map(|line| Some(line.split_once(' ')?.1.to_owned()))
            .take(16)
            .collect();
        if found == [BUNDLE_REF] {
            Ok(())
        } else {
            Err(BundleError::Branches {
                expected: BUNDLE_REF,
                found,
            })
        }
    }

    async fn unpack(&self, bundle: &Path) -> Result<CommitId, BundleError> {
        self.call()
            .args([
                "-c",
                STREAMED_FROM,
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--",
            ])
            .arg(bundle)
            .arg(format!("{BUNDLE_REF}:{INCOMING_REF}"))
            .run()
            .await
            .map_err(malformed)?;
        // A branch could point at something that is not a commit.
        let commit = format!("{INCOMING_REF}^{{commit}}");
        let line = self
            .call()
            .args(["rev-parse", "--verify", &commit])
            .run()
            .await
            .map_err(malformed)?
            .line();
        Ok(commit_id("rev-parse", &line)?)
    }

    async fn descends(&self, prepared: &CommitId, commit: &CommitId) -> Result<bool, BundleError> {
        let call = self.call().args([
            "merge-base",
            "--is-ancestor",
            prepared.as_str(),
            commit.as_str(),
        ]);
        Ok(call.accept(&[0, 1]).run().await?.code == 0)
    }

    async fn check_commits(
        &self,
        prepared: &CommitId,
        commit: &CommitId,
        limits: &ImportLimits,
    ) -> Result<(), BundleError> {
        let range = format!("{prepared}..{commit}");
        let line = self
            .call()
            .args(["rev-list", "--count", &range])
            .run()
            .await?
            .line();
        let count = line.parse().map_err(|_| WorkspaceError::Answer {
            what: "rev-list",
            answer: line,
        })?;
        at_most("commits", count, limits.commits)
    }

    async fn changes(
        &self,
        prepared: &CommitId,
        commit: &CommitId,
    ) -> Result<Vec<RawChange>, BundleError> {
        let call = self.call().args([
            "diff-tree",
            "-r",
            "-z",
            "--raw",
            "--no-renames",
            "--no-abbrev",
        ]);
        let answer = call
            .args([prepared.as_str(), commit.as_str()])
            .run()
            .await?;
        Ok(parse_raw(&answer.stdout)?)
    }

    async fn check_changes(
        &self,
        changes: &[RawChange],
        limits: &ImportLimits,
    ) -> Result<(), BundleError> {
        at_most("changed files", changes.len() as u64, limits.files)?;
        let mut objects = Vec::new();
        for change in changes {
            let text = || String::from_utf8_lossy(&change.path).into_owned();
            check_path(&change.path).map_err(|problem| BundleError::BadPath {
                path: text(),
                problem,
            })?;
            match change.new_mode {
                0 => {}
                0o100_644 | 0o100_755 | 0o120_000 => {
                    objects.extend_from_slice(change.new_object.as_bytes());
                    objects.push(b'\n');
                }
                0o160_000 => {
                    return Err(BundleError::BadPath {
                        path: text(),
                        problem: "it is a submodule",
                    });
                }
                _ => {
                    return Err(BundleError::BadPath {
                        path: text(),
                        problem: "it is no file, program or link",
                    });
                }
            }
        }
        let call = self
            .call()
            .args(["cat-file", "--batch-check=%(objectsize)"])
            .input(objects);
        let answer = call.run().await?;
        let sizes = String::from_utf8_lossy(&answer.stdout);
        let total = sizes
            .lines()
            .map(|line| line.parse::<u64>().unwrap_or(0))
            .fold(0, u64::saturating_add);
        at_most("bytes in changed files", total, limits.unpacked_bytes)
    }
}

fn at_most(what: &'static str, count: u64, limit: u64) -> Result<(), BundleError> {
    if count > limit {
        Err(BundleError::TooMany { what, count, limit })
    } else {
        Ok(())
    }
}

/// A failure of `git` on the bundle's content is the bundle's fault.
fn malformed(error: GitError) -> BundleError {
    match error.stderr() {
        Some(text) => BundleError::Malformed(text.to_owned()),
        None => error.into(),
    }
}

/// `git`'s own checks know the dangerous names of other file systems too; these are ours, and told in plain words.
pub(super) fn check_path(path: &[u8]) -> Result<(), &'static str> {
    if path.len() > MAX_PATH_BYTES {
        return Err("the path is too long");
    }
    if std::str::from_utf8(path).is_err() {
        return Err("the name is not UTF-8");
    }
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." | b".." => return Err("the path leads elsewhere"),
            _ if name.eq_ignore_ascii_case(b".git") => return Err("it lies in a .git folder"),
            _ if name.len() > MAX_NAME_BYTES => return Err("a name in the path is too long"),
            _ => {}
        }
    }
    Ok(())
}

//! What can be taken from a finished job: the list of changed files, single files, a patch, an archive, a bundle. Large
//! answers are streams, so that a result of any size costs the same memory.

use std::pin::Pin;

use bytes::Bytes;
use captain_core::CommitId;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::Stream;
use tokio::io::AsyncReadExt;

use super::error::WorkspaceError;
use super::git::{GitError, GitStream};
use super::import::check_path;
use super::repository::{JobRepository, RESULT_REF};

/// How much of an archive is compressed at a time, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the repository's root.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Its size now, in bytes; 0 if deleted.
    pub size: u64,
    /// Whether it may be run as a program.
    pub executable: bool,
    /// Whether it is a symbolic link; its content is where it points.
    pub link: bool,
}

/// What happened to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content or mode is another.
    Modified,
    /// It is gone.
    Deleted,
    /// It has a new name (and perhaps other content).
    Renamed {
        /// Its old name.
        from: String,
    },
}

/// One file of the result.
#[derive(Debug)]
pub struct FileContent {
    /// Its size in bytes.
    pub size: u64,
    /// Whether it may be run as a program.
    pub executable: bool,
    /// Its bytes.
    pub bytes: GitStream,
}

/// One line of `git`'s raw difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawChange {
    pub(super) new_mode: u32,
    pub(super) new_object: String,
    pub(super) status: u8,
    /// The old name, if that differs.
    pub(super) from: Option<Vec<u8>>,
    pub(super) path: Vec<u8>,
}

impl JobRepository {
    /// The files that differ between two commits, sorted by path.
    pub async fn changes(
        &self,
        from: &CommitId,
        to: &CommitId,
    ) -> Result<Vec<Change>, WorkspaceError> {
        let call = self.call().args([
            "diff-tree",
            "-r",
            "-z",
            "--raw",
            "--find-renames",
            "--no-abbrev",
        ]);
        let answer = call.args([from.as_str(), to.as_str()]).run().await?;
        let raw = parse_raw(&answer.stdout)?;
        let mut objects = Vec::new();
        for change in raw.iter().filter(|change| is_file(change.new_mode)) {
            objects.extend_from_slice(change.new_object.as_bytes());
            objects.push(b'\n');
        }
        let answer = self
            .call()
            .args(["cat-file", "--batch-check=%(objectsize)"])
            .input(objects)
            .run()
            .await?;
        let text = String::from_utf8_lossy(&answer.stdout);
        let mut sizes = text.lines().map(|line| line.parse::<u64>().unwrap_or(0));
        let mut changes: Vec<Change> = raw
            .into_iter()
            .map(|change| Change {
                size: if is_file(change.new_mode) {
                    sizes.next().unwrap_or(0)
                } else {
                    0
                },
                executable: change.new_mode == 0o100_755,
                link: change.new_mode == 0o120_000,
                kind: kind(&change),
                path: String::from_utf8_lossy(&change.path).into_owned(),
            })
            .collect();
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }

    /// One file of a commit. A symbolic link's content is where it points; it is never followed.
    pub async fn file(&self, commit: &CommitId, path: &str) -> Result<FileContent, WorkspaceError> {
        let missing = || WorkspaceError::NoSuchFile(path.to_owned());
        if check_path(path.as_bytes()).is_err() {
            return Err(missing());
        }
        let call = self.call().args([
            "ls-tree",
            "-z",
            "--long",
            "--full-tree",
            commit.as_str(),
            "--",
            path,
        ]);
        let answer = call.run().await?;
        let line = split_nul(&answer.stdout).next().ok_or_else(missing)?;
        let head = line.split(|&byte| byte == b'\t').next().unwrap_or_default();
        let head = String::from_utf8_lossy(head).into_owned();
        let mut words = head.split_ascii_whitespace();
        let (Some(mode), Some("blob"), Some(object), Some(size)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(missing());
        };
        let size = size.parse().map_err(|_| WorkspaceError::Answer {
            what: "ls-tree",
            answer: head.clone(),
        })?;
        let bytes = self.call().args(["cat-file", "blob", object]).stream()?;
        Ok(FileContent {
            size,
            executable: mode == "100755",
            bytes,
        })
    }

    /// Everything that differs between two commits as a patch that `git apply` understands, binary files included.
    pub fn patch(&self, from: &CommitId, to: &CommitId) -> Result<GitStream, GitError> {
        self.call()
            .args([
                "diff",
                "--binary",
                "--full-index",
                "--no-color",
                "--no-ext-diff",
                "--no-textconv",
                "--find-renames",
            ])
            .args([from.as_str(), to.as_str()])
            .stream()
    }

    /// All files of a commit as a compressed archive.
    pub fn archive(&self, commit: &CommitId) -> Result<Archive, GitError> {
        let tar = self
            .call()
            .args(["archive", "--format=tar", commit.as_str()])
            .stream()?;
        Ok(Box::pin(compressed(tar)))
    }

    /// The branch `result` as a bundle that `git fetch` understands, without what comes before `since`.
    pub fn bundle(&self, since: Option<&CommitId>) -> Result<GitStream, GitError> {
        let call = self
            .call()
            .args(["bundle", "create", "--quiet", "-", RESULT_REF]);
        match since {
            Some(commit) => call.arg(format!("^{commit}")),
            None => call,
        }
        .stream()
    }
}

/// A compressed archive, piece by piece.
pub type Archive = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

fn compressed(mut tar: GitStream) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    async_stream::try_stream! {
        let mut encoder = GzEncoder::new(Vec::with_capacity(CHUNK_BYTES), Compression::default());
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = tar.read(&mut chunk).await?;
            if read == 0 {
                break;
            }
            std::io::Write::write_all(&mut encoder, chunk.get(..read).unwrap_or_default())?;
            let done = std::mem::take(encoder.get_mut());
            if !done.is_empty() {
                yield Bytes::from(done);
            }
        }
        yield Bytes::from(encoder.finish()?);
    }
}

fn kind(change: &RawChange) -> ChangeKind {
    match (change.status, &change.from) {
        (b'A', _) => ChangeKind::Added,
        (b'D', _) => ChangeKind::Deleted,
        (b'R', Some(from)) => ChangeKind::Renamed {
            from: String::from_utf8_lossy(from).into_owned(),
        },
        _ => ChangeKind::Modified,
    }
}

fn is_file(mode: u32) -> bool {
    matches!(mode, 0o100_644 | 0o100_755 | 0o120_000)
}

/// The pieces of an answer whose pieces end with NUL.
pub(super) fn split_nul(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    answer
        .split(|&byte| byte == 0)
        .filter(|piece| !piece.is_empty())
}

/// Reads `:<mode> <mode> <object> <object> <status>` NUL `<path>` NUL, with a second path for renames.
pub(super) fn parse_raw(answer: &[u8]) -> Result<Vec<RawChange>, WorkspaceError> {
    let mut pieces = split_nul(answer);
    let mut changes = Vec::new();
    while let Some(head) = pieces.next() {
        let head = String::from_utf8_lossy(head);
        let wrong = || WorkspaceError::Answer {
            what: "diff-tree",
            answer: head.to_string(),
        };
        let mut words = head.trim_start_matches(':').split(' ');
        let (_, new_mode) = (words.next(), words.next().ok_or_else(wrong)?);
        let (_, new_object) = (words.next(), words.next().ok_or_else(wrong)?);
        let status = *words
            .next()
            .and_then(|word| word.as_bytes().first())
            .ok_or_else(wrong)?;
        let first = pieces.next().ok_or_else(wrong)?.to_vec();
        let second = if matches!(status, b'R' | b'C') {
            Some(pieces.next().ok_or_else(wrong)?.to_vec())
        } else {
            None
        };
        let (from, path) = match second {
            Some(path) => (Some(first), path),
            None => (None, first),
        };
        changes.push(RawChange {
            new_mode: u32::from_str_radix(new_mode, 8).map_err(|_| wrong())?,
            new_object: new_object.to_owned(),
            status,
            from,
            path,
        });
    }
    Ok(changes)
}

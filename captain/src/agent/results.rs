//! The result of a job as artifacts of its task: a summary, each file that the job left, the patch, the archive. Small
//! content comes in chunks, large content as the address under which REST serves it. The same commit always gives
//! the same chunks, so that a captain that died in between goes on where it stopped.

use a2a_proto::types::{Artifact, Metadata, Part, TaskArtifactUpdateEvent};
use captain_core::{JobId, JobResult};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::api::artifact_path;
use crate::workspace::{Change, ChangeKind, JobRepository, WorkspaceError};

/// The largest content that comes inline, in bytes; as with the workers' own artifacts.
const INLINE_BYTES: u64 = 256 * 1024;
/// Inline content of one result in all, in bytes: a task stays small enough to be read whole.
const INLINE_TOTAL: u64 = 4 * 1024 * 1024;
/// Bytes of one chunk: an event that every client takes.
const CHUNK_BYTES: usize = 64 * 1024;
/// Files that are artifacts of their own; the others are in patch and archive.
const MAX_FILES: usize = 1000;
/// Names that the summary lists of each kind.
const MAX_NAMES: usize = 1000;

/// Reads one job's result.
#[derive(Debug)]
pub(super) struct Results {
    repository: JobRepository,
    result: JobResult,
    /// Where the job's artifacts are, without a slash at its end.
    url: String,
    left: u64,
}

/// A piece of an artifact.
#[derive(Debug)]
pub(super) struct Piece {
    artifact: Artifact,
    append: bool,
    last: bool,
}

impl Piece {
    fn whole(artifact: Artifact) -> Self {
        Self {
            artifact,
            append: false,
            last: true,
        }
    }

    /// The event that brings it.
    pub(super) fn event(self, task_id: &str, context_id: &str) -> TaskArtifactUpdateEvent {
        TaskArtifactUpdateEvent {
            task_id: task_id.to_owned(),
            context_id: context_id.to_owned(),
            artifact: self.artifact,
            append: self.append,
            last_chunk: self.last,
            ..TaskArtifactUpdateEvent::default()
        }
    }
}

impl Results {
    /// The result of `job`, whose address over REST is `job_url`.
    pub(super) fn new(repository: JobRepository, result: JobResult, job_url: &str) -> Self {
        Self {
            repository,
            result,
            url: format!("{job_url}/artifacts"),
            left: INLINE_TOTAL,
        }
    }

    /// What changed, in the order in which it is told.
    pub(super) async fn changes(&self) -> Result<Vec<Change>, WorkspaceError> {
        let base = self.repository.base().await?;
        self.repository.changes(&base, &self.result.commit).await
    }

    /// The first artifact: what there is, and where.
    pub(super) fn summary(&self, job: &JobId, changes: &[Change]) -> Piece {
        let names = |kind: fn(&ChangeKind) -> bool| {
            let of_kind = changes.iter().filter(|change| kind(&change.kind));
            let names = of_kind.map(|change| change.path.as_str());
            names.take(MAX_NAMES).collect::<Vec<_>>()
        };
        let data = json!({
            "job": job,
            "commit": self.result.commit,
            "branch": self.result.branch,
            "files": changes.len(),
            "added": names(|kind| *kind == ChangeKind::Added),
            "modified": names(|kind| matches!(kind, ChangeKind::Modified | ChangeKind::Renamed { .. })),
            "deleted": names(|kind| *kind == ChangeKind::Deleted),
            "url": self.url,
        });
        let part = Part::data(data).with_media_type("application/json");
        Piece::whole(Artifact {
            description: "what the job changed, and where it can be fetched".to_owned(),
            ..Artifact::new("summary", vec![part]).with_name("summary")
        })
    }

    /// The files that are told: those that are there, up to a bound.
    pub(super) fn told(changes: &[Change]) -> impl Iterator<Item = &Change> {
        let there = changes
            .iter()
            .filter(|change| change.kind != ChangeKind::Deleted);
        there.take(MAX_FILES)
    }

    /// One file.
    pub(super) async fn file(&mut self, change: &Change) -> Result<Vec<Piece>, WorkspaceError> {
        let name = change.path.rsplit('/').next().unwrap_or_default();
        let part = |part: Part| {
            part.with_filename(name)
                .with_media_type(media_type(&change.path))
        };
        let metadata = Metadata::from_iter([("size".to_owned(), json!(change.size))]);
        let artifact = |parts| Artifact {
            metadata: Some(metadata.clone()),
            ..Artifact::new(format!("file:{}", change.path), parts).with_name(&change.path)
        };
        if change.size > self.left.min(INLINE_BYTES) {
            let url = format!("{}/files/{}", self.url, artifact_path(&change.path));
            return Ok(vec![Piece::whole(artifact(vec![part(Part::url(url))]))]);
        }
        let content = self
            .repository
            .file(&self.result.commit, &change.path)
            .await?;
        // The size was told by the same commit, so it fits.
        let bytes = read(content.bytes, INLINE_BYTES, &self.repository)
            .await?
            .unwrap_or_default();
        self.left = self.left.saturating_sub(bytes.len() as u64);
        Ok(chunks(&bytes, |raw| artifact(vec![part(Part::raw(raw))])))
    }

    /// The changes as a patch.
    pub(super) async fn patch(&mut self) -> Result<Vec<Piece>, WorkspaceError> {
        let part = |part: Part| {
            part.with_filename("changes.patch")
                .with_media_type("text/x-diff")
        };
        let artifact = |parts| Artifact {
            description: "everything that the job changed, as a git patch".to_owned(),
            ..Artifact::new("patch", parts).with_name("changes.patch")
        };
        let base = self.repository.base().await?;
        let patch = self.repository.patch(&base, &self.result.commit)?;
        let Some(bytes) = read(patch, self.left.min(INLINE_BYTES), &self.repository).await? else {
            let url = format!("{}/changes.patch", self.url);
            return Ok(vec![Piece::whole(artifact(vec![part(Part::url(url))]))]);
        };
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        self.left = self.left.saturating_sub(bytes.len() as u64);
        Ok(chunks(&bytes, |raw| artifact(vec![part(Part::raw(raw))])))
    }

    /// The address of all files as an archive.
    pub(super) fn archive(&self) -> Piece {
        let part = Part::url(format!("{}/result.tar.gz", self.url))
            .with_filename("result.tar.gz")
            .with_media_type("application/gzip");
        Piece::whole(Artifact {
            description: "all files of the result".to_owned(),
            ..Artifact::new("archive", vec![part]).with_name("result.tar.gz")
        })
    }
}

/// The whole content, or nothing if it is longer than `limit`.
async fn read(
    content: impl AsyncRead + Unpin,
    limit: u64,
    repository: &JobRepository,
) -> Result<Option<Vec<u8>>, WorkspaceError> {
    let mut bytes = Vec::new();
    content
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|source| WorkspaceError::Io {
            action: "read a result from",
            path: repository.path(),
            source,
        })?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// An artifact in chunks; an empty one is one empty chunk.
fn chunks(bytes: &[u8], artifact: impl Fn(Vec<u8>) -> Artifact) -> Vec<Piece> {
    let count = bytes.len().div_ceil(CHUNK_BYTES).max(1);
    (0..count)
        .map(|at| {
            let chunk = bytes.chunks(CHUNK_BYTES).nth(at).unwrap_or_default();
            Piece {
                artifact: artifact(chunk.to_vec()),
                append: at > 0,
                last: at + 1 == count,
            }
        })
        .collect()
}

/// The media type by a file's name, where it is one that clients show; programs that care look at the content.
fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("md") => "text/markdown",
        Some("json") => "application/json",
        Some("toml") => "application/toml",
        Some("txt" | "rs" | "py" | "js" | "ts" | "go" | "c" | "h" | "java" | "sh") => "text/plain",
        _ => "application/octet-stream",
    }
}

//! `GET /artifacts/{task}/{path}`: results that are too large for an event, in whole or in part.
//!
//! Served from the shadow repository's objects, so a running agent cannot change what is being fetched. Only the task's
//! owner is served; for everybody else the task does not exist.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use a2a_proto::server::Caller;
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use tracing::error;

use super::{BUNDLE_PATH, Index, PATCH_PATH, Workspace};

/// Largest index that is read back; it was written by this worker.
const MAX_INDEX: u64 = 16 * 1024 * 1024;

/// Tells apart the half-written files of requests that come at the same time.
static HALVES: AtomicU64 = AtomicU64::new(0);

/// The route, to be put behind authentication.
pub(crate) fn router(workspace: Arc<Workspace>) -> Router {
    Router::new()
        .route("/artifacts/{task}/{*path}", get(download))
        .with_state(workspace)
}

async fn download(
    State(workspace): State<Arc<Workspace>>,
    Path((task, path)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    match workspace.find(&task, &path, &caller.subject).await {
        Ok(Some((file, tag))) => match send(file, &tag, &path, &headers).await {
            Ok(response) => response,
            Err(error) => {
                error!(%error, task, path, "an artifact cannot be read");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the artifact cannot be read\n",
                )
                    .into_response()
            }
        },
        Ok(None) => (StatusCode::NOT_FOUND, "no such artifact\n").into_response(),
        Err(error) => {
            error!(%error, task, path, "an artifact cannot be found");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the artifact cannot be read\n",
            )
                .into_response()
        }
    }
}

impl Workspace {
    /// The stored file of an artifact and a tag that changes with its content.
    async fn find(
        &self,
        task: &str,
        path: &str,
        caller: &str,
    ) -> Result<Option<(PathBuf, String)>, super::WorkspaceError> {
        // The id becomes a folder name: only what our server makes is looked up at all.
        if task.is_empty()
            || !task
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        {
            return Ok(None);
        }
        let folder = self.folder(task);
        let Ok(file) = tokio::fs::File::open(folder.join("index.json")).await else {
            return Ok(None);
        };
        let mut text = Vec::new();
        file.take(MAX_INDEX)
            .read_to_end(&mut text)
            .await
            .map_err(super::file_error(&folder))?;
        let Ok(index) = serde_json::from_slice::<Index>(&text) else {
            return Ok(None);
        };
        if index.owner != caller {
            return Ok(None);
        }
        let own = match path {
            PATCH_PATH => Some("changes.patch"),
            BUNDLE_PATH => Some("result.bundle"),
            _ => None,
        };
        if let Some(name) = own {
            let file = folder.join(name);
            let modified = std::fs::metadata(&file)
                .and_then(|metadata| metadata.modified())
                .ok();
            let stamp = modified
                .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
                .unwrap_or_default();
            return Ok(file
                .exists()
                .then(|| (file, format!("{:x}", stamp.as_nanos()))));
        }
        let Some(object) = index.files.get(path) else {
            return Ok(None);
        };
        let file = folder.join(object);
        if !file.exists() {
            // Written beside and renamed, so that a second request never sees half a file.
            let half = folder.join(format!(
                "{object}.{}",
                HALVES.fetch_add(1, Ordering::Relaxed)
            ));
            self.git
                .write_object(object, &half)
                .await
                .map_err(super::doing("read an artifact"))?;
            std::fs::rename(&half, &file).map_err(super::file_error(&file))?;
        }
        Ok(Some((file, object.clone())))
    }
}

/// What part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// First byte and length.
    Range(u64, u64),
    Unsatisfiable,
}

/// Reads a `Range` header (RFC 9110 §14.2). Several ranges and other units are ignored, which the RFC allows.
pub(super) fn part(range: Option<&str>, size: u64) -> Part {
    let Some(range) = range.and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = range.split_once('-') else {
        return Part::Whole;
    };
    let parse = |text: &str| text.trim().parse::<u64>().ok();
    match (
        first.trim().is_empty(),
        parse(first),
        last.trim().is_empty(),
        parse(last),
    ) {
        (true, _, _, Some(0)) => Part::Unsatisfiable,
        (true, _, _, Some(count)) if size > 0 => {
            Part::Range(size - count.min(size), count.min(size))
        }
        (true, _, _, Some(_)) => Part::Unsatisfiable,
        (false, Some(first), true, _) if first < size => Part::Range(first, size - first),
        (false, Some(first), _, Some(last)) if first <= last && first < size => {
            Part::Range(first, last.min(size - 1) - first + 1)
        }
        (false, Some(first), true, _) if first >= size => Part::Unsatisfiable,
        (false, Some(first), _, Some(last)) if first <= last => Part::Unsatisfiable,
        _ => Part::Whole,
    }
}

async fn send(
    path: PathBuf,
    tag: &str,
    name: &str,
    headers: &HeaderMap,
) -> std::io::Result<Response> {
    let mut file = tokio::fs::File::open(path).await?;
    let size = file.metadata().await?.len();
    let quoted = format!("\"{tag}\"");
    // A range of another version of the file would be garbage (RFC 9110 §13.1.5).
    let current = headers
        .get(header::IF_RANGE)
        .is_none_or(|wanted| wanted.as_bytes() == quoted.as_bytes());
    let range = headers
        .get(header::RANGE)
        .filter(|_| current)
        .and_then(|range| range.to_str().ok());
    let (status, first, length) = match part(range, size) {
        Part::Whole => (StatusCode::OK, 0, size),
        Part::Range(first, length) => (StatusCode::PARTIAL_CONTENT, first, length),
        Part::Unsatisfiable => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            set(
                &mut response,
                header::CONTENT_RANGE,
                &format!("bytes */{size}"),
            );
            return Ok(response);
        }
    };
    file.seek(std::io::SeekFrom::Start(first)).await?;
    let mut response = Response::new(Body::from_stream(ReaderStream::new(file.take(length))));
    *response.status_mut() = status;
    set(
        &mut response,
        header::CONTENT_TYPE,
        crate::translate::media_type(name),
    );
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::ETAG, &quoted);
    // What an agent wrote must not run as a page of this origin.
    set(&mut response, header::CONTENT_DISPOSITION, "attachment");
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if status == StatusCode::PARTIAL_CONTENT {
        set(
            &mut response,
            header::CONTENT_RANGE,
            &format!("bytes {first}-{}/{size}", first + length - 1),
        );
    }
    Ok(response)
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

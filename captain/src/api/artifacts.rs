//! `GET /jobs/{id}/artifacts…`: what a job made. The list is there from the start; files, patch and archive come from the
//! result's commit in the job's repository, so a running agent cannot change what is being fetched. Everything of any
//! size is a stream.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use captain_core::{CommitId, JobId};
use http::{HeaderValue, header};
use tokio_util::io::ReaderStream;

use a2a_proto::server::Caller;

use super::ApiState;
use super::body::PathOf;
use super::error::ApiError;
use super::jobs::owned;
use super::types::{ArtifactFile, ArtifactList};
use crate::workspace::{Change, ChangeKind, JobRepository, WorkspaceError};

/// `GET /jobs/{id}/artifacts`
pub(super) async fn list(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
) -> Result<Json<ArtifactList>, ApiError> {
    let view = owned(&api, &caller, &id).await?.job.view();
    let Some(result) = &view.result else {
        return Ok(Json(ArtifactList {
            commit: None,
            files: Vec::new(),
            made: view.artifacts,
        }));
    };
    let repository = api.workspaces.repository(&view.id);
    let base = repository.base().await.map_err(workspace_error)?;
    let changes = repository
        .changes(&base, &result.commit)
        .await
        .map_err(workspace_error)?;
    Ok(Json(ArtifactList {
        commit: Some(result.commit.to_string()),
        files: changes
            .into_iter()
            .map(|change| file_of(&view.id, change))
            .collect(),
        made: view.artifacts,
    }))
}

/// `GET /jobs/{id}/artifacts/files/{path}`
pub(super) async fn file(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf((id, path)): PathOf<(String, String)>,
) -> Result<Response, ApiError> {
    let (repository, commit) = result(&api, &caller, &id).await?;
    let content = repository
        .file(&commit, &path)
        .await
        .map_err(workspace_error)?;
    let mut response = Body::from_stream(ReaderStream::new(content.bytes)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(content.size));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    harmless(&mut response);
    Ok(response)
}

/// `GET /jobs/{id}/artifacts/changes.patch`
pub(super) async fn patch(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
) -> Result<Response, ApiError> {
    let (repository, commit) = result(&api, &caller, &id).await?;
    let base = repository.base().await.map_err(workspace_error)?;
    let patch = repository
        .patch(&base, &commit)
        .map_err(|error| ApiError::internal(&error))?;
    Ok(download(
        Body::from_stream(ReaderStream::new(patch)),
        "text/x-diff; charset=utf-8",
        "changes.patch",
    ))
}

/// `GET /jobs/{id}/artifacts/result.tar.gz`
pub(super) async fn archive(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
) -> Result<Response, ApiError> {
    let (repository, commit) = result(&api, &caller, &id).await?;
    let archive = repository
        .archive(&commit)
        .map_err(|error| ApiError::internal(&error))?;
    Ok(download(
        Body::from_stream(archive),
        "application/gzip",
        "result.tar.gz",
    ))
}

/// The repository and the result's commit of a job that has one.
async fn result(
    api: &ApiState,
    caller: &Caller,
    id: &str,
) -> Result<(JobRepository, CommitId), ApiError> {
    let view = owned(api, caller, id).await?.job.view();
    match view.result {
        Some(result) => Ok((api.workspaces.repository(&view.id), result.commit)),
        None => Err(ApiError::Conflict {
            message: format!("job {id} is {} and has no result", view.state),
        }),
    }
}

fn download(body: Body, media_type: &'static str, name: &'static str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    harmless(&mut response);
    response
}

/// An agent wrote these bytes: a browser must neither guess that they are a page nor run what is in them.
fn harmless(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox"),
    );
}

fn file_of(job: &JobId, change: Change) -> ArtifactFile {
    let (kind, from) = match change.kind {
        ChangeKind::Added => ("added", None),
        ChangeKind::Modified => ("modified", None),
        ChangeKind::Deleted => ("deleted", None),
        ChangeKind::Renamed { from } => ("renamed", Some(from)),
    };
    let url = (kind != "deleted")
        .then(|| format!("/jobs/{job}/artifacts/files/{}", encode(&change.path)));
    ArtifactFile {
        path: change.path,
        change: kind,
        from,
        size: change.size,
        executable: change.executable,
        url,
    }
}

/// Percent-encodes a path for a URL, its slashes excepted (RFC 3986 section 3.3).
pub(crate) fn encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            other => {
                encoded.push('%');
                for half in [other >> 4, other & 15] {
                    let digit = char::from_digit(u32::from(half), 16).unwrap_or('0');
                    encoded.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
    encoded
}

fn workspace_error(error: WorkspaceError) -> ApiError {
    match error {
        WorkspaceError::NoSuchFile(path) => ApiError::NotFound {
            what: "file",
            id: path,
        },
        other => ApiError::internal(&other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_urls() {
        assert_eq!(encode("src/a b%ä.rs"), "src/a%20b%25%C3%A4.rs");
    }
}

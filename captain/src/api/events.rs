//! `GET /jobs/{id}/events`: a job's events as server-sent events. Each frame carries the event's number as `id`, so any
//! stream can be resumed without gap or repeat; the stream ends after the job's last event. A stream costs a task and a
//! few hundred bytes: events are shared by all readers, and frames are made only when the connection takes them.

use std::io;
use std::time::Duration;

use a2a_proto::server::Caller;
use a2a_proto::sse::{Frames, LAST_EVENT_ID};
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use captain_core::JobId;
use futures_util::stream::{ReadyChunks, Stream, StreamExt as _, unfold};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ApiState;
use super::body::{PathOf, QueryOf};
use super::error::ApiError;
use super::jobs::owned;
use super::types::FollowJob;
use crate::engine::Subscription;

/// The pause after which an idle stream says that it is alive: below the usual minute after which proxies cut a
/// silent connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events that go out together when they are there together.
const COALESCED: usize = 64;

/// `GET /jobs/{id}/events`
pub(super) async fn follow(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<FollowJob>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let snapshot = owned(&api, &caller, &id).await?;
    let after = last_event_id(&headers)?.or(query.after).unwrap_or(0);
    if after == snapshot.seq && snapshot.job.state().is_terminal() {
        // Everything was seen. An empty stream would make browsers ask for ever; this status ends that
        // (HTML Living Standard section 9.2.3).
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    stream(&api, snapshot.job.id(), after).await
}

/// The events of `job` strictly after `after`.
pub(super) async fn stream(api: &ApiState, job: &JobId, after: u64) -> Result<Response, ApiError> {
    let permit = Arc::clone(&api.streams)
        .try_acquire_owned()
        .map_err(|_| ApiError::Busy {
            what: "too many event streams are open".to_owned(),
        })?;
    let entries = api.engine.subscribe(job, after).await?;
    let body = Body::from_stream(frames(entries, api.stop.clone(), permit));
    let mut response = body.into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    Ok(response)
}

struct Reader {
    entries: ReadyChunks<Subscription>,
    stop: CancellationToken,
    failed: bool,
    _permit: OwnedSemaphorePermit,
}

fn frames(
    entries: Subscription,
    stop: CancellationToken,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let reader = Reader {
        entries: entries.ready_chunks(COALESCED),
        stop,
        failed: false,
        _permit: permit,
    };
    unfold(reader, |mut reader| async move {
        if reader.failed {
            return None;
        }
        let mut frames = Frames::default();
        let next = timeout(KEEP_ALIVE, reader.entries.next());
        let chunk = tokio::select! {
            chunk = next => chunk,
            () = reader.stop.cancelled() => return None,
        };
        match chunk {
            Err(_) => frames.push_keep_alive(),
            Ok(None) => return None,
            Ok(Some(chunk)) => {
                for entry in chunk {
                    match entry {
                        Ok(entry) => {
                            frames.push(Some(entry.seq), Some(&entry.name), &[&entry.json]);
                        }
                        Err(error) => {
                            tracing::warn!(
                                error = daemon::cli::chain(&error),
                                "event stream broken off"
                            );
                            reader.failed = true;
                        }
                    }
                }
            }
        }
        if reader.failed && frames.is_empty() {
            // The connection is cut, so that the client does not take this for the job's end and resumes.
            return Some((Err(io::ErrorKind::Interrupted.into()), reader));
        }
        Some((Ok(frames.take()), reader))
    })
}

/// The header `Last-Event-ID`. Anything but one of our numbers is an error: starting somewhere else would repeat or
/// lose events in silence.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        ApiError::invalid(
            "Last-Event-ID",
            format!("{text:?} is not the number of an event"),
        )
    })
}

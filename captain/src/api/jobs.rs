//! `/jobs`: the list, one job, and its cancellation. Taking a job on is in `submit`, following one in `events`.

use std::time::Duration;

use a2a_proto::server::Caller;
use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use captain_core::view::JobView;
use captain_core::{JobId, JobState, SubtaskId};
use futures_util::StreamExt as _;
use http::StatusCode;
use tokio::time::timeout;

use super::ApiState;
use super::body::{JsonBody, PathOf, QueryOf};
use super::error::ApiError;
use super::types::{JobPage, JobSummary, ListJobs, ReplyJob};
use crate::engine::{Reply, Snapshot};
use crate::store::Filter;

/// Jobs on a page when the request does not say.
const DEFAULT_PAGE: usize = 50;
/// Most jobs on a page.
const MAX_PAGE: usize = 200;
/// How long a cancellation may take before the answer is "accepted": longer than stopping every worker takes.
const CANCEL_DEADLINE: Duration = Duration::from_secs(60);
/// The states by which a list can be filtered.
const STATES: [&str; 8] = [
    "planning",
    "awaiting_approval",
    "running",
    "integrating",
    "cancelling",
    "completed",
    "failed",
    "cancelled",
];

/// `GET /jobs`
pub(super) async fn list(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    QueryOf(query): QueryOf<ListJobs>,
) -> Result<Json<JobPage>, ApiError> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::invalid(
            "limit",
            format!("must be from 1 to {MAX_PAGE}"),
        ));
    }
    if let Some(state) = &query.state
        && !STATES.contains(&state.as_str())
    {
        return Err(ApiError::invalid(
            "state",
            format!("{state:?} is none of {}", STATES.join(", ")),
        ));
    }
    let before = match query.cursor {
        Some(cursor) => Some(
            JobId::parse(cursor)
                .map_err(|_| ApiError::invalid("cursor", "is not one of this captain's"))?,
        ),
        None => None,
    };
    let filter = Filter {
        owner: Some(caller.subject.to_string()),
        state: query.state,
        unfinished: false,
        before,
        // One more than the page holds: whether there is a next one.
        limit: limit + 1,
    };
    let mut heads = api.engine.list(&filter).await?;
    let more = heads.len() > limit;
    heads.truncate(limit);
    let next = heads
        .last()
        .filter(|_| more)
        .map(|head| head.job.to_string());
    let jobs = heads.into_iter().map(JobSummary::from).collect();
    Ok(Json(JobPage { jobs, next }))
}

/// `GET /jobs/{id}`
pub(super) async fn one(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
) -> Result<Json<JobView>, ApiError> {
    Ok(Json(owned(&api, &caller, &id).await?.job.view()))
}

/// `POST /jobs/{id}/cancel`: answers when nothing of the job runs any more.
pub(super) async fn cancel(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
) -> Result<Response, ApiError> {
    let before = owned(&api, &caller, &id).await?;
    let job = before.job.id();
    if *before.job.state() == JobState::Cancelled {
        return Ok(Json(before.job.view()).into_response());
    }
    api.engine.cancel(job, &caller.subject).await?;
    let mut entries = api.engine.subscribe(job, before.seq).await?;
    let ended = timeout(CANCEL_DEADLINE, async {
        // The stream ends after the job's last event.
        while let Some(entry) = entries.next().await {
            entry?;
        }
        Ok::<_, ApiError>(())
    })
    .await;
    let status = match ended {
        Ok(ended) => {
            ended?;
            StatusCode::OK
        }
        Err(_) => StatusCode::ACCEPTED,
    };
    let now = api.engine.get(job).await?;
    Ok((status, Json(now.job.view())).into_response())
}

/// `POST /jobs/{id}/reply`: answers when the message is stored; the workers get it after that.
pub(super) async fn reply(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
    JsonBody(reply): JsonBody<ReplyJob>,
) -> Result<Json<JobView>, ApiError> {
    let before = owned(&api, &caller, &id).await?;
    let job = before.job.id();
    let subtask = reply
        .subtask
        .map(SubtaskId::parse)
        .transpose()
        .map_err(|error| ApiError::invalid("subtask", error.to_string()))?;
    api.engine
        .reply(
            job,
            Reply {
                text: reply.text,
                by: caller.subject.to_string(),
                subtask,
                id: None,
            },
        )
        .await?;
    Ok(Json(api.engine.get(job).await?.job.view()))
}

/// The job `id` as it stands, if it is the caller's. Everybody else's jobs do not exist.
pub(super) async fn owned(api: &ApiState, caller: &Caller, id: &str) -> Result<Snapshot, ApiError> {
    let missing = || ApiError::NotFound {
        what: "job",
        id: id.to_owned(),
    };
    let job = JobId::parse(id).map_err(|_| missing())?;
    let snapshot = api.engine.get(&job).await?;
    if *snapshot.job.spec().owner != *caller.subject {
        return Err(missing());
    }
    Ok(snapshot)
}

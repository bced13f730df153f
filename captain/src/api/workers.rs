//! `/workers`: what runs where, and workers without a job. A stand-alone worker takes calls from its user directly; the
//! captain only starts it, hands out a token for it, and stops it.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::IntoResponse;
use captain_core::WorkerId;
use http::{HeaderValue, StatusCode, header};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use a2a_proto::server::Caller;

use super::ApiState;
use super::body::{JsonBody, PathOf};
use super::error::ApiError;
use super::types::{WorkerList, WorkerToken, WorkerView};
use crate::auth::WORKER_TOKEN_LIFE;
use crate::backend::StandAloneCard;
use crate::engine::EngineError;
use crate::engine::ports::{BackendError, Observation, Observed};

/// The field of an agent ID card that names the worker.
const ID_FIELD: &str = "agent_id";
/// Longest id of a stand-alone worker: one DNS label (RFC 1035 section 2.3.4).
const MAX_ID: usize = 63;

/// `GET /workers`
pub(super) async fn list(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<WorkerList>, ApiError> {
    let mut workers = Vec::new();
    let mut known = HashMap::new();
    for seen in api.backend.list().await.map_err(backend_error)? {
        // Workers of one job come in numbers.
        let shown = match &seen.labels {
            None => true,
            Some(labels) => match known.get(&labels.job) {
                Some(shown) => *shown,
                None => {
                    let shown = is_shown(&api, &caller, &seen).await?;
                    known.insert(labels.job.clone(), shown);
                    shown
                }
            },
        };
        if shown {
            workers.push(WorkerView::from(seen));
        }
    }
    Ok(Json(WorkerList { workers }))
}

/// `GET /workers/{id}`
pub(super) async fn one(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
) -> Result<Json<WorkerView>, ApiError> {
    Ok(Json(find(&api, &caller, &id).await?.into()))
}

/// `POST /workers` with an agent ID card, of which `agent_id` alone is needed.
pub(super) async fn spawn(
    State(api): State<ApiState>,
    JsonBody(card): JsonBody<Map<String, Value>>,
) -> Result<impl IntoResponse, ApiError> {
    let worker = match card.get(ID_FIELD) {
        Some(Value::String(id)) if id.len() <= MAX_ID => WorkerId::parse(id.clone())
            .map_err(|error| ApiError::invalid(ID_FIELD, error.to_string()))?,
        Some(Value::String(_)) => {
            return Err(ApiError::invalid(
                ID_FIELD,
                format!("must have at most {MAX_ID} characters"),
            ));
        }
        Some(_) => return Err(ApiError::invalid(ID_FIELD, "must be a string")),
        None => return Err(ApiError::invalid(ID_FIELD, "is missing")),
    };
    let seen = api.backend.list().await.map_err(backend_error)?;
    let taken = seen.iter().find(|seen| seen.worker == worker);
    if taken.is_some_and(|seen| seen.labels.is_some()) {
        return Err(ApiError::Conflict {
            message: format!("the worker {worker} belongs to a job"),
        });
    }
    if taken.is_some_and(|seen| !matches!(seen.state, Observed::Exited { .. })) {
        return Err(ApiError::Conflict {
            message: format!("the worker {worker} runs already"),
        });
    }
    let instance = api
        .backend
        .launch_card(&StandAloneCard {
            worker: worker.clone(),
            card,
        })
        .await
        .map_err(backend_error)?;
    let view = WorkerView::from(Observation {
        worker,
        labels: None,
        state: Observed::Running {
            endpoint: instance.endpoint,
        },
    });
    let location = HeaderValue::try_from(format!("/workers/{}", view.id))
        .map_err(|error| ApiError::internal(&error))?;
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(view),
    ))
}

/// `DELETE /workers/{id}`: answers when nothing of it runs any more.
pub(super) async fn stop(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
) -> Result<StatusCode, ApiError> {
    let seen = find(&api, &caller, &id).await?;
    if let Some(labels) = seen
        .labels
        .filter(|_| !matches!(seen.state, Observed::Exited { .. }))
    {
        return Err(ApiError::Conflict {
            message: format!(
                "the worker {id} is at work for job {}: cancel the job to stop it",
                labels.job
            ),
        });
    }
    api.backend
        .stop(&seen.worker, api.worker_grace)
        .await
        .map_err(backend_error)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /workers/{id}/token`: with it a user calls the worker itself.
pub(super) async fn token(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
) -> Result<Json<WorkerToken>, ApiError> {
    let seen = find(&api, &caller, &id).await?;
    let Observed::Running { endpoint } = seen.state else {
        return Err(ApiError::Conflict {
            message: format!("the worker {id} is not running"),
        });
    };
    let token = api
        .tokens
        .mint(seen.worker.as_str(), &caller.subject)
        .map_err(|error| ApiError::internal(&error))?;
    Ok(Json(WorkerToken {
        url: endpoint,
        token: token.expose_secret().to_owned(),
        expires_in: WORKER_TOKEN_LIFE.as_secs(),
    }))
}

/// The worker `id`, if the caller may see it.
async fn find(api: &ApiState, caller: &Caller, id: &str) -> Result<Observation, ApiError> {
    let missing = || ApiError::NotFound {
        what: "worker",
        id: id.to_owned(),
    };
    let seen = api.backend.list().await.map_err(backend_error)?;
    let seen = seen
        .into_iter()
        .find(|seen| seen.worker.as_str() == id)
        .ok_or_else(missing)?;
    if is_shown(api, caller, &seen).await? {
        Ok(seen)
    } else {
        Err(missing())
    }
}

/// Whether a worker is the caller's: those of its jobs are, and those without a job are everybody's.
async fn is_shown(api: &ApiState, caller: &Caller, seen: &Observation) -> Result<bool, ApiError> {
    let Some(labels) = &seen.labels else {
        return Ok(true);
    };
    match api.engine.head(&labels.job).await {
        Ok(head) => Ok(*head.owner == *caller.subject),
        // Another captain's, on the same machine.
        Err(EngineError::NotFound(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A backend's texts are for users; its cause is for the log.
fn backend_error(error: BackendError) -> ApiError {
    tracing::warn!(error = daemon::cli::chain(&error), "backend call failed");
    match error {
        BackendError::Refused { message, .. } | BackendError::Failed { message, .. } => {
            ApiError::Worker { message }
        }
    }
}

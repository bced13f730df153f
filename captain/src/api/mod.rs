//! The captain's REST API: one file for each family of endpoints, one table of errors. It only translates between HTTP
//! and the engine, the backend and the workspaces; nothing is decided here.
//!
//! Every route but the two health checks needs a caller, and every job is shown to its owner alone.

mod artifacts;
mod body;
pub mod error;
mod events;
pub(crate) mod health;
mod jobs;
mod repo;
mod submit;
#[cfg(test)]
pub(crate) mod tests;
pub mod types;
pub(crate) mod upkeep;
mod workers;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::server::Authenticator;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use http::{Method, Uri};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::artifacts::encode as artifact_path;
use self::body::BodyLimit;
use self::error::ApiError;
pub(crate) use self::submit::spec as job_spec;
use crate::agent::Tasks;
use crate::auth::WorkerTokens;
use crate::backend::StandAlone;
use crate::engine::Handle;
use crate::upkeep::Janitor;
use crate::workspace::Workspaces;

/// What the handlers need; cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// Runs the jobs.
    pub engine: Handle,
    /// Where workers run.
    pub backend: Arc<dyn StandAlone>,
    /// The jobs' repositories.
    pub workspaces: Workspaces,
    /// Makes tokens for workers.
    pub tokens: WorkerTokens,
    /// Makes a task of each job.
    pub(crate) tasks: Arc<dyn Tasks>,
    /// Finds the caller of a request.
    pub auth: Arc<dyn Authenticator>,
    /// Folders that a job's repository must lie in; empty allows all.
    pub repo_roots: Arc<[PathBuf]>,
    /// Room for open event streams.
    pub streams: Arc<Semaphore>,
    /// What a stopped worker gets to end by itself.
    pub worker_grace: Duration,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Forgets old jobs.
    pub janitor: Janitor,
    /// Where work goes on whose caller may leave.
    pub tracker: TaskTracker,
    /// Cancelled when open streams must end.
    pub stop: CancellationToken,
}

impl fmt::Debug for ApiState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ApiState").finish_non_exhaustive()
    }
}

/// All routes, to be merged with the protocol's, which takes every other path.
pub fn router(state: ApiState) -> Router {
    let limit = state.max_body_bytes;
    let for_callers = Router::new()
        .route("/jobs", get(jobs::list).post(submit::submit))
        .route("/jobs/{id}", get(jobs::one))
        .route("/jobs/{id}/events", get(events::follow))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/reply", post(jobs::reply))
        .route("/jobs/{id}/artifacts", get(artifacts::list))
        .route("/jobs/{id}/artifacts/files/{*path}", get(artifacts::file))
        .route("/jobs/{id}/artifacts/changes.patch", get(artifacts::patch))
        .route(
            "/jobs/{id}/artifacts/result.tar.gz",
            get(artifacts::archive),
        )
        .route("/prune", post(upkeep::prune))
        .route("/workers", get(workers::list).post(workers::spawn))
        .route("/workers/{id}", get(workers::one).delete(workers::stop))
        .route("/workers/{id}/token", post(workers::token))
        // Below these two, nothing is the protocol's.
        .route("/jobs/{id}/{*rest}", any(unknown_path))
        .route("/workers/{id}/{*rest}", any(unknown_path))
        .method_not_allowed_fallback(wrong_method)
        // Innermost first. Who calls is known before anything of the request is read.
        .layer(from_fn_with_state(Arc::clone(&state.auth), authenticate))
        .with_state(state.clone());
    let for_everybody = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .method_not_allowed_fallback(wrong_method)
        .with_state(state);
    for_everybody
        .merge(for_callers)
        // The bound on bodies, and its number for the error text.
        .layer(DefaultBodyLimit::max(limit))
        .layer(Extension(BodyLimit(limit)))
        // A defect in one handler answers that request and leaves the others alone.
        .layer(CatchPanicLayer::custom(panicked))
        // Outermost, so that it sees every answer: nothing here may be kept by a cache in between.
        .layer(from_fn(uncached))
}

async fn authenticate(
    State(auth): State<Arc<dyn Authenticator>>,
    mut request: Request,
    next: Next,
) -> Response {
    match auth.authenticate(request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => {
            tracing::debug!(?error, "caller refused");
            ApiError::Unauthenticated {
                message: error.to_string(),
                challenge: error.challenge(),
            }
            .into_response()
        }
    }
}

async fn uncached(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .entry(http::header::CACHE_CONTROL)
        .or_insert(http::HeaderValue::from_static("no-store"));
    response
}

async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::UnknownPath {
        path: uri.path().to_owned(),
    }
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::MethodNotAllowed {
        path: uri.path().to_owned(),
        method: method.to_string(),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that the layer asks for"
)]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let internal = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or_default();
    ApiError::Internal {
        internal: format!("a handler panicked: {internal}"),
    }
    .into_response()
}

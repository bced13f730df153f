//! The two health checks, open to everybody because they tell little: the process answers; and what stands between the
//! captain and new work, in words that name no file and no address.

use std::path::Path;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::ApiState;
use crate::engine::EngineError;
use crate::store::StoreError;

/// Less free space than this is as good as none: a job's next result is larger.
const MIN_FREE_BYTES: u64 = 16 << 20;

/// What is wrong with the disk that the jobs are on.
async fn disk(api: &ApiState) -> Option<&'static str> {
    let folder = api.janitor.folder().to_owned();
    let free = tokio::task::spawn_blocking(move || free_bytes(&folder)).await;
    match free {
        Ok(Some(free)) if free < MIN_FREE_BYTES => Some("it is full, or will be in a moment"),
        // A folder that is not there yet has nothing to say.
        _ => None,
    }
}

/// What an unprivileged program may still write there; none if the system does not say.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// `GET /healthz`: the process is there.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: jobs can be taken; else what is not ready.
pub(super) async fn ready(State(api): State<ApiState>) -> Response {
    let mut missing = Vec::new();
    let mut is_not =
        |part: &str, problem: &str| missing.push(json!({"part": part, "problem": problem}));
    if api.stop.is_cancelled() {
        is_not("captain", "it is stopping");
    }
    match api.engine.health().await {
        Ok(()) => {}
        Err(EngineError::Stopped) => is_not("engine", "it has stopped"),
        Err(EngineError::NoLease) => {
            is_not(
                "lease",
                "the lease in the shared database has ended, a new one is on its way",
            );
        }
        Err(EngineError::Store(error)) => match &*error {
            StoreError::Full(_) => is_not(
                "database",
                "the disk is full: jobs can be read and not changed",
            ),
            StoreError::Unreachable { .. } => is_not("database", "it does not answer"),
            _ => is_not("database", "it cannot be used"),
        },
        Err(_) => is_not("engine", "it cannot do its work"),
    }
    if let Some(problem) = disk(&api).await {
        is_not("disk", problem);
    }
    if missing.is_empty() {
        return Json(json!({"status": "ready"})).into_response();
    }
    let body = json!({"status": "not ready", "missing": missing});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

//! The two health checks, open to everybody because they tell nothing: the process answers; the engine and its
//! database answer.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ApiState;
use super::error::ApiError;
use crate::store::Filter;

/// `GET /healthz`: the process is there.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: jobs can be taken.
pub(super) async fn ready(State(api): State<ApiState>) -> Result<Json<Value>, ApiError> {
    let one = Filter {
        limit: 1,
        ..Filter::default()
    };
    api.engine.list(&one).await?;
    Ok(Json(json!({"status": "ready"})))
}

//! `POST /prune`: forget jobs that ended long ago, now. `captain prune` asks for it; a captain that was told how long to
//! keep jobs does it by itself.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::ApiState;
use super::body::JsonBody;
use super::error::ApiError;
use crate::store::StoreError;
use crate::upkeep::{Forgotten, UpkeepError};

/// What to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prune {
    /// Jobs that ended more than so many seconds ago.
    pub(crate) older_than_seconds: u64,
}

/// `POST /prune`
pub(super) async fn prune(
    State(api): State<ApiState>,
    JsonBody(request): JsonBody<Prune>,
) -> Result<Json<Forgotten>, ApiError> {
    let age = Duration::from_secs(request.older_than_seconds);
    // A caller that goes away must not leave it half done.
    let janitor = api.janitor.clone();
    let work = api.tracker.spawn(async move { janitor.prune(age).await });
    match work.await.map_err(|error| ApiError::internal(&error))? {
        Ok(forgotten) => Ok(Json(forgotten)),
        Err(UpkeepError::Store(StoreError::Full(_))) => Err(ApiError::DiskFull),
        Err(error) => Err(ApiError::internal(&error)),
    }
}

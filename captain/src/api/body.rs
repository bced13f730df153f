//! Reading request bodies: JSON only, bounded by the router's body limit, unknown fields refused by the types, and
//! every mistake answered with the place where it is. Nothing here knows a particular request.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::error::{ApiError, Problem};

/// How long a client may take to send its body; as the protocol's server has it.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A JSON body of type `T`.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

/// The bound that the router enforces, for the error text.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimit(pub(super) usize);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::NotJson);
        }
        let limit = request
            .extensions()
            .get::<BodyLimit>()
            .map_or(0, |limit| limit.0);
        let malformed = |problem: String| ApiError::MalformedJson { problem };
        let body = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await;
        let late = format!(
            "the body did not arrive within {} s",
            BODY_TIMEOUT.as_secs()
        );
        let body = body.map_err(|_| malformed(late))?;
        let bytes = body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge { limit },
            _ => malformed("the body ended early".to_owned()),
        })?;
        parse(&bytes).map(Self)
    }
}

/// The type must be named: a web page can send a body without a type to any address without asking first, but not one
/// that says it is JSON (Fetch Standard, CORS-safelisted request headers).
fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => {
                let field = if path == "." { String::new() } else { path };
                ApiError::invalid(field, inner.to_string())
            }
            _ => ApiError::MalformedJson {
                problem: inner.to_string(),
            },
        }
    })?;
    deserializer
        .end()
        .map_err(|error| ApiError::MalformedJson {
            problem: error.to_string(),
        })?;
    Ok(value)
}

/// The query of type `T`.
#[derive(Debug)]
pub(super) struct QueryOf<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(value) =
            Query::<T>::from_request_parts(parts, state)
                .await
                .map_err(|rejection| {
                    // The rejection's own text repeats its source; the source alone says which parameter.
                    let problem = std::error::Error::source(&rejection)
                        .map_or_else(|| rejection.to_string(), ToString::to_string);
                    ApiError::Invalid {
                        message: format!("the query is not understood: {problem}"),
                        problems: vec![Problem::new("query", problem)],
                    }
                })?;
        Ok(Self(value))
    }
}

/// The variables of the path.
#[derive(Debug)]
pub(super) struct PathOf<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // The one way to fail is a path that is not UTF-8 when it is decoded: there is nothing of that name.
        let Path(value) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::UnknownPath {
                path: parts.uri.path().to_owned(),
            })?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests;

//! The HTTP around every binding: reading a bounded body, checking its type, writing results and errors. Which error
//! it is was decided elsewhere; here it gets its status, headers and body.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::error::{A2aError, ErrorMap};
use crate::jsonrpc::{self, Id};

/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The media type of A2A 1.0.1; the plain one is understood by everybody and so the default.
pub(super) const A2A_JSON: &str = "application/a2a+json";
pub(super) const JSON: &str = "application/json";

/// Reads a whole body of at most `limit` bytes.
pub(super) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, A2aError> {
    let too_large = || A2aError::TooLarge {
        limit_bytes: limit as u64,
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let collect = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect());
    match collect.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(A2aError::InvalidRequest {
            detail: format!("the body could not be read: {error}"),
        }),
        Err(_) => {
            let detail = format!(
                "the body did not arrive within {} s",
                BODY_TIMEOUT.as_secs()
            );
            Err(A2aError::InvalidRequest { detail })
        }
    }
}

/// Refuses a body that says it is something else than JSON. One that says nothing is taken for JSON.
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<(), A2aError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let text = value.to_str().unwrap_or("(not text)");
    let media_type = text.split(';').next().unwrap_or_default().trim();
    if [JSON, A2A_JSON]
        .iter()
        .any(|json| media_type.eq_ignore_ascii_case(json))
    {
        return Ok(());
    }
    Err(A2aError::ContentTypeNotSupported {
        media_type: media_type.to_owned(),
    })
}

/// Whether a header of the request names a media type.
pub(super) fn names(headers: &HeaderMap, header: header::HeaderName, media_type: &str) -> bool {
    let values = headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut types = values
        .flat_map(|value| value.split(','))
        .filter_map(|it| it.split(';').next());
    types.any(|it| it.trim().eq_ignore_ascii_case(media_type))
}

/// An answer with a JSON body.
pub(super) fn json(status: StatusCode, media_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// An error in the shape of the HTTP+JSON binding (A2A §11.6).
pub(super) fn rest_error(error: &A2aError, map: ErrorMap) -> Response {
    finish(
        error,
        json(error.http_status(map), JSON, error.to_http_body(map)),
    )
}

/// An error in the shape of the JSON-RPC binding (A2A §9.5).
pub(super) fn rpc_error(id: &Id, error: &A2aError) -> Response {
    finish(
        error,
        json(
            error.json_rpc_http_status(),
            JSON,
            jsonrpc::error_response(id, error),
        ),
    )
}

/// Logs an error and gives its answer the headers that go with it.
pub(super) fn finish(error: &A2aError, mut response: Response) -> Response {
    log(error);
    let headers = response.headers_mut();
    if let Some(after) = error.retry_after() {
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from(after.as_secs().max(1)),
        );
    }
    if matches!(error, A2aError::TooLarge { .. }) {
        // The rest of the body is not read, so the connection cannot be used again.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What the client is not told goes to the log.
pub(super) fn log(error: &A2aError) {
    if let A2aError::Internal { internal, .. } = error {
        tracing::error!(error = internal.as_str(), "a request failed");
    }
}

//! The gRPC binding (A2A §10) of 1.0 and 0.3, on the same port as all others: a request is known by its content type. A
//! thin shell like the others: `frame` reads and writes messages, `v1_0` and `v0_3` know the methods of their service,
//! `stream` sends a feed. Compression is not offered, so that a small message can never become a large one.

mod frame;
mod stream;
mod v0_3;
mod v1_0;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use tokio::time::Instant;
use tonic::Status;

use super::{Agent, Caller, Inner};
use crate::error::A2aError;
use crate::log::TaskLog;
use crate::version::{self, EXTENSIONS_HEADER, ProtocolVersion};

/// How many times as large as a request an answer may be, since it repeats the request and adds what was made of it. At
/// the default of a request it is the 64 MiB that our client takes.
const ANSWER_FACTOR: usize = 8;

const MEDIA_TYPE: &str = "application/grpc";
const ENCODING: &str = "grpc-encoding";
const TIMEOUT: &str = "grpc-timeout";

/// Whether a request is for this binding, or for a relative of it.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    value.is_some_and(|value| value.as_bytes().starts_with(MEDIA_TYPE.as_bytes()))
}

/// The answer when we broke down.
pub(super) fn broken() -> Response {
    trailers_only(Status::internal("internal error"))
}

/// Why a call has no result: an error of the protocol, or a status that only gRPC has.
enum Refusal {
    Error(A2aError),
    Status(Status),
}

impl From<A2aError> for Refusal {
    fn from(error: A2aError) -> Self {
        Self::Error(error)
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// The message in a body, for `fuzzing`.
#[cfg(feature = "fuzzing")]
pub(crate) fn message(body: bytes::Bytes, limit: usize) -> Option<bytes::Bytes> {
    frame::message(body, limit).ok()
}

/// A call that has been looked at from outside only.
struct Call<'a> {
    parts: &'a Parts,
    caller: Caller,
    /// The method's name within its service.
    method: &'a str,
    /// When the client stops waiting.
    deadline: Option<Instant>,
}

/// The version whose service a path names, and the method.
fn called(path: &str) -> Option<(ProtocolVersion, &str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let spoken = match service {
        "lf.a2a.v1.A2AService" => ProtocolVersion::V1_0,
        "a2a.v1.A2AService" => ProtocolVersion::V0_3,
        _ => return None,
    };
    Some((spoken, method))
}

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// Answers one call.
    pub(super) async fn grpc(self: &Arc<Self>, parts: &Parts, body: Body) -> Response {
        if let Some(response) = no_grpc(parts) {
            return response;
        }
        let activated = version::extensions(&parts.headers);
        let mut response = match self.grpc_call(parts, &activated, body).await {
            Ok(response) => response,
            Err(refusal) => trailers_only(self.status(parts, refusal)),
        };
        self.echo(&activated, response.headers_mut());
        response
    }

    async fn grpc_call(
        self: &Arc<Self>,
        parts: &Parts,
        activated: &[String],
        body: Body,
    ) -> Result<Response, Refusal> {
        let path = parts.uri.path();
        let unknown = || A2aError::MethodNotFound {
            method: path.to_owned(),
        };
        let (spoken, method) = called(path).ok_or_else(unknown)?;
        let caller = self.options.auth.authenticate(&parts.headers);
        let caller = caller.map_err(A2aError::from)?;
        tracing::debug!(caller = caller.subject.as_ref(), path, "gRPC");
        check_encoding(&parts.headers)?;
        let deadline = timeout(&parts.headers)?.and_then(|it| Instant::now().checked_add(it));
        self.negotiate(parts, spoken)?;
        let caller = caller
            .with_extensions(self.known_extensions(activated))
            .with_key(&parts.headers);
        let call = Call {
            parts,
            caller,
            method,
            deadline,
        };
        // Boxed: a whole operation in each, and only one of them is needed.
        let answer = async {
            match spoken {
                ProtocolVersion::V0_3 => Box::pin(self.grpc_0_3(call, body)).await,
                _ => Box::pin(self.grpc_1_0(call, body)).await,
            }
        };
        match deadline {
            None => answer.await,
            Some(deadline) => tokio::time::timeout_at(deadline, answer)
                .await
                .unwrap_or_else(|_| Err(too_late().into())),
        }
    }

    /// The largest message of an answer.
    fn answer_limit(&self) -> usize {
        self.options.max_body_bytes.saturating_mul(ANSWER_FACTOR)
    }

    fn status(&self, parts: &Parts, refusal: Refusal) -> Status {
        match refusal {
            Refusal::Status(status) => status,
            Refusal::Error(error) => {
                super::answer::log(&error);
                match called(parts.uri.path()) {
                    Some((ProtocolVersion::V0_3, _)) => error.to_grpc_0_3(self.options.error_map),
                    _ => error.to_grpc(self.options.error_map),
                }
            }
        }
    }

    fn known_extensions(&self, activated: &[String]) -> Vec<String> {
        if activated.is_empty() {
            return Vec::new();
        }
        let card = self.card();
        let declared = &card.capabilities.extensions;
        let known = |uri: &&String| declared.iter().any(|extension| extension.uri == **uri);
        let mut known: Vec<_> = activated.iter().filter(known).cloned().collect();
        known.sort_unstable();
        known.dedup();
        known
    }

    /// Says which extensions are active. Ours is always known here, whether the card names it or not.
    fn echo(&self, activated: &[String], headers: &mut HeaderMap) {
        let mut active = self.known_extensions(activated);
        let sequence = crate::sequence::URI;
        if activated.iter().any(|uri| uri == sequence) && !active.iter().any(|uri| uri == sequence)
        {
            active.push(sequence.to_owned());
        }
        if !active.is_empty()
            && let Ok(value) = HeaderValue::from_str(&active.join(", "))
        {
            headers.insert(EXTENSIONS_HEADER, value);
        }
    }
}

/// The answer to what cannot be gRPC, in the words of HTTP because nothing else would be understood.
fn no_grpc(parts: &Parts) -> Option<Response> {
    let media_type = parts.headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default().split(';').next();
    let refuse = |status: StatusCode, message: &str| {
        let mut response = trailers_only(Status::unimplemented(message));
        *response.status_mut() = status;
        Some(response)
    };
    match media_type.unwrap_or_default().trim_end() {
        MEDIA_TYPE | "application/grpc+proto" => {}
        _ => {
            return refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "only application/grpc and application/grpc+proto are spoken here",
            );
        }
    }
    if parts.method != Method::POST {
        let response = refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "a gRPC call is an HTTP POST",
        );
        return response.map(|mut response| {
            let post = HeaderValue::from_static("POST");
            response.headers_mut().insert(header::ALLOW, post);
            response
        });
    }
    if parts.version < Version::HTTP_2 {
        return refuse(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "gRPC needs HTTP/2; without TLS the client begins with it at once (prior knowledge)",
        );
    }
    None
}

/// An answer that is a status only.
fn trailers_only(status: Status) -> Response {
    status.into_http::<()>().map(|()| Body::empty())
}

fn too_late() -> Status {
    Status::deadline_exceeded("the call took longer than its grpc-timeout")
}

/// Refuses compressed messages, and says so in the way that lets a client send the next one plain.
fn check_encoding(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get(ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(()),
        Some(_) => {
            let mut status = Status::unimplemented(
                "compressed messages are not accepted: send them with grpc-encoding identity",
            );
            let accepted = tonic::metadata::MetadataValue::from_static("identity");
            status
                .metadata_mut()
                .insert("grpc-accept-encoding", accepted);
            Err(status)
        }
    }
}

/// How long the client waits: up to eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, A2aError> {
    const DIGITS: usize = 8;
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(|text| {
        let (amount, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let well_formed = (1..=DIGITS).contains(&amount.len())
            && amount.bytes().all(|digit| digit.is_ascii_digit());
        let amount: u64 = amount.parse().ok().filter(|_| well_formed)?;
        Some(match unit {
            "H" => Duration::from_secs(amount * 3600),
            "M" => Duration::from_secs(amount * 60),
            "S" => Duration::from_secs(amount),
            "m" => Duration::from_millis(amount),
            "u" => Duration::from_micros(amount),
            "n" => Duration::from_nanos(amount),
            _ => return None,
        })
    });
    parsed
        .map(Some)
        .ok_or_else(|| A2aError::invalid_param(TIMEOUT, "must be 1 to 8 digits and one of HMSmun"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_digits_and_a_unit() {
        let read = |text: &'static str| {
            let headers =
                HeaderMap::from_iter([(TIMEOUT.parse().unwrap(), HeaderValue::from_static(text))]);
            timeout(&headers).ok().flatten()
        };
        for (text, expected) in [
            ("1S", Some(Duration::from_secs(1))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("1", None),
            ("+1S", None),
            ("123456789S", None),
            ("1s", None),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
        assert_eq!(timeout(&HeaderMap::new()), Ok(None));
    }
}

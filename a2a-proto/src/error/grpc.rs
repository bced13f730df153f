//! Errors of the gRPC binding (A2A §10.6): a status with typed details as `google.rpc.Status` in the trailer
//! `grpc-status-details-bin`, and the way back for clients. Which code and which details is said by the one table in
//! `wire`; here they only change their form. Trailers are headers, which peers bound to some kilobytes, so what came from
//! the caller and is told back is cut.

use std::time::Duration;

use a2a_pb_types::rpc;
use a2a_pb_types::well_known::{self, Any};
use bytes::Bytes;
use prost::Message as _;
use serde_json::{Map, Value, json};
use tonic::{Code, Status};

use super::wire::{BAD_REQUEST, DEFAULT_RETRY, ERROR_INFO, RETRY_INFO};
use super::{A2aError, ErrorMap};

/// The longest text in a status. With the most violations all of it stays below the 8 KiB of headers that the strictest
/// peers take, after base64.
const MAX_TEXT: usize = 256;
/// The most violations that are told.
const MAX_VIOLATIONS: usize = 8;
/// The most details that are read of a peer's status.
const MAX_DETAILS: usize = 32;

/// Every code by its name.
const CODES: [(&str, Code); 17] = [
    ("OK", Code::Ok),
    ("CANCELLED", Code::Cancelled),
    ("UNKNOWN", Code::Unknown),
    ("INVALID_ARGUMENT", Code::InvalidArgument),
    ("DEADLINE_EXCEEDED", Code::DeadlineExceeded),
    ("NOT_FOUND", Code::NotFound),
    ("ALREADY_EXISTS", Code::AlreadyExists),
    ("PERMISSION_DENIED", Code::PermissionDenied),
    ("RESOURCE_EXHAUSTED", Code::ResourceExhausted),
    ("FAILED_PRECONDITION", Code::FailedPrecondition),
    ("ABORTED", Code::Aborted),
    ("OUT_OF_RANGE", Code::OutOfRange),
    ("UNIMPLEMENTED", Code::Unimplemented),
    ("INTERNAL", Code::Internal),
    ("UNAVAILABLE", Code::Unavailable),
    ("DATA_LOSS", Code::DataLoss),
    ("UNAUTHENTICATED", Code::Unauthenticated),
];

impl A2aError {
    /// The status that tells this error.
    pub fn to_grpc(&self, map: ErrorMap) -> Status {
        self.status_saying(map, &self.external())
    }

    /// The status that tells this error to a client of 0.3: some of them go by the error's name before the text.
    pub fn to_grpc_0_3(&self, map: ErrorMap) -> Status {
        let text = format!("{}: {}", crate::dialect::v03::name(self), self.external());
        self.status_saying(map, &text)
    }

    fn status_saying(&self, map: ErrorMap, text: &str) -> Status {
        let name = self.grpc_status(map);
        let code = CODES
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(Code::Unknown, |(_, code)| *code);
        let message = cut(text);
        let details: Vec<Any> = self.details().iter().filter_map(to_any).collect();
        if details.is_empty() {
            return Status::new(code, message);
        }
        let status = rpc::Status {
            code: code as i32,
            message: message.clone(),
            details,
        };
        Status::with_details(code, message, status.encode_to_vec().into())
    }

    /// The error that a gRPC peer sent.
    pub fn from_grpc(status: &Status) -> Self {
        let details = rpc::Status::decode(status.details()).unwrap_or_default();
        let details: Vec<Value> = details
            .details
            .iter()
            .take(MAX_DETAILS)
            .filter_map(from_any)
            .collect();
        let message = match status.message() {
            "" => status.code().description().to_owned(),
            message => message.to_owned(),
        };
        let code = match status.code() {
            Code::Unauthenticated => return Self::Unauthenticated { detail: message },
            Code::PermissionDenied => return Self::PermissionDenied { detail: message },
            Code::ResourceExhausted if details.is_empty() => {
                // Too much at once or too large: the first says when to try again.
                return Self::Internal {
                    internal: message.clone(),
                    external: message,
                };
            }
            Code::Unavailable | Code::ResourceExhausted => {
                return Self::Overloaded {
                    retry_after: retry_delay(&details),
                };
            }
            Code::InvalidArgument => -32602,
            Code::Unimplemented => -32601,
            // Without a reason there is only one thing that an agent looks for.
            Code::NotFound => -32001,
            Code::FailedPrecondition => -32004,
            _ => -32603,
        };
        Self::from_parts(code, message, &details)
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

fn text(value: &Value) -> String {
    cut(value.as_str().unwrap_or_default())
}

/// A detail as a message; `None` for one that has no message.
fn to_any(detail: &Value) -> Option<Any> {
    let name = detail["@type"].as_str()?;
    let value = match name {
        ERROR_INFO => {
            let metadata = detail["metadata"].as_object();
            let metadata = metadata.into_iter().flatten();
            rpc::ErrorInfo {
                reason: text(&detail["reason"]),
                domain: text(&detail["domain"]),
                metadata: metadata
                    .map(|(key, value)| (key.clone(), text(value)))
                    .collect(),
            }
            .encode_to_vec()
        }
        BAD_REQUEST => {
            let listed = detail["fieldViolations"].as_array();
            let listed = listed.into_iter().flatten().take(MAX_VIOLATIONS);
            let violation = |violation: &Value| rpc::bad_request::FieldViolation {
                field: text(&violation["field"]),
                description: text(&violation["description"]),
            };
            rpc::BadRequest {
                field_violations: listed.map(violation).collect(),
            }
            .encode_to_vec()
        }
        RETRY_INFO => {
            let delay = detail["retryDelay"].as_str()?;
            let seconds = delay.trim_end_matches('s').parse().ok()?;
            rpc::RetryInfo {
                retry_delay: Some(well_known::Duration { seconds, nanos: 0 }),
            }
            .encode_to_vec()
        }
        _ => return None,
    };
    Some(Any {
        type_url: name.to_owned(),
        value,
    })
}

/// A message as a detail; `None` for one that we do not know.
fn from_any(any: &Any) -> Option<Value> {
    let value = Bytes::copy_from_slice(&any.value);
    match any.type_url.as_str() {
        ERROR_INFO => {
            let info = rpc::ErrorInfo::decode(value).ok()?;
            let metadata: Map<String, Value> = info
                .metadata
                .into_iter()
                .map(|(key, value)| (key, value.into()))
                .collect();
            Some(json!({
                "@type": ERROR_INFO, "reason": info.reason, "domain": info.domain, "metadata": metadata,
            }))
        }
        BAD_REQUEST => {
            let bad = rpc::BadRequest::decode(value).ok()?;
            let violations = bad.field_violations.into_iter();
            let violations = violations.map(
                |violation| json!({"field": violation.field, "description": violation.description}),
            );
            let violations: Vec<Value> = violations.collect();
            Some(json!({"@type": BAD_REQUEST, "fieldViolations": violations}))
        }
        RETRY_INFO => {
            let info = rpc::RetryInfo::decode(value).ok()?;
            let seconds = info.retry_delay.map_or(0, |delay| delay.seconds);
            Some(json!({"@type": RETRY_INFO, "retryDelay": format!("{seconds}s")}))
        }
        _ => None,
    }
}

fn retry_delay(details: &[Value]) -> Duration {
    let info = details.iter().find(|detail| detail["@type"] == RETRY_INFO);
    let seconds = info
        .and_then(|info| info["retryDelay"].as_str())
        .and_then(|delay| delay.trim_end_matches('s').parse().ok());
    seconds.map_or(DEFAULT_RETRY, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::FieldViolation;
    use crate::types::TaskState;

    #[test]
    fn errors_come_back_from_their_status() {
        let id = || "t-1".to_owned();
        for (error, code) in [
            (A2aError::TaskNotFound { task_id: id() }, Code::NotFound),
            (
                A2aError::TaskNotCancelable {
                    task_id: id(),
                    state: TaskState::Failed,
                },
                Code::FailedPrecondition,
            ),
            (
                A2aError::PushNotificationNotSupported,
                Code::FailedPrecondition,
            ),
            (
                A2aError::UnsupportedOperation { what: id() },
                Code::FailedPrecondition,
            ),
            (
                A2aError::ContentTypeNotSupported { media_type: id() },
                Code::InvalidArgument,
            ),
            (
                A2aError::InvalidAgentResponse { detail: id() },
                Code::Internal,
            ),
            (
                A2aError::ExtendedAgentCardNotConfigured,
                Code::FailedPrecondition,
            ),
            (
                A2aError::ExtensionSupportRequired { uri: id() },
                Code::FailedPrecondition,
            ),
            (
                A2aError::VersionNotSupported {
                    version: "99.0".to_owned(),
                    supported: "1.0".to_owned(),
                },
                Code::FailedPrecondition,
            ),
            (
                A2aError::TaskGenerationMismatch {
                    task_id: id(),
                    expected: 7,
                    actual: 9,
                },
                Code::Aborted,
            ),
            (
                A2aError::invalid_param("message.parts", "is required"),
                Code::InvalidArgument,
            ),
            (
                A2aError::Overloaded {
                    retry_after: Duration::from_secs(7),
                },
                Code::ResourceExhausted,
            ),
        ] {
            let status = error.to_grpc(ErrorMap::V1_0_1);
            assert_eq!(status.code(), code, "{error}");
            assert_eq!(status.message(), error.to_string());
            assert_eq!(A2aError::from_grpc(&status), error);
        }
        let push = A2aError::PushNotificationNotSupported.to_grpc(ErrorMap::V1_0_0);
        assert_eq!(push.code(), Code::Unimplemented);
        let unknown = Status::with_details(Code::NotFound, "gone", Bytes::from_static(b"\xff"));
        assert!(matches!(
            A2aError::from_grpc(&unknown),
            A2aError::TaskNotFound { .. }
        ));
    }

    #[test]
    fn a_status_fits_into_headers_whatever_the_caller_sent() {
        let long = || "ü".repeat(1 << 20);
        let violation = || FieldViolation {
            field: long(),
            description: long(),
        };
        for error in [
            A2aError::TaskNotFound { task_id: long() },
            A2aError::InvalidParams {
                violations: std::iter::repeat_with(violation).take(40).collect(),
            },
        ] {
            let mut headers = http::HeaderMap::new();
            error
                .to_grpc(ErrorMap::default())
                .add_header(&mut headers)
                .unwrap();
            let bytes: usize = headers.values().map(http::HeaderValue::len).sum();
            assert!(bytes < 16 << 10, "{bytes}");
        }
    }
}

//! The tables of A2A §5.4 and §9.5: which code, status, reason and details stand for an [`A2aError`] on the wire, and the
//! way back for clients. One exhaustive table; nothing else in the workspace knows a code.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{A2aError, FieldViolation};
use crate::types::TaskState;

/// Which edition of the error table to follow: 1.0.1 changed gRPC and HTTP codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorMap {
    /// A2A 1.0.0, as its conformance kit and the Java SDK expect.
    V1_0_0,
    /// A2A 1.0.1.
    #[default]
    V1_0_1,
}

/// One line of the table. gRPC statuses are given by name, as they stand in the HTTP body.
struct Row {
    code: i64,
    /// The reason of google.rpc.ErrorInfo; only the errors of A2A itself have one.
    reason: Option<&'static str>,
    v1_0_1: (&'static str, StatusCode),
    v1_0_0: (&'static str, StatusCode),
}

impl Row {
    /// An error of A2A §5.4, the same in both editions unless [`Row::formerly`] says otherwise.
    const fn a2a(code: i64, reason: &'static str, status: &'static str, http: StatusCode) -> Self {
        Self {
            code,
            reason: Some(reason),
            v1_0_1: (status, http),
            v1_0_0: (status, http),
        }
    }
    /// An error of the transport (A2A §9.5).
    const fn generic(code: i64, status: &'static str, http: StatusCode) -> Self {
        Self {
            code,
            reason: None,
            v1_0_1: (status, http),
            v1_0_0: (status, http),
        }
    }
    const fn formerly(mut self, status: &'static str, http: StatusCode) -> Self {
        self.v1_0_0 = (status, http);
        self
    }
}

const DOMAIN: &str = "a2a-protocol.org";
pub(super) const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
pub(super) const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
pub(super) const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// What a client waits when an overloaded peer does not say how long.
pub(super) const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// An error object of JSON-RPC 2.0 (§5.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JsonRpcError {
    /// The code.
    pub code: i64,
    /// A sentence for people.
    pub message: String,
    /// Typed details; anything when it comes from others.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

#[derive(Serialize, Deserialize)]
struct HttpBody {
    error: HttpError,
}

#[derive(Serialize, Deserialize)]
struct HttpError {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    details: Vec<Value>,
}

impl A2aError {
    fn row(&self) -> Row {
        const FAILED: &str = "FAILED_PRECONDITION";
        const INVALID: &str = "INVALID_ARGUMENT";
        const NONE: &str = "UNIMPLEMENTED";
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        match self {
            Self::TaskNotFound { .. } => {
                Row::a2a(-32001, "TASK_NOT_FOUND", "NOT_FOUND", StatusCode::NOT_FOUND)
            }
            Self::TaskNotCancelable { .. } => Row::a2a(-32002, "TASK_NOT_CANCELABLE", FAILED, BAD)
                .formerly(FAILED, StatusCode::CONFLICT),
            Self::PushNotificationNotSupported => {
                Row::a2a(-32003, "PUSH_NOTIFICATION_NOT_SUPPORTED", FAILED, BAD).formerly(NONE, BAD)
            }
            Self::UnsupportedOperation { .. } => {
                Row::a2a(-32004, "UNSUPPORTED_OPERATION", FAILED, BAD).formerly(NONE, BAD)
            }
            Self::ContentTypeNotSupported { .. } => {
                Row::a2a(-32005, "CONTENT_TYPE_NOT_SUPPORTED", INVALID, BAD)
                    .formerly(INVALID, StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::InvalidAgentResponse { .. } => Row::a2a(
                -32006,
                "INVALID_AGENT_RESPONSE",
                "INTERNAL",
                StatusCode::INTERNAL_SERVER_ERROR,
            )
            .formerly("INTERNAL", StatusCode::BAD_GATEWAY),
            Self::ExtendedAgentCardNotConfigured => {
                Row::a2a(-32007, "EXTENDED_AGENT_CARD_NOT_CONFIGURED", FAILED, BAD)
            }
            Self::ExtensionSupportRequired { .. } => {
                Row::a2a(-32008, "EXTENSION_SUPPORT_REQUIRED", FAILED, BAD)
            }
            Self::VersionNotSupported { .. } => {
                Row::a2a(-32009, "VERSION_NOT_SUPPORTED", FAILED, BAD).formerly(NONE, BAD)
            }
            Self::TaskGenerationMismatch { .. } => Row::a2a(
                -32010,
                "TASK_GENERATION_MISMATCH",
                "ABORTED",
                StatusCode::CONFLICT,
            ),
            Self::InvalidParams { .. } => Row::generic(-32602, INVALID, BAD),
            Self::InvalidRequest { .. } => Row::generic(-32600, INVALID, BAD),
            Self::ParseError { .. } => Row::generic(-32700, INVALID, BAD),
            Self::MethodNotFound { .. } => Row::generic(-32601, NONE, StatusCode::NOT_FOUND),
            Self::Internal { .. } => {
                Row::generic(-32603, "INTERNAL", StatusCode::INTERNAL_SERVER_ERROR)
            }
            // JSON-RPC has no code for these four: they are told by the HTTP status, the code is a stopgap.
            Self::Unauthenticated { .. } => {
                Row::generic(-32603, "UNAUTHENTICATED", StatusCode::UNAUTHORIZED)
            }
            Self::PermissionDenied { .. } => {
                Row::generic(-32603, "PERMISSION_DENIED", StatusCode::FORBIDDEN)
            }
            Self::Overloaded { .. } => {
                Row::generic(-32603, "RESOURCE_EXHAUSTED", StatusCode::TOO_MANY_REQUESTS)
            }
            Self::TooLarge { .. } => {
                Row::generic(-32603, "RESOURCE_EXHAUSTED", StatusCode::PAYLOAD_TOO_LARGE)
            }
        }
    }

    /// The JSON-RPC code.
    pub fn code(&self) -> i64 {
        self.row().code
    }

    /// The HTTP status of the HTTP+JSON binding.
    pub fn http_status(&self, map: ErrorMap) -> StatusCode {
        self.grpc_and_http(map).1
    }

    /// The name of the gRPC status.
    pub fn grpc_status(&self, map: ErrorMap) -> &'static str {
        self.grpc_and_http(map).0
    }

    fn grpc_and_http(&self, map: ErrorMap) -> (&'static str, StatusCode) {
        let row = self.row();
        match map {
            ErrorMap::V1_0_0 => row.v1_0_0,
            ErrorMap::V1_0_1 => row.v1_0_1,
        }
    }

    /// The HTTP status of the JSON-RPC binding: 200, but for errors that are not of the protocol (A2A §9.5).
    pub fn json_rpc_http_status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated { .. }
            | Self::PermissionDenied { .. }
            | Self::Overloaded { .. }
            | Self::TooLarge { .. } => self.http_status(ErrorMap::default()),
            _ => StatusCode::OK,
        }
    }

    /// How long the peer should wait before it tries again: the `Retry-After` header.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// The error object of the JSON-RPC binding.
    pub fn to_json_rpc(&self) -> JsonRpcError {
        let details = self.details();
        let data = if details.is_empty() {
            Value::Null
        } else {
            Value::Array(details)
        };
        JsonRpcError {
            code: self.code(),
            message: self.external(),
            data,
        }
    }

    /// The body of the HTTP+JSON binding.
    pub fn to_http_body(&self, map: ErrorMap) -> Bytes {
        let (status, http) = self.grpc_and_http(map);
        let error = HttpError {
            code: http.as_u16(),
            status: status.to_owned(),
            message: self.external(),
            details: self.details(),
        };
        // Strings and numbers only: this always becomes JSON.
        serde_json::to_vec(&HttpBody { error })
            .unwrap_or_default()
            .into()
    }

    /// The typed details, each with its `@type`.
    pub(super) fn details(&self) -> Vec<Value> {
        let mut details = Vec::new();
        if let Some(reason) = self.row().reason {
            let metadata = self.info();
            let mut info = json!({"@type": ERROR_INFO, "reason": reason, "domain": DOMAIN});
            if metadata
                .as_object()
                .is_some_and(|metadata| !metadata.is_empty())
            {
                info["metadata"] = metadata;
            }
            details.push(info);
        }
        if let Self::InvalidParams { violations } = self {
            let violations: Vec<_> = violations
                .iter()
                .map(|violation| json!({"field": violation.field, "description": violation.description}))
                .collect();
            details.push(json!({"@type": BAD_REQUEST, "fieldViolations": violations}));
        }
        if let Self::Overloaded { retry_after } = self {
            details.push(json!({"@type": RETRY_INFO, "retryDelay": format!("{}s", retry_after.as_secs().max(1))}));
        }
        details
    }

    /// The metadata of google.rpc.ErrorInfo; all values are strings. [`A2aError::from_parts`] reads it back.
    fn info(&self) -> Value {
        match self {
            Self::TaskNotFound { task_id } => json!({"taskId": task_id}),
            Self::TaskNotCancelable { task_id, state } => {
                json!({"taskId": task_id, "state": state.as_str()})
            }
            Self::UnsupportedOperation { what } => json!({"operation": what}),
            Self::ContentTypeNotSupported { media_type } => json!({"mediaType": media_type}),
            Self::InvalidAgentResponse { detail } => json!({"detail": detail}),
            Self::ExtensionSupportRequired { uri } => json!({"extension": uri}),
            Self::VersionNotSupported { version, supported } => {
                json!({"version": version, "supportedVersions": supported})
            }
            Self::TaskGenerationMismatch {
                task_id,
                expected,
                actual,
            } => json!({
                "taskId": task_id,
                "expectedGeneration": expected.to_string(),
                "currentGeneration": actual.to_string(),
            }),
            _ => json!({}),
        }
    }

    /// The error that a JSON-RPC peer sent.
    pub fn from_json_rpc(error: JsonRpcError) -> Self {
        let details = match error.data {
            Value::Array(details) => details,
            Value::Null => Vec::new(),
            other => vec![other],
        };
        Self::from_parts(error.code, error.message, &details)
    }

    /// The error that an HTTP+JSON peer sent, or any HTTP peer: a body that is not ours is told by its status alone.
    pub fn from_http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let (message, details) = match serde_json::from_slice::<HttpBody>(body) {
            Ok(HttpBody { error }) => (error.message, error.details),
            Err(_) => (excerpt(body), Vec::new()),
        };
        let message = if message.is_empty() {
            format!("HTTP status {status}")
        } else {
            message
        };
        let code = match status {
            StatusCode::UNAUTHORIZED => return Self::Unauthenticated { detail: message },
            StatusCode::FORBIDDEN => return Self::PermissionDenied { detail: message },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                return Self::Overloaded {
                    retry_after: retry_after(headers),
                };
            }
            StatusCode::PAYLOAD_TOO_LARGE => return Self::TooLarge { limit_bytes: 0 },
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => -32601,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => -32005,
            status if status.is_client_error() => -32600,
            _ => -32603,
        };
        Self::from_parts(code, message, &details)
    }

    /// Details rule over the code: they are exact, the code of an HTTP status is not.
    pub(super) fn from_parts(code: i64, message: String, details: &[Value]) -> Self {
        let of_type = |name: &str| details.iter().find(|detail| detail["@type"] == name);
        let info = of_type(ERROR_INFO);
        let code = info
            .and_then(|info| info["reason"].as_str())
            .and_then(code_of_reason)
            .unwrap_or(code);
        if let Some(bad) = of_type(BAD_REQUEST)
            && matches!(code, -32602 | -32600)
        {
            return Self::InvalidParams {
                violations: field_violations(bad, &message),
            };
        }
        let known = |key: &str| {
            info.and_then(|info| info["metadata"][key].as_str())
                .map(str::to_owned)
        };
        match code {
            -32001 => Self::TaskNotFound {
                task_id: known("taskId").unwrap_or_default(),
            },
            -32002 => Self::TaskNotCancelable {
                task_id: known("taskId").unwrap_or_default(),
                state: known("state")
                    .and_then(|state| TaskState::from_name(&state))
                    .unwrap_or_default(),
            },
            -32003 => Self::PushNotificationNotSupported,
            -32004 => Self::UnsupportedOperation {
                what: known("operation").unwrap_or(message),
            },
            -32005 => Self::ContentTypeNotSupported {
                media_type: known("mediaType").unwrap_or(message),
            },
            -32006 => Self::InvalidAgentResponse {
                detail: known("detail").unwrap_or(message),
            },
            -32007 => Self::ExtendedAgentCardNotConfigured,
            -32008 => Self::ExtensionSupportRequired {
                uri: known("extension").unwrap_or(message),
            },
            -32009 => Self::VersionNotSupported {
                version: known("version").unwrap_or_default(),
                supported: known("supportedVersions").unwrap_or(message),
            },
            -32010 => {
                let number = |key| known(key).and_then(|text| text.parse().ok());
                Self::TaskGenerationMismatch {
                    task_id: known("taskId").unwrap_or_default(),
                    expected: number("expectedGeneration").unwrap_or_default(),
                    actual: number("currentGeneration").unwrap_or_default(),
                }
            }
            -32602 => Self::invalid_param("", message),
            -32600 => Self::InvalidRequest { detail: message },
            -32601 => Self::MethodNotFound { method: message },
            -32700 => Self::ParseError { detail: message },
            _ => Self::Internal {
                external: message,
                internal: format!("the peer answered with code {code}"),
            },
        }
    }
}

fn code_of_reason(reason: &str) -> Option<i64> {
    Some(match reason {
        "TASK_NOT_FOUND" => -32001,
        "TASK_NOT_CANCELABLE" => -32002,
        "PUSH_NOTIFICATION_NOT_SUPPORTED" => -32003,
        "UNSUPPORTED_OPERATION" => -32004,
        "CONTENT_TYPE_NOT_SUPPORTED" => -32005,
        "INVALID_AGENT_RESPONSE" => -32006,
        "EXTENDED_AGENT_CARD_NOT_CONFIGURED" => -32007,
        "EXTENSION_SUPPORT_REQUIRED" => -32008,
        "VERSION_NOT_SUPPORTED" => -32009,
        "TASK_GENERATION_MISMATCH" => -32010,
        _ => return None,
    })
}

fn field_violations(bad: &Value, message: &str) -> Vec<FieldViolation> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let listed = bad["fieldViolations"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut violations: Vec<_> = listed
        .iter()
        .map(|entry| FieldViolation {
            field: text(&entry["field"]),
            description: text(&entry["description"]),
        })
        .collect();
    if violations.is_empty() {
        violations.push(FieldViolation {
            field: String::new(),
            description: message.to_owned(),
        });
    }
    violations
}

/// The beginning of a body that is not ours, for the error text.
fn excerpt(body: &[u8]) -> String {
    const LONG_ENOUGH: usize = 200;
    String::from_utf8_lossy(body)
        .chars()
        .take(LONG_ENOUGH)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3); the form with a date is taken as "soon".
fn retry_after(headers: &HeaderMap) -> Duration {
    let header = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    header
        .and_then(|text| text.trim().parse().ok())
        .map_or(DEFAULT_RETRY, Duration::from_secs)
}

//! Errors in the REST binding of 0.3. Its specification gives them no body, so every SDK has its own: this one carries the
//! member that each of them looks for: `code` (JavaScript), `type` (Python), `error` (Java), and `message` (all).

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::error::name;
use crate::error::{A2aError, JsonRpcError};

/// The package of the error classes that the Java SDK looks up by name.
const JAVA_PACKAGE: &str = "io.a2a.spec";

#[derive(Serialize)]
struct Body<'a> {
    code: i64,
    r#type: &'a str,
    error: String,
    message: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    data: Value,
}

/// The body that tells `error`.
pub fn body(error: &A2aError) -> Bytes {
    let JsonRpcError {
        code,
        message,
        data,
    } = error.to_json_rpc();
    let name = name(error);
    let body = Body {
        code,
        r#type: name,
        error: format!("{JAVA_PACKAGE}.{name}"),
        message,
        data,
    };
    // Strings and numbers only: this always becomes JSON.
    serde_json::to_vec(&body).unwrap_or_default().into()
}

/// The error that a peer of 0.3 sent: by its code if it tells one, by its name, by its status.
pub fn from_http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> A2aError {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Foreign {
        code: Option<i64>,
        r#type: Option<String>,
        error: Value,
        message: Option<String>,
        detail: Option<String>,
        data: Value,
    }
    let plain = || A2aError::from_http(status, headers, body);
    if matches!(status.as_u16(), 401 | 403 | 413 | 429 | 503) {
        return plain();
    }
    let Ok(foreign) = serde_json::from_slice::<Foreign>(body) else {
        return plain();
    };
    let class = foreign.r#type.as_deref().or(foreign.error.as_str());
    let code = foreign
        .code
        .or_else(|| class.and_then(code_of_name))
        .or(match status.as_u16() {
            // What the Python SDK answers, whose bodies have a message and nothing else.
            404 => Some(-32001),
            409 => Some(-32002),
            415 => Some(-32005),
            422 => Some(-32602),
            502 => Some(-32006),
            _ => None,
        });
    let (Some(code), false) = (code, foreign.error.is_object()) else {
        return plain();
    };
    A2aError::from_json_rpc(JsonRpcError {
        code,
        message: foreign.message.or(foreign.detail).unwrap_or_default(),
        data: foreign.data,
    })
}

fn code_of_name(name: &str) -> Option<i64> {
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
    Some(match name {
        "TaskNotFoundError" => -32001,
        "TaskNotCancelableError" => -32002,
        "PushNotificationNotSupportedError" => -32003,
        "UnsupportedOperationError" => -32004,
        "ContentTypeNotSupportedError" => -32005,
        "InvalidAgentResponseError" => -32006,
        "AuthenticatedExtendedCardNotConfiguredError" => -32007,
        "ExtensionSupportRequiredError" => -32008,
        "VersionNotSupportedError" => -32009,
        "InvalidParamsError" => -32602,
        "InvalidRequestError" => -32600,
        "MethodNotFoundError" => -32601,
        "JSONParseError" => -32700,
        "InternalError" => -32603,
        _ => return None,
    })
}

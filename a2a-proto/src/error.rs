//! Everything that an A2A operation can answer instead of a result (A2A §3.3, §9.5, §11.6), as one closed enum.
//! The tables that turn it into JSON-RPC and HTTP shapes, and back, are in `wire`. An internal text never leaves the
//! process: only [`A2aError::external`] is sent.

use std::time::Duration;

#[cfg(feature = "grpc")]
mod grpc;
mod wire;

pub use wire::{ErrorMap, JsonRpcError};

/// One field that is wrong, in google.rpc.BadRequest's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path of the field, such as `message.parts[0].text`; empty for the object itself.
    pub field: String,
    /// What is wrong with it, in plain words.
    pub description: String,
}

impl std::fmt::Display for FieldViolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.description),
            field => write!(f, "{field}: {}", self.description),
        }
    }
}

/// Why an operation was refused or failed. `Display` is the text for the peer and for logs alike, except for
/// [`A2aError::Internal`], whose inner text only logs may see.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum A2aError {
    /// The task does not exist, or belongs to somebody else (A2A §3.3.2, -32001).
    #[error("task {task_id} does not exist or is not accessible")]
    TaskNotFound {
        /// The id that was asked for.
        task_id: String,
    },
    /// The task has ended already (-32002).
    #[error("task {task_id} cannot be canceled: it is {state}")]
    TaskNotCancelable {
        /// The task.
        task_id: String,
        /// The state that it is in.
        state: crate::types::TaskState,
    },
    /// The agent does not push (-32003).
    #[error("this agent does not support push notifications")]
    PushNotificationNotSupported,
    /// The agent cannot do this, or not now (-32004).
    #[error("{what} is not supported")]
    UnsupportedOperation {
        /// What, in a few words that fit before "is not supported".
        what: String,
    },
    /// A media type that the agent does not take (-32005).
    #[error("content type {media_type} is not supported")]
    ContentTypeNotSupported {
        /// The media type.
        media_type: String,
    },
    /// The agent answered something that is not A2A (-32006).
    #[error("the agent gave an invalid response: {detail}")]
    InvalidAgentResponse {
        /// What was wrong with it.
        detail: String,
    },
    /// The extended card is declared but there is none (-32007).
    #[error("no extended agent card is configured")]
    ExtendedAgentCardNotConfigured,
    /// The client must know an extension and did not say so (-32008).
    #[error("extension {uri} is required: name it in the A2A-Extensions header")]
    ExtensionSupportRequired {
        /// The extension.
        uri: String,
    },
    /// The client speaks a version that the server does not (-32009).
    #[error("A2A version {version} is not supported: this agent speaks {supported}")]
    VersionNotSupported {
        /// What the client asked for.
        version: String,
        /// What the server has, comma-separated.
        supported: String,
    },
    /// The task has changed since the client looked (1.1 preview, -32010).
    #[error("task {task_id} has changed: it is at generation {actual}, not {expected}")]
    TaskGenerationMismatch {
        /// The task.
        task_id: String,
        /// The generation that the client knows.
        expected: i64,
        /// The generation that it is at.
        actual: i64,
    },
    /// Fields are missing or of the wrong kind (-32602).
    #[error("invalid parameters: {}", list(violations))]
    InvalidParams {
        /// All that are.
        violations: Vec<FieldViolation>,
    },
    /// JSON, but no request (-32600).
    #[error("invalid request: {detail}")]
    InvalidRequest {
        /// What is wrong with it.
        detail: String,
    },
    /// Not JSON (-32700).
    #[error("invalid JSON: {detail}")]
    ParseError {
        /// What is wrong, with the position.
        detail: String,
    },
    /// No such method or path (-32601).
    #[error("there is no method {method}")]
    MethodNotFound {
        /// The method or path.
        method: String,
    },
    /// No credentials, or bad ones (HTTP 401).
    #[error("not authenticated: {detail}")]
    Unauthenticated {
        /// What to do, without saying which check failed.
        detail: String,
    },
    /// Known, but not allowed (HTTP 403).
    #[error("not permitted: {detail}")]
    PermissionDenied {
        /// What is not permitted.
        detail: String,
    },
    /// Too much at once (HTTP 429 with `Retry-After`).
    #[error("overloaded: try again in {} s", retry_after.as_secs().max(1))]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// A body above the limit (HTTP 413).
    #[error("the body is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// Something broke on our side (-32603).
    #[error("{external}")]
    Internal {
        /// What the peer may know.
        external: String,
        /// What the log may know.
        internal: String,
    },
}

impl A2aError {
    /// A violation of one field.
    pub fn invalid_param(field: impl Into<String>, description: impl Into<String>) -> Self {
        let violation = FieldViolation {
            field: field.into(),
            description: description.into(),
        };
        Self::InvalidParams {
            violations: vec![violation],
        }
    }

    /// An internal error that tells the peer nothing.
    pub fn internal(internal: impl std::fmt::Display) -> Self {
        Self::Internal {
            external: "internal error".to_owned(),
            internal: internal.to_string(),
        }
    }

    /// The text for the peer.
    pub fn external(&self) -> String {
        self.to_string()
    }
}

fn list(violations: &[FieldViolation]) -> String {
    violations
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

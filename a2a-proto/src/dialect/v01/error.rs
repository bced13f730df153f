//! The error codes of v0.1, which differ from those of later versions from -32006 on.

use crate::error::{A2aError, JsonRpcError};

/// Why a task cannot be sent to, where the error itself does not tell (A2A 0.1 knows two codes for it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The agent does not stream.
    Streaming,
    /// The task has ended.
    State,
    /// Something else.
    Other,
}

/// An error as v0.1 tells it. `refused` says what an unsupported operation is about.
pub fn error(error: &A2aError, refused: Refused) -> JsonRpcError {
    let code = match (error, refused) {
        (A2aError::UnsupportedOperation { .. }, Refused::Streaming) => -32006,
        (A2aError::UnsupportedOperation { .. }, Refused::State) => -32009,
        (A2aError::Unauthenticated { .. }, _) => -32007,
        (A2aError::PermissionDenied { .. }, _) => -32008,
        (A2aError::Overloaded { .. }, _) => -32010,
        (A2aError::TooLarge { .. }, _) => -32011,
        // Errors that came later, under codes that mean something else here.
        (A2aError::InvalidAgentResponse { .. }, _) => -32603,
        (A2aError::ExtendedAgentCardNotConfigured, _) => -32004,
        (
            A2aError::ExtensionSupportRequired { .. }
            | A2aError::VersionNotSupported { .. }
            | A2aError::TaskGenerationMismatch { .. },
            _,
        ) => -32600,
        (other, _) => other.code(),
    };
    JsonRpcError {
        code,
        ..error.to_json_rpc()
    }
}

/// The error that a peer of v0.1 sent.
pub fn from_error(error: JsonRpcError) -> A2aError {
    let detail = error.message.clone();
    match error.code {
        -32006 => A2aError::UnsupportedOperation {
            what: "streaming".to_owned(),
        },
        -32009 => A2aError::UnsupportedOperation { what: detail },
        -32007 => A2aError::Unauthenticated { detail },
        -32008 => A2aError::PermissionDenied { detail },
        -32010 | -32011 => A2aError::Overloaded {
            retry_after: std::time::Duration::from_secs(1),
        },
        _ => A2aError::from_json_rpc(error),
    }
}

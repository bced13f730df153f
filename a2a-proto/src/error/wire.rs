//! The tables of A2A §5.4 and §9.5: which code, status, reason and details stand for an [`A2aError`], and the way back for
//! clients. One exhaustive match per direction; nothing else in the workspace knows a code.

use super::A2aError;

/// Which edition of the error table to follow: 1.0.1 changed gRPC and HTTP codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorMap {
    /// A2A 1.0.0, as its conformance kit and the Java SDK expect.
    V1_0_0,
    /// A2A 1.0.1.
    #[default]
    V1_0_1,
}

/// A JSON-RPC error code.
pub type Code = i64;

impl A2aError {
    /// The JSON-RPC code.
    pub fn code(&self) -> Code {
        match self {
            Self::TaskNotFound { .. } => -32001,
            Self::TaskNotCancelable { .. } => -32002,
            Self::PushNotificationNotSupported => -32003,
            Self::UnsupportedOperation { .. } => -32004,
            Self::ContentTypeNotSupported { .. } => -32005,
            Self::InvalidAgentResponse { .. } => -32006,
            Self::ExtendedAgentCardNotConfigured => -32007,
            Self::ExtensionSupportRequired { .. } => -32008,
            Self::VersionNotSupported { .. } => -32009,
            Self::InvalidParams { .. } => -32602,
            Self::InvalidRequest { .. } => -32600,
            Self::ParseError { .. } => -32700,
            Self::MethodNotFound { .. } => -32601,
            Self::Unauthenticated { .. }
            | Self::PermissionDenied { .. }
            | Self::Overloaded { .. }
            | Self::TooLarge { .. }
            | Self::Internal { .. } => -32603,
        }
    }
}

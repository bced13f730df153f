//! Errors of 0.3 where they differ from 1.0: their names, which SDKs look up, and the error object of JSON-RPC, whose data
//! is free-form there and read as one object by some.

use serde_json::Value;

use crate::error::{A2aError, JsonRpcError};

/// The error object of JSON-RPC. Its data is the first of the details: the Go SDK reads an object and nothing else.
pub fn error(error: &A2aError) -> JsonRpcError {
    let mut object = error.to_json_rpc();
    if let Value::Array(details) = object.data {
        object.data = details.into_iter().next().unwrap_or_default();
    }
    object
}

/// The name of an error in the specification of 0.3 and in its SDKs.
pub fn name(error: &A2aError) -> &'static str {
    match error {
        A2aError::TaskNotFound { .. } => "TaskNotFoundError",
        A2aError::TaskNotCancelable { .. } => "TaskNotCancelableError",
        A2aError::PushNotificationNotSupported => "PushNotificationNotSupportedError",
        A2aError::UnsupportedOperation { .. } => "UnsupportedOperationError",
        A2aError::ContentTypeNotSupported { .. } => "ContentTypeNotSupportedError",
        A2aError::InvalidAgentResponse { .. } => "InvalidAgentResponseError",
        A2aError::ExtendedAgentCardNotConfigured => "AuthenticatedExtendedCardNotConfiguredError",
        A2aError::ExtensionSupportRequired { .. } => "ExtensionSupportRequiredError",
        A2aError::VersionNotSupported { .. } => "VersionNotSupportedError",
        A2aError::TaskGenerationMismatch { .. } => "TaskGenerationMismatchError",
        A2aError::InvalidParams { .. } => "InvalidParamsError",
        A2aError::ParseError { .. } => "JSONParseError",
        A2aError::MethodNotFound { .. } => "MethodNotFoundError",
        A2aError::InvalidRequest { .. } | A2aError::TooLarge { .. } => "InvalidRequestError",
        _ => "InternalError",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_is_one_object_and_reads_as_the_same_error() {
        let missing = A2aError::TaskNotFound {
            task_id: "t-1".to_owned(),
        };
        let object = error(&missing);
        assert_eq!(object.data["reason"], json!("TASK_NOT_FOUND"));
        assert_eq!(A2aError::from_json_rpc(object), missing);
        let invalid = A2aError::invalid_param("message.parts", "is required");
        let object = error(&invalid);
        assert!(object.data["fieldViolations"].is_array());
        assert_eq!(A2aError::from_json_rpc(object), invalid);
    }
}

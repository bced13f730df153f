//! What a failed call to a worker means for the attempt: try again later, or the end of it. One exhaustive table.

use a2a_proto::client::ClientError;
use a2a_proto::error::A2aError;
use captain_core::Outcome;

/// What follows from an error.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// The worker cannot be heard; it may be again.
    Silence(String),
    /// The worker answers, but with an error that may pass.
    Trouble(String),
    /// The worker does not stream this task any more; the task itself must be asked for.
    AskForTask,
    /// The attempt is over.
    Over(Outcome),
}

/// Judges an error of a worker's client.
pub(super) fn judge(error: &ClientError) -> Verdict {
    let text = || daemon::cli::chain(error);
    match error {
        ClientError::Unreachable { .. }
        | ClientError::Broken { .. }
        | ClientError::TimedOut { .. }
        | ClientError::Silent { .. }
        | ClientError::Cut => Verdict::Silence(text()),
        ClientError::Lost { source, .. } => judge(source),
        ClientError::Agent(error) => judge_agent(error, text()),
        ClientError::TooLarge { .. } => Verdict::Over(Outcome::Failed { message: text() }),
        ClientError::NoInterface { .. }
        | ClientError::BadUrl { .. }
        | ClientError::Untrusted(_) => Verdict::Over(Outcome::Refused { message: text() }),
        // Defects or troubles of the captain itself.
        ClientError::Token(_)
        | ClientError::Request(_)
        | ClientError::Channel { .. }
        | ClientError::Build { .. } => Verdict::Trouble(text()),
    }
}

fn judge_agent(error: &A2aError, text: String) -> Verdict {
    match error {
        A2aError::TaskNotFound { .. } => Verdict::Over(Outcome::Lost {
            message: "the worker does not know its task any more".to_owned(),
        }),
        A2aError::UnsupportedOperation { .. } => Verdict::AskForTask,
        A2aError::Overloaded { .. }
        | A2aError::Internal { .. }
        | A2aError::Unauthenticated { .. }
        | A2aError::PermissionDenied { .. } => Verdict::Trouble(text),
        A2aError::InvalidAgentResponse { .. } => Verdict::Over(Outcome::Failed { message: text }),
        A2aError::TaskNotCancelable { .. }
        | A2aError::PushNotificationNotSupported
        | A2aError::ContentTypeNotSupported { .. }
        | A2aError::ExtendedAgentCardNotConfigured
        | A2aError::ExtensionSupportRequired { .. }
        | A2aError::VersionNotSupported { .. }
        | A2aError::TaskGenerationMismatch { .. }
        | A2aError::InvalidParams { .. }
        | A2aError::InvalidRequest { .. }
        | A2aError::ParseError { .. }
        | A2aError::MethodNotFound { .. }
        | A2aError::TooLarge { .. } => Verdict::Over(Outcome::Refused { message: text }),
    }
}

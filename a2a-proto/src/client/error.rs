//! Why a call did not give a result: the agent said no, or the agent could not be heard.

use std::time::Duration;

use crate::error::A2aError;

use super::TokenError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The agent answered with an error, or with something that is not A2A.
    #[error("the agent answered with an error")]
    Agent(#[from] A2aError),
    /// The agent could not be reached, or the connection broke.
    #[error("cannot reach the agent")]
    Unreachable {
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The gRPC connection broke, or the call came to its end without an answer of the agent.
    #[error("cannot reach the agent over gRPC")]
    Broken {
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The agent took too long.
    #[error("the agent did not answer {what} within {} s", limit.as_secs())]
    TimedOut {
        /// The operation.
        what: &'static str,
        /// How long it was given.
        limit: Duration,
    },
    /// The stream went silent: not even a keep-alive came.
    #[error("nothing came over the stream for {} s", limit.as_secs())]
    Silent {
        /// How long it was given.
        limit: Duration,
    },
    /// The stream ended though the task had not.
    #[error("the stream ended before the task did")]
    Cut,
    /// A cut stream could not be resumed. The task may well go on: its outcome is unknown.
    #[error("lost the stream of task {task_id} after event {}", after.map_or_else(|| "none".to_owned(), |seq| seq.to_string()))]
    Lost {
        /// The task.
        task_id: String,
        /// The last event that came through, to subscribe after it later.
        after: Option<u64>,
        /// The last attempt.
        #[source]
        source: Box<ClientError>,
    },
    /// The agent sent more than we hold.
    #[error("the agent's answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// There is no token to send.
    #[error("no token for the agent")]
    Token(#[from] TokenError),
    /// The card offers no interface that we speak.
    #[error("the agent offers no interface that we speak or may use: {offered}")]
    NoInterface {
        /// What it offers.
        offered: String,
    },
    /// The card's signature does not satisfy the client's policy.
    #[cfg(feature = "auth")]
    #[error("the agent's card is not to be trusted")]
    Untrusted(#[from] crate::auth::CardProblem),
    /// An address is not one.
    #[error("the address {url} cannot be used")]
    BadUrl {
        /// The address.
        url: String,
    },
    /// Our request cannot be written as JSON.
    #[error("cannot write the request")]
    Request(#[from] serde_json::Error),
    /// The gRPC channel could not be set up.
    #[error("cannot set up the gRPC channel")]
    Channel {
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The HTTP client could not be built.
    #[error("cannot build the HTTP client")]
    Build {
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
}

impl ClientError {
    /// What the agent said, if it said something.
    pub fn agent_error(&self) -> Option<&A2aError> {
        match self {
            Self::Agent(error) => Some(error),
            Self::Lost { source, .. } => source.agent_error(),
            _ => None,
        }
    }

    /// Whether the same call may work a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::Silent { .. }
            | Self::Cut => true,
            Self::Agent(error) => is_transient(error),
            Self::Lost { .. }
            | Self::TooLarge { .. }
            | Self::Token(_)
            | Self::NoInterface { .. }
            | Self::BadUrl { .. }
            | Self::Request(_)
            | Self::Channel { .. }
            | Self::Build { .. } => false,
            #[cfg(feature = "auth")]
            Self::Untrusted(_) => false,
        }
    }
}

/// Whether an agent that answered with `error` may answer otherwise a little later.
pub(super) fn is_transient(error: &A2aError) -> bool {
    matches!(
        error,
        A2aError::Overloaded { .. } | A2aError::Internal { .. }
    )
}

//! The errors of the REST API: one closed enum and one exhaustive table from it to status, code and hint.
//!
//! Every answer that is not a success has the body `{"error":{"code","message","hint","details"}}`, also for unknown
//! paths and methods. What happened inside is logged and never sent.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::EngineError;
use crate::store::StoreError;

/// Seconds that a client should wait when the captain is busy. Long enough that a refused client is no load, short
/// enough that a person does not notice.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The body of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDetail {
    /// A stable word for programs.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The single problems, when there may be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Problem>,
}

/// One problem of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Where in the request, as a path like `plan.subtasks[1].after`; empty for the whole.
    pub field: String,
    /// What is wrong there.
    pub problem: String,
}

impl Problem {
    /// A problem at `field`.
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// Why a request is not answered with a success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No or wrong credentials.
    #[error("{message}")]
    Unauthenticated {
        /// What to do.
        message: String,
        /// The challenge (RFC 6750 section 3).
        challenge: &'static str,
    },
    /// No such thing, or it belongs to somebody else.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// No such path.
    #[error("there is nothing at {path}")]
    UnknownPath {
        /// The path.
        path: String,
    },
    /// The path exists, the method does not.
    #[error("{path} does not take {method}")]
    MethodNotAllowed {
        /// The path.
        path: String,
        /// The method.
        method: String,
    },
    /// The body is not JSON.
    #[error("the body is not valid JSON: {problem}")]
    MalformedJson {
        /// Where and why.
        problem: String,
    },
    /// The body is something other than JSON.
    #[error("the body must be JSON")]
    NotJson,
    /// The request is JSON but not what this call takes.
    #[error("{message}")]
    Invalid {
        /// What is wrong as a whole.
        message: String,
        /// Each problem with its place.
        problems: Vec<Problem>,
    },
    /// The body is larger than allowed.
    #[error("the body has more than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// The thing is in a state in which this cannot be done.
    #[error("{message}")]
    Conflict {
        /// What the state is.
        message: String,
    },
    /// A stream was to be resumed after an event that does not exist.
    #[error("cannot resume after event {after}: the last event is {last}")]
    ResumeBeyondEnd {
        /// What was asked for.
        after: u64,
        /// The newest event.
        last: u64,
    },
    /// A bound on concurrent work was reached.
    #[error("the captain is busy: {what}")]
    Busy {
        /// The bound.
        what: String,
    },
    /// A worker could not be started or stopped.
    #[error("{message}")]
    Worker {
        /// Why, with the worker's own last words.
        message: String,
    },
    /// The disk is full.
    #[error("the captain's disk is full")]
    DiskFull,
    /// A defect or a failed disk; only the log says what.
    #[error("the captain could not do this")]
    Internal {
        /// For the log.
        internal: String,
    },
}

impl ApiError {
    /// An error whose cause is for the log only.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Internal {
            internal: daemon::cli::chain(error),
        }
    }

    /// One problem at one place.
    pub(crate) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        let problem = Problem::new(field, problem);
        Self::Invalid {
            message: if problem.field.is_empty() {
                problem.problem.clone()
            } else {
                format!("{}: {}", problem.field, problem.problem)
            },
            problems: vec![problem],
        }
    }

    /// The whole mapping: status, code, hint.
    fn table(&self) -> (StatusCode, &'static str, Option<&'static str>) {
        match self {
            Self::Unauthenticated { .. } => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                Some(
                    "send `Authorization: Bearer TOKEN`; the token is in the file `token` of the captain's state folder",
                ),
            ),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found", None),
            Self::UnknownPath { .. } => (
                StatusCode::NOT_FOUND,
                "unknown_path",
                Some("the API begins at /jobs and /workers"),
            ),
            Self::MethodNotAllowed { .. } => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", None)
            }
            Self::MalformedJson { .. } => (StatusCode::BAD_REQUEST, "malformed_json", None),
            Self::NotJson => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                Some("send `Content-Type: application/json`"),
            ),
            Self::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid_request", None),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", None),
            Self::Conflict { .. } => (StatusCode::CONFLICT, "conflict", None),
            Self::ResumeBeyondEnd { .. } => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "resume_beyond_end",
                Some("follow the job from the start, or after an event that you have seen"),
            ),
            Self::Busy { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                Some("try again in a moment"),
            ),
            Self::Worker { .. } => (
                StatusCode::BAD_GATEWAY,
                "worker_failed",
                Some("`worker doctor` says what this machine lacks"),
            ),
            Self::DiskFull => (
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                Some("free space in the captain's state folder"),
            ),
            Self::Internal { .. } => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                Some("the captain's log says more"),
            ),
        }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::NotFound(job) => Self::NotFound {
                what: "job",
                id: job.to_string(),
            },
            EngineError::WrongState { .. } | EngineError::NotTaken { .. } => Self::Conflict {
                message: error.to_string(),
            },
            EngineError::BadJob(problem) => Self::invalid("", problem.clone()),
            EngineError::BadPlan(errors) => super::submit::bad_plan(errors, "plan"),
            EngineError::TooManyJobs { .. }
            | EngineError::Stopped
            | EngineError::Moved { .. }
            | EngineError::NoLease => Self::Busy {
                what: error.to_string(),
            },
            EngineError::BeyondEnd { after, last, .. } => Self::ResumeBeyondEnd {
                after: *after,
                last: *last,
            },
            EngineError::Store(store) if matches!(**store, StoreError::Full(_)) => Self::DiskFull,
            EngineError::Store(store) if matches!(**store, StoreError::Unreachable { .. }) => {
                tracing::warn!(error = daemon::cli::chain(&error), "request refused");
                Self::Busy {
                    what: "its database does not answer".to_owned(),
                }
            }
            EngineError::Store(_) | EngineError::Refused { .. } => Self::internal(&error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, hint) = self.table();
        if let Self::Internal { internal } = &self {
            tracing::error!(cause = internal, "request failed");
        }
        let message = self.to_string();
        let challenge = match &self {
            Self::Unauthenticated { challenge, .. } => Some(*challenge),
            _ => None,
        };
        let details = match self {
            Self::Invalid { problems, .. } => problems,
            _ => Vec::new(),
        };
        let body = ErrorBody {
            error: ErrorDetail {
                code: code.to_owned(),
                message,
                hint: hint.map(str::to_owned),
                details,
            },
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(challenge) = challenge {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response
    }
}

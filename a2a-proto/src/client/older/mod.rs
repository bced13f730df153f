//! Agents of older versions behind the same calls: 0.3 over JSON-RPC and REST, 0.1, and the simple dialect. Here is what
//! is asked and how the answer is read, both in canonical objects; the objects of the versions come from
//! [`crate::dialect`]. Sending, time limits and resuming are the same for all and not here.

mod rest;
mod rpc;
mod simple;

use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::operation::Operation;
use super::{Binding, ClientError};
use crate::error::A2aError;
use crate::sse::Event;
use crate::types::{AgentInterface, StreamResponse, TaskState};
use crate::version::{self, ProtocolVersion};

/// What names the simple dialect as the binding of an interface in a card: it is of no official version.
pub const SIMPLE_BINDING: &str = "urn:flotilla:binding:simple:v1";

/// The header of extensions before 1.0.
const OLD_EXTENSIONS_HEADER: &str = "x-a2a-extensions";

/// An agent of an older version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Older {
    speech: Speech,
    url: Url,
}

/// Version and binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    RpcV03,
    RestV03,
    RpcV01,
    Simple,
}

/// What is known about the task of a stream; events of old versions do not say it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SoFar<'a> {
    pub(super) context_id: &'a str,
    pub(super) state: TaskState,
}

impl Older {
    /// How to call an interface of an older version, and over what; `None` if it is of another one.
    pub(super) fn of(interface: &AgentInterface) -> Option<(Binding, Result<Self, ClientError>)> {
        let version = ProtocolVersion::from_text(&interface.protocol_version);
        let (binding, speech) = match (interface.protocol_binding.as_str(), version) {
            ("JSONRPC", Some(ProtocolVersion::V0_3)) => (Binding::JsonRpc, Speech::RpcV03),
            ("HTTP+JSON", Some(ProtocolVersion::V0_3)) => (Binding::HttpJson, Speech::RestV03),
            ("JSONRPC", Some(ProtocolVersion::V0_1)) => (Binding::JsonRpc, Speech::RpcV01),
            (SIMPLE_BINDING, _) => (Binding::HttpJson, Speech::Simple),
            _ => return None,
        };
        let url = Url::parse(&interface.url).map_err(|_| ClientError::BadUrl {
            url: interface.url.clone(),
        });
        Some((binding, url.map(|url| Self { speech, url })))
    }

    /// The request for `operation`. Over REST `other_form` subscribes by POST instead of GET, and creates a push
    /// configuration with the configuration alone.
    pub(super) fn request(
        &self,
        http: &reqwest::Client,
        operation: &Operation<'_>,
        extensions: &[String],
        other_form: bool,
    ) -> Result<RequestBuilder, ClientError> {
        let (method, url, body) = match self.speech {
            Speech::RpcV03 => (
                reqwest::Method::POST,
                self.url.clone(),
                Some(rpc::v03(operation)?),
            ),
            Speech::RpcV01 => (
                reqwest::Method::POST,
                self.url.clone(),
                Some(rpc::v01(operation)?),
            ),
            Speech::RestV03 => rest::request(&self.url, operation, other_form)?,
            Speech::Simple => simple::request(&self.url, operation)?,
        };
        let accept = match operation.streams() {
            true if self.speech == Speech::Simple => "text/event-stream",
            true => "text/event-stream, application/json",
            false => "application/json",
        };
        let mut request = http.request(method, url).header(ACCEPT, accept);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        // Neither knows of it, but servers of several versions do.
        if matches!(self.speech, Speech::RpcV03 | Speech::RestV03) {
            let version = ProtocolVersion::V0_3.as_str();
            request = request.header(version::VERSION_HEADER, version);
        }
        if !extensions.is_empty() {
            request = request.header(OLD_EXTENSIONS_HEADER, extensions.join(", "));
        }
        Ok(request)
    }

    /// Whether push configurations have the ids that clients give them.
    pub(super) fn names_push_configs(&self) -> bool {
        matches!(self.speech, Speech::RpcV03 | Speech::RestV03)
    }

    /// Whether an operation that was refused with this answer may work in its other form.
    pub(super) fn may_be_the_form(
        &self,
        operation: &Operation<'_>,
        status: reqwest::StatusCode,
        body: &[u8],
    ) -> bool {
        let headers = reqwest::header::HeaderMap::new();
        let refusal = || self.refusal(status, &headers, body);
        self.speech == Speech::RestV03
            && match operation {
                Operation::Subscribe(_) => {
                    matches!(status.as_u16(), 404 | 405)
                        && !matches!(refusal(), Some(A2aError::TaskNotFound { .. }))
                }
                Operation::CreatePush(_) => {
                    status.as_u16() == 400
                        && matches!(refusal(), Some(A2aError::InvalidParams { .. }))
                }
                _ => false,
            }
    }

    /// The result in an answer, in the canonical form of what `operation` answers.
    pub(super) fn answer<T: DeserializeOwned>(
        &self,
        operation: &Operation<'_>,
        status: reqwest::StatusCode,
        headers: &reqwest::header::HeaderMap,
        body: &[u8],
    ) -> Result<T, A2aError> {
        if let Some(error) = self.refusal(status, headers, body) {
            return Err(error);
        }
        match self.speech {
            Speech::RpcV03 => rpc::answer_v03(operation, body),
            Speech::RpcV01 => rpc::answer_v01(operation, body),
            Speech::RestV03 => rest::answer(operation, body),
            Speech::Simple => simple::answer(operation, body),
        }
        .and_then(|answer| serde_json::from_value(answer).map_err(invalid))
        .map_err(|error| match error {
            // What the agent sent is wrong, and not what we asked.
            A2aError::InvalidParams { .. } => invalid(error),
            other => other,
        })
    }

    /// The error in an answer, if it is one.
    pub(super) fn refusal(
        &self,
        status: reqwest::StatusCode,
        headers: &reqwest::header::HeaderMap,
        body: &[u8],
    ) -> Option<A2aError> {
        let rpc_error = match self.speech {
            Speech::RpcV03 => rpc::error_v03(body),
            Speech::RpcV01 => rpc::error_v01(body),
            Speech::RestV03 | Speech::Simple => None,
        };
        match (rpc_error, self.speech) {
            (Some(error), _) => Some(error),
            (None, _) if status.is_success() => None,
            (None, Speech::RestV03) => Some(rest::error(status, headers, body)),
            (None, _) => Some(A2aError::from_http(status, headers, body)),
        }
    }

    /// The event in a frame of a stream.
    pub(super) fn event(
        &self,
        frame: &Event,
        so_far: SoFar<'_>,
    ) -> Result<StreamResponse, A2aError> {
        let event = match self.speech {
            Speech::RpcV03 => rpc::event_v03(&frame.data),
            Speech::RpcV01 => rpc::event_v01(&frame.data, so_far),
            Speech::RestV03 => rest::event(frame),
            Speech::Simple => simple::event(frame, so_far),
        };
        event.map_err(|error| match error {
            A2aError::InvalidParams { .. } => invalid(error),
            other => other,
        })
    }
}

fn invalid(error: impl std::fmt::Display) -> A2aError {
    A2aError::InvalidAgentResponse {
        detail: error.to_string(),
    }
}

/// An operation that the version does not have.
fn unsupported(operation: &Operation<'_>, version: ProtocolVersion) -> ClientError {
    A2aError::UnsupportedOperation {
        what: format!("{} to an agent of A2A {version}", operation.method()),
    }
    .into()
}

/// The JSON of a canonical object.
fn canonical(object: &impl Serialize) -> Result<serde_json::Value, A2aError> {
    serde_json::to_value(object).map_err(A2aError::internal)
}

/// A new id for a task, where clients make them.
fn new_task_id() -> String {
    use crate::clock::{Ids as _, UuidV7};
    UuidV7.next()
}

//! The JSON-RPC binding (A2A §9): one endpoint, the method in the body. A thin shell: it takes the envelope apart, finds
//! out by the method which version it is in, has the operation done and puts the answer into an envelope. The methods
//! of 1.0 are here, those of 0.3 and 0.1 in files of their own.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;

use super::answer::{JSON, check_content_type, json, read_body, rpc_error};
use super::dispatch::{Feed, Send, log_error};
use super::rest::Empty;
use super::stream::{self, Render};
use super::{Agent, Caller, Inner};
use crate::dialect::draft::CreateTaskPushNotificationConfigRequest;
use crate::dialect::v01;
use crate::error::A2aError;
use crate::generation::Told;
use crate::jsonrpc::{self, Envelopes, Id, Rejected, Request};
use crate::log::{LoggedEvent, TaskLog};
use crate::sse::{Frames, last_event_id};
use crate::version::{self, ProtocolVersion};

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// Answers one call.
    pub(super) async fn json_rpc(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        body: Body,
    ) -> Response {
        if let Err(error) = check_content_type(&parts.headers) {
            return rpc_error(&Id::null(), &error);
        }
        let body = match read_body(&parts.headers, body, self.options.max_body_bytes).await {
            Ok(body) => body,
            Err(error) => return rpc_error(&Id::null(), &error),
        };
        let request = match Request::parse(&body) {
            Ok(request) => request,
            Err(Rejected { id, error }) => return rpc_error(&id, &error),
        };
        tracing::debug!(operation = request.method.as_ref(), "JSON-RPC");
        let answer = match self.spoken(&caller, parts, &request).await {
            Ok(Spoken::V1_0) => self.call(caller, parts, &request).await,
            // Their errors look different.
            Ok(Spoken::V0_3) => return self.call_v03(caller, parts, &request).await,
            Ok(Spoken::V0_1) => return self.call_v01(caller, parts, &request).await,
            Err(error) => Err(error),
        };
        answer.unwrap_or_else(|error| rpc_error(&request.id, &error))
    }

    /// The version that a call is in. Three methods have the same name in 0.3 and 0.1: there the header tells, or else the
    /// task, because only a client of 0.1 calls it by a name of its own.
    async fn spoken(
        &self,
        caller: &Caller,
        parts: &Parts,
        request: &Request<'_>,
    ) -> Result<Spoken, A2aError> {
        let method = request.method.as_ref();
        let named = version::requested(&parts.headers, parts.uri.query());
        version::check_known(named.as_deref())?;
        if let Some(spoken) = method_of(method) {
            return Ok(spoken);
        }
        if !matches!(method, "tasks/get" | "tasks/cancel" | "tasks/resubscribe") {
            return Err(A2aError::MethodNotFound {
                method: method.to_owned(),
            });
        }
        match named.as_deref().and_then(ProtocolVersion::from_text) {
            Some(ProtocolVersion::V0_1) => return Ok(Spoken::V0_1),
            Some(_) => return Ok(Spoken::V0_3),
            None => {}
        }
        let params: v01::TaskParams = request.params()?;
        match self.open(caller, &params.id).await {
            Err(A2aError::TaskNotFound { .. }) => {
                let known = self.log.alias(&caller.owner(), &params.id).await;
                let known = known.map_err(log_error)?;
                Ok(known.map_or(Spoken::V0_3, |_| Spoken::V0_1))
            }
            _ => Ok(Spoken::V0_3),
        }
    }

    async fn call(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        request: &Request<'_>,
    ) -> Result<Response, A2aError> {
        self.negotiate(parts, ProtocolVersion::V1_0)?;
        let id = &request.id;
        match request.method.as_ref() {
            "SendMessage" => respond(id, &self.send(message(caller, request)?).await?),
            "SendStreamingMessage" => {
                refuse_resume(parts)?;
                self.respond_stream(id, self.send_streaming(message(caller, request)?).await?)
            }
            "GetTask" => respond(id, &self.get(&caller, request.params()?).await?),
            "ListTasks" => respond(id, &self.list(&caller, request.params()?).await?),
            "CancelTask" => respond(id, &self.cancel(caller, request.params()?).await?),
            "SubscribeToTask" => {
                let after = last_event_id(&parts.headers)?;
                self.respond_stream(id, self.subscribe(&caller, request.params()?, after).await?)
            }
            "CreateTaskPushNotificationConfig" => {
                let request: CreateTaskPushNotificationConfigRequest = request.params()?;
                let request = request.into_config()?;
                let created = self.create_push_config(&caller, request, ProtocolVersion::V1_0);
                respond(id, &created.await?)
            }
            "GetTaskPushNotificationConfig" => {
                respond(id, &self.get_push_config(&caller, request.params()?).await?)
            }
            "ListTaskPushNotificationConfigs" => respond(
                id,
                &self.list_push_configs(&caller, request.params()?).await?,
            ),
            "DeleteTaskPushNotificationConfig" => {
                self.delete_push_config(&caller, request.params()?).await?;
                respond(id, &Empty {})
            }
            "GetExtendedAgentCard" => {
                respond(id, &self.extended_card(&caller, &request.params()?)?)
            }
            other => Err(A2aError::MethodNotFound {
                method: other.to_owned(),
            }),
        }
    }

    fn respond_stream(&self, id: &Id, feed: Feed) -> Result<Response, A2aError> {
        stream::response(
            feed,
            RpcFrames {
                id: id.clone(),
                envelopes: Envelopes::new(id),
                generations: self.options.preview_1_1,
            },
            &self.options,
        )
    }
}

/// A version that has a JSON-RPC binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    V1_0,
    V0_3,
    V0_1,
}

/// The version whose method this is; `None` if it is one of several or of none.
fn method_of(method: &str) -> Option<Spoken> {
    Some(match method {
        "SendMessage"
        | "SendStreamingMessage"
        | "GetTask"
        | "ListTasks"
        | "CancelTask"
        | "SubscribeToTask"
        | "CreateTaskPushNotificationConfig"
        | "GetTaskPushNotificationConfig"
        | "ListTaskPushNotificationConfigs"
        | "DeleteTaskPushNotificationConfig"
        | "GetExtendedAgentCard" => Spoken::V1_0,
        "message/send"
        | "message/stream"
        | "tasks/pushNotificationConfig/set"
        | "tasks/pushNotificationConfig/get"
        | "tasks/pushNotificationConfig/list"
        | "tasks/pushNotificationConfig/delete"
        | "agent/getAuthenticatedExtendedCard"
        | "agent/authenticatedExtendedCard" => Spoken::V0_3,
        "tasks/send"
        | "tasks/sendSubscribe"
        | "tasks/pushNotification/set"
        | "tasks/pushNotification/get" => Spoken::V0_1,
        _ => return None,
    })
}

fn message(caller: Caller, request: &Request<'_>) -> Result<Send, A2aError> {
    Ok(Send::current(caller, request.params()?))
}

/// A client that lost a stream must not send its message again by reconnecting.
pub(super) fn refuse_resume(parts: &Parts) -> Result<(), A2aError> {
    match last_event_id(&parts.headers)? {
        None => Ok(()),
        Some(_) => Err(A2aError::InvalidRequest {
            detail: "a message cannot be sent again with Last-Event-ID: subscribe to its task to resume the stream"
                .to_owned(),
        }),
    }
}

pub(super) fn respond(id: &Id, result: &impl Serialize) -> Result<Response, A2aError> {
    let mut body = Vec::with_capacity(512);
    let envelopes = Envelopes::new(id);
    body.extend_from_slice(envelopes.head());
    serde_json::to_writer(&mut body, result).map_err(A2aError::internal)?;
    body.extend_from_slice(Envelopes::TAIL);
    Ok(json(StatusCode::OK, JSON, body.into()))
}

/// Frames whose data is a JSON-RPC response around the event.
struct RpcFrames {
    id: Id,
    envelopes: Envelopes,
    generations: bool,
}

impl Render for RpcFrames {
    fn event(&mut self, event: &LoggedEvent, frames: &mut Frames) -> Result<(), A2aError> {
        let told = Told::new(&event.json, event.seq, self.generations);
        let [json, generation] = told.pieces();
        let pieces = [self.envelopes.head(), json, generation, Envelopes::TAIL];
        frames.push_json(event.seq, &pieces);
        Ok(())
    }

    fn error(&mut self, error: &A2aError, frames: &mut Frames) {
        frames.push(None, None, &[&jsonrpc::error_response(&self.id, error)]);
    }
}

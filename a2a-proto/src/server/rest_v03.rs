//! The REST binding of 0.3, below `/v1`: the same operations as in 1.0 with the objects and error bodies of
//! [`crate::dialect::v03::rest`]. A thin shell.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::answer::{JSON, finish, json};
use super::dispatch::{Feed, Send, log_error};
use super::jsonrpc::refuse_resume;
use super::rest::{Empty, query};
use super::route::Call;
use super::stream::{self, Render};
use super::{Agent, Caller, Inner};
use crate::card;
use crate::dialect::v03;
use crate::dialect::v03::rest as objects;
use crate::error::{A2aError, ErrorMap};
use crate::log::{LoggedEvent, TaskLog};
use crate::sse::{Frames, last_event_id};
use crate::types::{
    CancelTaskRequest, DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTasksRequest, SubscribeToTaskRequest,
};
use crate::version::ProtocolVersion;

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// Answers one call.
    pub(super) async fn rest_v03(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        body: Body,
        call: Call,
    ) -> Response {
        let answer = self.call_rest_v03(caller, parts, body, call).await;
        answer.unwrap_or_else(|failure| error(&failure, self.options.error_map))
    }

    async fn call_rest_v03(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        body: Body,
        call: Call,
    ) -> Result<Response, A2aError> {
        self.negotiate(parts, ProtocolVersion::V0_3)?;
        match call {
            Call::Send => {
                let send = self.message_v03(caller, parts, body).await?;
                let sent = self.send(send).await?.into_response();
                respond(&objects::SendMessageResponse::from(sent))
            }
            Call::Stream => {
                refuse_resume(parts)?;
                let send = self.message_v03(caller, parts, body).await?;
                self.stream_v03(self.send_streaming(send).await?)
            }
            Call::Get(id) => {
                let mut request: GetTaskRequest = query(parts)?;
                request.tenant.clear();
                request.id = id;
                let view = self.get(&caller, request).await?;
                respond(&objects::Task::from(view.to_task()))
            }
            Call::List => {
                let mut request: ListTasksRequest = query(parts)?;
                request.tenant.clear();
                let page = self.list(&caller, request).await?.into_response();
                respond(&objects::ListTasksResponse::from(page))
            }
            Call::Cancel(id) => {
                let given: CancelTaskRequest = self.body(parts, body).await?;
                let request = CancelTaskRequest {
                    id,
                    metadata: given.metadata,
                    ..CancelTaskRequest::default()
                };
                let view = self.cancel(caller, request).await?;
                respond(&objects::Task::from(view.to_task()))
            }
            Call::Subscribe(id) => {
                let request = SubscribeToTaskRequest {
                    id,
                    ..SubscribeToTaskRequest::default()
                };
                let after = last_event_id(&parts.headers)?;
                self.stream_v03(self.subscribe(&caller, request, after).await?)
            }
            Call::CreatePushConfig(task) => {
                let create: objects::CreateTaskPushNotificationConfigRequest =
                    self.body(parts, body).await?;
                let created = self
                    .create_push_config(&caller, create.into_config(task)?, ProtocolVersion::V0_3)
                    .await?;
                respond(&objects::TaskPushNotificationConfig::from(created))
            }
            Call::ListPushConfigs(task) => {
                let mut request: ListTaskPushNotificationConfigsRequest = query(parts)?;
                request.tenant.clear();
                request.task_id = task;
                let page = self.list_push_configs(&caller, request).await?;
                respond(&objects::ListTaskPushNotificationConfigResponse::from(page))
            }
            Call::GetPushConfig(task_id, id) => {
                let request = GetTaskPushNotificationConfigRequest {
                    task_id,
                    id,
                    ..GetTaskPushNotificationConfigRequest::default()
                };
                let found = self.get_push_config(&caller, request).await?;
                respond(&objects::TaskPushNotificationConfig::from(found))
            }
            Call::DeletePushConfig(task_id, id) => {
                let request = DeleteTaskPushNotificationConfigRequest {
                    task_id,
                    id,
                    ..DeleteTaskPushNotificationConfigRequest::default()
                };
                self.delete_push_config(&caller, request).await?;
                respond(&Empty {})
            }
            Call::ExtendedCard => {
                // One SDK reads the proto form here, another the JSON form: the hybrid is both.
                let mut response = respond(&card::hybrid(&self.extended_card_v03(&caller)?))?;
                // It is one caller's: no cache may give it to another.
                let private = HeaderValue::from_static("private, no-store");
                response
                    .headers_mut()
                    .insert(header::CACHE_CONTROL, private);
                Ok(response)
            }
        }
    }

    async fn message_v03(
        &self,
        caller: Caller,
        parts: &Parts,
        body: Body,
    ) -> Result<Send, A2aError> {
        let request: objects::SendMessageRequest = self.body(parts, body).await?;
        Ok(Send {
            caller,
            request: request.into_request()?,
            protocol: ProtocolVersion::V0_3,
            alias: None,
        })
    }

    fn stream_v03(&self, feed: Feed) -> Result<Response, A2aError> {
        stream::response(feed, V03RestFrames { closed: false }, &self.options)
    }
}

fn respond(result: &impl Serialize) -> Result<Response, A2aError> {
    let body = serde_json::to_vec(result).map_err(A2aError::internal)?;
    Ok(json(StatusCode::OK, JSON, body.into()))
}

/// An error in the shape that the SDKs of 0.3 look for.
pub(super) fn error(error: &A2aError, map: ErrorMap) -> Response {
    let body = objects::error_body(error);
    finish(error, json(error.http_status(map), JSON, body))
}

/// Frames whose data is an event of 0.3 itself.
struct V03RestFrames {
    closed: bool,
}

impl Render for V03RestFrames {
    fn event(&mut self, event: &LoggedEvent, frames: &mut Frames) -> Result<(), A2aError> {
        let object = event.event().map_err(log_error)?;
        self.closed = v03::ends_stream(&object);
        let object = objects::StreamResponse::from(object);
        let json = serde_json::to_vec(&object).map_err(A2aError::internal)?;
        frames.push_json(event.seq, &[&json]);
        Ok(())
    }

    fn error(&mut self, error: &A2aError, frames: &mut Frames) {
        frames.push(None, Some("error"), &[&objects::error_body(error)]);
    }

    fn closed(&self) -> bool {
        self.closed
    }
}

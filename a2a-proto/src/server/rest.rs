//! The HTTP+JSON binding (A2A §11): the operation in the path, parameters in path, query or body. A thin shell.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{A2A_JSON, JSON, check_content_type, json, names, read_body, rest_error};
use super::dispatch::{Feed, Send};
use super::jsonrpc::refuse_resume;
use super::route::Call;
use super::stream::{self, Render};
use super::{Agent, Caller, Inner};
use crate::dialect::draft::CreateTaskPushNotificationConfigRequest;
use crate::error::{A2aError, ErrorMap};
use crate::generation::Told;
use crate::log::{LoggedEvent, TaskLog};
use crate::sse::{Frames, last_event_id};
use crate::types::{
    self, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTasksRequest, SendMessageRequest, SubscribeToTaskRequest,
};
use crate::version::ProtocolVersion;

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// Answers one call.
    pub(super) async fn rest(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        body: Body,
        tenant: &str,
        call: Call,
    ) -> Response {
        match self.rest_call(caller, parts, body, tenant, call).await {
            Ok(response) => response,
            Err(error) => rest_error(&error, self.options.error_map),
        }
    }

    async fn rest_call(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        body: Body,
        tenant: &str,
        call: Call,
    ) -> Result<Response, A2aError> {
        self.negotiate(parts, ProtocolVersion::V1_0)?;
        match call {
            Call::Send => {
                let mut request: SendMessageRequest = self.body(parts, body).await?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                let sent = self.send(Send::current(caller, request)).await?;
                respond(parts, &sent)
            }
            Call::Stream => {
                refuse_resume(parts)?;
                let mut request: SendMessageRequest = self.body(parts, body).await?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                let feed = self.send_streaming(Send::current(caller, request)).await?;
                self.rest_stream(feed)
            }
            Call::Get(id) => {
                let mut request: GetTaskRequest = query(parts)?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                request.id = id;
                respond(parts, &self.get(&caller, request).await?)
            }
            Call::List => {
                let mut request: ListTasksRequest = query(parts)?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                respond(parts, &self.list(&caller, request).await?)
            }
            Call::Cancel(id) => {
                let mut request: CancelTaskRequest = self.body(parts, body).await?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                request.id = same_id(&id, &request.id)?;
                respond(parts, &self.cancel(caller, request).await?)
            }
            Call::Subscribe(id) => {
                let mut request: SubscribeToTaskRequest = self.body(parts, body).await?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                request.id = same_id(&id, &request.id)?;
                let after = last_event_id(&parts.headers)?;
                self.rest_stream(self.subscribe(&caller, request, after).await?)
            }
            Call::CreatePushConfig(task) => {
                let request: CreateTaskPushNotificationConfigRequest =
                    self.body(parts, body).await?;
                let mut request = request.into_config()?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                request.task_id = same_id(&task, &request.task_id)?;
                let created = self.create_push_config(&caller, request, ProtocolVersion::V1_0);
                respond(parts, &created.await?)
            }
            Call::ListPushConfigs(task) => {
                let mut request: ListTaskPushNotificationConfigsRequest = query(parts)?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                request.task_id = task;
                respond(parts, &self.list_push_configs(&caller, request).await?)
            }
            Call::GetPushConfig(task, id) => {
                let mut request: GetTaskPushNotificationConfigRequest = query(parts)?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                (request.task_id, request.id) = (task, id);
                respond(parts, &self.get_push_config(&caller, request).await?)
            }
            Call::DeletePushConfig(task, id) => {
                let mut request: DeleteTaskPushNotificationConfigRequest = query(parts)?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                (request.task_id, request.id) = (task, id);
                self.delete_push_config(&caller, request).await?;
                respond(parts, &Empty {})
            }
            Call::ExtendedCard => {
                let mut request: GetExtendedAgentCardRequest = query(parts)?;
                same_tenant(parts, tenant, &mut request.tenant)?;
                let mut response = respond(parts, &self.extended_card(&caller, &request)?)?;
                // It is one caller's: no cache may give it to another.
                let private = HeaderValue::from_static("private, no-store");
                response
                    .headers_mut()
                    .insert(header::CACHE_CONTROL, private);
                Ok(response)
            }
        }
    }

    /// Reads a request from the body; an empty body is an empty object, and so is `null`, which the Go SDK writes where it
    /// has nothing to say.
    pub(super) async fn body<T: DeserializeOwned>(
        &self,
        parts: &Parts,
        body: Body,
    ) -> Result<T, A2aError> {
        let bytes = read_body(&parts.headers, body, self.options.max_body_bytes).await?;
        if bytes.is_empty() || bytes.trim_ascii() == b"null" {
            return types::from_slice(b"{}");
        }
        check_content_type(&parts.headers)?;
        types::from_slice(&bytes)
    }

    fn rest_stream(&self, feed: Feed) -> Result<Response, A2aError> {
        let frames = RestFrames {
            map: self.options.error_map,
            generations: self.options.preview_1_1,
        };
        stream::response(feed, frames, &self.options)
    }
}

/// What an operation without a result answers.
#[derive(Debug, Serialize)]
pub(super) struct Empty {}

/// Path, query and request may all name the tenant, but only the same one (A2A §11.5).
fn same_tenant(parts: &Parts, path: &str, request: &mut String) -> Result<(), A2aError> {
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, _)| name == "tenant")
        .map(|(_, tenant)| tenant);
    for named in std::iter::once(Cow::Borrowed(path)).chain(query) {
        if named.is_empty() || *request == named {
            continue;
        }
        if !request.is_empty() {
            let text = "the path, the query and the body name different tenants";
            return Err(A2aError::invalid_param("tenant", text));
        }
        *request = named.into_owned();
    }
    Ok(())
}

/// Path and body may both name the task, but only the same.
fn same_id(path: &str, body: &str) -> Result<String, A2aError> {
    if body.is_empty() || body == path {
        return Ok(path.to_owned());
    }
    Err(A2aError::invalid_param("id", "the path names another task"))
}

/// Reads a request from the query string. What is for the version negotiation is no field.
pub(super) fn query<T: DeserializeOwned>(parts: &Parts) -> Result<T, A2aError> {
    let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    types::from_query(pairs.map(|(name, value): (Cow<'_, str>, Cow<'_, str>)| (name, value)))
}

/// A result, in the media type that the client speaks.
pub(super) fn respond(parts: &Parts, result: &impl Serialize) -> Result<Response, A2aError> {
    let body = serde_json::to_vec(result).map_err(A2aError::internal)?;
    Ok(json(
        StatusCode::OK,
        media_type(&parts.headers),
        body.into(),
    ))
}

fn media_type(request: &HeaderMap) -> &'static str {
    let named = [header::ACCEPT, header::CONTENT_TYPE]
        .into_iter()
        .any(|name| names(request, name, A2A_JSON));
    if named { A2A_JSON } else { JSON }
}

/// Frames whose data is the event itself.
struct RestFrames {
    map: ErrorMap,
    generations: bool,
}

impl Render for RestFrames {
    fn event(&mut self, event: &LoggedEvent, frames: &mut Frames) -> Result<(), A2aError> {
        let told = Told::new(&event.json, event.seq, self.generations);
        frames.push_json(event.seq, &told.pieces());
        Ok(())
    }

    fn error(&mut self, error: &A2aError, frames: &mut Frames) {
        frames.push(None, Some("error"), &[&error.to_http_body(self.map)]);
    }
}

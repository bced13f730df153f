//! The JSON-RPC binding of 0.1: `tasks/send` and its kin, where the client makes the id of the task. Such ids are kept beside
//! those of the server, scoped to the caller, in the table that the simple dialect uses too. The objects and the error
//! codes come from [`crate::dialect::v01`].

use std::sync::Arc;

use axum::response::Response;
use http::request::Parts;

use super::answer::{JSON, finish, json};
use super::dispatch::{Send, log_error};
use super::jsonrpc::respond;
use super::stream::{self, Render};
use super::view::SentView;
use super::{Agent, Caller, Inner};
use crate::dialect::simple::Form;
use crate::dialect::v01::{self, Refused};
use crate::error::A2aError;
use crate::jsonrpc::{Envelopes, Id, Request, error_object};
use crate::log::{Alias, LogTask, LoggedEvent, TaskLog};
use crate::sse::{Frames, last_event_id};
use crate::types::{CancelTaskRequest, GetTaskRequest, Validate as _};
use crate::version::ProtocolVersion;

/// The name of every frame.
const EVENT: &str = "message";

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// Answers one call.
    pub(super) async fn call_v01(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        request: &Request<'_>,
    ) -> Response {
        match self.try_call_v01(caller, parts, request).await {
            Ok(response) => response,
            Err(error) => {
                let object = v01::error(&error, self.refused(&request.method));
                let body = error_object(&request.id, &object);
                finish(&error, json(error.json_rpc_http_status(), JSON, body))
            }
        }
    }

    async fn try_call_v01(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        request: &Request<'_>,
    ) -> Result<Response, A2aError> {
        self.negotiate(parts, ProtocolVersion::V0_1)?;
        let id = &request.id;
        let pushes = self.card().capabilities.push_notifications == Some(true);
        match request.method.as_ref() {
            // Before the task is looked for: it does not matter which one it is.
            method if method.starts_with("tasks/pushNotification/") && !pushes => {
                Err(A2aError::PushNotificationNotSupported)
            }
            "tasks/send" => {
                let (client_id, send) = self.message_v01(caller, request).await?;
                let task = match self.send(send).await? {
                    SentView::Task(view) => view.to_task(),
                    // This version knows tasks only.
                    SentView::Message(reply) => v01::reply_as_task(reply),
                };
                respond(id, &v01::task(&task, &client_id))
            }
            "tasks/sendSubscribe" => {
                let after = last_event_id(&parts.headers)?;
                let (client_id, send) = self.message_v01(caller, request).await?;
                let Some(after) = after else {
                    let feed = self.send_streaming(send).await?;
                    let frames = V01Frames::new(id, v01::EventStream::new(client_id));
                    return stream::response(feed, frames, &self.options);
                };
                // The same request again, with the last event seen: the client reconnects, so the message is not sent
                // again.
                if send.alias.is_some() {
                    return Err(A2aError::TaskNotFound { task_id: client_id });
                }
                let task = self
                    .open(&send.caller, &send.request.message.task_id)
                    .await?;
                self.follow_v01(id, &send.caller, &task, client_id, Some(after))
                    .await
            }
            "tasks/get" => {
                let params: v01::TaskParams = request.params()?;
                let (task, alias) = self.task_v01(&caller, params.id).await?;
                let request = GetTaskRequest {
                    id: task.id().to_owned(),
                    history_length: params.history_length,
                    ..GetTaskRequest::default()
                };
                let view = self.get(&caller, request).await?;
                respond(id, &v01::task(&view.to_task(), &alias.id))
            }
            "tasks/cancel" => {
                let params: v01::TaskParams = request.params()?;
                let (task, alias) = self.task_v01(&caller, params.id).await?;
                let request = CancelTaskRequest {
                    id: task.id().to_owned(),
                    metadata: params.metadata,
                    ..CancelTaskRequest::default()
                };
                let view = self.cancel(caller, request).await?;
                respond(id, &v01::task(&view.to_task(), &alias.id))
            }
            "tasks/resubscribe" => {
                let params: v01::TaskParams = request.params()?;
                let (task, alias) = self.task_v01(&caller, params.id).await?;
                let after = last_event_id(&parts.headers)?;
                self.follow_v01(id, &caller, &task, alias.id, after).await
            }
            "tasks/pushNotification/set" => {
                let params: v01::TaskPushNotificationConfig = request.params()?;
                params.validate()?;
                let (task, alias) = self.task_v01(&caller, params.id.clone()).await?;
                let config = params.into_config(task.id().to_owned());
                let created = self
                    .create_push_config(&caller, config, ProtocolVersion::V0_1)
                    .await?;
                respond(id, &v01::TaskPushNotificationConfig::of(created, alias.id))
            }
            "tasks/pushNotification/get" => {
                let params: v01::TaskParams = request.params()?;
                let (task, alias) = self.task_v01(&caller, params.id).await?;
                let found = self
                    .first_push_config(&caller, task.id().to_owned())
                    .await?;
                respond(id, &v01::TaskPushNotificationConfig::of(found, alias.id))
            }
            method => Err(A2aError::MethodNotFound {
                method: method.to_owned(),
            }),
        }
    }

    /// A message, and what its sender calls the task that it makes or goes on with.
    async fn message_v01(
        &self,
        caller: Caller,
        request: &Request<'_>,
    ) -> Result<(String, Send), A2aError> {
        let params: v01::SendParams = request.params()?;
        let client_id = params.id.clone();
        let mut request = params.into_request(self.options.ids.next())?;
        let known = self.log.alias(&caller.owner(), &client_id).await;
        let known = known.map_err(log_error)?;
        let alias = known.is_none().then(|| v01_alias(client_id.clone()));
        request.message.task_id = known.unwrap_or_default();
        let send = Send {
            caller,
            request,
            protocol: ProtocolVersion::V0_1,
            alias,
        };
        Ok((client_id, send))
    }

    /// The task that the client means, by its own id or the server's.
    async fn task_v01(&self, caller: &Caller, id: String) -> Result<(LogTask, Alias), A2aError> {
        match self.simple_id(caller, &id).await? {
            Some(found) => Ok(found),
            // Made in another version.
            None => Ok((self.open(caller, &id).await?, v01_alias(id))),
        }
    }

    /// Follows a task. One that has ended is shown once more.
    async fn follow_v01(
        &self,
        id: &Id,
        caller: &Caller,
        task: &LogTask,
        client_id: String,
        after: Option<u64>,
    ) -> Result<Response, A2aError> {
        let mut events = v01::EventStream::new(client_id);
        let feed = self.follow_or_show(caller, task, after).await?;
        super::simple::skip(task, after.unwrap_or(0), |event| events.skip(event)).await?;
        stream::response(feed, V01Frames::new(id, events), &self.options)
    }

    /// What an unsupported operation can only be about when `method` was called.
    fn refused(&self, method: &str) -> Refused {
        let streams = self.card().capabilities.streaming == Some(true);
        match method {
            "tasks/sendSubscribe" | "tasks/resubscribe" if !streams => Refused::Streaming,
            "tasks/send" | "tasks/sendSubscribe" | "tasks/resubscribe" => Refused::State,
            _ => Refused::Other,
        }
    }
}

fn v01_alias(id: String) -> Alias {
    Alias {
        id,
        form: Form::V01.word().to_owned(),
    }
}

/// Frames whose data is a JSON-RPC response around an event of 0.1.
struct V01Frames {
    id: Id,
    envelopes: Envelopes,
    events: v01::EventStream,
    closed: bool,
}

impl V01Frames {
    fn new(id: &Id, events: v01::EventStream) -> Self {
        Self {
            id: id.clone(),
            envelopes: Envelopes::new(id),
            events,
            closed: false,
        }
    }
}

impl Render for V01Frames {
    fn event(&mut self, event: &LoggedEvent, frames: &mut Frames) -> Result<(), A2aError> {
        let object = event.event().map_err(log_error)?;
        let told = self.events.events(&object);
        let last = told.len();
        for (index, part) in (1..).zip(told) {
            // A client that got only some of an event's frames has not seen the event.
            let id = (index == last).then_some(event.seq);
            let json = serde_json::to_vec(&part).map_err(A2aError::internal)?;
            frames.push(
                id,
                Some(EVENT),
                &[self.envelopes.head(), &json, Envelopes::TAIL],
            );
            self.closed |= part.is_final();
        }
        Ok(())
    }

    fn error(&mut self, error: &A2aError, frames: &mut Frames) {
        let object = v01::error(error, Refused::Other);
        frames.push(None, Some(EVENT), &[&error_object(&self.id, &object)]);
    }

    fn closed(&self) -> bool {
        self.closed
    }
}

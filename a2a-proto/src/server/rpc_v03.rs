//! The JSON-RPC binding of 0.3, which 0.2 shares: `message/send` and its kin. A thin shell around the same operations;
//! the objects come from [`crate::dialect::v03`].

use std::sync::Arc;

use axum::response::Response;
use http::request::Parts;

use super::answer::{JSON, finish, json};
use super::dispatch::{Feed, Send, log_error};
use super::jsonrpc::{refuse_resume, respond};
use super::stream::{self, Render};
use super::{Agent, Caller, Inner};
use crate::dialect::v03::{self, MessageSendParams, TaskParams};
use crate::error::A2aError;
use crate::jsonrpc::{Envelopes, Id, Request, error_object};
use crate::log::{LoggedEvent, TaskLog};
use crate::sse::{Frames, last_event_id};
use crate::types::{
    AgentCard, GetExtendedAgentCardRequest, ListTaskPushNotificationConfigsRequest,
    SendMessageResponse, TaskPushNotificationConfig, Validate as _,
};
use crate::version::ProtocolVersion;

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// Answers one call.
    pub(super) async fn call_v03(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        request: &Request<'_>,
    ) -> Response {
        match self.try_call_v03(caller, parts, request).await {
            Ok(response) => response,
            Err(error) => {
                let body = error_object(&request.id, &v03::error(&error));
                finish(&error, json(error.json_rpc_http_status(), JSON, body))
            }
        }
    }

    async fn try_call_v03(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        request: &Request<'_>,
    ) -> Result<Response, A2aError> {
        self.negotiate(parts, ProtocolVersion::V0_3)?;
        let id = &request.id;
        let task = || request.params::<TaskParams>();
        match request.method.as_ref() {
            "message/send" => {
                let sent = self.send(message(caller, request)?).await?;
                let event = match sent.into_response() {
                    SendMessageResponse::Task(task) => v03::Event::Task(task.into()),
                    SendMessageResponse::Message(message) => v03::Event::Message(message.into()),
                };
                respond(id, &event)
            }
            "message/stream" => {
                refuse_resume(parts)?;
                let feed = self.send_streaming(message(caller, request)?).await?;
                self.respond_stream_v03(id, feed)
            }
            "tasks/get" => {
                let view = self.get(&caller, task()?.into()).await?;
                respond(id, &v03::Task::from(view.to_task()))
            }
            "tasks/cancel" => {
                let view = self.cancel(caller, task()?.into()).await?;
                respond(id, &v03::Task::from(view.to_task()))
            }
            "tasks/resubscribe" => {
                let after = last_event_id(&parts.headers)?;
                let feed = self.subscribe(&caller, task()?.into(), after).await?;
                self.respond_stream_v03(id, feed)
            }
            "agent/getAuthenticatedExtendedCard" | "agent/authenticatedExtendedCard" => {
                let card = self.extended_card_v03(&caller)?;
                respond(id, &v03::AgentCard::from(card))
            }
            _ => self.push_v03(&caller, request).await,
        }
    }

    /// The operations on push configurations.
    async fn push_v03(
        self: &Arc<Self>,
        caller: &Caller,
        request: &Request<'_>,
    ) -> Result<Response, A2aError> {
        let id = &request.id;
        let shown = v03::TaskPushNotificationConfig::from;
        match request.method.as_ref() {
            "tasks/pushNotificationConfig/set" => {
                let params: v03::TaskPushNotificationConfig = request.params()?;
                let created = self
                    .create_push_config(caller, params.into_config()?, ProtocolVersion::V0_3)
                    .await?;
                respond(id, &shown(created))
            }
            "tasks/pushNotificationConfig/get" => {
                let params: v03::PushNotificationConfigParams = request.params()?;
                let found = if params.push_notification_config_id.is_empty() {
                    params.validate()?;
                    self.first_push_config(caller, params.id).await?
                } else {
                    self.get_push_config(caller, params.into()).await?
                };
                respond(id, &shown(found))
            }
            "tasks/pushNotificationConfig/list" => {
                let params: TaskParams = request.params()?;
                let configs = self.all_push_configs(caller, params.id).await?;
                let list: Vec<_> = configs.into_iter().map(shown).collect();
                respond(id, &list)
            }
            "tasks/pushNotificationConfig/delete" => {
                let params: v03::PushNotificationConfigParams = request.params()?;
                self.delete_push_config(caller, params.into()).await?;
                respond(id, &())
            }
            method => Err(A2aError::MethodNotFound {
                method: method.to_owned(),
            }),
        }
    }

    /// All configurations of a task: in 0.3 lists have no pages.
    async fn all_push_configs(
        &self,
        caller: &Caller,
        task_id: String,
    ) -> Result<Vec<TaskPushNotificationConfig>, A2aError> {
        let mut request = ListTaskPushNotificationConfigsRequest {
            task_id,
            ..ListTaskPushNotificationConfigsRequest::default()
        };
        let mut configs = Vec::new();
        loop {
            let page = self.list_push_configs(caller, request.clone()).await?;
            configs.extend(page.configs);
            if page.next_page_token.is_empty() {
                return Ok(configs);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// The configuration that a client means who does not say which: the first.
    pub(super) async fn first_push_config(
        &self,
        caller: &Caller,
        task_id: String,
    ) -> Result<TaskPushNotificationConfig, A2aError> {
        let request = ListTaskPushNotificationConfigsRequest {
            task_id: task_id.clone(),
            page_size: 1,
            ..ListTaskPushNotificationConfigsRequest::default()
        };
        let first = self.list_push_configs(caller, request).await?;
        let first = first.configs.into_iter().next();
        first.ok_or_else(|| A2aError::TaskNotFound {
            task_id: format!("{task_id} with a push configuration"),
        })
    }

    /// The card for known callers. In 0.3 there is one error for an agent without: it does not tell one that never
    /// had such a card from one that lacks it now.
    pub(super) fn extended_card_v03(&self, caller: &Caller) -> Result<AgentCard, A2aError> {
        self.extended_card(caller, &GetExtendedAgentCardRequest::default())
            .map_err(|error| match error {
                A2aError::UnsupportedOperation { .. } => A2aError::ExtendedAgentCardNotConfigured,
                other => other,
            })
    }

    fn respond_stream_v03(&self, id: &Id, feed: Feed) -> Result<Response, A2aError> {
        let frames = V03Frames {
            id: id.clone(),
            envelopes: Envelopes::new(id),
            closed: false,
        };
        stream::response(feed, frames, &self.options)
    }
}

fn message(caller: Caller, request: &Request<'_>) -> Result<Send, A2aError> {
    let params: MessageSendParams = request.params()?;
    Ok(Send {
        caller,
        request: params.into_request()?,
        protocol: ProtocolVersion::V0_3,
        alias: None,
    })
}

/// Frames whose data is a JSON-RPC response around an event of 0.3. A stream of 0.3 ends also when the task comes to wait
/// for the client.
struct V03Frames {
    id: Id,
    envelopes: Envelopes,
    closed: bool,
}

impl Render for V03Frames {
    fn event(&mut self, event: &LoggedEvent, frames: &mut Frames) -> Result<(), A2aError> {
        let object = event.event().map_err(log_error)?;
        self.closed = v03::ends_stream(&object);
        let json = serde_json::to_vec(&v03::Event::from(object)).map_err(A2aError::internal)?;
        frames.push_json(event.seq, &[self.envelopes.head(), &json, Envelopes::TAIL]);
        Ok(())
    }

    fn error(&mut self, error: &A2aError, frames: &mut Frames) {
        frames.push(None, None, &[&error_object(&self.id, &v03::error(error))]);
    }

    fn closed(&self) -> bool {
        self.closed
    }
}

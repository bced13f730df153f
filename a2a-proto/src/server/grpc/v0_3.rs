//! The service of A2A 0.3, `a2a.v1.A2AService`: its methods, each an operation of `dispatch`. Streams end when the task
//! ends or waits.

use std::sync::Arc;

use a2a_pb_types::v0_3 as pb;
use axum::body::Body;
use axum::response::Response;

use super::stream::{self, Manner};
use super::v1_0::wants_numbers;
use super::{Call, Refusal, frame};
use crate::dialect::v03;
use crate::error::A2aError;
use crate::log::TaskLog;
use crate::pb::v0_3::Create;
use crate::pb::{Proto, list};
use crate::server::dispatch::{Feed, Send};
use crate::server::jsonrpc::refuse_resume;
use crate::server::view::{SentView, TaskView};
use crate::server::{Agent, Caller, Inner};
use crate::sse::last_event_id;
use crate::types::{AgentCard, GetExtendedAgentCardRequest, SendMessageRequest};
use crate::version::ProtocolVersion;

impl<A: Agent, L: TaskLog> Inner<A, L> {
    pub(super) async fn grpc_0_3(
        self: &Arc<Self>,
        call: Call<'_>,
        body: Body,
    ) -> Result<Response, Refusal> {
        let (parts, limit) = (call.parts, self.answer_limit());
        /// Reads the request of this message.
        macro_rules! request {
            ($Pb:ident) => {
                frame::read::<pb::$Pb, _>(parts, body, self.options.max_body_bytes).await?
            };
        }
        match call.method {
            "SendMessage" => {
                let send = message(call.caller, request!(SendMessageRequest));
                frame::reply(sent(&self.send(send).await?), limit)
            }
            "SendStreamingMessage" => {
                refuse_resume(parts)?;
                let (manner, request) = (manner(&call), request!(SendMessageRequest));
                let feed = self.send_streaming(message(call.caller, request));
                Ok(self.grpc_stream_0_3(feed.await?, manner))
            }
            "GetTask" => {
                let view = self.get(&call.caller, request!(GetTaskRequest)).await?;
                frame::reply(task(&view), limit)
            }
            "CancelTask" => {
                let view = self
                    .cancel(call.caller, request!(CancelTaskRequest))
                    .await?;
                frame::reply(task(&view), limit)
            }
            "TaskSubscription" => {
                let after = last_event_id(&parts.headers)?;
                let (manner, request) = (manner(&call), request!(TaskSubscriptionRequest));
                let feed = self.subscribe(&call.caller, request, after);
                Ok(self.grpc_stream_0_3(feed.await?, manner))
            }
            "CreateTaskPushNotificationConfig" => {
                let Create(config) = request!(CreateTaskPushNotificationConfigRequest);
                let config = self.create_push_config(&call.caller, config, ProtocolVersion::V0_3);
                frame::reply::<pb::TaskPushNotificationConfig>(config.await?.to_pb(), limit)
            }
            "GetTaskPushNotificationConfig" => {
                let request = request!(GetTaskPushNotificationConfigRequest);
                let config = self.get_push_config(&call.caller, request).await?;
                frame::reply::<pb::TaskPushNotificationConfig>(config.to_pb(), limit)
            }
            "ListTaskPushNotificationConfig" => {
                let request = request!(ListTaskPushNotificationConfigRequest);
                let page = self.list_push_configs(&call.caller, request).await?;
                frame::reply::<pb::ListTaskPushNotificationConfigResponse>(page.to_pb(), limit)
            }
            "DeleteTaskPushNotificationConfig" => {
                let request = request!(DeleteTaskPushNotificationConfigRequest);
                self.delete_push_config(&call.caller, request).await?;
                frame::reply((), limit)
            }
            "GetAgentCard" => {
                let card: pb::AgentCard = self.card_0_3(&call.caller)?.to_pb();
                frame::reply(card, limit)
            }
            _ => Err(A2aError::MethodNotFound {
                method: parts.uri.path().to_owned(),
            }
            .into()),
        }
    }

    fn grpc_stream_0_3(&self, feed: Feed, manner: Manner) -> Response {
        stream::response::<pb::StreamResponse>(feed, manner, self.answer_limit(), &self.options)
    }

    /// 0.3 has one method for both cards: whoever may see the extended one gets it.
    fn card_0_3(&self, caller: &Caller) -> Result<AgentCard, A2aError> {
        if self.card().capabilities.extended_agent_card != Some(true) {
            return Ok(self.agent.card());
        }
        match self.extended_card(caller, &GetExtendedAgentCardRequest::default()) {
            Err(A2aError::ExtendedAgentCardNotConfigured) => Ok(self.agent.card()),
            other => other,
        }
    }
}

fn message(caller: Caller, request: SendMessageRequest) -> Send {
    Send {
        protocol: ProtocolVersion::V0_3,
        ..Send::current(caller, request)
    }
}

fn manner(call: &Call<'_>) -> Manner {
    Manner {
        numbered: wants_numbers(call),
        generations: false,
        deadline: call.deadline,
        ends: v03::ends_stream,
    }
}

fn task(view: &TaskView) -> pb::Task {
    pb::Task {
        id: view.task.id.clone(),
        context_id: view.task.context_id.clone(),
        status: view.task.status.to_pb(),
        artifacts: list(view.shown_artifacts()),
        history: list(view.shown_history()),
        metadata: view.task.metadata.to_pb(),
    }
}

fn sent(sent: &SentView) -> pb::SendMessageResponse {
    use pb::send_message_response::Payload;
    let payload = match sent {
        SentView::Task(view) => Payload::Task(task(view)),
        SentView::Message(message) => Payload::Msg(message.to_pb()),
    };
    pb::SendMessageResponse {
        payload: Some(payload),
    }
}

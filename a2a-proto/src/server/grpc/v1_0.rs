//! The service of A2A 1.0, `lf.a2a.v1.A2AService`: its methods, each an operation of `dispatch`.

use std::sync::Arc;

use a2a_pb_types::v1_0 as pb;
use axum::body::Body;
use axum::response::Response;

use super::stream::{self, Manner};
use super::{Call, Refusal, frame};
use crate::error::A2aError;
use crate::log::TaskLog;
use crate::pb::{Proto, list};
use crate::sequence;
use crate::server::dispatch::{Feed, Send};
use crate::server::jsonrpc::refuse_resume;
use crate::server::view::{ListView, SentView, TaskView};
use crate::server::{Agent, Inner};
use crate::sse::last_event_id;
use crate::types::StreamResponse;
use crate::version::{self, ProtocolVersion};

impl<A: Agent, L: TaskLog> Inner<A, L> {
    pub(super) async fn grpc_1_0(
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
                let send = Send::current(call.caller, request!(SendMessageRequest));
                frame::reply(sent(&self.send(send).await?), limit)
            }
            "SendStreamingMessage" => {
                refuse_resume(parts)?;
                let (manner, request) = (self.manner(&call), request!(SendMessageRequest));
                let feed = self.send_streaming(Send::current(call.caller, request));
                Ok(self.grpc_stream(feed.await?, manner))
            }
            "GetTask" => {
                let view = self.get(&call.caller, request!(GetTaskRequest)).await?;
                frame::reply(task(&view), limit)
            }
            "ListTasks" => {
                let page = self.list(&call.caller, request!(ListTasksRequest)).await?;
                frame::reply(tasks(&page), limit)
            }
            "CancelTask" => {
                let view = self
                    .cancel(call.caller, request!(CancelTaskRequest))
                    .await?;
                frame::reply(task(&view), limit)
            }
            "SubscribeToTask" => {
                let after = last_event_id(&parts.headers)?;
                let (manner, request) = (self.manner(&call), request!(SubscribeToTaskRequest));
                let feed = self.subscribe(&call.caller, request, after);
                Ok(self.grpc_stream(feed.await?, manner))
            }
            "CreateTaskPushNotificationConfig" => {
                let config = request!(TaskPushNotificationConfig);
                let config = self.create_push_config(&call.caller, config, ProtocolVersion::V1_0);
                let config: pb::TaskPushNotificationConfig = config.await?.to_pb();
                frame::reply(config, limit)
            }
            "GetTaskPushNotificationConfig" => {
                let request = request!(GetTaskPushNotificationConfigRequest);
                let config = self.get_push_config(&call.caller, request).await?;
                frame::reply::<pb::TaskPushNotificationConfig>(config.to_pb(), limit)
            }
            "ListTaskPushNotificationConfigs" => {
                let request = request!(ListTaskPushNotificationConfigsRequest);
                let page = self.list_push_configs(&call.caller, request).await?;
                frame::reply::<pb::ListTaskPushNotificationConfigsResponse>(page.to_pb(), limit)
            }
            "DeleteTaskPushNotificationConfig" => {
                let request = request!(DeleteTaskPushNotificationConfigRequest);
                self.delete_push_config(&call.caller, request).await?;
                frame::reply((), limit)
            }
            "GetExtendedAgentCard" => {
                let request = request!(GetExtendedAgentCardRequest);
                let card: pb::AgentCard = self.extended_card(&call.caller, &request)?.to_pb();
                frame::reply(card, limit)
            }
            _ => Err(A2aError::MethodNotFound {
                method: parts.uri.path().to_owned(),
            }
            .into()),
        }
    }

    /// A stream stays open while the task waits.
    fn manner(&self, call: &Call<'_>) -> Manner {
        Manner {
            numbered: wants_numbers(call),
            generations: self.options.preview_1_1,
            deadline: call.deadline,
            ends: StreamResponse::ends_stream,
        }
    }

    fn grpc_stream(&self, feed: Feed, manner: Manner) -> Response {
        stream::response::<pb::StreamResponse>(feed, manner, self.answer_limit(), &self.options)
    }
}

/// Whether the client wants to know the numbers of events.
pub(super) fn wants_numbers(call: &Call<'_>) -> bool {
    version::extensions(&call.parts.headers)
        .iter()
        .any(|uri| uri == sequence::URI)
}

fn task(view: &TaskView) -> pb::Task {
    pb::Task {
        id: view.task.id.clone(),
        context_id: view.task.context_id.clone(),
        status: view.task.status.to_pb(),
        artifacts: list(view.shown_artifacts()),
        history: list(view.shown_history()),
        metadata: view.task.metadata.to_pb(),
        generation: generation(view),
    }
}

/// Zero where the client is not told.
fn generation(view: &TaskView) -> i64 {
    let told = view.generation.map(i64::try_from);
    told.map_or(0, |told| told.unwrap_or(i64::MAX))
}

fn tasks(page: &ListView) -> pb::ListTasksResponse {
    pb::ListTasksResponse {
        tasks: page.tasks.iter().map(task).collect(),
        next_page_token: page.next_page_token.clone(),
        page_size: page.page_size,
        total_size: page.total_size,
    }
}

fn sent(sent: &SentView) -> pb::SendMessageResponse {
    use pb::send_message_response::Payload;
    let payload = match sent {
        SentView::Task(view) => Payload::Task(task(view)),
        SentView::Message(message) => Payload::Message(message.to_pb()),
    };
    pb::SendMessageResponse {
        payload: Some(payload),
    }
}

//! The simple dialect as a client speaks it: parts with a `type`, so that events come in the objects of 0.1.

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::rpc::{send_params, task_v01};
use super::{SoFar, invalid, unsupported};
use crate::client::ClientError;
use crate::client::discovery::below;
use crate::client::operation::{Operation, segment};
use crate::dialect::v01;
use crate::error::A2aError;
use crate::sse::Event;
use crate::types::{Metadata, StreamResponse, TaskState, TaskStatus, TaskStatusUpdateEvent};
use crate::version::ProtocolVersion;

/// Verb, address and body of a request.
pub(super) fn request(
    base: &Url,
    operation: &Operation<'_>,
) -> Result<(Method, Url, Option<Bytes>), ClientError> {
    let task = |id: &str| below(base, &format!("/tasks/{}", segment(id)));
    Ok(match operation {
        Operation::Send(request) | Operation::Stream(request) => {
            let body = serde_json::to_vec(&send_params((*request).clone()))?;
            (Method::POST, below(base, "/tasks/send")?, Some(body.into()))
        }
        Operation::Get(request) => (Method::GET, task(&request.id)?, None),
        Operation::Subscribe(request) => (Method::GET, task(&request.id)?, None),
        Operation::List(_)
        | Operation::Cancel(_)
        | Operation::CreatePush(_)
        | Operation::GetPush(_)
        | Operation::ListPush(_)
        | Operation::DeletePush(_)
        | Operation::ExtendedCard(_) => {
            return Err(unsupported(operation, ProtocolVersion::Simple));
        }
    })
}

/// The canonical JSON of an answer.
pub(super) fn answer(operation: &Operation<'_>, body: &[u8]) -> Result<Value, A2aError> {
    task_v01(operation, serde_json::from_slice(body).map_err(invalid)?)
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    id: String,
    message: v01::Message,
    #[serde(default)]
    metadata: Option<Metadata>,
}

/// The event in a frame. What the agent says while it works is a status with a message, as in every other version.
pub(super) fn event(frame: &Event, so_far: SoFar<'_>) -> Result<StreamResponse, A2aError> {
    match frame.event.as_str() {
        "task.status" => {
            let update = serde_json::from_slice(&frame.data).map_err(invalid)?;
            v01::Event::Status(update).into_response(so_far.context_id)
        }
        "task.artifact" => {
            let update = serde_json::from_slice(&frame.data).map_err(invalid)?;
            v01::Event::Artifact(update).into_response(so_far.context_id)
        }
        "task.message" => {
            let said: Said = serde_json::from_slice(&frame.data).map_err(invalid)?;
            let state = match so_far.state {
                TaskState::Unspecified => TaskState::Working,
                state => state,
            };
            Ok(TaskStatusUpdateEvent {
                task_id: said.id,
                context_id: so_far.context_id.to_owned(),
                status: TaskStatus {
                    state,
                    message: Some(said.message.into_message()?),
                    timestamp: None,
                },
                metadata: said.metadata,
                ..TaskStatusUpdateEvent::default()
            }
            .into())
        }
        "error" => Err(A2aError::from_http(
            reqwest::StatusCode::INTERNAL_SERVER_ERROR,
            &reqwest::header::HeaderMap::new(),
            &frame.data,
        )),
        other => Err(invalid(format!("an event named {other:?}"))),
    }
}

//! The JSON-RPC bindings of 0.3 and 0.1 as a client speaks them.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{SoFar, canonical, invalid, new_task_id, unsupported};
use crate::client::ClientError;
use crate::client::operation::Operation;
use crate::dialect::v01;
use crate::dialect::v03::{self, MessageSendParams, PushNotificationConfigParams, TaskParams};
use crate::error::{A2aError, JsonRpcError};
use crate::jsonrpc;
use crate::types::{ListTaskPushNotificationConfigsResponse, SendMessageResponse, StreamResponse};
use crate::version::ProtocolVersion;

/// One request is under way per connection and answers come with it: the id tells nothing.
const REQUEST_ID: u64 = 1;

/// The body of a request of 0.3.
pub(super) fn v03(operation: &Operation<'_>) -> Result<Bytes, ClientError> {
    let send = |method, request: &&crate::types::SendMessageRequest| {
        jsonrpc::request(
            REQUEST_ID,
            method,
            &MessageSendParams::from((*request).clone()),
        )
    };
    let task = |method, params: TaskParams| jsonrpc::request(REQUEST_ID, method, &params);
    let config = |method, params: PushNotificationConfigParams| {
        jsonrpc::request(REQUEST_ID, method, &params)
    };
    Ok(match operation {
        Operation::Send(request) => send("message/send", request)?,
        Operation::Stream(request) => send("message/stream", request)?,
        Operation::Get(request) => task("tasks/get", (*request).clone().into())?,
        Operation::Cancel(request) => task("tasks/cancel", (*request).clone().into())?,
        Operation::Subscribe(request) => task("tasks/resubscribe", (*request).clone().into())?,
        Operation::CreatePush(config) => {
            let params = v03::TaskPushNotificationConfig::from((*config).clone());
            jsonrpc::request(REQUEST_ID, "tasks/pushNotificationConfig/set", &params)?
        }
        Operation::GetPush(request) => config(
            "tasks/pushNotificationConfig/get",
            (*request).clone().into(),
        )?,
        Operation::ListPush(request) => task(
            "tasks/pushNotificationConfig/list",
            (*request).clone().into(),
        )?,
        Operation::DeletePush(request) => config(
            "tasks/pushNotificationConfig/delete",
            (*request).clone().into(),
        )?,
        Operation::ExtendedCard(_) => {
            let method = "agent/getAuthenticatedExtendedCard";
            jsonrpc::request(REQUEST_ID, method, &json!({}))?
        }
        Operation::List(_) => return Err(unsupported(operation, ProtocolVersion::V0_3)),
    })
}

/// The body of a request of 0.1.
pub(super) fn v01(operation: &Operation<'_>) -> Result<Bytes, ClientError> {
    let send = |method, request: &&crate::types::SendMessageRequest| {
        jsonrpc::request(REQUEST_ID, method, &send_params((*request).clone()))
    };
    let task = |method, params: v01::TaskParams| jsonrpc::request(REQUEST_ID, method, &params);
    Ok(match operation {
        Operation::Send(request) => send("tasks/send", request)?,
        Operation::Stream(request) => send("tasks/sendSubscribe", request)?,
        Operation::Get(request) => {
            let params = v01::TaskParams {
                id: request.id.clone(),
                history_length: request.history_length,
                ..v01::TaskParams::default()
            };
            task("tasks/get", params)?
        }
        Operation::Cancel(request) => {
            let params = v01::TaskParams {
                id: request.id.clone(),
                metadata: request.metadata.clone(),
                ..v01::TaskParams::default()
            };
            task("tasks/cancel", params)?
        }
        Operation::Subscribe(request) => {
            let params = v01::TaskParams {
                id: request.id.clone(),
                ..v01::TaskParams::default()
            };
            task("tasks/resubscribe", params)?
        }
        Operation::CreatePush(config) => {
            let params =
                v01::TaskPushNotificationConfig::of((*config).clone(), config.task_id.clone());
            jsonrpc::request(REQUEST_ID, "tasks/pushNotification/set", &params)?
        }
        Operation::GetPush(request) => {
            let params = v01::TaskParams {
                id: request.task_id.clone(),
                ..v01::TaskParams::default()
            };
            task("tasks/pushNotification/get", params)?
        }
        Operation::List(_)
        | Operation::ListPush(_)
        | Operation::DeletePush(_)
        | Operation::ExtendedCard(_) => {
            return Err(unsupported(operation, ProtocolVersion::V0_1));
        }
    })
}

/// What sends a message in 0.1: the client makes the id of a new task.
pub(super) fn send_params(request: crate::types::SendMessageRequest) -> v01::SendParams {
    let id = match request.message.task_id.as_str() {
        "" => new_task_id(),
        id => id.to_owned(),
    };
    v01::SendParams::from_request(request, id)
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Option<JsonRpcError>,
}

fn response(body: &[u8]) -> Result<Response, A2aError> {
    serde_json::from_slice(body).map_err(invalid)
}

fn result<T: DeserializeOwned>(body: &[u8]) -> Result<T, A2aError> {
    serde_json::from_value(response(body)?.result).map_err(invalid)
}

/// The error in an answer, if it is one.
pub(super) fn error_v03(body: &[u8]) -> Option<A2aError> {
    response(body).ok()?.error.map(A2aError::from_json_rpc)
}

/// The error in an answer, if it is one.
pub(super) fn error_v01(body: &[u8]) -> Option<A2aError> {
    response(body).ok()?.error.map(v01::from_error)
}

/// The canonical JSON of a result of 0.3.
pub(super) fn answer_v03(operation: &Operation<'_>, body: &[u8]) -> Result<Value, A2aError> {
    match operation {
        Operation::Send(_) => canonical(&result::<v03::Event>(body)?.into_answer()?),
        Operation::Get(_) | Operation::Cancel(_) => {
            canonical(&result::<v03::Task>(body)?.into_task()?)
        }
        Operation::CreatePush(_) | Operation::GetPush(_) => {
            canonical(&result::<v03::TaskPushNotificationConfig>(body)?.into_config()?)
        }
        Operation::ListPush(_) => {
            let configs: Vec<v03::TaskPushNotificationConfig> = result(body)?;
            let configs = configs
                .into_iter()
                .map(v03::TaskPushNotificationConfig::into_config);
            canonical(&ListTaskPushNotificationConfigsResponse {
                configs: configs.collect::<Result<_, _>>()?,
                ..ListTaskPushNotificationConfigsResponse::default()
            })
        }
        Operation::DeletePush(_) => Ok(Value::Null),
        Operation::ExtendedCard(_) => {
            let card: v03::AgentCard = result(body)?;
            canonical(&card.into_card(ProtocolVersion::V0_3))
        }
        Operation::Stream(_) | Operation::Subscribe(_) | Operation::List(_) => {
            Err(invalid("one answer where a stream was expected"))
        }
    }
}

/// The canonical JSON of a result of 0.1.
pub(super) fn answer_v01(operation: &Operation<'_>, body: &[u8]) -> Result<Value, A2aError> {
    if matches!(operation, Operation::CreatePush(_) | Operation::GetPush(_)) {
        let config: v01::TaskPushNotificationConfig = result(body)?;
        let task_id = config.id.clone();
        return canonical(&config.into_config(task_id));
    }
    task_v01(operation, result(body)?)
}

/// The canonical JSON of a task of 0.1, as the answer to `operation`.
pub(super) fn task_v01(operation: &Operation<'_>, task: v01::Task) -> Result<Value, A2aError> {
    let task = task.into_task()?;
    match operation {
        Operation::Send(_) => canonical(&SendMessageResponse::Task(task)),
        _ => canonical(&task),
    }
}

/// The event in a frame of 0.3.
pub(super) fn event_v03(data: &[u8]) -> Result<StreamResponse, A2aError> {
    match error_v03(data) {
        Some(error) => Err(error),
        None => result::<v03::Event>(data)?.into_response(),
    }
}

/// The event in a frame of 0.1.
pub(super) fn event_v01(data: &[u8], so_far: SoFar<'_>) -> Result<StreamResponse, A2aError> {
    match error_v01(data) {
        Some(error) => Err(error),
        None => result::<v01::Event>(data)?.into_response(so_far.context_id),
    }
}

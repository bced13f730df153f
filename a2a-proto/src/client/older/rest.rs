//! The REST binding of 0.3 as a client speaks it. Some servers answer with the objects of the JSON-RPC binding instead of
//! those of the proto file; they are understood too.

use bytes::Bytes;
use reqwest::Method;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::{canonical, invalid};
use crate::card;
use crate::client::ClientError;
use crate::client::discovery::below;
use crate::client::operation::{
    Operation, append_page, append_query, push_config, push_configs, segment,
};
use crate::dialect::v03;
use crate::dialect::v03::rest as objects;
use crate::error::A2aError;
use crate::sse::Event;
use crate::types::StreamResponse;

/// Verb, address and body of a request.
pub(super) fn request(
    base: &Url,
    operation: &Operation<'_>,
    other_form: bool,
) -> Result<(Method, Url, Option<Bytes>), ClientError> {
    // Some cards count the prefix to the address.
    let prefix = match base.path().trim_end_matches('/').ends_with("/v1") {
        true => "",
        false => "/v1",
    };
    let at = |path: &str| below(base, &format!("{prefix}{path}"));
    let send = |request: &crate::types::SendMessageRequest| {
        let request = objects::SendMessageRequest::from(request.clone());
        serde_json::to_vec(&request).map(|body| Some(Bytes::from(body)))
    };
    Ok(match operation {
        Operation::Send(request) => (Method::POST, at("/message:send")?, send(request)?),
        Operation::Stream(request) => (Method::POST, at("/message:stream")?, send(request)?),
        Operation::Get(request) => {
            let mut url = at(&format!("/tasks/{}", segment(&request.id)))?;
            if let Some(length) = request.history_length {
                url.query_pairs_mut()
                    .append_pair("historyLength", &length.to_string());
            }
            (Method::GET, url, None)
        }
        Operation::List(request) => {
            let mut url = at("/tasks")?;
            append_query(&mut url, request)?;
            (Method::GET, url, None)
        }
        Operation::Cancel(request) => {
            let url = at(&format!("/tasks/{}:cancel", segment(&request.id)))?;
            (Method::POST, url, Some(Bytes::from_static(b"{}")))
        }
        // The SDKs of 0.3 serve this by GET, as the proto file has it.
        Operation::Subscribe(request) => {
            let url = at(&format!("/tasks/{}:subscribe", segment(&request.id)))?;
            match other_form {
                false => (Method::GET, url, None),
                true => (Method::POST, url, Some(Bytes::from_static(b"{}"))),
            }
        }
        Operation::CreatePush(config) => {
            let create = objects::CreateTaskPushNotificationConfigRequest::from((*config).clone());
            // The annotation of the proto file has the configuration alone; the reference SDK wants it all.
            let body = match (other_form, &create.config) {
                (true, Some(config)) => serde_json::to_vec(config)?,
                _ => serde_json::to_vec(&create)?,
            };
            let url = at(&push_configs(&config.task_id))?;
            (Method::POST, url, Some(body.into()))
        }
        Operation::GetPush(request) => {
            let url = at(&push_config(&request.task_id, &request.id))?;
            (Method::GET, url, None)
        }
        Operation::ListPush(request) => {
            let mut url = at(&push_configs(&request.task_id))?;
            append_page(&mut url, request);
            (Method::GET, url, None)
        }
        Operation::DeletePush(request) => {
            let url = at(&push_config(&request.task_id, &request.id))?;
            (Method::DELETE, url, None)
        }
        Operation::ExtendedCard(_) => (Method::GET, at("/card")?, None),
    })
}

/// The error of an answer that is one.
pub(super) fn error(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> A2aError {
    objects::from_http(status, headers, body)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, A2aError> {
    serde_json::from_slice(body).map_err(invalid)
}

/// Whether the objects are those of the JSON-RPC binding.
fn has_kind(body: &[u8]) -> bool {
    read::<Value>(body).is_ok_and(|json| json.get("kind").is_some())
}

/// The canonical JSON of an answer.
pub(super) fn answer(operation: &Operation<'_>, body: &[u8]) -> Result<Value, A2aError> {
    match operation {
        Operation::Send(_) if has_kind(body) => {
            canonical(&read::<v03::Event>(body)?.into_answer()?)
        }
        Operation::Send(_) => {
            canonical(&read::<objects::SendMessageResponse>(body)?.into_answer()?)
        }
        Operation::Get(_) | Operation::Cancel(_) if has_kind(body) => {
            canonical(&read::<v03::Task>(body)?.into_task()?)
        }
        Operation::Get(_) | Operation::Cancel(_) => {
            canonical(&read::<objects::Task>(body)?.into_task()?)
        }
        Operation::List(_) => canonical(&read::<objects::ListTasksResponse>(body)?.into_page()?),
        Operation::CreatePush(_) | Operation::GetPush(_) => {
            canonical(&read::<objects::TaskPushNotificationConfig>(body)?.into_config()?)
        }
        Operation::ListPush(_) => {
            let list: objects::ListTaskPushNotificationConfigResponse = read(body)?;
            canonical(&list.into_page()?)
        }
        Operation::DeletePush(_) => Ok(Value::Null),
        Operation::ExtendedCard(_) => canonical(&card::read(body)?),
        Operation::Stream(_) | Operation::Subscribe(_) => {
            Err(invalid("one answer where a stream was expected"))
        }
    }
}

/// The event in a frame.
pub(super) fn event(frame: &Event) -> Result<StreamResponse, A2aError> {
    if frame.event == "error" {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return Err(error(status, &HeaderMap::new(), &frame.data));
    }
    if has_kind(&frame.data) {
        return read::<v03::Event>(&frame.data)?.into_response();
    }
    read::<objects::StreamResponse>(&frame.data)?.into_response()
}

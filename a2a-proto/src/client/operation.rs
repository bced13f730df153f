//! One operation in the words of both bindings: a JSON-RPC method with parameters, or a verb, a path and a body
//! (A2A §5.3). Nothing is sent from here.

use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::ClientError;
use super::discovery::below;
use crate::jsonrpc;
use crate::types::{
    CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTasksRequest, SendMessageRequest, SubscribeToTaskRequest, TaskPushNotificationConfig,
};

/// An operation with its request.
#[derive(Debug)]
pub(super) enum Operation<'a> {
    Send(&'a SendMessageRequest),
    Stream(&'a SendMessageRequest),
    Get(&'a GetTaskRequest),
    List(&'a ListTasksRequest),
    Cancel(&'a CancelTaskRequest),
    Subscribe(&'a SubscribeToTaskRequest),
    CreatePush(&'a TaskPushNotificationConfig),
    GetPush(&'a GetTaskPushNotificationConfigRequest),
    ListPush(&'a ListTaskPushNotificationConfigsRequest),
    DeletePush(&'a DeleteTaskPushNotificationConfigRequest),
    ExtendedCard(&'a GetExtendedAgentCardRequest),
}

/// One request is under way per connection and answers come with it: the id tells nothing.
const REQUEST_ID: u64 = 1;

impl Operation<'_> {
    /// The JSON-RPC method.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Send(_) => "SendMessage",
            Self::Stream(_) => "SendStreamingMessage",
            Self::Get(_) => "GetTask",
            Self::List(_) => "ListTasks",
            Self::Cancel(_) => "CancelTask",
            Self::Subscribe(_) => "SubscribeToTask",
            Self::CreatePush(_) => "CreateTaskPushNotificationConfig",
            Self::GetPush(_) => "GetTaskPushNotificationConfig",
            Self::ListPush(_) => "ListTaskPushNotificationConfigs",
            Self::DeletePush(_) => "DeleteTaskPushNotificationConfig",
            Self::ExtendedCard(_) => "GetExtendedAgentCard",
        }
    }

    /// Whether the answer is a stream.
    pub(super) fn streams(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::Subscribe(_))
    }

    /// The body of the JSON-RPC request.
    pub(super) fn json_rpc(&self, tenant: &str) -> Result<Bytes, ClientError> {
        let method = self.method();
        Ok(match self {
            Self::Send(request) | Self::Stream(request) => call(method, *request, tenant)?,
            Self::Get(request) => call(method, *request, tenant)?,
            Self::List(request) => call(method, *request, tenant)?,
            Self::Cancel(request) => call(method, *request, tenant)?,
            Self::Subscribe(request) => call(method, *request, tenant)?,
            Self::CreatePush(request) => call(method, *request, tenant)?,
            Self::GetPush(request) => call(method, *request, tenant)?,
            Self::ListPush(request) => call(method, *request, tenant)?,
            Self::DeletePush(request) => call(method, *request, tenant)?,
            Self::ExtendedCard(request) => call(method, *request, tenant)?,
        })
    }

    /// The verb, the address and the body of the HTTP request.
    pub(super) fn http(
        &self,
        base: &Url,
        tenant: &str,
        subscribe_by_get: bool,
    ) -> Result<(Method, Url, Option<Bytes>), ClientError> {
        let prefix = if tenant.is_empty() {
            String::new()
        } else {
            format!("/{}", segment(tenant))
        };
        let at = |path: String| below(base, &format!("{prefix}{path}"));
        Ok(match self {
            Self::Send(request) => (
                Method::POST,
                at("/message:send".to_owned())?,
                Some(json(request)?),
            ),
            Self::Stream(request) => (
                Method::POST,
                at("/message:stream".to_owned())?,
                Some(json(request)?),
            ),
            Self::Get(request) => {
                let mut url = at(format!("/tasks/{}", segment(&request.id)))?;
                if let Some(length) = request.history_length {
                    url.query_pairs_mut()
                        .append_pair("historyLength", &length.to_string());
                }
                if let Some(generation) = request.current_generation {
                    url.query_pairs_mut()
                        .append_pair("currentGeneration", &generation.to_string());
                }
                (Method::GET, url, None)
            }
            Self::List(request) => {
                let mut url = at("/tasks".to_owned())?;
                append_query(&mut url, request)?;
                (Method::GET, url, None)
            }
            Self::Cancel(request) => (
                Method::POST,
                at(format!("/tasks/{}:cancel", segment(&request.id)))?,
                Some(json(request)?),
            ),
            Self::Subscribe(request) => {
                let url = at(format!("/tasks/{}:subscribe", segment(&request.id)))?;
                match subscribe_by_get {
                    true => (Method::GET, url, None),
                    false => (Method::POST, url, Some(json(request)?)),
                }
            }
            Self::CreatePush(request) => (
                Method::POST,
                at(push_configs(&request.task_id))?,
                Some(json(request)?),
            ),
            Self::GetPush(request) => (
                Method::GET,
                at(push_config(&request.task_id, &request.id))?,
                None,
            ),
            Self::ListPush(request) => {
                let mut url = at(push_configs(&request.task_id))?;
                append_page(&mut url, request);
                (Method::GET, url, None)
            }
            Self::DeletePush(request) => (
                Method::DELETE,
                at(push_config(&request.task_id, &request.id))?,
                None,
            ),
            Self::ExtendedCard(_) => (Method::GET, at("/extendedAgentCard".to_owned())?, None),
        })
    }
}

/// The tenant goes into the parameters, but a request that names one keeps it.
fn call(method: &str, request: &impl Serialize, tenant: &str) -> Result<Bytes, serde_json::Error> {
    if tenant.is_empty() {
        return jsonrpc::request(REQUEST_ID, method, request);
    }
    let mut params = Map::from_iter([("tenant".to_owned(), Value::from(tenant))]);
    if let Value::Object(members) = serde_json::to_value(request)? {
        params.extend(members);
    }
    jsonrpc::request(REQUEST_ID, method, &params)
}

fn json(request: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    serde_json::to_vec(request).map(Bytes::from)
}

/// The fields of a request as query parameters; all fields of the requests that need this are scalars.
pub(super) fn append_query(
    url: &mut Url,
    request: &impl Serialize,
) -> Result<(), serde_json::Error> {
    if let Value::Object(fields) = serde_json::to_value(request)?
        && !fields.is_empty()
    {
        let mut query = url.query_pairs_mut();
        for (name, value) in fields {
            match value {
                Value::String(text) => query.append_pair(&name, &text),
                other => query.append_pair(&name, &other.to_string()),
            };
        }
    }
    Ok(())
}

/// The path of a task's push configurations; the same in 0.3, below its prefix.
pub(super) fn push_configs(task_id: &str) -> String {
    format!("/tasks/{}/pushNotificationConfigs", segment(task_id))
}

/// The path of one push configuration.
pub(super) fn push_config(task_id: &str, id: &str) -> String {
    format!("{}/{}", push_configs(task_id), segment(id))
}

/// Which page of push configurations; the task is in the path.
pub(super) fn append_page(url: &mut Url, request: &ListTaskPushNotificationConfigsRequest) {
    if request.page_size != 0 {
        let size = request.page_size.to_string();
        url.query_pairs_mut().append_pair("pageSize", &size);
    }
    if !request.page_token.is_empty() {
        url.query_pairs_mut()
            .append_pair("pageToken", &request.page_token);
    }
}

/// A path segment with everything but unreserved characters percent-encoded (RFC 3986 §2.3): a `:` in a task id must
/// not look like a verb.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

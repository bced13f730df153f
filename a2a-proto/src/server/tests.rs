//! The server through real sockets with raw HTTP: an agent made for testing, a client that knows nothing of the
//! crate. One file per family of the protocol's requirement ids; what is the same in both bindings runs over both.

mod abuse;
mod agent;
mod auth;
mod cancel;
mod cards;
mod conversation;
mod garbage;
mod generation;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
mod lists;
mod load;
mod operations;
mod push;
mod repeated;
#[cfg(feature = "sqlite")]
mod restart;
mod simple;
mod streaming;
mod tenants;
mod v01;
mod v03;
mod v03_rest;
mod versions;
mod wire;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::agent::TestAgent;
use self::http::{Reply, Stream};
use super::{AnyCaller, BearerToken, Caller, Server, ServerOptions};
use crate::log::{MemoryLog, TaskLog};

/// A running server.
struct Running {
    address: std::net::SocketAddr,
    agent: Arc<TestAgent>,
    shutdown: CancellationToken,
    /// Where the log is.
    _folder: tempfile::TempDir,
}

impl Running {
    async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    /// With options and agent changed before the start.
    async fn with(change: impl FnOnce(&mut ServerOptions, &mut TestAgent)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        #[cfg(feature = "sqlite")]
        let log = crate::log::SqliteLog::open(folder.path().join("log.db")).unwrap();
        #[cfg(not(feature = "sqlite"))]
        let log = MemoryLog::new().unwrap();
        Self::over(log, folder, change).await
    }

    async fn over(
        log: impl TaskLog,
        folder: tempfile::TempDir,
        change: impl FnOnce(&mut ServerOptions, &mut TestAgent),
    ) -> Self {
        let mut options = ServerOptions::new(Arc::new(AnyCaller));
        let mut agent = TestAgent::default();
        change(&mut options, &mut agent);
        let (tracker, shutdown) = (options.tracker.clone(), options.shutdown.clone());
        let agent = Arc::new(agent);
        let server = Server::new(Arc::clone(&agent), Arc::new(log), options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = server.router();
        tracker.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            agent,
            shutdown,
            _folder: folder,
        }
    }

    async fn memory() -> Self {
        Self::over(
            MemoryLog::new().unwrap(),
            tempfile::tempdir().unwrap(),
            |_, _| {},
        )
        .await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        http::send(self.address, method, path, headers, body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"").await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
        .await
    }

    /// One call in one binding; errors come back as their JSON-RPC code or google.rpc reason.
    async fn call(
        &self,
        binding: Binding,
        operation: &str,
        params: Value,
    ) -> Result<Value, Failure> {
        match binding {
            Binding::Rpc => {
                let reply = self.post("/", &rpc(operation, &params)).await;
                assert_eq!(reply.status, 200, "{reply:?}");
                let body = reply.json();
                assert_eq!(
                    (&body["jsonrpc"], &body["id"]),
                    (&json!("2.0"), &json!(7)),
                    "{body}"
                );
                if body["error"].is_object() {
                    Err(Failure::rpc(&body["error"]))
                } else {
                    Ok(body["result"].clone())
                }
            }
            Binding::Rest => {
                let (method, path, body) = rest(operation, params);
                let reply = match body {
                    Some(body) => self.post(&path, &body).await,
                    None => self.send(method, &path, &[], b"").await,
                };
                let body = reply.json();
                if reply.status == 200 {
                    Ok(body)
                } else {
                    Err(Failure::rest(reply.status, &body["error"]))
                }
            }
        }
    }

    /// Opens a stream in one binding; its events come without the envelope.
    async fn stream(
        &self,
        binding: Binding,
        operation: &str,
        params: Value,
        headers: &[(&str, &str)],
    ) -> Stream {
        let mut all = vec![
            ("content-type", "application/json"),
            ("accept", "text/event-stream"),
        ];
        all.extend_from_slice(headers);
        match binding {
            Binding::Rpc => {
                let body = rpc(operation, &params).to_string();
                Stream::open(self.address, "POST", "/", &all, body.as_bytes()).await
            }
            Binding::Rest => {
                let (method, path, body) = rest(operation, params);
                let body = body.map(|body| body.to_string()).unwrap_or_default();
                Stream::open(self.address, method, &path, &all, body.as_bytes()).await
            }
        }
    }

    async fn begin(&self, text: &str) -> Value {
        let mut params = message(text);
        params["configuration"] = json!({"returnImmediately": true});
        self.call(Binding::Rpc, "SendMessage", params)
            .await
            .unwrap()["task"]
            .clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binding {
    Rpc,
    Rest,
}

const BOTH: [Binding; 2] = [Binding::Rpc, Binding::Rest];

/// An error as a client sees it, the same whatever the binding.
#[derive(Debug, Clone, PartialEq)]
struct Failure {
    /// The reason, or for generic errors the code or status.
    reason: String,
    message: String,
    /// The fields that are wrong.
    fields: Vec<String>,
}

impl Failure {
    fn rpc(error: &Value) -> Self {
        Self::of(error, &error["data"], &error["code"])
    }

    fn rest(status: u16, error: &Value) -> Self {
        assert_eq!(error["code"], json!(status), "{error}");
        Self::of(error, &error["details"], &error["status"])
    }

    fn of(error: &Value, details: &Value, otherwise: &Value) -> Self {
        let details = details.as_array().cloned().unwrap_or_default();
        assert!(
            details.iter().all(|detail| detail["@type"].is_string()),
            "{error}"
        );
        let reason = details.iter().find_map(|detail| detail["reason"].as_str());
        let bad = details
            .iter()
            .filter_map(|detail| detail["fieldViolations"].as_array())
            .flatten();
        let generic = match otherwise.to_string().as_str() {
            "-32602" | "\"INVALID_ARGUMENT\"" => "INVALID".to_owned(),
            "-32601" | "\"UNIMPLEMENTED\"" => "UNKNOWN".to_owned(),
            other => other.to_owned(),
        };
        Self {
            reason: reason.map_or(generic, str::to_owned),
            message: error["message"].as_str().unwrap().to_owned(),
            fields: bad
                .map(|violation| violation["field"].as_str().unwrap().to_owned())
                .collect(),
        }
    }
}

fn rpc(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

/// The HTTP+JSON form of an operation.
fn rest(operation: &str, mut params: Value) -> (&'static str, String, Option<Value>) {
    let mut id = || match params
        .as_object_mut()
        .and_then(|params| params.remove("id"))
    {
        Some(Value::String(id)) => id,
        _ => String::new(),
    };
    match operation {
        "SendMessage" => ("POST", "/message:send".to_owned(), Some(params)),
        "SendStreamingMessage" => ("POST", "/message:stream".to_owned(), Some(params)),
        "GetTask" => {
            let id = id();
            ("GET", format!("/tasks/{id}{}", query(&params)), None)
        }
        "ListTasks" => ("GET", format!("/tasks{}", query(&params)), None),
        "CancelTask" => {
            let id = id();
            ("POST", format!("/tasks/{id}:cancel"), Some(params))
        }
        "SubscribeToTask" => ("GET", format!("/tasks/{}:subscribe", id()), None),
        "GetExtendedAgentCard" => ("GET", "/extendedAgentCard".to_owned(), None),
        "CreateTaskPushNotificationConfig" => {
            let path = format!(
                "/tasks/{}/pushNotificationConfigs",
                params["taskId"].as_str().unwrap()
            );
            ("POST", path, Some(params))
        }
        "ListTaskPushNotificationConfigs" => {
            let task = params.as_object_mut().unwrap().remove("taskId").unwrap();
            let path = format!(
                "/tasks/{}/pushNotificationConfigs{}",
                task.as_str().unwrap(),
                query(&params)
            );
            ("GET", path, None)
        }
        "GetTaskPushNotificationConfig" | "DeleteTaskPushNotificationConfig" => {
            let id = id().replace(' ', "%20").replace('/', "%2F");
            let task = params["taskId"].as_str().unwrap();
            let path = format!("/tasks/{task}/pushNotificationConfigs/{id}");
            let method = if operation.starts_with("Get") {
                "GET"
            } else {
                "DELETE"
            };
            (method, path, None)
        }
        other => panic!("no HTTP+JSON form of {other}"),
    }
}

fn query(params: &Value) -> String {
    let pairs = params.as_object().unwrap().iter().map(|(name, value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair(name, &text)
            .finish()
    });
    let query = pairs.collect::<Vec<_>>().join("&");
    if query.is_empty() {
        query
    } else {
        format!("?{query}")
    }
}

/// A send of one text part.
fn message(text: &str) -> Value {
    json!({"message": {"messageId": format!("m-{text}"), "role": "ROLE_USER", "parts": [{"text": text}]}})
}

/// A send that goes on with a task.
fn follow_up(task: &Value, text: &str) -> Value {
    let mut params = message(text);
    params["message"]["taskId"] = task["id"].clone();
    params
}

fn state(task: &Value) -> &str {
    task["status"]["state"]
        .as_str()
        .unwrap_or_else(|| panic!("no state in {task}"))
}

fn shared_token(options: &mut ServerOptions) {
    options.auth = Arc::new(BearerToken::new(
        "s3cret".to_owned().into(),
        Caller::new("ann"),
    ));
}

/// A server that pushes.
async fn pushing() -> Running {
    let push = crate::push::PushOptions::new(crate::push::Keyring::in_memory());
    Running::with(|options, agent| {
        options.push = Some(crate::push::Pusher::new(push));
        agent.change_card(|card| card.capabilities.push_notifications = Some(true));
    })
    .await
}

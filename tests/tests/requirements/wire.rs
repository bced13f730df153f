//! The bindings, spoken raw: what an operation looks like on the wire is written down here once more, independent of the
//! product's client, so that a mistake that both its sides make is seen.

use std::time::Duration;

use e2e::{
    http::{Api, answer},
    sse::Frames,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::{errors::Kind, grpc_wire, world::Binding};

/// Longest silence of a stream.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);

/// A client of one server in one binding.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    api: Api,
    pub(crate) binding: Binding,
    headers: Vec<(String, String)>,
}

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) binding: Binding,
    /// The code of JSON-RPC, or the HTTP status.
    pub(crate) code: i64,
    /// The name of the gRPC status, where the binding names it.
    pub(crate) status: Option<String>,
    pub(crate) message: String,
    /// The typed details.
    pub(crate) details: Vec<Value>,
    /// All of it.
    pub(crate) body: Box<Value>,
}

impl Peer {
    /// A client that says that it speaks 1.0.
    pub(crate) fn new(url: &str, binding: Binding) -> Self {
        Self {
            api: Api::new(url, None),
            binding,
            headers: vec![("A2A-Version".to_owned(), "1.0".to_owned())],
        }
    }

    /// The same client in another binding.
    pub(crate) fn speaking(&self, binding: Binding) -> Self {
        Self {
            binding,
            ..self.clone()
        }
    }

    /// The same client with another value of a header.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut headers = self.without(name).headers;
        headers.push((name.to_owned(), value.to_owned()));
        Self {
            headers,
            ..self.clone()
        }
    }

    /// The same client without a header.
    pub(crate) fn without(&self, name: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        Self {
            headers,
            ..self.clone()
        }
    }

    /// The same client with a token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    /// The server's address.
    pub(crate) fn url(&self) -> &str {
        self.api.url()
    }

    /// Whether the binding can say this at all.
    pub(crate) fn can_say(&self, operation: &str, params: &Value) -> bool {
        self.binding != Binding::Grpc || grpc_wire::can_say(operation, params)
    }

    /// Whether an operation is refused for want of good credentials.
    pub(crate) async fn unauthenticated(&self, operation: &str, params: &Value) -> bool {
        if self.binding != Binding::Grpc {
            return self.send(operation, params).await.status() == StatusCode::UNAUTHORIZED;
        }
        let answer = self.call(operation, params.clone()).await;
        answer.is_err_and(|fault| fault.status.as_deref() == Some("UNAUTHENTICATED"))
    }

    /// A request that the caller completes, with the client's headers.
    pub(crate) fn raw(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.api.request(method, path);
        self.headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }

    /// Sends an operation, whatever the answer.
    pub(crate) async fn send(&self, operation: &str, params: &Value) -> Response {
        answer(match self.binding {
            Binding::JsonRpc => self
                .raw(Method::POST, "/")
                .json(&envelope(operation, params)),
            Binding::Rest => self.rest(operation, params),
            Binding::Grpc => panic!("gRPC answers are read by `call` and `stream`"),
        })
        .await
    }

    /// Does an operation that answers once.
    pub(crate) async fn call(&self, operation: &str, params: Value) -> Result<Value, Fault> {
        if self.binding == Binding::Grpc {
            return grpc_wire::call(self.url(), &self.headers, operation, &params).await;
        }
        let response = self.send(operation, &params).await;
        result(self.binding, response).await
    }

    /// Does an operation that must be answered.
    #[track_caller]
    pub(crate) fn ok(&self, operation: &'static str, params: Value) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        let peer = self.clone();
        async move {
            let result = peer.call(operation, params).await;
            result.unwrap_or_else(|fault| panic!("{caller}: {operation}: {fault:#?}"))
        }
    }

    /// Does an operation that must be refused for this reason.
    #[track_caller]
    pub(crate) fn refuses(
        &self,
        operation: &'static str,
        params: Value,
        kind: Kind,
    ) -> impl Future<Output = Fault> {
        let caller = std::panic::Location::caller();
        let peer = self.clone();
        async move {
            let fault = match peer.call(operation, params.clone()).await {
                Err(fault) => fault,
                Ok(value) => panic!("{caller}: {operation} of {params} was answered: {value:#}"),
            };
            kind.check(&fault, caller);
            fault
        }
    }

    /// Does an operation that answers with a stream.
    pub(crate) async fn stream(&self, operation: &str, params: Value) -> Result<Events, Fault> {
        if self.binding == Binding::Grpc {
            let stream = grpc_wire::Stream::open(self.url(), &self.headers, operation, &params);
            return Ok(Events::Grpc(Box::new(stream.await?)));
        }
        let response = self.send(operation, &params).await;
        let kind = response.headers().get("content-type");
        let streams = kind.is_some_and(|kind| {
            kind.to_str()
                .is_ok_and(|it| it.starts_with("text/event-stream"))
        });
        if !streams {
            let value = result(self.binding, response).await?;
            panic!("{operation} answered once: {value:#}");
        }
        let frames = Frames::new(response);
        Ok(match self.binding {
            Binding::JsonRpc => Events::JsonRpc(frames),
            Binding::Rest | Binding::Grpc => Events::Rest(frames),
        })
    }

    fn rest(&self, operation: &str, params: &Value) -> RequestBuilder {
        let mut rest = params.clone();
        let mut take = |name: &str| {
            let taken = rest.as_object_mut().and_then(|map| map.remove(name));
            taken.map(|value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            })
        };
        match operation {
            "SendMessage" => self.body(Method::POST, "/message:send", params),
            "SendStreamingMessage" => self.body(Method::POST, "/message:stream", params),
            "GetTask" => {
                let id = take("id").unwrap_or_default();
                self.query(&format!("/tasks/{id}"), &rest)
            }
            "ListTasks" => self.query("/tasks", params),
            "CancelTask" => {
                let id = take("id").unwrap_or_default();
                self.body(Method::POST, &format!("/tasks/{id}:cancel"), &rest)
            }
            "SubscribeToTask" => {
                let id = take("id").unwrap_or_default();
                self.body(Method::POST, &format!("/tasks/{id}:subscribe"), &rest)
            }
            "CreateTaskPushNotificationConfig" => {
                let task = take("taskId").unwrap_or_default();
                let path = format!("/tasks/{task}/pushNotificationConfigs");
                self.body(Method::POST, &path, &rest)
            }
            "ListTaskPushNotificationConfigs" => {
                let task = take("taskId").unwrap_or_default();
                self.query(&format!("/tasks/{task}/pushNotificationConfigs"), &rest)
            }
            "GetTaskPushNotificationConfig" | "DeleteTaskPushNotificationConfig" => {
                let (task, id) = (
                    take("taskId").unwrap_or_default(),
                    take("id").unwrap_or_default(),
                );
                let path = format!("/tasks/{task}/pushNotificationConfigs/{id}");
                if operation.starts_with("Get") {
                    self.raw(Method::GET, &path)
                } else {
                    self.raw(Method::DELETE, &path)
                }
            }
            "GetExtendedAgentCard" => self.raw(Method::GET, "/extendedAgentCard"),
            other => self.body(Method::POST, &format!("/{other}"), params),
        }
    }

    fn body(&self, method: Method, path: &str, body: &Value) -> RequestBuilder {
        self.raw(method, path).json(body)
    }

    fn query(&self, path: &str, params: &Value) -> RequestBuilder {
        let pairs = params
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let text: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
                format!("{name}={text}")
            });
        let query: Vec<String> = pairs.collect();
        self.raw(Method::GET, &format!("{path}?{}", query.join("&")))
    }
}

/// A JSON-RPC request.
pub(crate) fn envelope(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": "r-1", "method": method, "params": params})
}

/// The result or error in an answer.
pub(crate) async fn result(binding: Binding, response: Response) -> Result<Value, Fault> {
    let status = response.status();
    let text = response.text().await.unwrap();
    let body: Value =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {status} {text:?}"));
    match binding {
        Binding::JsonRpc => rpc_result(&body),
        Binding::Rest if status == StatusCode::OK => Ok(body),
        Binding::Rest => Err(rest_fault(&body, status)),
        Binding::Grpc => panic!("no answer of gRPC"),
    }
}

/// The result or error in a JSON-RPC response.
pub(crate) fn rpc_result(body: &Value) -> Result<Value, Fault> {
    assert_eq!(body["jsonrpc"], "2.0", "{body}");
    let members = ["result", "error"].map(|name| body.get(name).is_some());
    assert!(members[0] != members[1], "one of result and error: {body}");
    if members[0] {
        return Ok(body["result"].clone());
    }
    let error = &body["error"];
    Err(Fault {
        binding: Binding::JsonRpc,
        code: error["code"]
            .as_i64()
            .unwrap_or_else(|| panic!("no code: {body}")),
        status: None,
        message: error["message"].as_str().unwrap_or_default().to_owned(),
        details: error["data"].as_array().cloned().unwrap_or_default(),
        body: Box::new(body.clone()),
    })
}

fn rest_fault(body: &Value, status: StatusCode) -> Fault {
    let error = &body["error"];
    assert_eq!(
        error["code"],
        status.as_u16(),
        "the body repeats the status: {body}"
    );
    Fault {
        binding: Binding::Rest,
        code: i64::from(status.as_u16()),
        status: error["status"].as_str().map(str::to_owned),
        message: error["message"].as_str().unwrap_or_default().to_owned(),
        details: error["details"].as_array().cloned().unwrap_or_default(),
        body: Box::new(body.clone()),
    }
}

/// The events of a stream.
#[derive(Debug)]
pub(crate) enum Events {
    JsonRpc(Frames),
    Rest(Frames),
    Grpc(Box<grpc_wire::Stream>),
}

impl Events {
    /// The next event; `None` when the server has closed the stream.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        self.next_raw().await.map(|(event, _)| event)
    }

    /// The next event, and how it was written.
    pub(crate) async fn next_raw(&mut self) -> Option<(Value, String)> {
        let (frames, rpc) = match self {
            Self::Grpc(stream) => return stream.next().await,
            Self::JsonRpc(frames) => (frames, true),
            Self::Rest(frames) => (frames, false),
        };
        let frame = frames.next(SILENCE).await?;
        assert_eq!(
            frame.event, "message",
            "ordinary frames have no event field"
        );
        let event = if rpc {
            rpc_result(&frame.data).unwrap_or_else(|fault| panic!("{fault:#?}"))
        } else {
            frame.data
        };
        Some((event, frame.text))
    }

    /// The events up to the end of the stream.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }

    /// The events up to and with one that `found` accepts.
    pub(crate) async fn until(&mut self, found: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
            if found(all.last().unwrap()) {
                return all;
            }
        }
        panic!("the stream ended before: {all:#?}");
    }
}

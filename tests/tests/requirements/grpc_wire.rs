//! The gRPC binding, spoken raw: HTTP/2 frames by hand, messages built from the project's own `.proto` files by name, so
//! that neither the product's client nor its generated types stand between a test and the wire. What a test writes as
//! JSON is turned into protobuf and back by the rules of ProtoJSON.

use std::sync::LazyLock;

use base64::Engine as _;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use e2e::programs::project;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor,
    SerializeOptions,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::{
    wire::{Fault, SILENCE},
    world::Binding,
};

/// The service of A2A 1.0.
pub(crate) const SERVICE: &str = "lf.a2a.v1.A2AService";

/// The names of the status codes, by their numbers.
pub(crate) const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let root = project().join("a2a-proto/pb/proto");
    let files = ["lf/a2a/v1/a2a.proto", "google/rpc/status.proto"];
    let set = protox::compile(files.map(|file| root.join(file)), [root]).unwrap();
    DescriptorPool::from_file_descriptor_set(set).unwrap()
});

fn method(operation: &str) -> MethodDescriptor {
    let service = POOL.get_service_by_name(SERVICE).unwrap();
    let mut methods = service.methods();
    methods
        .find(|method| method.name() == operation)
        .unwrap_or_else(|| panic!("no method {operation}"))
}

fn build(
    operation: &str,
    params: &Value,
    strict: bool,
) -> Result<DynamicMessage, serde_json::Error> {
    let options = DeserializeOptions::new().deny_unknown_fields(strict);
    DynamicMessage::deserialize_with_options(method(operation).input(), params, &options)
}

/// Whether protobuf can say this: most wrong types cannot be sent at all.
pub(crate) fn can_say(operation: &str, params: &Value) -> bool {
    // Lenient, it would leave out an unknown enum name without a word.
    build(operation, params, true).is_ok()
}

/// A message with its length in front.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}

/// Sends a body to a path, whatever the answer.
pub(crate) async fn post(
    url: &str,
    path: &str,
    metadata: &[(String, String)],
    body: Bytes,
) -> Answer {
    let address = url.trim_start_matches("http://");
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    // It ends with the sender.
    TaskTracker::new().spawn(connection);
    let mut request = Request::post(format!("{url}{path}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers");
    for (name, value) in metadata {
        request = request.header(name.to_ascii_lowercase(), value);
    }
    let request = request.body(Full::new(body)).unwrap();
    let response = tokio::time::timeout(SILENCE, sender.send_request(request))
        .await
        .unwrap()
        .unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
        buffer: BytesMut::new(),
        trailers: None,
        _sender: sender,
    }
}

/// An answer, to be read message by message.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    buffer: BytesMut,
    trailers: Option<HeaderMap>,
    _sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
}

impl Answer {
    /// The next message; `None` at the end.
    pub(crate) async fn message(&mut self) -> Option<Bytes> {
        loop {
            if self.buffer.len() >= 5 {
                let length = (&self.buffer[1..5]).get_u32() as usize;
                if self.buffer.len() >= length + 5 {
                    assert_eq!(self.buffer[0], 0, "not compressed");
                    let frame = self.buffer.split_to(length + 5).freeze();
                    return Some(frame.slice(5..));
                }
            }
            let frame = tokio::time::timeout(SILENCE, self.body.frame())
                .await
                .unwrap_or_else(|_| panic!("the stream is silent"));
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.put(data),
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Some(Err(error)) => panic!("the stream broke off: {error:?}"),
                None => return None,
            }
        }
    }

    /// How the call ended, when everything was read.
    pub(crate) fn end(&self) -> Result<(), Fault> {
        assert!(self.buffer.is_empty(), "half a message is left");
        // An answer without a message may have everything in its head.
        let status = |headers: &HeaderMap| headers.contains_key("grpc-status");
        let headers = self
            .trailers
            .as_ref()
            .filter(|it| status(it))
            .unwrap_or(&self.headers);
        let text = |name: &str| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let code: usize = text("grpc-status")
            .unwrap_or_else(|| panic!("no status: {self:?}"))
            .parse()
            .unwrap();
        if code == 0 {
            return Ok(());
        }
        let message = text("grpc-message").unwrap_or_default();
        let details = text("grpc-status-details-bin").map(|text| {
            let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
            engine.decode(text.trim_end_matches('=')).unwrap()
        });
        let details = details.map(|bytes| {
            let kind = POOL.get_message_by_name("google.rpc.Status").unwrap();
            json_of(&kind, &bytes)
        });
        let details = details.unwrap_or_default();
        Err(Fault {
            binding: Binding::Grpc,
            code: i64::try_from(code).unwrap(),
            status: Some(STATUSES[code].to_owned()),
            message: percent_decoded(&message),
            details: details["details"].as_array().cloned().unwrap_or_default(),
            body: Box::new(json!({"code": code, "message": message, "details": details})),
        })
    }
}

fn percent_decoded(text: &str) -> String {
    let protected = text.replace('+', "%2B");
    let mut pairs = url::form_urlencoded::parse(protected.as_bytes());
    // Without `=` and `&` all of it is one name.
    let parts = pairs.by_ref().map(|(name, value)| {
        if value.is_empty() {
            name.into_owned()
        } else {
            format!("{name}={value}")
        }
    });
    parts.collect::<Vec<_>>().join("&")
}

fn json_of(kind: &MessageDescriptor, bytes: &[u8]) -> Value {
    let message = DynamicMessage::decode(kind.clone(), bytes).unwrap();
    let options = SerializeOptions::new();
    normal(
        message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .unwrap(),
    )
}

/// What protobuf cannot keep apart is written as the other bindings write it: whole numbers, and whole seconds.
fn normal(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| match value {
                Value::String(text) if name == "timestamp" && !text.contains('.') => {
                    (name, json!(text.replace('Z', ".000Z")))
                }
                value => (name, normal(value)),
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a whole number of this size is one"
                )]
                let whole = float as i64;
                json!(whole)
            }
            _ => Value::Number(number),
        },
        other => other,
    }
}

/// Does an operation that answers once.
pub(crate) async fn call(
    url: &str,
    metadata: &[(String, String)],
    operation: &str,
    params: &Value,
) -> Result<Value, Fault> {
    let mut answer = open(url, metadata, operation, params).await;
    let message = answer.message().await;
    let rest = answer.message().await;
    answer.end()?;
    assert_eq!(rest, None, "one message");
    let value = json_of(&method(operation).output(), &message.unwrap());
    Ok(if operation == "ListTasks" {
        filled(value)
    } else {
        value
    })
}

/// Members that are at their default are not sent, and that is how they are there.
fn filled(mut list: Value) -> Value {
    let defaults = json!({"tasks": [], "nextPageToken": "", "pageSize": 0, "totalSize": 0});
    for (name, default) in defaults.as_object().unwrap() {
        let members = list.as_object_mut().unwrap();
        members.entry(name).or_insert_with(|| default.clone());
    }
    list
}

async fn open(url: &str, metadata: &[(String, String)], operation: &str, params: &Value) -> Answer {
    let request = build(operation, params, false)
        .unwrap_or_else(|error| panic!("protobuf cannot say {params}: {error}"));
    let path = format!("/{SERVICE}/{operation}");
    let answer = post(url, &path, metadata, framed(&request.encode_to_vec())).await;
    assert_eq!(answer.status, StatusCode::OK);
    let kind = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
    assert!(kind.starts_with("application/grpc"), "{kind}");
    answer
}

/// The events of a stream.
#[derive(Debug)]
pub(crate) struct Stream {
    answer: Answer,
    first: Option<Bytes>,
    output: MessageDescriptor,
}

impl Stream {
    /// Opens one; what is refused is refused before the first event.
    pub(crate) async fn open(
        url: &str,
        metadata: &[(String, String)],
        operation: &str,
        params: &Value,
    ) -> Result<Self, Fault> {
        let mut answer = open(url, metadata, operation, params).await;
        let first = answer.message().await;
        if first.is_none() {
            answer.end()?;
        }
        let output = method(operation).output();
        Ok(Self {
            answer,
            first,
            output,
        })
    }

    /// The next event, and how it was written.
    pub(crate) async fn next(&mut self) -> Option<(Value, String)> {
        let message = match self.first.take() {
            Some(first) => Some(first),
            None => self.answer.message().await,
        };
        match message {
            Some(bytes) => Some((json_of(&self.output, &bytes), format!("{bytes:?}"))),
            None => {
                self.answer
                    .end()
                    .unwrap_or_else(|fault| panic!("{fault:#?}"));
                None
            }
        }
    }
}

//! The wire, byte for byte where it matters: every object, every error in both editions of the table, and one stream in both
//! bindings, against files that were written by hand from the specification. A change here is a change that peers see.

#![cfg(test)]

use std::collections::BTreeMap;
use std::time::Duration;

use a2a_proto::error::{A2aError, ErrorMap, FieldViolation, JsonRpcError};
use a2a_proto::jsonrpc::{Envelopes, Request};
use a2a_proto::sse::{Decoder, Frames};
use a2a_proto::types::*;
use http::{HeaderMap, StatusCode};
use pretty_assertions::assert_eq;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn same<T: DeserializeOwned + Serialize + Validate>(name: &str, example: &Value) {
    let text = example.to_string();
    let object: T =
        from_slice(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
    assert_eq!(&serde_json::to_value(&object).unwrap(), example, "{name}");
    // An empty object is a fine example of a shape, but a message with required fields would not be valid.
    if example != &json!({}) {
        assert_eq!(object.violations(), [], "{name}: {text}");
    }
}

/// Checks the file of one family; it must have exactly the objects of the list.
macro_rules! golden {
    ($file:literal: $($Name:ident),+ $(,)?) => {{
        let file = include_str!(concat!("golden/", $file, ".json"));
        let mut golden: BTreeMap<String, Vec<Value>> = serde_json::from_str(file).unwrap();
        $(
            let examples = golden.remove(stringify!($Name)).expect(stringify!($Name));
            for example in &examples {
                same::<$Name>(stringify!($Name), example);
            }
        )+
        assert!(golden.is_empty(), "examples of unknown objects: {golden:?}");
    }};
}

#[test]
fn every_object_is_written_as_the_specification_says() {
    golden!("core": Part, Message, Artifact, TaskStatus, Task);
    golden!("events": TaskStatusUpdateEvent, TaskArtifactUpdateEvent, StreamResponse, SendMessageResponse);
    golden!("requests":
        SendMessageConfiguration, SendMessageRequest, GetTaskRequest, ListTasksRequest, ListTasksResponse,
        CancelTaskRequest, SubscribeToTaskRequest, GetExtendedAgentCardRequest,
    );
    golden!("push":
        AuthenticationInfo, TaskPushNotificationConfig, GetTaskPushNotificationConfigRequest,
        DeleteTaskPushNotificationConfigRequest, ListTaskPushNotificationConfigsRequest,
        ListTaskPushNotificationConfigsResponse,
    );
    golden!("card":
        AgentCard, AgentInterface, AgentProvider, AgentCapabilities, AgentExtension, AgentSkill, AgentCardSignature,
    );
    golden!("security":
        StringList, SecurityRequirement, SecurityScheme, APIKeySecurityScheme, HTTPAuthSecurityScheme,
        OAuth2SecurityScheme, OpenIdConnectSecurityScheme, MutualTlsSecurityScheme, OAuthFlows,
        AuthorizationCodeOAuthFlow, ClientCredentialsOAuthFlow, ImplicitOAuthFlow, PasswordOAuthFlow,
        DeviceCodeOAuthFlow,
    );
}

fn errors() -> Vec<(&'static str, A2aError)> {
    let violation = |field: &str, description: &str| FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
    };
    let violations = vec![
        violation("message.parts", "is required"),
        violation("params", "expected an object"),
    ];
    vec![
        (
            "TaskNotFound",
            A2aError::TaskNotFound {
                task_id: "t-1".into(),
            },
        ),
        (
            "TaskNotCancelable",
            A2aError::TaskNotCancelable {
                task_id: "t-1".into(),
                state: TaskState::Completed,
            },
        ),
        (
            "PushNotificationNotSupported",
            A2aError::PushNotificationNotSupported,
        ),
        (
            "UnsupportedOperation",
            A2aError::UnsupportedOperation {
                what: "streaming".into(),
            },
        ),
        (
            "ContentTypeNotSupported",
            A2aError::ContentTypeNotSupported {
                media_type: "text/csv".into(),
            },
        ),
        (
            "InvalidAgentResponse",
            A2aError::InvalidAgentResponse {
                detail: "no task".into(),
            },
        ),
        (
            "ExtendedAgentCardNotConfigured",
            A2aError::ExtendedAgentCardNotConfigured,
        ),
        (
            "ExtensionSupportRequired",
            A2aError::ExtensionSupportRequired {
                uri: "urn:x".into(),
            },
        ),
        (
            "VersionNotSupported",
            A2aError::VersionNotSupported {
                version: "99.0".into(),
                supported: "1.0".into(),
            },
        ),
        ("InvalidParams", A2aError::InvalidParams { violations }),
        (
            "InvalidRequest",
            A2aError::InvalidRequest {
                detail: "no method".into(),
            },
        ),
        (
            "ParseError",
            A2aError::ParseError {
                detail: "EOF at line 1 column 0".into(),
            },
        ),
        (
            "MethodNotFound",
            A2aError::MethodNotFound {
                method: "tasks/fly".into(),
            },
        ),
        (
            "Unauthenticated",
            A2aError::Unauthenticated {
                detail: "send a bearer token".into(),
            },
        ),
        (
            "PermissionDenied",
            A2aError::PermissionDenied {
                detail: "cancel".into(),
            },
        ),
        (
            "Overloaded",
            A2aError::Overloaded {
                retry_after: Duration::from_secs(7),
            },
        ),
        ("TooLarge", A2aError::TooLarge { limit_bytes: 1024 }),
        (
            "Internal",
            A2aError::Internal {
                external: "internal error".into(),
                internal: "the disk is full".into(),
            },
        ),
    ]
}

#[test]
fn every_error_is_written_as_the_tables_say() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("golden/errors.json")).unwrap();
    let written: Vec<Value> = errors()
        .into_iter()
        .map(|(name, error)| {
            let body = |map| serde_json::from_slice::<Value>(&error.to_http_body(map)).unwrap();
            for map in [ErrorMap::V1_0_0, ErrorMap::V1_0_1] {
                let body = body(map);
                assert_eq!(
                    body["error"]["code"],
                    error.http_status(map).as_u16(),
                    "{name}"
                );
                assert_eq!(body["error"]["status"], error.grpc_status(map), "{name}");
            }
            json!({
                "error": name,
                "jsonRpcStatus": error.json_rpc_http_status().as_u16(),
                "jsonRpc": error.to_json_rpc(),
                "http1.0.1": body(ErrorMap::V1_0_1),
                "http1.0.0": body(ErrorMap::V1_0_0),
            })
        })
        .collect();
    assert_eq!(written, golden);
    assert!(
        !written
            .iter()
            .any(|error| error.to_string().contains("disk")),
        "an internal text leaves the process"
    );
}

#[test]
fn an_error_of_the_protocol_is_read_back_as_itself() {
    let (protocol, transport): (Vec<_>, Vec<_>) = errors()
        .into_iter()
        .partition(|(_, error)| error.code() > -32600);
    assert_eq!((protocol.len(), transport.len()), (9, 9));
    for (name, error) in &protocol {
        let json_rpc: JsonRpcError =
            serde_json::from_value(serde_json::to_value(error.to_json_rpc()).unwrap()).unwrap();
        assert_eq!(&A2aError::from_json_rpc(json_rpc), error, "{name}");
        for map in [ErrorMap::V1_0_0, ErrorMap::V1_0_1] {
            let read = A2aError::from_http(
                error.http_status(map),
                &HeaderMap::new(),
                &error.to_http_body(map),
            );
            assert_eq!(&read, error, "{name}");
        }
    }
    for (name, error) in transport {
        let read = A2aError::from_http(
            error.http_status(ErrorMap::V1_0_1),
            &HeaderMap::new(),
            &error.to_http_body(ErrorMap::V1_0_1),
        );
        // A status tells the kind; that of a wrong request is shared by bad JSON.
        let kind = std::mem::discriminant(&read);
        let same = kind == std::mem::discriminant(&error)
            || matches!(
                (&error, &read),
                (A2aError::ParseError { .. }, A2aError::InvalidRequest { .. })
            );
        assert!(same, "{name}: {read:?}");
    }
}

#[test]
fn errors_of_others_are_understood_without_details() {
    for (_, error) in errors() {
        let bare = JsonRpcError {
            code: error.code(),
            message: "as they say".into(),
            data: Value::Null,
        };
        assert_eq!(A2aError::from_json_rpc(bare).code(), error.code());
    }
    let odd = |data: Value| {
        A2aError::from_json_rpc(JsonRpcError {
            code: -32050,
            message: "odd".into(),
            data,
        })
    };
    for data in [
        json!(5),
        json!("x"),
        json!([null, [], {"@type": 7}]),
        json!({"a": 1}),
    ] {
        assert!(matches!(odd(data), A2aError::Internal { external, .. } if external == "odd"));
    }
    let html = A2aError::from_http(
        StatusCode::BAD_GATEWAY,
        &HeaderMap::new(),
        b"<html>\xff bad gateway",
    );
    assert!(html.to_string().contains("bad gateway"), "{html}");
}

#[test]
fn a_stream_is_written_and_read_in_both_bindings() {
    let events: Vec<StreamResponse> =
        serde_json::from_str(include_str!("golden/stream.json")).unwrap();
    let request =
        Request::parse(br#"{"jsonrpc":"2.0","id":"r-1","method":"SendStreamingMessage"}"#).unwrap();
    let envelopes = Envelopes::new(&request.id);
    let (mut json_rpc, mut http) = (Frames::default(), Frames::default());
    for (event, id) in events.iter().zip(1..) {
        let json = serde_json::to_vec(event).unwrap();
        json_rpc.push(Some(id), None, &[envelopes.head(), &json, Envelopes::TAIL]);
        http.push(Some(id), None, &[&json]);
    }
    let golden = include_str!("golden/stream-jsonrpc.txt");
    assert_eq!(std::str::from_utf8(&json_rpc.take()).unwrap(), golden);
    assert_eq!(
        std::str::from_utf8(&http.take()).unwrap(),
        include_str!("golden/stream-http-json.txt")
    );

    let mut decoder = Decoder::default();
    decoder.feed(golden.as_bytes());
    let mut read: Vec<StreamResponse> = Vec::new();
    while let Some(event) = decoder.next_event().unwrap() {
        read.push(a2a_proto::jsonrpc::read_response(&event.data).unwrap());
    }
    assert_eq!(read, events);
}

#[test]
fn older_versions_are_written_and_read_as_their_specifications_say() {
    use a2a_proto::dialect::{v01, v03};

    let file = include_str!("golden/dialects.json");
    let golden: BTreeMap<String, Vec<Value>> = serde_json::from_str(file).unwrap();
    let mut old = v01::EventStream::new("mine");
    for example in &golden["events"] {
        let event: StreamResponse = serde_json::from_value(example["canonical"].clone()).unwrap();
        assert_eq!(json(v03::Event::from(event.clone())), example["v03"]);
        let read: v03::Event = serde_json::from_value(example["v03"].clone()).unwrap();
        assert_eq!(read.into_response().unwrap(), event);
        assert_eq!(
            json(v03::rest::StreamResponse::from(event.clone())),
            example["rest"]
        );
        let read: v03::rest::StreamResponse =
            serde_json::from_value(example["rest"].clone()).unwrap();
        assert_eq!(read.into_response().unwrap(), event);
        assert_eq!(json(old.events(&event)), example["v01"]);
    }
    for example in &golden["sends"] {
        let send: SendMessageRequest =
            serde_json::from_value(example["canonical"].clone()).unwrap();
        assert_eq!(
            json(v03::MessageSendParams::from(send.clone())),
            example["v03"]
        );
        let read: v03::MessageSendParams = serde_json::from_value(example["v03"].clone()).unwrap();
        assert_eq!(read.into_request().unwrap(), send);
        assert_eq!(
            json(v03::rest::SendMessageRequest::from(send.clone())),
            example["rest"]
        );
        let read: v03::rest::SendMessageRequest =
            serde_json::from_value(example["rest"].clone()).unwrap();
        assert_eq!(read.into_request().unwrap(), send);
    }
}

fn json(object: impl Serialize) -> Value {
    serde_json::to_value(object).unwrap()
}

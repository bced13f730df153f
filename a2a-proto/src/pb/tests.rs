//! What holds for every message: it becomes bytes and comes back as it was; in 0.3 as far as that version can say it. And
//! what cannot be an object is told with its path.

use std::fmt::Debug;

use a2a_pb_types::well_known::{self, Kind};
use a2a_pb_types::{v0_3, v1_0};
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};

use super::v0_3::Create;
use super::{Proto, read};
use crate::types::tests::{Random, Sample};
use crate::types::*;

/// Over the wire and back.
fn there_and_back<T, P>(object: &T) -> T
where
    T: Proto<P>,
    P: prost::Message + Default,
{
    let bytes = object.to_pb().encode_to_vec();
    let pb = P::decode(bytes.as_slice()).unwrap();
    read(pb).unwrap_or_else(|error| panic!("{error}"))
}

fn survives<T, P>(seed: u64)
where
    T: Proto<P> + Sample + PartialEq + Debug,
    P: prost::Message + Default,
{
    let object = T::sample(&mut Random::new(seed));
    assert_eq!(there_and_back::<T, P>(&object), object);
}

/// What 0.3 leaves out is left out once: what comes back stays as it is.
fn settles<T, P>(seed: u64)
where
    T: Proto<P> + Sample + PartialEq + Debug,
    P: prost::Message + Default,
{
    let once = there_and_back::<T, P>(&T::sample(&mut Random::new(seed)));
    assert_eq!(there_and_back::<T, P>(&once), once);
}

macro_rules! every {
    ($check:ident, $seed:expr, $version:ident: $($Name:ident $(as $Pb:ident)?),+ $(,)?) => { $(
        $check::<$Name, every!(@pb $version $Name $($Pb)?)>($seed);
    )+ };
    (@pb $version:ident $Name:ident) => { $version::$Name };
    (@pb $version:ident $Name:ident $Pb:ident) => { $version::$Pb };
}

proptest! {
    #[test]
    fn every_object_of_1_0_comes_back_as_it_was(seed in any::<u64>()) {
        every!(survives, seed, v1_0:
            Part, Message, Artifact, TaskStatus, Task,
            TaskStatusUpdateEvent, TaskArtifactUpdateEvent, StreamResponse, SendMessageResponse,
            SendMessageConfiguration, SendMessageRequest, GetTaskRequest, ListTasksRequest, ListTasksResponse,
            CancelTaskRequest, SubscribeToTaskRequest, GetExtendedAgentCardRequest,
            AuthenticationInfo, TaskPushNotificationConfig, GetTaskPushNotificationConfigRequest,
            DeleteTaskPushNotificationConfigRequest, ListTaskPushNotificationConfigsRequest,
            ListTaskPushNotificationConfigsResponse,
            AgentCard, AgentInterface, AgentProvider, AgentCapabilities, AgentExtension, AgentSkill,
            AgentCardSignature,
            StringList, SecurityRequirement, SecurityScheme,
            APIKeySecurityScheme as ApiKeySecurityScheme, HTTPAuthSecurityScheme as HttpAuthSecurityScheme,
            OAuth2SecurityScheme, OpenIdConnectSecurityScheme, MutualTlsSecurityScheme,
            OAuthFlows, AuthorizationCodeOAuthFlow, ClientCredentialsOAuthFlow, ImplicitOAuthFlow,
            PasswordOAuthFlow, DeviceCodeOAuthFlow,
        );
    }

    #[test]
    fn every_object_of_0_3_comes_back_with_what_0_3_can_say(seed in any::<u64>()) {
        every!(settles, seed, v0_3:
            Part, Message, Artifact, TaskStatus, Task,
            TaskStatusUpdateEvent, TaskArtifactUpdateEvent, StreamResponse, SendMessageResponse,
            SendMessageConfiguration, SendMessageRequest, AgentCard, AgentCapabilities, AgentSkill,
            OAuth2SecurityScheme, SecurityScheme,
        );
        every!(survives, seed, v0_3:
            AgentProvider, AgentExtension, AgentCardSignature, StringList, SecurityRequirement as Security,
            AuthenticationInfo,
        );
    }

    #[test]
    fn parts_lose_in_0_3_only_the_file_name_of_what_is_no_file(seed in any::<u64>()) {
        let mut part = Part::sample(&mut Random::new(seed));
        let back = there_and_back::<Part, v0_3::Part>(&part);
        if matches!(part.content, PartContent::Text(_) | PartContent::Data(_)) {
            part.filename.clear();
            part.media_type.clear();
        }
        // The mark of a wrapped value takes the place of an empty object.
        let empty = part.metadata.as_ref().is_some_and(Metadata::is_empty);
        if empty && matches!(&part.content, PartContent::Data(value) if !value.is_object()) {
            part.metadata = None;
        }
        prop_assert_eq!(back, part);
    }

    #[test]
    fn bytes_of_any_kind_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(pb) = v1_0::SendMessageRequest::decode(bytes.as_slice()) {
            let _ = read::<SendMessageRequest, _>(pb);
        }
        if let Ok(pb) = v0_3::SendMessageRequest::decode(bytes.as_slice()) {
            let _ = read::<SendMessageRequest, _>(pb);
        }
        if let Ok(pb) = v1_0::AgentCard::decode(bytes.as_slice()) {
            let _ = read::<AgentCard, _>(pb);
        }
    }
}

fn violations<T: Proto<P>, P>(pb: P) -> Vec<String> {
    match read::<T, P>(pb).map(|_| ()) {
        Ok(()) => Vec::new(),
        Err(crate::error::A2aError::InvalidParams { violations }) => {
            violations.iter().map(ToString::to_string).collect()
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_is_no_object_is_told_with_its_path() {
    let request = v1_0::SendMessageRequest {
        message: Some(v1_0::Message {
            role: 7,
            parts: vec![v1_0::Part::default()],
            ..Default::default()
        }),
        configuration: None,
        ..Default::default()
    };
    assert_eq!(
        violations::<SendMessageRequest, _>(request),
        [
            "message.role: is not a number of the enum Role",
            "message.parts[0]: must have exactly one of text, raw, url, data",
        ]
    );
    let request = v1_0::ListTasksRequest {
        status_timestamp_after: Some(well_known::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        ..Default::default()
    };
    assert_eq!(
        violations::<ListTasksRequest, _>(request),
        ["statusTimestampAfter: is not a time of the years 1 to 9999"]
    );
    assert_eq!(
        violations::<StreamResponse, _>(v1_0::StreamResponse::default()),
        ["has none of its members: Task, Message, StatusUpdate, ArtifactUpdate"]
    );
    let name = |name: &str| v0_3::GetTaskRequest {
        name: name.to_owned(),
        ..Default::default()
    };
    for bad in ["t1", "tasks/", "tasks/a/b", "jobs/a"] {
        assert_eq!(
            violations::<GetTaskRequest, _>(name(bad)),
            ["name: must be of the form tasks/{id}"]
        );
    }
    let request = read::<GetTaskRequest, _>(name("tasks/t1")).unwrap();
    assert_eq!((request.id.as_str(), request.history_length), ("t1", None));
}

#[test]
fn a_thousand_mistakes_are_told_by_the_first_few() {
    let message = v1_0::Message {
        parts: vec![v1_0::Part::default(); 1000],
        ..Default::default()
    };
    assert_eq!(violations::<Message, _>(message).len(), 16);
}

#[test]
fn numbers_of_free_form_json_are_doubles() {
    let there = |value: Value| {
        let pb: well_known::Value = value.to_pb();
        read::<Value, _>(pb).unwrap()
    };
    for same in [
        json!(0),
        json!(-7),
        json!(1.5),
        json!(9_007_199_254_740_992_i64),
        json!(1e300),
        json!(-0.0),
        json!([null, {"a": [{}, []]}]),
    ] {
        assert_eq!(there(same.clone()), same);
    }
    // Beyond 2^53 digits get lost; a whole double is written as a whole number.
    assert_eq!(there(json!(u64::MAX)), json!(u64::MAX as f64));
    assert_eq!(there(json!(2.0)), json!(2));
    let nan = well_known::Value {
        kind: Some(Kind::NumberValue(f64::NAN)),
    };
    assert_eq!(
        violations::<Value, _>(nan),
        ["holds a number that JSON does not have"]
    );
    let none = well_known::Value { kind: None };
    assert_eq!(read::<Value, _>(none).unwrap(), Value::Null);
}

#[test]
fn times_are_cut_to_milliseconds_also_before_1970() {
    for (text, seconds, nanos) in [
        ("2026-01-02T03:04:05.678999Z", 1_767_323_045, 678_000_000),
        ("1969-12-31T23:59:59.9999Z", -1, 999_000_000),
        ("1969-12-31T23:59:58Z", -2, 0),
    ] {
        let time: jiff::Timestamp = text.parse().unwrap();
        let pb: well_known::Timestamp = time.to_pb();
        assert_eq!((pb.seconds, pb.nanos), (seconds, nanos), "{text}");
    }
}

#[test]
fn the_wire_of_a_message_is_what_the_field_tables_say() {
    let message = Message::user("m", vec![Part::text("hi")]);
    let pb: v1_0::Message = message.to_pb();
    assert_eq!(
        pb.encode_to_vec(),
        [
            0x0a, 1, b'm', // message_id (1)
            0x20, 1, // role (4) = ROLE_USER
            0x2a, 4, 0x0a, 2, b'h', b'i', // parts (5): text (1)
        ]
    );
    let pb: v0_3::Message = message.to_pb();
    // `content` has the number of `parts`, and `text` its number too.
    assert_eq!(pb.encode_to_vec()[5..], [0x2a, 4, 0x0a, 2, b'h', b'i']);

    let update = TaskArtifactUpdateEvent {
        task_id: "t".to_owned(),
        context_id: "c".to_owned(),
        artifact: Artifact::new("a", vec![Part::raw(vec![0xff])]),
        append: true,
        last_chunk: true,
        ..TaskArtifactUpdateEvent::default()
    };
    let pb: v1_0::StreamResponse = StreamResponse::from(update.clone()).to_pb();
    assert_eq!(
        pb.encode_to_vec(),
        [
            0x22, 20, // artifact_update (4)
            0x0a, 1, b't', 0x12, 1, b'c', // task_id (1), context_id (2)
            0x1a, 8, 0x0a, 1, b'a', 0x22, 3, 0x12, 1,
            0xff, // artifact (3): id (1), parts (4): raw (2)
            0x20, 1, 0x28, 1, // append (4), last_chunk (5)
        ]
    );
    let pb: v0_3::TaskArtifactUpdateEvent = update.to_pb();
    assert_eq!(
        pb.encode_to_vec()[6..],
        [
            0x1a, 10, 0x0a, 1, b'a', 0x2a, 5, 0x12, 3, 0x12, 1,
            0xff, // parts (5): file (2): bytes (2)
            0x20, 1, 0x28, 1,
        ]
    );
}

#[test]
fn an_event_of_0_3_is_final_when_the_task_has_ended_or_waits() {
    for (state, last) in [
        (TaskState::Submitted, false),
        (TaskState::Working, false),
        (TaskState::InputRequired, true),
        (TaskState::AuthRequired, true),
        (TaskState::Completed, true),
        (TaskState::Canceled, true),
    ] {
        let update = TaskStatusUpdateEvent {
            status: TaskStatus {
                state,
                ..TaskStatus::default()
            },
            ..TaskStatusUpdateEvent::default()
        };
        let pb: v0_3::TaskStatusUpdateEvent = update.to_pb();
        assert_eq!(pb.r#final, last, "{state}");
    }
}

#[test]
fn push_configurations_of_0_3_have_names() {
    let config = TaskPushNotificationConfig {
        task_id: "t".to_owned(),
        id: "c".to_owned(),
        url: "https://h/x".to_owned(),
        authentication: Some(AuthenticationInfo {
            scheme: "Bearer".to_owned(),
            credentials: "s".to_owned(),
        }),
        ..TaskPushNotificationConfig::default()
    };
    let pb: v0_3::TaskPushNotificationConfig = config.to_pb();
    assert_eq!(pb.name, "tasks/t/pushNotificationConfigs/c");
    assert_eq!(read::<TaskPushNotificationConfig, _>(pb).unwrap(), config);

    let create = Create(config.clone());
    let mut pb: v0_3::CreateTaskPushNotificationConfigRequest = create.to_pb();
    assert_eq!(read::<Create, _>(pb.clone()).unwrap(), create);
    // Clients put anything into the inner name, or nothing.
    pb.config.as_mut().unwrap().name = "whatever".to_owned();
    pb.config_id.clear();
    assert_eq!(read::<Create, _>(pb).unwrap().0, config);

    let names = v0_3::GetTaskPushNotificationConfigRequest {
        name: "tasks/t/pushNotificationConfigs/c".to_owned(),
    };
    let request = read::<GetTaskPushNotificationConfigRequest, _>(names).unwrap();
    assert_eq!((request.task_id.as_str(), request.id.as_str()), ("t", "c"));
}

#[test]
fn waiting_is_the_opposite_of_blocking() {
    let request = |configuration| v0_3::SendMessageRequest {
        configuration,
        ..Default::default()
    };
    let at_once = |configuration| {
        let request: SendMessageRequest = read(request(configuration)).unwrap();
        request
            .configuration
            .is_some_and(|configuration| configuration.return_immediately)
    };
    let blocking = |blocking| {
        Some(v0_3::SendMessageConfiguration {
            blocking,
            ..Default::default()
        })
    };
    assert_eq!(
        [
            at_once(None),
            at_once(blocking(true)),
            at_once(blocking(false))
        ],
        [false, false, true]
    );
    let pb: v0_3::SendMessageRequest = SendMessageRequest::default().to_pb();
    assert!(pb.configuration.unwrap().blocking);
}

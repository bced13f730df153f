//! What holds for every object: it survives the wire, in either spelling, with nulls and unknown fields thrown in; what it
//! writes is minimal; rubbish is refused and never panics.

use std::fmt::Debug;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Random, Sample};
use crate::dialect::{v01, v03};
use crate::types::*;

/// Fields that hold free-form JSON or maps with free keys: their inside keeps its spelling.
const FREE: &[&str] = &[
    "metadata",
    "params",
    "header",
    "data",
    "schemes",
    "security",
    "securitySchemes",
    "security_schemes",
    "scopes",
];

fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, c| {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        snake
    })
}

/// Rewrites all objects of the protocol inside `json`.
fn rewrite(json: &Value, with: &dyn Fn(Map<String, Value>) -> Map<String, Value>) -> Value {
    match json {
        Value::Array(items) => items.iter().map(|item| rewrite(item, with)).collect(),
        Value::Object(fields) => {
            let inner = fields.iter().map(|(name, value)| {
                let value = if FREE.contains(&name.as_str()) {
                    value.clone()
                } else {
                    rewrite(value, with)
                };
                (name.clone(), value)
            });
            Value::Object(with(inner.collect()))
        }
        other => other.clone(),
    }
}

fn survives<T>(seed: u64)
where
    T: Sample + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let object = T::sample(&mut Random::new(seed));
    let text = serde_json::to_string(&object).unwrap();
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), object, "{text}");

    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        serde_json::from_value::<T>(json.clone()).unwrap(),
        object,
        "from a value: {text}"
    );
    let spelt = rewrite(&json, &|fields| {
        fields
            .into_iter()
            .map(|(name, value)| (snake(&name), value))
            .collect()
    });
    assert_eq!(
        serde_json::from_value::<T>(spelt).unwrap(),
        object,
        "snake_case: {text}"
    );
    let strange = rewrite(&json, &|mut fields| {
        fields.insert("aFieldOfTomorrow".into(), json!({"deep": [1, {"text": 5}]}));
        fields
    });
    assert_eq!(
        serde_json::from_value::<T>(strange).unwrap(),
        object,
        "unknown fields: {text}"
    );
}

/// No `null`, no empty string, list or object that a reader could do without.
fn is_minimal<T: Sample + Serialize>(seed: u64, always: &[&str]) {
    let json = serde_json::to_value(T::sample(&mut Random::new(seed))).unwrap();
    let Value::Object(fields) = json else {
        panic!("an object")
    };
    for (name, value) in fields {
        let empty = value.is_null() || value == json!(false) || value == json!([]);
        assert!(!empty || always.contains(&name.as_str()), "{name}: {value}");
    }
}

fn refuses<T: DeserializeOwned + Debug>(json: &Value) {
    for wrong in [json!(null), json!(5), json!("x"), json!([]), json!(true)] {
        assert!(serde_json::from_value::<T>(wrong).is_err());
    }
    // Anything at all may be read or refused.
    let _ = serde_json::from_value::<T>(json.clone());
}

macro_rules! every_object {
    ($check:ident) => {
        every_object!($check:
            Part, Message, Artifact, TaskStatus, Task,
            TaskStatusUpdateEvent, TaskArtifactUpdateEvent, StreamResponse, SendMessageResponse,
            SendMessageConfiguration, SendMessageRequest, GetTaskRequest, ListTasksRequest, ListTasksResponse,
            CancelTaskRequest, SubscribeToTaskRequest, GetExtendedAgentCardRequest,
            AuthenticationInfo, TaskPushNotificationConfig, GetTaskPushNotificationConfigRequest,
            DeleteTaskPushNotificationConfigRequest, ListTaskPushNotificationConfigsRequest,
            ListTaskPushNotificationConfigsResponse,
            AgentCard, AgentInterface, AgentProvider, AgentCapabilities, AgentExtension, AgentSkill,
            AgentCardSignature,
            StringList, SecurityRequirement, SecurityScheme, APIKeySecurityScheme, HTTPAuthSecurityScheme,
            OAuth2SecurityScheme, OpenIdConnectSecurityScheme, MutualTlsSecurityScheme,
            OAuthFlows, AuthorizationCodeOAuthFlow, ClientCredentialsOAuthFlow, ImplicitOAuthFlow,
            PasswordOAuthFlow, DeviceCodeOAuthFlow,
            v03::Part, v03::Message, v03::Artifact, v03::TaskStatus, v03::Task, v03::TaskStatusUpdateEvent,
            v03::TaskArtifactUpdateEvent, v03::MessageSendConfiguration, v03::MessageSendParams, v03::TaskParams,
            v03::PushNotificationConfigParams, v03::TaskPushNotificationConfig, v03::AgentCard, v03::AgentSkill,
            v03::AgentCapabilities, v03::AgentInterface, v03::SecurityScheme, v03::OAuthFlows,
            v03::rest::Part, v03::rest::FilePart, v03::rest::DataPart, v03::rest::Message, v03::rest::Artifact,
            v03::rest::TaskStatus, v03::rest::Task, v03::rest::TaskStatusUpdateEvent,
            v03::rest::TaskArtifactUpdateEvent, v03::rest::SendMessageResponse, v03::rest::StreamResponse,
            v03::rest::SendMessageConfiguration, v03::rest::SendMessageRequest,
            v03::rest::TaskPushNotificationConfig, v03::rest::CreateTaskPushNotificationConfigRequest,
            v03::rest::ListTaskPushNotificationConfigResponse, v03::rest::ListTasksResponse,
            v01::SendParams, v01::TaskParams, v01::TaskPushNotificationConfig, v01::Message, v01::Part,
            v01::FileContent, v01::PushNotificationConfig, v01::PushNotificationAuthenticationInfo, v01::TaskStatus,
            v01::Artifact, v01::Task, v01::TaskStatusUpdateEvent, v01::TaskArtifactUpdateEvent,
        )
    };
    (survives: $($Name:ty),+ $(,)?) => { |seed: u64| { $( survives::<$Name>(seed); )+ } };
    (refuses: $($Name:ty),+ $(,)?) => { |json: &Value| { $( refuses::<$Name>(json); )+ } };
}

fn any_json() -> impl Strategy<Value = Value> {
    const NAMES: &str = "text|raw|url|data|metadata|parts|role|message|task|status|state|id|artifact|scopes|[a-z]{1,3}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zA-Z0-9_=+/:.-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(NAMES, inner, 0..5)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn every_object_survives_the_wire_in_every_spelling(seed in any::<u64>()) {
        every_object!(survives)(seed);
    }

    #[test]
    fn nothing_that_is_no_object_is_read_and_no_json_panics(json in any_json()) {
        every_object!(refuses)(&json);
    }

    #[test]
    fn output_is_minimal(seed in any::<u64>()) {
        is_minimal::<Message>(seed, &[]);
        is_minimal::<Task>(seed, &[]);
        is_minimal::<TaskArtifactUpdateEvent>(seed, &[]);
        is_minimal::<ListTasksRequest>(seed, &["includeArtifacts"]);
        is_minimal::<ListTasksResponse>(seed, &["tasks"]);
        is_minimal::<AgentCard>(seed, &["supportedInterfaces", "defaultInputModes", "defaultOutputModes", "skills"]);
    }

    #[test]
    fn a_null_is_an_unset_field(seed in any::<u64>()) {
        let task = Task::sample(&mut Random::new(seed));
        let mut json = serde_json::to_value(&task).unwrap();
        for name in ["id", "contextId", "status", "artifacts", "history", "metadata"] {
            let fields = json.as_object_mut().unwrap();
            fields.entry(name).or_insert(Value::Null);
        }
        prop_assert_eq!(serde_json::from_value::<Task>(json).unwrap(), task);
    }
}

//! There and back is the identity where 0.3 can say it; what it cannot say is put in order first.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;
use crate::dialect::part::make_sayable;
use crate::types::tests::{Random, Sample};
use crate::types::{self, PartContent, Role, TaskState};
use crate::version::ProtocolVersion;

fn sample<T: Sample>(seed: u64) -> T {
    T::sample(&mut Random::new(seed))
}

/// Over the wire: nothing may hide in an object that its JSON does not say.
fn wired<T: Serialize + DeserializeOwned>(object: &T) -> T {
    let text = serde_json::to_string(object).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn message(message: &mut types::Message) {
    message.parts.iter_mut().for_each(make_sayable);
    if message.role == Role::Unspecified {
        message.role = Role::Agent;
    }
}

fn task(task: &mut types::Task) {
    task.generation = 0;
    task.status.message.iter_mut().for_each(message);
    task.history.iter_mut().for_each(message);
    for artifact in &mut task.artifacts {
        artifact.parts.iter_mut().for_each(make_sayable);
    }
}

fn event(event: &mut types::StreamResponse) {
    event.set_generation(0);
    match event {
        types::StreamResponse::Task(it) => task(it),
        types::StreamResponse::Message(it) => message(it),
        types::StreamResponse::StatusUpdate(it) => it.status.message.iter_mut().for_each(message),
        types::StreamResponse::ArtifactUpdate(it) => {
            it.artifact.parts.iter_mut().for_each(make_sayable);
        }
    }
}

/// The REST objects have no member for what a message refers to.
fn refers_to_nothing(event: &mut types::StreamResponse) {
    let clear = |message: &mut types::Message| message.reference_task_ids.clear();
    match event {
        types::StreamResponse::Task(it) => {
            it.status.message.iter_mut().for_each(clear);
            it.history.iter_mut().for_each(clear);
        }
        types::StreamResponse::Message(it) => clear(it),
        types::StreamResponse::StatusUpdate(it) => it.status.message.iter_mut().for_each(clear),
        types::StreamResponse::ArtifactUpdate(_) => {}
    }
}

/// A valid send that 0.3 can say.
fn send(seed: u64) -> types::SendMessageRequest {
    let mut request: types::SendMessageRequest = sample(seed);
    request.tenant.clear();
    request.message.message_id = "m".to_owned();
    request.message.parts.push(types::Part::text("x"));
    message(&mut request.message);
    let configuration = request.configuration.get_or_insert_default();
    configuration.history_length = configuration.history_length.map(|length| length & 0xff);
    configuration.if_generation_match = None;
    if let Some(push) = &mut configuration.task_push_notification_config {
        push.tenant.clear();
        push.task_id.clear();
        push.url = "http://h/".to_owned();
        if let Some(info) = &mut push.authentication {
            info.scheme = "Bearer".to_owned();
        }
    }
    request
}

proptest! {
    #[test]
    fn every_event_comes_back_from_both_bindings(seed in any::<u64>()) {
        let mut object: types::StreamResponse = sample(seed);
        event(&mut object);
        let there = Event::from(object.clone());
        prop_assert_eq!(wired(&there).into_response().unwrap(), object.clone());
        prop_assert_eq!(there.is_final(), ends_stream(&object) && !matches!(object, types::StreamResponse::Task(_)));
        refers_to_nothing(&mut object);
        let there = rest::StreamResponse::from(object.clone());
        prop_assert_eq!(wired(&there).into_response().unwrap(), object);
    }

    #[test]
    fn every_answer_comes_back_from_both_bindings(seed in any::<u64>()) {
        let mut answer: types::Task = sample(seed);
        task(&mut answer);
        prop_assert_eq!(wired(&Task::from(answer.clone())).into_task().unwrap(), answer.clone());
        let there = Event::from(types::StreamResponse::Task(answer.clone()));
        prop_assert_eq!(wired(&there).into_answer().unwrap(), answer.clone().into());
        let mut answer = types::StreamResponse::Task(answer);
        refers_to_nothing(&mut answer);
        let types::StreamResponse::Task(answer) = answer else { unreachable!() };
        let there = rest::Task::from(answer.clone());
        prop_assert_eq!(&wired(&there).into_task().unwrap(), &answer);
        let answer = types::SendMessageResponse::Task(answer);
        let there = rest::SendMessageResponse::from(answer.clone());
        prop_assert_eq!(wired(&there).into_answer().unwrap(), answer);
    }

    #[test]
    fn every_send_comes_back_from_both_bindings(seed in any::<u64>()) {
        let mut request = send(seed);
        let there = MessageSendParams::from(request.clone());
        prop_assert_eq!(wired(&there).into_request().unwrap(), request.clone());
        request.message.reference_task_ids.clear();
        let there = rest::SendMessageRequest::from(request.clone());
        prop_assert_eq!(wired(&there).into_request().unwrap(), request);
    }

    #[test]
    fn every_push_configuration_comes_back_from_both_bindings(seed in any::<u64>()) {
        let mut config: types::TaskPushNotificationConfig = sample(seed);
        config.tenant.clear();
        config.task_id = "t".to_owned();
        config.id = "c".to_owned();
        config.url = "http://h/".to_owned();
        if let Some(info) = &mut config.authentication {
            info.scheme = "Bearer".to_owned();
        }
        let there = TaskPushNotificationConfig::from(config.clone());
        prop_assert_eq!(wired(&there).into_config().unwrap(), config.clone());
        let there = rest::TaskPushNotificationConfig::from(config.clone());
        prop_assert_eq!(wired(&there).into_config().unwrap(), config.clone());
        let whole = json!({"parent": "tasks/t", "config_id": "c", "config": &there});
        for body in [whole, serde_json::to_value(&there).unwrap()] {
            let create: rest::CreateTaskPushNotificationConfigRequest = serde_json::from_value(body).unwrap();
            prop_assert_eq!(create.into_config("t".to_owned()).unwrap(), config.clone());
        }
    }

    #[test]
    fn every_card_comes_back(seed in any::<u64>()) {
        let mut card: types::AgentCard = sample(seed);
        card.supported_interfaces.clear();
        for (url, binding) in [("http://h/", "JSONRPC"), ("http://h", "HTTP+JSON")] {
            card.supported_interfaces.push(types::AgentInterface {
                url: url.to_owned(),
                protocol_binding: binding.to_owned(),
                protocol_version: "0.3".to_owned(),
                ..Default::default()
            });
        }
        // A requirement of 0.3 that is said twice is one.
        card.security_requirements.truncate(1);
        card.skills.iter_mut().for_each(|skill| skill.security_requirements.truncate(1));
        let there = AgentCard::from(card.clone());
        prop_assert_eq!(wired(&there).into_card(ProtocolVersion::V0_3), card);
    }
}

#[test]
fn states_roles_and_kinds_are_the_words_of_the_specification() {
    let words = TaskState::ALL.iter().map(|state| {
        TaskStatus::from(types::TaskStatus {
            state: *state,
            ..Default::default()
        })
        .state
    });
    assert_eq!(
        words.collect::<Vec<_>>(),
        [
            "unknown",
            "submitted",
            "working",
            "completed",
            "failed",
            "canceled",
            "input-required",
            "rejected",
            "auth-required",
        ]
    );
    let kinds = [
        types::StreamResponse::Task(Default::default()),
        types::StreamResponse::Message(Default::default()),
        types::StreamResponse::StatusUpdate(Default::default()),
        types::StreamResponse::ArtifactUpdate(Default::default()),
    ]
    .map(|event| serde_json::to_value(Event::from(event)).unwrap()["kind"].clone());
    assert_eq!(
        kinds,
        ["task", "message", "status-update", "artifact-update"]
    );
}

#[test]
fn bad_sends_name_every_bad_field() {
    let refused = |message: serde_json::Value| {
        let params: MessageSendParams =
            serde_json::from_value(json!({ "message": message })).unwrap();
        params.into_request().unwrap_err().to_string()
    };
    for (message, error) in [
        (json!({}), "message: is required"),
        (
            json!({"kind": "message"}),
            "message.messageId: is required; message.role: is required; message.parts: is required",
        ),
        (
            json!({"kind": "task", "messageId": "m", "role": "ROLE_USER", "parts": [{"kind": "text", "text": "x"}]}),
            "message.kind: must be message; message.role: must be user or agent",
        ),
        (
            json!({"messageId": "m", "role": "user", "parts": [
                {"kind": "video"}, {"kind": "text"}, {"kind": "data", "data": [1]}, {"kind": "text", "data": {}}]}),
            "message.parts[0]: a part is a text, a file or data; message.parts[1]: exactly one of text, file, data must be set, \
             as its kind says; message.parts[2].data: expected an object; message.parts[3]: exactly one of text",
        ),
    ] {
        let text = refused(message);
        assert!(text.contains(error), "{text}");
    }
}

#[test]
fn who_says_nothing_about_waiting_waits_over_json_rpc_and_with_a_configuration_does_not_over_rest()
{
    let message =
        json!({"messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "x"}]});
    let at_once = |configuration: serde_json::Value| {
        let params = json!({"message": message, "configuration": configuration});
        let params: MessageSendParams = serde_json::from_value(params).unwrap();
        params
            .into_request()
            .unwrap()
            .configuration
            .unwrap_or_default()
            .return_immediately
    };
    assert!(!at_once(json!(null)));
    assert!(!at_once(json!({})));
    assert!(!at_once(json!({"blocking": true})));
    assert!(at_once(json!({"blocking": false})));

    let message = json!({"message_id": "m", "role": "ROLE_USER", "content": [{"text": "x"}]});
    let at_once = |configuration: serde_json::Value| {
        let params = json!({"request": message, "configuration": configuration});
        let params: rest::SendMessageRequest = serde_json::from_value(params).unwrap();
        params
            .into_request()
            .unwrap()
            .configuration
            .unwrap_or_default()
            .return_immediately
    };
    assert!(!at_once(json!(null)));
    assert!(!at_once(json!({"blocking": true})));
    assert!(at_once(json!({"accepted_output_modes": ["text/plain"]})));
}

#[test]
fn an_empty_member_of_a_file_is_none_over_rest() {
    let read = |file: serde_json::Value| {
        let message = json!({"message_id": "m", "role": 1, "content": [{"file": file}]});
        let request: rest::SendMessageRequest =
            serde_json::from_value(json!({ "message": message })).unwrap();
        request
            .into_request()
            .map(|request| request.message.parts[0].content.clone())
    };
    let raw = PartContent::Raw("hi".into());
    let url = PartContent::Url("http://h/".to_owned());
    assert_eq!(
        read(json!({"file_with_uri": "", "file_with_bytes": "aGk="})).unwrap(),
        raw
    );
    assert_eq!(
        read(json!({"fileWithUri": "http://h/", "fileWithBytes": ""})).unwrap(),
        url
    );
    assert_eq!(
        read(json!({"fileWithBytes": ""})).unwrap(),
        PartContent::Raw("".into())
    );
    assert!(read(json!({"fileWithUri": "http://h/", "fileWithBytes": "aGk="})).is_err());
    assert!(read(json!({"mimeType": "text/plain"})).is_err());
}

#[test]
fn several_flows_of_a_scheme_become_several_schemes_and_one_again() {
    let card = json!({
        "protocolVersion": "0.2.6", "name": "a", "version": "1", "description": "", "url": "http://h/",
        "capabilities": {}, "defaultInputModes": [], "defaultOutputModes": [], "skills": [],
        "securitySchemes": {"o": {"type": "oauth2", "flows": {
            "authorizationCode": {"authorizationUrl": "http://a", "tokenUrl": "http://t", "scopes": {"s": "all"}},
            "clientCredentials": {"tokenUrl": "http://t", "scopes": {}},
        }}},
        "security": [{"o": ["s"]}],
    });
    let old: AgentCard = serde_json::from_value(card.clone()).unwrap();
    let core = old.into_card(ProtocolVersion::V0_3);
    assert_eq!(core.supported_interfaces[0].protocol_version, "0.2");
    assert_eq!(core.supported_interfaces[0].protocol_binding, "JSONRPC");
    let named = |requirement: &types::SecurityRequirement| {
        requirement.schemes.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        core.security_schemes.keys().collect::<Vec<_>>(),
        ["o", "o.clientCredentials"]
    );
    assert_eq!(
        core.security_requirements
            .iter()
            .map(named)
            .collect::<Vec<_>>(),
        [["o"], ["o.clientCredentials"]]
    );
    let back = serde_json::to_value(AgentCard::from(core)).unwrap();
    assert_eq!(back["securitySchemes"], card["securitySchemes"]);
    assert_eq!(back["security"], card["security"]);
}

#[test]
fn times_without_an_offset_are_read_as_utc() {
    for text in [
        "2026-01-02T03:04:05.678901",
        "2026-01-02T03:04:05.678901+00:00",
        "2026-01-02T03:04:05.678Z",
    ] {
        let task: Task = serde_json::from_value(
            json!({"id": "t", "status": {"state": "working", "timestamp": text}}),
        )
        .unwrap();
        let time = task.into_task().unwrap().status.timestamp.unwrap();
        assert_eq!(time.to_string()[..23], *"2026-01-02T03:04:05.678", "{text}");
    }
}

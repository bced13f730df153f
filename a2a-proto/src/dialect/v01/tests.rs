//! There and back is the identity where 0.1 can say it; events as the specification shows them.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::part::make_sayable;
use crate::error::A2aError;
use crate::types::tests::{Random, Sample};
use crate::types::{self, Role, StreamResponse, TaskState, Validate as _};

/// What 0.1 has no word for.
fn message(message: &mut types::Message) {
    *message = types::Message {
        role: if message.role == Role::Unspecified {
            Role::Agent
        } else {
            message.role
        },
        parts: std::mem::take(&mut message.parts),
        metadata: message.metadata.take(),
        ..types::Message::default()
    };
    message.parts.iter_mut().for_each(make_sayable);
}

fn artifact(index: usize, artifact: &mut types::Artifact) {
    artifact.artifact_id = index.to_string();
    artifact.extensions.clear();
    artifact.parts.iter_mut().for_each(make_sayable);
}

proptest! {
    #[test]
    fn every_task_comes_back(seed in any::<u64>()) {
        let mut core = types::Task::sample(&mut Random::new(seed));
        core.generation = 0;
        core.status.message.iter_mut().for_each(message);
        core.history.iter_mut().for_each(message);
        core.artifacts.iter_mut().enumerate().for_each(|(index, it)| artifact(index, it));
        let text = serde_json::to_string(&task(&core, &core.id)).unwrap();
        let back: Task = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back.into_task().unwrap(), core);
    }

    #[test]
    fn every_send_comes_back(seed in any::<u64>()) {
        let mut request = types::SendMessageRequest::sample(&mut Random::new(seed));
        request.tenant.clear();
        let context_id = std::mem::take(&mut request.message.context_id);
        message(&mut request.message);
        request.message.message_id = "m".to_owned();
        request.message.context_id = context_id;
        request.message.parts.push(types::Part::text("x"));
        let mut configuration = request.configuration.take().unwrap_or_default();
        configuration.accepted_output_modes.clear();
        configuration.return_immediately = false;
        configuration.history_length = configuration.history_length.map(|length| length & 0xff);
        configuration.task_push_notification_config = None;
        configuration.if_generation_match = None;
        request.configuration = Some(configuration).filter(|it| *it != Default::default());
        let there = SendParams::from_request(request.clone(), "t".to_owned());
        let text = serde_json::to_string(&there).unwrap();
        let back: SendParams = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back.into_request("m".to_owned()).unwrap(), request);
    }

    #[test]
    fn every_event_of_a_task_comes_back(seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let mut status = types::TaskStatusUpdateEvent::sample(&mut random);
        status.status.message.iter_mut().for_each(message);
        let mut made = types::TaskArtifactUpdateEvent::sample(&mut random);
        artifact(0, &mut made.artifact);
        for mut event in [StreamResponse::from(status), StreamResponse::from(made)] {
            event.set_generation(0);
            match &mut event {
                StreamResponse::StatusUpdate(it) => it.task_id = "t".to_owned(),
                StreamResponse::ArtifactUpdate(it) => it.task_id = "t".to_owned(),
                StreamResponse::Task(_) | StreamResponse::Message(_) => {}
            }
            let told = EventStream::new("t").events(&event);
            let text = serde_json::to_string(&told).unwrap();
            let back: Vec<Event> = serde_json::from_str(&text).unwrap();
            let context_id = match &event {
                StreamResponse::StatusUpdate(it) => it.context_id.clone(),
                StreamResponse::ArtifactUpdate(it) => it.context_id.clone(),
                StreamResponse::Task(_) | StreamResponse::Message(_) => String::new(),
            };
            let back: Vec<_> = back.into_iter().map(|it| it.into_response(&context_id).unwrap()).collect();
            prop_assert_eq!(back, [event]);
        }
    }
}

fn told(stream: &mut EventStream, event: impl Into<StreamResponse>) -> Value {
    serde_json::to_value(stream.events(&event.into())).unwrap()
}

#[test]
fn a_whole_task_is_told_by_its_artifacts_and_its_status() {
    let mut stream = EventStream::new("mine");
    let mut core = types::Task {
        id: "server-1".to_owned(),
        ..Default::default()
    };
    core.status.state = TaskState::InputRequired;
    core.artifacts = vec![types::Artifact::new("a", vec![types::Part::text("x")])];
    assert_eq!(
        told(&mut stream, core),
        json!([
            {"id": "mine", "artifact": {"index": 0, "lastChunk": true, "parts": [{"type": "text", "text": "x"}]}},
            {"id": "mine", "status": {"state": "input-required"}, "final": false},
        ])
    );
    let update = types::TaskArtifactUpdateEvent {
        artifact: types::Artifact::new("b", vec![types::Part::text("y")]).with_name("b.txt"),
        append: true,
        ..Default::default()
    };
    assert_eq!(
        told(&mut stream, update),
        json!([{"id": "mine", "artifact":
            {"name": "b.txt", "index": 1, "append": true, "parts": [{"type": "text", "text": "y"}]}}])
    );
    for (state, word) in [
        (TaskState::InputRequired, "input-required"),
        (TaskState::Completed, "completed"),
    ] {
        let update = types::TaskStatusUpdateEvent {
            status: types::TaskStatus {
                state,
                ..Default::default()
            },
            ..Default::default()
        };
        assert_eq!(
            told(&mut stream, update),
            json!([{"id": "mine", "status": {"state": word}, "final": true}])
        );
    }
}

#[test]
fn the_codes_are_those_of_0_1() {
    let unsupported = A2aError::UnsupportedOperation {
        what: "x".to_owned(),
    };
    for (refused, code) in [
        (Refused::Streaming, -32006),
        (Refused::State, -32009),
        (Refused::Other, -32004),
    ] {
        assert_eq!(error(&unsupported, refused).code, code);
        let back = from_error(error(&unsupported, refused));
        assert!(
            matches!(back, A2aError::UnsupportedOperation { .. }),
            "{back}"
        );
    }
    let not_found = A2aError::TaskNotFound {
        task_id: "t".to_owned(),
    };
    assert_eq!(from_error(error(&not_found, Refused::Other)), not_found);
    let agent = A2aError::InvalidAgentResponse {
        detail: "x".to_owned(),
    };
    assert_eq!(error(&agent, Refused::Other).code, -32603);
}

#[test]
fn a_send_needs_a_task_and_parts() {
    let violations = SendParams::default().violations();
    let fields: Vec<_> = violations.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["id", "message"]);
}

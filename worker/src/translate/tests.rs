//! Driver events told as A2A events: transcripts of the pure translation, and its bounds.

use a2a_proto::activity::{PlanEntry, Usage};
use serde_json::{Value, json};

use super::*;

/// What a client gets for each event: the metadata and the text.
fn told(events: &[DriverEvent]) -> Vec<Value> {
    let tell = |told: Told| json!({ "activity": told.activity, "text": told.text });
    let mut narrator = Narrator::default();
    events
        .iter()
        .flat_map(|event| narrator.tell(event))
        .map(tell)
        .collect()
}

#[test]
fn every_kind_of_event_becomes_activity() {
    let call = ToolCall {
        name: "bash".to_owned(),
        title: "cargo test".to_owned(),
        kind: "execute".to_owned(),
        input: Some(json!({ "command": "cargo test" })),
        locations: vec!["src/lib.rs".to_owned()],
    };
    let id = || "call-1".to_owned();
    insta::assert_json_snapshot!(told(&[
        DriverEvent::Thought {
            message_id: "m1".to_owned(),
            delta: "let me see".to_owned()
        },
        DriverEvent::Text {
            message_id: "m1".to_owned(),
            delta: "I will test.".to_owned()
        },
        DriverEvent::ToolStarted { id: id(), call },
        DriverEvent::ToolUpdated {
            id: id(),
            call: ToolCall {
                title: "run the tests".to_owned(),
                ..ToolCall::default()
            }
        },
        DriverEvent::ToolOutput {
            id: id(),
            delta: "running 1 test\n".to_owned()
        },
        DriverEvent::ToolFinished {
            id: id(),
            failed: true,
            call: ToolCall::default()
        },
        DriverEvent::Plan(vec![
            PlanEntry {
                content: "look".to_owned(),
                priority: "high".to_owned(),
                status: PlanStatus::Completed
            },
            PlanEntry {
                content: "test".to_owned(),
                priority: String::new(),
                status: PlanStatus::InProgress
            },
        ]),
        DriverEvent::Usage(Usage {
            context_used: Some(1000),
            context_size: Some(128_000),
            ..Usage::default()
        }),
        DriverEvent::PermissionAsked {
            title: "write /etc/passwd".to_owned(),
            allowed: false
        },
        DriverEvent::TurnEnded(crate::driver::StopReason::EndTurn),
    ]));
}

#[test]
fn long_text_is_cut_between_characters_and_loses_nothing() {
    let delta = "aä€😀".repeat(20_000);
    let event = DriverEvent::Text {
        message_id: "m".to_owned(),
        delta: delta.clone(),
    };
    let pieces: Vec<String> = Narrator::default()
        .tell(&event)
        .into_iter()
        .map(|told| told.text)
        .collect();
    assert!(pieces.len() > 5 && pieces.iter().all(|piece| piece.len() <= MAX_PIECE));
    assert_eq!(pieces.concat(), delta);
}

#[test]
fn huge_tool_input_is_left_out() {
    let call = ToolCall {
        input: Some(json!("x".repeat(MAX_INPUT))),
        ..ToolCall::default()
    };
    let told = Narrator::default().tell(&DriverEvent::ToolStarted {
        id: "c".to_owned(),
        call,
    });
    assert!(matches!(&told[0].activity, Activity::Tool(tool) if tool.input.is_none()));
}

#[test]
fn changes_become_artifacts() {
    let file = |path: &str, content: Option<&'static [u8]>| ChangedFile {
        path: path.to_owned(),
        size: content.map_or(300_000, |content| content.len() as u64),
        content: content.map(Bytes::from_static),
    };
    let changes = Changes {
        origin: Some("aaaa".to_owned()),
        base: "bbbb".to_owned(),
        commit: "cccc".to_owned(),
        files: vec![
            file("src/main.rs", Some(b"fn main() {}\n")),
            file("data/a b#1.bin", None),
        ],
        deleted: vec!["old.txt".to_owned()],
        skipped: Vec::new(),
        patch: Some(Stored {
            size: 4,
            content: Some(Bytes::from_static(b"diff")),
        }),
        bundle: Some(Stored {
            size: 300_000,
            content: None,
        }),
    };
    insta::assert_json_snapshot!(artifacts(&changes, "http://127.0.0.1:8080/artifacts/t1"));
}

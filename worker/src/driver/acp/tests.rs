//! What an agent sends over the Agent Client Protocol, told as driver events. Recorded messages go in; no agent runs.

use agent_client_protocol::v1::schema as acp;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::output::Outputs;
use super::permission;
use super::update::Translator;
use crate::driver::{DriverEvent, ToolCall};

fn translate(updates: Vec<Value>) -> Vec<DriverEvent> {
    let mut translator = Translator::default();
    updates
        .into_iter()
        .flat_map(|update| translator.translate(serde_json::from_value(update).unwrap()))
        .collect()
}

#[test]
fn cumulative_output_leaves_as_differences() {
    let mut outputs = Outputs::default();
    for (text, expected) in [
        ("a\n", "a\n"),
        ("a\nb\n", "b\n"),
        ("a\nb\n", ""),
        ("a\nb\nä", "ä"),
        // The agent cut or replaced the output: what it says now is all there is.
        ("other", "other"),
        ("other text", " text"),
        ("", ""),
        ("anew", "anew"),
    ] {
        assert_eq!(outputs.delta("1", text), expected, "{text:?}");
    }
    assert_eq!(outputs.delta("2", "a\nb\n"), "a\nb\n");
    // A cut within a character of the old text is no continuation.
    outputs.delta("3", "ab");
    assert_eq!(outputs.delta("3", "ä"), "ä");
}

#[test]
fn difference_of_long_output_costs_no_memory() {
    let mut outputs = Outputs::default();
    let mut text = String::new();
    for number in 0..2_000 {
        let line = format!("line {number}\n");
        text.push_str(&line);
        assert_eq!(outputs.delta("1", &text), line);
    }
}

/// A turn as opencode 1.18.33 sends it.
#[test]
fn a_turn_of_opencode_becomes_events() {
    let output =
        |text: &str| json!([{ "type": "content", "content": { "type": "text", "text": text } }]);
    let events = translate(vec![
        json!({ "sessionUpdate": "available_commands_update", "availableCommands": [] }),
        json!({ "sessionUpdate": "agent_thought_chunk", "messageId": "m1", "content": { "type": "text", "text": "hm" } }),
        json!({ "sessionUpdate": "agent_message_chunk", "messageId": "m1", "content": { "type": "text", "text": "I test." } }),
        json!({ "sessionUpdate": "tool_call", "toolCallId": "c1", "title": "bash", "kind": "execute", "status": "pending", "locations": [], "rawInput": {} }),
        json!({ "sessionUpdate": "tool_call_update", "toolCallId": "c1", "status": "in_progress", "title": "bash", "rawInput": { "command": "make" } }),
        json!({ "sessionUpdate": "tool_call_update", "toolCallId": "c1", "status": "in_progress", "content": output("one\n") }),
        json!({ "sessionUpdate": "tool_call_update", "toolCallId": "c1", "status": "in_progress", "content": output("one\ntwo\n") }),
        json!({ "sessionUpdate": "tool_call_update", "toolCallId": "c1", "status": "completed", "content": output("one\ntwo\n"),
                "locations": [{ "path": "/workspace/src/a.rs" }], "rawOutput": { "output": "one\ntwo\n" } }),
        json!({ "sessionUpdate": "tool_call_update", "toolCallId": "c2", "status": "failed", "rawOutput": { "error": "no such tool" } }),
        json!({ "sessionUpdate": "usage_update", "used": 10, "size": 100, "cost": { "amount": 0.5, "currency": "USD" } }),
    ]);
    let id = || "c1".to_owned();
    let call = |title: &str| ToolCall {
        title: title.to_owned(),
        ..ToolCall::default()
    };
    let usage = a2a_proto::activity::Usage {
        context_used: Some(10),
        context_size: Some(100),
        cost: Some(a2a_proto::activity::Cost {
            amount: 0.5,
            currency: "USD".to_owned(),
        }),
        ..a2a_proto::activity::Usage::default()
    };
    assert_eq!(
        events,
        [
            DriverEvent::Thought {
                message_id: "m1".to_owned(),
                delta: "hm".to_owned()
            },
            DriverEvent::Text {
                message_id: "m1".to_owned(),
                delta: "I test.".to_owned()
            },
            DriverEvent::ToolStarted {
                id: id(),
                call: ToolCall {
                    kind: "execute".to_owned(),
                    ..call("bash")
                }
            },
            DriverEvent::ToolUpdated {
                id: id(),
                call: ToolCall {
                    input: Some(json!({ "command": "make" })),
                    ..ToolCall::default()
                }
            },
            DriverEvent::ToolOutput {
                id: id(),
                delta: "one\n".to_owned()
            },
            DriverEvent::ToolOutput {
                id: id(),
                delta: "two\n".to_owned()
            },
            DriverEvent::ToolFinished {
                id: id(),
                failed: false,
                call: ToolCall {
                    locations: vec!["src/a.rs".to_owned()],
                    ..ToolCall::default()
                }
            },
            DriverEvent::ToolOutput {
                id: "c2".to_owned(),
                delta: "no such tool".to_owned()
            },
            DriverEvent::ToolFinished {
                id: "c2".to_owned(),
                failed: true,
                call: ToolCall::default()
            },
            DriverEvent::Usage(usage),
        ]
    );
}

#[test]
fn permission_is_decided_by_place_and_prefers_the_narrow_option() {
    let ask = |paths: &[&str], kinds: &[&str]| {
        let options: Vec<Value> = kinds
            .iter()
            .map(|kind| json!({ "optionId": kind, "name": kind, "kind": kind }))
            .collect();
        let locations: Vec<Value> = paths.iter().map(|path| json!({ "path": path })).collect();
        let request: acp::RequestPermissionRequest = serde_json::from_value(json!({
            "sessionId": "s", "options": options,
            "toolCall": { "toolCallId": "c", "title": "write", "locations": locations },
        }))
        .unwrap();
        let (event, response) = permission::decide(&request);
        let DriverEvent::PermissionAsked { allowed, .. } = event else {
            panic!("{event:?}")
        };
        let outcome = serde_json::to_value(response).unwrap()["outcome"].clone();
        (
            allowed,
            outcome["optionId"]
                .as_str()
                .unwrap_or("cancelled")
                .to_owned(),
        )
    };
    let all = ["allow_always", "allow_once", "reject_always", "reject_once"];
    for (paths, kinds, expected) in [
        (&["/workspace/a"][..], &all[..], (true, "allow_once")),
        (&[], &all, (true, "allow_once")),
        (&["src/a", "/workspace"], &all, (true, "allow_once")),
        (
            &["/workspace/a", "/etc/passwd"],
            &all,
            (false, "reject_once"),
        ),
        (&["/workspace/../etc/passwd"], &all, (false, "reject_once")),
        (&["../x"], &all, (false, "reject_once")),
        (&["/workspaces/a"], &all, (false, "reject_once")),
        (&["/workspace/a"], &["allow_always"], (true, "allow_always")),
        (&["/etc"], &["allow_once"], (false, "cancelled")),
        (&["/workspace/a"], &["reject_once"], (false, "cancelled")),
    ] {
        assert_eq!(
            ask(paths, kinds),
            (expected.0, expected.1.to_owned()),
            "{paths:?} {kinds:?}"
        );
    }
}

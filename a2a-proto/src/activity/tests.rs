//! The wire form of activities: other programs read it.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::types::Part;

fn activities() -> Vec<(Activity, Value)> {
    vec![
        (
            Activity::Text {
                delta: "Hel".into(),
                message_id: "m".into(),
            },
            json!({"kind":"text","delta":"Hel","messageId":"m"}),
        ),
        (
            Activity::Thought {
                delta: "hm".into(),
                message_id: "m".into(),
            },
            json!({"kind":"thought","delta":"hm","messageId":"m"}),
        ),
        (
            Activity::Tool(ToolActivity {
                id: "c1".into(),
                name: "bash".into(),
                title: "ls".into(),
                tool_kind: "execute".into(),
                state: ToolState::Running,
                input: Some(json!({"command":"ls"})),
                output_delta: "a\n".into(),
                locations: vec!["/w/a".into()],
            }),
            json!({"kind":"tool","id":"c1","name":"bash","title":"ls","toolKind":"execute","state":"running",
                "input":{"command":"ls"},"outputDelta":"a\n","locations":["/w/a"]}),
        ),
        (
            Activity::Usage(Usage {
                input_tokens: Some(10),
                cost: Some(Cost {
                    amount: 0.25,
                    currency: "USD".into(),
                }),
                ..Usage::default()
            }),
            json!({"kind":"usage","inputTokens":10,"cost":{"amount":0.25,"currency":"USD"}}),
        ),
        (
            Activity::Plan {
                entries: vec![PlanEntry {
                    content: "write tests".into(),
                    priority: String::new(),
                    status: PlanStatus::InProgress,
                }],
            },
            json!({"kind":"plan","entries":[{"content":"write tests","status":"in_progress"}]}),
        ),
    ]
}

#[test]
fn every_activity_is_written_as_promised_and_read_back() {
    for (activity, json) in activities() {
        let message = Message::agent("m", vec![Part::text("for people")]);
        let event = activity.event("t", "c", message, Timestamp::UNIX_EPOCH);
        assert_eq!(event.metadata.as_ref().unwrap()[ACTIVITY_URI], json);
        assert!(is_activity(&event));
        assert_eq!(Activity::from_event(&event).unwrap(), Some(activity));
    }
}

#[test]
fn a_sparse_tool_event_is_enough_and_a_strange_one_is_an_error() {
    let read = |json: Value| {
        let event = TaskStatusUpdateEvent {
            metadata: Some(Metadata::from_iter([(ACTIVITY_URI.to_owned(), json)])),
            ..TaskStatusUpdateEvent::default()
        };
        Activity::from_event(&event)
    };
    assert!(matches!(
        read(json!({"kind":"tool","id":"c","state":"failed","extra":1})),
        Ok(Some(Activity::Tool(ToolActivity {
            state: ToolState::Failed,
            ..
        })))
    ));
    assert!(read(json!({"kind":"dance"})).is_err());
    assert!(read(json!(5)).is_err());
    assert_eq!(
        Activity::from_event(&TaskStatusUpdateEvent::default()).unwrap(),
        None
    );
}

#[test]
fn a_result_is_found_in_metadata() {
    let result = TurnResult {
        base_commit: Some("abc".into()),
        commit: Some("def".into()),
        stop_reason: "end_turn".into(),
        steps: 3,
        usage: Usage {
            output_tokens: Some(5),
            ..Usage::default()
        },
    };
    let metadata = result.to_metadata();
    assert_eq!(
        metadata[RESULT_URI],
        json!({"baseCommit":"abc","commit":"def","stopReason":"end_turn","steps":3,"usage":{"outputTokens":5}})
    );
    assert_eq!(
        TurnResult::from_metadata(Some(&metadata)).unwrap(),
        Some(result)
    );
    assert_eq!(TurnResult::from_metadata(None).unwrap(), None);
}

//! The dialect against the exchange that it was made for, and its conversions.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::activity::Activity;
use crate::types::{
    Artifact, Message, Part, PartContent, StreamResponse, Task, TaskArtifactUpdateEvent, TaskState,
    TaskStatus, TaskStatusUpdateEvent,
};

fn status(state: TaskState, message: Option<Message>) -> StreamResponse {
    let status = TaskStatus {
        state,
        message,
        timestamp: None,
    };
    TaskStatusUpdateEvent {
        task_id: "server-1".into(),
        status,
        ..TaskStatusUpdateEvent::default()
    }
    .into()
}

fn says(text: &str) -> Message {
    Message::agent("m", vec![Part::text(text)])
}

fn artifact(artifact: Artifact, append: bool) -> StreamResponse {
    TaskArtifactUpdateEvent {
        task_id: "server-1".into(),
        artifact,
        append,
        ..Default::default()
    }
    .into()
}

fn frames(stream: &mut SimpleStream, event: &StreamResponse) -> Vec<(&'static str, Value)> {
    let frames = stream.frames(event);
    frames
        .into_iter()
        .map(|frame| (frame.event, serde_json::from_slice(&frame.data).unwrap()))
        .collect()
}

#[test]
fn the_shortest_request_is_enough() {
    let body =
        br#"{"id": "task-123", "message": {"role": "user", "parts": [{"text": "Build API"}]}}"#;
    let received = read_send(body, "m-1".into()).unwrap();
    assert_eq!(
        (received.client_id.as_str(), received.form),
        ("task-123", Form::Short)
    );
    assert_eq!(
        received.request.message,
        Message::user("m-1", vec![Part::text("Build API")])
    );
}

#[test]
fn a_json_rpc_envelope_and_every_kind_of_part_are_read() {
    let body = json!({"jsonrpc":"2.0","id":1,"method":"tasks/send","params":{"id":"t","sessionId":"s","historyLength":2,
        "message":{"parts":[{"type":"text","text":"a"},{"type":"data","data":{"b":1}},{"kind":"text","text":"k"},
            {"type":"file","file":{"name":"f","mimeType":"text/x","bytes":"aGk="}},
            {"type":"file","file":{"uri":"http://h/x"}}]}}});
    let received = read_send(body.to_string().as_bytes(), "m".into()).unwrap();
    let request = received.request;
    assert_eq!(received.form, Form::V01);
    assert_eq!(
        (
            received.client_id.as_str(),
            request.message.context_id.as_str()
        ),
        ("t", "s")
    );
    assert_eq!(request.configuration.unwrap().history_length, Some(2));
    assert_eq!(
        request.message.parts,
        [
            Part::text("a"),
            Part::data(json!({"b":1})),
            Part::text("k"),
            Part::raw("hi").with_filename("f").with_media_type("text/x"),
            Part::url("http://h/x"),
        ]
    );
}

#[test]
fn a_type_at_any_part_means_v0_1() {
    for (parts, form) in [
        (json!([{"text": "a"}, {"data": {}}]), Form::Short),
        (json!([{"type": "", "text": "a"}]), Form::Short),
        (
            json!([{"text": "a"}, {"type": "data", "data": {}}]),
            Form::V01,
        ),
    ] {
        let body = json!({"id": "t", "message": {"parts": parts}}).to_string();
        assert_eq!(
            read_send(body.as_bytes(), "m".into()).unwrap().form,
            form,
            "{body}"
        );
    }
    for form in [Form::Short, Form::V01] {
        assert_eq!(Form::from_word(form.word()), form);
    }
    assert_eq!(Form::from_word("v9"), Form::V01);
}

#[test]
fn bad_requests_name_every_bad_field() {
    for (body, error) in [
        ("{", "invalid JSON"),
        (
            "{}",
            "invalid parameters: id: is required; message: is required",
        ),
        (
            r#"{"id":"t","message":{"parts":[]}}"#,
            "message: is required",
        ),
        (
            r#"{"id":"t","message":{"role":"user","parts":[]}}"#,
            "message.parts: is required",
        ),
        (r#"{"id":5}"#, "id: expected a string, found integer"),
        (
            r#"{"id":"t","message":{"role":"boss","parts":[{"type":"x"},{"text":"a","data":{}}]}}"#,
            "message.role: must be user or agent; message.parts[0]: a part is a text, a file or data; message.parts[1]: exactly one",
        ),
        (
            r#"{"id":"t","message":{"parts":[{"file":{}}]}}"#,
            "message.parts[0]: a file has either bytes or a uri",
        ),
    ] {
        let text = read_send(body.as_bytes(), "m".into())
            .unwrap_err()
            .to_string();
        assert!(text.contains(error), "{text}");
    }
}

/// A run with an event of every kind.
fn run() -> [StreamResponse; 5] {
    let submitted = TaskStatus {
        state: TaskState::Submitted,
        ..Default::default()
    };
    let file = Part::raw("hi")
        .with_filename("models.py")
        .with_media_type("text/x-python");
    [
        StreamResponse::Task(Task {
            id: "server-1".into(),
            status: submitted,
            ..Task::default()
        }),
        status(TaskState::Working, None),
        status(TaskState::Working, Some(says("Adding API routes..."))),
        artifact(Artifact::new("a", vec![file]), false),
        status(TaskState::Completed, Some(says("done"))),
    ]
}

fn whole(form: Form) -> Vec<(&'static str, Value)> {
    let mut stream = SimpleStream::new("task-123", form);
    run()
        .iter()
        .flat_map(|event| frames(&mut stream, event))
        .collect()
}

#[test]
fn a_whole_run_in_the_short_form() {
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    assert_eq!(
        whole(Form::Short),
        [
            (
                "task.status",
                json!({"id": "task-123", "status": "submitted", "final": false})
            ),
            (
                "task.status",
                json!({"id": "task-123", "status": "running", "final": false})
            ),
            (
                "task.message",
                json!({"id": "task-123", "role": "agent", "parts": text("Adding API routes...")})
            ),
            (
                "task.artifact",
                json!({"id": "task-123", "artifactId": "a", "name": "models.py", "index": 0, "append": false,
                "lastChunk": false, "mimeType": "text/x-python", "data": "aGk="})
            ),
            (
                "task.message",
                json!({"id": "task-123", "role": "agent", "parts": text("done")})
            ),
            (
                "task.status",
                json!({"id": "task-123", "status": "completed", "final": true, "artifacts": ["models.py"],
                "message": {"role": "agent", "parts": text("done")}})
            ),
        ]
    );
}

#[test]
fn a_whole_run_in_the_form_of_v0_1() {
    let says = |text: &str| json!({"role": "agent", "parts": [{"type": "text", "text": text}]});
    let file = json!({"name": "models.py", "mimeType": "text/x-python", "bytes": "aGk="});
    assert_eq!(
        whole(Form::V01),
        [
            (
                "task.status",
                json!({"id": "task-123", "status": {"state": "submitted"}, "final": false})
            ),
            (
                "task.status",
                json!({"id": "task-123", "status": {"state": "working"}, "final": false})
            ),
            (
                "task.message",
                json!({"id": "task-123", "message": says("Adding API routes...")})
            ),
            (
                "task.artifact",
                json!({"id": "task-123", "artifact": {"index": 0, "parts": [{"type": "file", "file": file}]}})
            ),
            (
                "task.message",
                json!({"id": "task-123", "message": says("done")})
            ),
            (
                "task.status",
                json!({"id": "task-123", "status": {"state": "completed", "message": says("done")}, "final": true})
            ),
        ]
    );
}

#[test]
fn what_follows_skipped_events_is_told_as_if_they_had_been_seen() {
    for form in [Form::Short, Form::V01] {
        let mut stream = SimpleStream::new("task-123", form);
        let told: Vec<_> = run()
            .iter()
            .map(|event| frames(&mut stream, event))
            .collect();
        for seen in 0..told.len() {
            let mut stream = SimpleStream::new("task-123", form);
            run()[..seen].iter().for_each(|event| stream.skip(event));
            let rest: Vec<_> = run()[seen..]
                .iter()
                .map(|event| frames(&mut stream, event))
                .collect();
            assert_eq!(rest, told[seen..], "{form:?} after {seen}");
        }
    }
}

#[test]
fn words_that_were_streamed_are_not_repeated_at_the_end() {
    let mut stream = SimpleStream::new("t", Form::Short);
    let activity = Activity::Text {
        delta: "done".into(),
        message_id: "m".into(),
    };
    let event = activity.event("server-1", "c", says("done"), jiff::Timestamp::UNIX_EPOCH);
    let events: Vec<_> = frames(&mut stream, &event.into())
        .into_iter()
        .map(|(event, _)| event)
        .collect();
    assert_eq!(events, ["task.message", "task.status"]);
    let events: Vec<_> = frames(
        &mut stream,
        &status(TaskState::Completed, Some(says("done"))),
    )
    .into_iter()
    .map(|(event, _)| event)
    .collect();
    assert_eq!(events, ["task.status"]);
}

#[test]
fn a_failure_says_why() {
    let mut stream = SimpleStream::new("t", Form::Short);
    let frames = frames(
        &mut stream,
        &status(TaskState::Failed, Some(says("the model is dead"))),
    );
    assert_eq!(frames[1].1["error"], "the model is dead");
    assert_eq!(frames[1].1["final"], true);
}

#[test]
fn artifacts_keep_their_index_over_a_resume() {
    let first = Artifact::new("a", vec![Part::text("x")]).with_name("a.txt");
    let mut stream = SimpleStream::new("t", Form::Short);
    stream.skip(&artifact(first.clone(), false));
    let second = Artifact::new("b", vec![Part::text("1"), Part::data(json!([1]))]);
    let data = &frames(&mut stream, &artifact(second, false))[0].1;
    assert_eq!(data["index"], 1);
    assert_eq!(
        data["artifact"]["parts"][1],
        json!({"type":"data","data":{"value":[1]},"metadata":{"data_part_compat":true}})
    );
    assert_eq!(frames(&mut stream, &artifact(first, true))[0].1["index"], 0);
}

#[test]
fn a_stored_task_has_the_shape_of_v0_1() {
    let canonical = Task {
        id: "server-1".into(),
        context_id: "c".into(),
        status: TaskStatus {
            state: TaskState::Working,
            message: Some(says("hm")),
            timestamp: Some(jiff::Timestamp::UNIX_EPOCH),
        },
        artifacts: vec![
            Artifact::new("a", vec![Part::url("http://h/x").with_filename("x")]).with_name("x"),
        ],
        history: vec![Message::user("m", vec![Part::text("go")])],
        metadata: None,
        ..Task::default()
    };
    let json = serde_json::to_value(crate::dialect::v01::task(&canonical, "task-123")).unwrap();
    assert_eq!(
        json,
        json!({"id":"task-123","sessionId":"c","history":[{"role":"user","parts":[{"type":"text","text":"go"}]}],
            "status":{"state":"working","timestamp":"1970-01-01T00:00:00.000Z","message":{"role":"agent","parts":[{"type":"text","text":"hm"}]}},
            "artifacts":[{"name":"x","index":0,"lastChunk":true,"parts":[{"type":"file","file":{"name":"x","uri":"http://h/x"}}]}]})
    );
    assert!(matches!(
        canonical.artifacts[0].parts[0].content,
        PartContent::Url(_)
    ));
}

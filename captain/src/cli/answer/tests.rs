//! A worker's stream as a person sees it.

use a2a_proto::activity::ToolActivity;
use a2a_proto::types::{Part, TaskArtifactUpdateEvent, TaskStatus, TaskStatusUpdateEvent};
use pretty_assertions::assert_eq;

use super::*;

fn task() -> StreamResponse {
    let status = TaskStatus {
        state: TaskState::Submitted,
        ..TaskStatus::default()
    };
    StreamResponse::Task(Task {
        id: "t1".into(),
        context_id: "c1".into(),
        status,
        ..Task::default()
    })
}

fn update(state: TaskState, text: &str, activity: Option<Activity>) -> StreamResponse {
    let message = (!text.is_empty()).then(|| Message::agent("m", vec![Part::text(text)]));
    StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
        task_id: "t1".into(),
        context_id: "c1".into(),
        status: TaskStatus {
            state,
            message,
            ..TaskStatus::default()
        },
        metadata: activity.map(|activity| activity.to_metadata()),
        ..TaskStatusUpdateEvent::default()
    })
}

fn said(delta: &str) -> StreamResponse {
    let activity = Activity::Text {
        delta: delta.to_owned(),
        message_id: "m".to_owned(),
    };
    update(TaskState::Working, delta, Some(activity))
}

fn tool(state: ToolState, title: &str) -> StreamResponse {
    let tool = ToolActivity {
        id: "1".to_owned(),
        name: "bash".to_owned(),
        title: title.to_owned(),
        tool_kind: "execute".to_owned(),
        state,
        input: None,
        output_delta: String::new(),
        locations: Vec::new(),
    };
    update(TaskState::Working, title, Some(Activity::Tool(tool)))
}

fn made(name: &str) -> StreamResponse {
    StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
        artifact: Artifact {
            artifact_id: format!("file:{name}"),
            name: name.to_owned(),
            ..Artifact::default()
        },
        ..TaskArtifactUpdateEvent::default()
    })
}

fn shown(events: &[StreamResponse]) -> (String, Answer) {
    let mut answer = Answer::default();
    let mut text: String = events.iter().map(|event| answer.take(event)).collect();
    text.push_str(&answer.rest(false));
    (text, answer)
}

#[test]
fn words_tools_and_files_are_shown_as_they_come() {
    let (text, answer) = shown(&[
        task(),
        said("I will "),
        said("do it.\u{1b}[2J"),
        tool(ToolState::Running, "python3 hello.py"),
        tool(ToolState::Completed, "python3 hello.py"),
        tool(ToolState::Failed, "ls"),
        said("Done."),
        made("hello.py"),
        made("hello.py"),
        update(TaskState::Completed, "Done.", None),
    ]);
    assert_eq!(text, "I will do it.[2J\n▸ python3 hello.py\n✘ ls\nDone.\n");
    assert_eq!(
        answer.notes("dev"),
        [
            "made hello.py",
            "task t1",
            "go on with: captain workers send dev --context c1 \"…\""
        ]
    );
    assert_eq!(answer.judge().unwrap(), Exit::Ok);
}

#[test]
fn an_answer_without_a_stream_is_its_last_word() {
    let (text, _) = shown(&[task(), update(TaskState::Completed, "42", None)]);
    assert_eq!(text, "42\n");
    let (text, answer) = shown(&[StreamResponse::Message(Message::agent(
        "m",
        vec![Part::text("hi")],
    ))]);
    assert_eq!(text, "hi\n");
    assert_eq!(answer.judge().unwrap(), Exit::Ok);
}

#[test]
fn a_question_is_shown_and_a_failure_told() {
    let (text, answer) = shown(&[
        task(),
        said("hm"),
        update(TaskState::InputRequired, "May I?", None),
    ]);
    assert_eq!(
        (text.as_str(), answer.judge().unwrap()),
        ("hm\nMay I?\n", Exit::Ok)
    );
    let (text, answer) = shown(&[task(), update(TaskState::Failed, "no key", None)]);
    assert_eq!(text, "");
    assert_eq!(answer.judge().unwrap_err().exit(), Exit::WorkFailed);
    let (_, answer) = shown(&[task(), said("x")]);
    assert_eq!(answer.judge().unwrap_err().exit(), Exit::Unavailable);
}

#[test]
fn a_task_is_described_in_lines() {
    let task = Task {
        status: TaskStatus {
            state: TaskState::Completed,
            message: Some(Message::agent("m", vec![Part::text("All good.")])),
            ..TaskStatus::default()
        },
        artifacts: vec![Artifact {
            artifact_id: "patch".into(),
            name: "changes.patch".into(),
            ..Artifact::default()
        }],
        ..Task::default()
    };
    assert_eq!(
        describe(&task),
        "completed\nAll good.\nmade changes.patch\n"
    );
}

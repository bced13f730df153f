//! How a task grows by its events.

use pretty_assertions::assert_eq;
use serde_json::json;

use crate::activity::Activity;
use crate::types::*;

fn status(state: TaskState, text: &str) -> TaskStatusUpdateEvent {
    let message = (!text.is_empty()).then(|| Message::agent(text, vec![Part::text(text)]));
    TaskStatusUpdateEvent {
        status: TaskStatus {
            state,
            message,
            timestamp: None,
        },
        ..TaskStatusUpdateEvent::default()
    }
}

fn artifact(id: &str, text: &str, append: bool) -> TaskArtifactUpdateEvent {
    let artifact = Artifact::new(id, vec![Part::text(text)]);
    TaskArtifactUpdateEvent {
        artifact,
        append,
        ..TaskArtifactUpdateEvent::default()
    }
}

fn texts(task: &Task) -> Vec<Vec<&str>> {
    task.artifacts
        .iter()
        .map(|artifact| artifact.parts.iter().filter_map(Part::as_text).collect())
        .collect()
}

#[test]
fn a_new_status_pushes_the_message_of_the_old_one_into_the_history() {
    let mut task = Task {
        history: vec![Message::user("go", vec![Part::text("go")])],
        ..Task::default()
    };
    task.apply(&status(TaskState::Working, "one").into());
    assert_eq!(task.history.len(), 1);
    task.apply(&status(TaskState::Working, "").into());
    task.apply(&status(TaskState::Completed, "two").into());
    let history: Vec<_> = task.history.iter().map(Message::text).collect();
    assert_eq!(history, ["go", "one"]);
    assert_eq!(task.status.message.unwrap().text(), "two");
}

#[test]
fn activity_moves_the_state_and_leaves_no_other_trace() {
    let mut task = Task::default();
    task.apply(&status(TaskState::Submitted, "kept").into());
    let activity = Activity::Thought {
        delta: "hm".into(),
        message_id: "m".into(),
    };
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    task.apply(
        &activity
            .event("t", "c", Message::agent("m", vec![Part::text("hm")]), now)
            .into(),
    );
    assert_eq!(task.status.state, TaskState::Working);
    assert_eq!(task.status.timestamp, Some(now));
    assert_eq!(task.status.message.as_ref().unwrap().text(), "kept");
    assert_eq!((task.history.len(), &task.metadata), (0, &None));
}

#[test]
fn artifacts_are_created_replaced_and_appended_to() {
    let mut task = Task::default();
    for (id, text, append) in [
        ("a", "1", false),
        ("b", "1", true),
        ("a", "2", true),
        ("a", "3", true),
        ("b", "2", false),
    ] {
        task.apply(&artifact(id, text, append).into());
    }
    assert_eq!(texts(&task), [vec!["1", "2", "3"], vec!["2"]]);
}

#[test]
fn metadata_is_merged_by_key() {
    let mut task = Task::default();
    for metadata in [json!({"a": 1, "b": 1}), json!({"b": 2})] {
        let mut update = status(TaskState::Working, "");
        update.metadata = metadata.as_object().cloned();
        task.apply(&update.into());
    }
    assert_eq!(
        serde_json::Value::from(task.metadata.unwrap()),
        json!({"a": 1, "b": 2})
    );
}

#[test]
fn a_snapshot_replaces_everything() {
    let mut task = Task {
        id: "old".into(),
        ..Task::default()
    };
    let new = Task {
        id: "new".into(),
        ..Task::default()
    };
    task.apply(&StreamResponse::Task(new.clone()));
    assert_eq!(task, new);
}

#[test]
fn only_terminal_states_and_direct_answers_end_a_stream() {
    use TaskState::{
        AuthRequired, Canceled, Completed, Failed, InputRequired, Rejected, Submitted, Working,
    };
    for state in [Completed, Failed, Canceled, Rejected] {
        assert!(
            StreamResponse::from(status(state, "")).ends_stream(),
            "{state}"
        );
    }
    for state in [Submitted, Working, InputRequired, AuthRequired] {
        assert!(
            !StreamResponse::from(status(state, "")).ends_stream(),
            "{state}"
        );
    }
    assert!(StreamResponse::from(Message::default()).ends_stream());
    assert!(!StreamResponse::from(artifact("a", "x", false)).ends_stream());
}

//! What a worker says, told as job events: table cases over the pure translation, the lies of a worker among them. No socket.

use a2a_proto::types::Task;
use jiff::Timestamp;
use pretty_assertions::assert_eq;

use super::*;

fn subtask() -> SubtaskId {
    SubtaskId::parse("api").unwrap()
}

fn fresh() -> Translator {
    Translator::new(subtask(), Attempt::FIRST, None)
}

fn at_work() -> Translator {
    let task = WorkerTask {
        task: "t1".to_owned(),
        context: "c1".to_owned(),
    };
    Translator::new(subtask(), Attempt::FIRST, Some(task))
}

fn status(state: TaskState, text: &str) -> StreamResponse {
    StreamResponse::StatusUpdate(update(state, text))
}

fn update(state: TaskState, text: &str) -> TaskStatusUpdateEvent {
    let message = (!text.is_empty()).then(|| Message::agent("m", vec![Part::text(text)]));
    TaskStatusUpdateEvent {
        task_id: "t1".to_owned(),
        context_id: "c1".to_owned(),
        status: TaskStatus {
            state,
            message,
            timestamp: Some(Timestamp::UNIX_EPOCH),
        },
        ..TaskStatusUpdateEvent::default()
    }
}

fn activity(activity: &Activity) -> StreamResponse {
    let message = Message::agent("m", vec![Part::text("shown to others")]);
    StreamResponse::StatusUpdate(activity.event("t1", "c1", message, Timestamp::UNIX_EPOCH))
}

fn tool(title: &str, state: ToolState, output: &str) -> StreamResponse {
    activity(&Activity::Tool(ToolActivity {
        id: "call".to_owned(),
        name: "bash".to_owned(),
        title: title.to_owned(),
        tool_kind: "execute".to_owned(),
        state,
        input: None,
        output_delta: output.to_owned(),
        locations: Vec::new(),
    }))
}

fn artifact(id: &str, part: Part, append: bool) -> StreamResponse {
    StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
        task_id: "t1".to_owned(),
        context_id: "c1".to_owned(),
        artifact: Artifact::new(id, vec![part]),
        append,
        last_chunk: true,
        ..TaskArtifactUpdateEvent::default()
    })
}

fn names(step: &Step) -> Vec<&'static str> {
    step.events.iter().map(JobEvent::name).collect()
}

#[test]
fn first_snapshot_opens_the_task() {
    let mut translator = fresh();
    let task = Task {
        id: "t1".to_owned(),
        context_id: "c1".to_owned(),
        status: TaskStatus::new(TaskState::Submitted, Timestamp::UNIX_EPOCH),
        ..Task::default()
    };
    let step = translator.take(StreamResponse::Task(task.clone())).unwrap();
    assert_eq!(names(&step), ["worker.accepted"]);
    assert_eq!(translator.task().unwrap().task, "t1");
    // A second snapshot of the same task says nothing new.
    assert_eq!(
        translator.take(StreamResponse::Task(task)).unwrap(),
        Step::default()
    );
}

#[test]
fn snapshot_of_a_finished_task_gives_bundle_and_end() {
    let mut bundle = Artifact::new(BUNDLE_ARTIFACT, vec![Part::raw(&b"pack"[..])]);
    bundle.name = "result.bundle".to_owned();
    let task = Task {
        id: "t1".to_owned(),
        context_id: "c1".to_owned(),
        status: TaskStatus::new(TaskState::Completed, Timestamp::UNIX_EPOCH),
        artifacts: vec![bundle],
        ..Task::default()
    };
    let step = fresh().take(StreamResponse::Task(task)).unwrap();
    assert_eq!(names(&step), ["worker.accepted", "artifact.made"]);
    assert_eq!(step.bundle, Some(Bundle::Inline("pack".into())));
    assert_eq!(step.end, Some(Outcome::Completed));
}

#[test]
fn tool_call_is_announced_once_with_its_title() {
    let mut translator = at_work();
    let mut all = Vec::new();
    for event in [
        tool("", ToolState::Pending, ""),
        tool("ls -l", ToolState::Pending, ""),
        tool("ls -l", ToolState::Running, "total 0\n"),
        tool("ls -l", ToolState::Completed, "done\n"),
    ] {
        all.extend(names(&translator.take(event).unwrap()));
    }
    assert_eq!(
        all,
        [
            "tool.started",
            "tool.updated",
            "tool.updated",
            "tool.finished"
        ]
    );
    assert!(translator.calls.is_empty());
}

#[test]
fn call_that_began_before_the_stream_was_taken_up_is_not_announced_again() {
    let news = Activity::Tool(ToolActivity {
        id: "call".to_owned(),
        name: String::new(),
        title: String::new(),
        tool_kind: String::new(),
        state: ToolState::Running,
        input: None,
        output_delta: "tick\n".to_owned(),
        locations: Vec::new(),
    });
    let step = at_work().take(activity(&news)).unwrap();
    assert_eq!(names(&step), ["tool.updated"]);
}

#[test]
fn activity_replaces_the_text_for_others() {
    let text = Activity::Text {
        delta: "hello".to_owned(),
        message_id: "1".to_owned(),
    };
    let step = at_work().take(activity(&text)).unwrap();
    assert_eq!(
        step,
        Step::of(JobEvent::AgentText {
            subtask: subtask(),
            attempt: Attempt::FIRST,
            text: "hello".to_owned()
        })
    );
}

#[test]
fn question_is_asked_once_and_resolved_by_work() {
    let mut translator = at_work();
    let asked = translator
        .take(status(TaskState::InputRequired, "which port?"))
        .unwrap();
    assert_eq!(names(&asked), ["input.required"]);
    let again = translator
        .take(status(TaskState::InputRequired, "which port?"))
        .unwrap();
    assert_eq!(again, Step::default());
    let on = translator.take(status(TaskState::Working, "")).unwrap();
    assert_eq!(names(&on), ["input.resolved"]);
}

#[test]
fn terminal_states_become_outcomes_with_the_workers_words() {
    for (event, expected) in [
        (status(TaskState::Completed, "ok"), Outcome::Completed),
        (
            status(TaskState::Failed, "no model"),
            Outcome::Failed {
                message: "no model".to_owned(),
            },
        ),
        (status(TaskState::Canceled, ""), Outcome::Cancelled),
        (
            status(TaskState::Rejected, "no sandbox"),
            Outcome::Refused {
                message: "no sandbox".to_owned(),
            },
        ),
    ] {
        assert_eq!(at_work().take(event).unwrap(), Step::end(expected));
    }
}

#[test]
fn failure_of_the_model_is_told_apart_from_the_agents() {
    let mut failed = update(TaskState::Failed, "503");
    let result = TurnResult {
        stop_reason: MODEL_ERROR.to_owned(),
        ..TurnResult::default()
    };
    failed.metadata = Some(result.to_metadata());
    let step = at_work()
        .take(StreamResponse::StatusUpdate(failed))
        .unwrap();
    let message = "503".to_owned();
    assert_eq!(step, Step::end(Outcome::ModelFailed { message }));
}

#[test]
fn worker_may_speak_of_its_own_task_only() {
    let mut other = update(TaskState::Completed, "");
    other.task_id = "t2".to_owned();
    let error = at_work()
        .take(StreamResponse::StatusUpdate(other))
        .unwrap_err();
    assert!(matches!(error, Violation::OtherTask { .. }), "{error}");

    let mut other = update(TaskState::Completed, "");
    other.context_id = "c2".to_owned();
    let error = at_work()
        .take(StreamResponse::StatusUpdate(other))
        .unwrap_err();
    assert!(matches!(error, Violation::OtherContext { .. }), "{error}");

    let error = fresh().take(status(TaskState::Completed, "")).unwrap_err();
    assert_eq!(error, Violation::NoTask);
}

#[test]
fn bundle_in_pieces_is_refused() {
    let piece = artifact(BUNDLE_ARTIFACT, Part::raw(&b"x"[..]), true);
    assert_eq!(
        at_work().take(piece).unwrap_err(),
        Violation::Bundle { how: "in pieces" }
    );
    let text = artifact(BUNDLE_ARTIFACT, Part::text("x"), false);
    assert!(matches!(
        at_work().take(text).unwrap_err(),
        Violation::Bundle { .. }
    ));
}

#[test]
fn endless_open_calls_are_a_violation() {
    let mut translator = at_work();
    let last = (0..=MAX_OPEN_CALLS)
        .map(|number| {
            translator.take(activity(&Activity::Tool(ToolActivity {
                id: number.to_string(),
                name: String::new(),
                title: "x".to_owned(),
                tool_kind: String::new(),
                state: ToolState::Running,
                input: None,
                output_delta: String::new(),
                locations: Vec::new(),
            })))
        })
        .last()
        .unwrap();
    assert!(matches!(last, Err(Violation::TooMuch { .. })));
}

#[test]
fn long_names_are_cut_at_a_character() {
    let name = "ä".repeat(MAX_NAME_BYTES);
    let step = at_work()
        .take(artifact(&name, Part::raw(&b"x"[..]), false))
        .unwrap();
    let JobEvent::ArtifactMade { artifact, .. } = &step.events[0] else {
        panic!("{step:?}")
    };
    assert!(artifact.name.len() <= MAX_NAME_BYTES + "…".len());
}

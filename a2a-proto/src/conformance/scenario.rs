//! What happens to which message: one table from prefixes to steps, a pure function around it. The longest prefix wins;
//! the message's id goes before its text. The same id may come again for many tasks, so nothing here remembers
//! anything.

use std::time::Duration;

use crate::types::{Artifact, Message, Part, TaskState};
use crate::version::ProtocolVersion;

/// How long the resubscribe scenario stays WORKING: long enough for a client to leave and come back.
const RESUBSCRIBE: Duration = Duration::from_secs(5);
/// How long a task that is called long-running takes.
const LONG: Duration = Duration::from_secs(5);
/// How long a task that is to be canceled waits for it. It ends by itself, so that forgotten ones do not pile up.
const UNTIL_CANCELED: Duration = Duration::from_secs(120);
/// How long a task of 0.3 works: it can be followed and canceled meanwhile.
const WORK_0_3: Duration = Duration::from_secs(3);
/// Between the chunks of a slow artifact, so that they arrive one by one.
const CHUNK: Duration = Duration::from_millis(50);

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scenario {
    /// A direct reply, and no task.
    Reply(&'static str),
    /// A task, and what happens to it.
    Steps(Vec<Step>),
}

/// One thing that happens to a task.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// A new status, with what the agent says about it.
    Status(TaskState, Option<&'static str>),
    /// An artifact, or more of one.
    Artifact {
        artifact: Box<Artifact>,
        append: bool,
        last_chunk: bool,
    },
    /// Nothing, for as long. Ends early when the task is canceled.
    Pause(Duration),
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Complete,
    Fail,
    Reject,
    Reply,
    AskInput,
    AskAuth,
    Text(&'static str),
    StreamText(&'static str),
    Data,
    File,
    FileUrl,
    StreamFile,
    Chunks,
    Work(Duration),
}

/// Which prefix asks for what.
const TABLE: &[(&str, Behaviour)] = &[
    ("tck-stream-artifact-chunked", Behaviour::Chunks),
    (
        "tck-stream-artifact-text",
        Behaviour::StreamText("Streamed text content"),
    ),
    ("tck-stream-artifact-file", Behaviour::StreamFile),
    (
        "tck-stream-ordering-001",
        Behaviour::StreamText("Ordered output"),
    ),
    ("tck-stream-001", Behaviour::StreamText("Streamed output")),
    ("tck-stream-002", Behaviour::Complete),
    ("tck-stream-003", Behaviour::StreamText("Streamed output")),
    ("tck-stream-basic", Behaviour::StreamText("Streamed output")),
    ("tck-stream-chunked", Behaviour::Chunks),
    ("tck-artifact-file-url", Behaviour::FileUrl),
    ("tck-artifact-file", Behaviour::File),
    (
        "tck-artifact-text",
        Behaviour::Text("Generated text content"),
    ),
    ("tck-artifact-data", Behaviour::Data),
    ("tck-message-response", Behaviour::Reply),
    ("tck-input-required", Behaviour::AskInput),
    ("tck-multi-turn", Behaviour::AskInput),
    ("tck-auth-required", Behaviour::AskAuth),
    ("tck-reject-task", Behaviour::Reject),
    ("tck-task-failure", Behaviour::Fail),
    ("tck-complete-task", Behaviour::Complete),
    ("tck-long-running", Behaviour::Work(LONG)),
    ("tck-cancel", Behaviour::Work(UNTIL_CANCELED)),
    ("test-resubscribe-message-id", Behaviour::Work(RESUBSCRIBE)),
];

/// What becomes of `message`; `follow_up` when it goes on with a task.
pub(super) fn of(protocol: ProtocolVersion, message: &Message, follow_up: bool) -> Scenario {
    if protocol == ProtocolVersion::V0_3 {
        return of_0_3(message);
    }
    if let Some(behaviour) = longest(&message.message_id) {
        return act(behaviour);
    }
    let text = message.parts.iter().find_map(Part::as_text);
    match text.and_then(longest) {
        // The text of an answer may begin like the question that it answers; an answered task goes on to its end.
        Some(Behaviour::AskInput | Behaviour::AskAuth) if follow_up => act(Behaviour::Complete),
        Some(behaviour) => act(behaviour),
        None => act(Behaviour::Complete),
    }
}

/// The kit of 0.3 has no scenarios: every task must stay open for more messages.
fn of_0_3(message: &Message) -> Scenario {
    let working = Step::Status(TaskState::Working, Some("Working"));
    if message
        .message_id
        .starts_with("test-resubscribe-message-id")
    {
        return Scenario::Steps(vec![
            working,
            Step::Pause(UNTIL_CANCELED),
            Step::Status(TaskState::Completed, Some("Done")),
        ]);
    }
    let ask = Step::Status(TaskState::InputRequired, Some("What next?"));
    Scenario::Steps(vec![working, Step::Pause(WORK_0_3), ask])
}

fn longest(text: &str) -> Option<Behaviour> {
    TABLE
        .iter()
        .filter(|(prefix, _)| text.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, behaviour)| *behaviour)
}

fn act(behaviour: Behaviour) -> Scenario {
    let working = || Step::Status(TaskState::Working, None);
    let completed = || Step::Status(TaskState::Completed, None);
    let made = |part: Part| vec![artifact(part), completed()];
    let streamed = |part: Part| vec![working(), artifact(part), completed()];
    let says = |state, text| vec![Step::Status(state, Some(text))];
    Scenario::Steps(match behaviour {
        Behaviour::Reply => return Scenario::Reply("Direct message response"),
        Behaviour::Complete => says(TaskState::Completed, "Hello from TCK"),
        Behaviour::Fail => says(TaskState::Failed, "Failed, as asked"),
        Behaviour::Reject => says(TaskState::Rejected, "Rejected, as asked"),
        Behaviour::AskInput => says(TaskState::InputRequired, "What should the answer be?"),
        Behaviour::AskAuth => says(
            TaskState::AuthRequired,
            "Sign in at https://example.com/authorize, then send a message to this task",
        ),
        Behaviour::Text(text) => made(Part::text(text)),
        Behaviour::StreamText(text) => streamed(Part::text(text)),
        Behaviour::Data => made(Part::data(serde_json::json!({"key": "value", "count": 42}))),
        Behaviour::File => made(file(Part::raw("tck"))),
        Behaviour::FileUrl => made(file(Part::url("https://example.com/output.txt"))),
        Behaviour::StreamFile => streamed(file(Part::raw("tck"))),
        Behaviour::Chunks => vec![
            working(),
            chunk("chunk-1 ", false),
            Step::Pause(CHUNK),
            chunk("chunk-2", true),
            completed(),
        ],
        Behaviour::Work(time) => vec![
            Step::Status(TaskState::Working, Some("Working")),
            Step::Pause(time),
            Step::Status(TaskState::Completed, Some("Done")),
        ],
    })
}

fn file(part: Part) -> Part {
    part.with_filename("output.txt")
        .with_media_type("text/plain")
}

/// A whole artifact.
fn artifact(part: Part) -> Step {
    Step::Artifact {
        artifact: Box::new(Artifact::new("output", vec![part])),
        append: false,
        last_chunk: true,
    }
}

/// One of two chunks.
fn chunk(text: &str, last: bool) -> Step {
    Step::Artifact {
        artifact: Box::new(Artifact::new("output", vec![Part::text(text)])),
        append: last,
        last_chunk: last,
    }
}

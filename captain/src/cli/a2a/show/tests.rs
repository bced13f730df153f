//! What people see of an agent's words.

use a2a_proto::types::{AgentCapabilities, AgentInterface, AgentSkill, Part, TaskStatus};
use pretty_assertions::assert_eq;

use super::*;

fn status(state: TaskState, message: Option<Message>) -> StreamResponse {
    StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
        task_id: "t".to_owned(),
        context_id: "c".to_owned(),
        status: TaskStatus {
            state,
            message,
            timestamp: None,
        },
        ..TaskStatusUpdateEvent::default()
    })
}

fn agent(text: &str) -> Option<Message> {
    Some(Message::agent("m", vec![Part::text(text)]))
}

fn text_of_agent(delta: &str) -> StreamResponse {
    let activity = Activity::Text {
        delta: delta.to_owned(),
        message_id: "m".to_owned(),
    };
    let StreamResponse::StatusUpdate(mut update) = status(TaskState::Working, agent(delta)) else {
        unreachable!()
    };
    update.metadata = Some(activity.to_metadata());
    StreamResponse::StatusUpdate(update)
}

fn chunk(id: &str, part: Part, append: bool, last_chunk: bool) -> StreamResponse {
    StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
        task_id: "t".to_owned(),
        context_id: "c".to_owned(),
        artifact: Artifact::new(id, vec![part]),
        append,
        last_chunk,
        ..TaskArtifactUpdateEvent::default()
    })
}

#[test]
fn a_stream_reads_like_a_text() {
    let mut live = Live::default();
    let mut shown = String::new();
    for event in [
        status(TaskState::Working, agent("thinking")),
        text_of_agent("Hel"),
        text_of_agent("lo\u{1b}[2J"),
        status(
            TaskState::Working,
            Some(Message::user("u", vec![Part::text("more")])),
        ),
        chunk("a", Part::text("one "), false, false),
        chunk("a", Part::text("two"), true, true),
        chunk("f", Part::raw(vec![0; 2048]), false, true),
        chunk("u", Part::url("http://x/f"), false, true),
        status(TaskState::Completed, agent("all done")),
    ] {
        shown.push_str(&live.take(&event));
    }
    assert_eq!(
        shown,
        "thinking\nHello[2J\n── a\none two\nmade f  2.0 KiB\nmade u  http://x/f\nall done\n"
    );
    assert_eq!(live.end(), "");
    assert_eq!(live.judge().unwrap(), Exit::Ok);
}

#[test]
fn the_end_of_a_task_is_the_exit_code() {
    for (state, exit) in [
        (TaskState::Failed, Exit::WorkFailed),
        (TaskState::Rejected, Exit::WorkFailed),
        (TaskState::Canceled, Exit::WorkFailed),
    ] {
        let mut live = Live::default();
        live.take(&status(state, agent("no luck")));
        let failure = live.judge().unwrap_err();
        assert_eq!(failure.exit(), exit);
        let mut text = Vec::new();
        failure.write_to(&mut text).unwrap();
        assert!(String::from_utf8(text).unwrap().contains("no luck"));
    }
    for state in [TaskState::InputRequired, TaskState::Working] {
        let mut live = Live::default();
        live.take(&status(state, None));
        assert_eq!(live.judge().unwrap(), Exit::Ok);
    }
    assert_eq!(
        Live::default().judge().unwrap_err().exit(),
        Exit::Unavailable
    );
}

#[test]
fn a_card_is_a_few_lines() {
    let shown = card(&AgentCard {
        name: "echo".to_owned(),
        version: "1.0.0".to_owned(),
        description: "Says it\nagain.".to_owned(),
        supported_interfaces: vec![AgentInterface {
            url: "http://x/".to_owned(),
            protocol_binding: "JSONRPC".to_owned(),
            protocol_version: "1.0".to_owned(),
            ..AgentInterface::default()
        }],
        capabilities: AgentCapabilities {
            streaming: Some(true),
            ..AgentCapabilities::default()
        },
        skills: vec![AgentSkill {
            id: "echo".to_owned(),
            name: "Echo".to_owned(),
            description: "Back it comes.".to_owned(),
            ..AgentSkill::default()
        }],
        ..AgentCard::default()
    });
    assert_eq!(
        shown,
        "echo 1.0.0\n  Says it\n  again.\n  JSONRPC 1.0  http://x/\n  streams\nskill echo: Echo\n  Back it comes.\n"
    );
}

#[test]
fn a_task_shows_its_conversation_and_what_it_made() {
    let shown = task(&Task {
        id: "t".to_owned(),
        status: TaskStatus {
            state: TaskState::InputRequired,
            message: agent("which?"),
            timestamp: None,
        },
        history: vec![Message::user("u", vec![Part::text("do it")])],
        artifacts: vec![Artifact::new("a", vec![Part::text("12345")])],
        ..Task::default()
    });
    assert_eq!(
        shown,
        "t  waits for an answer\n  you: do it\n  agent: which?\nmade a  5 B\n"
    );
}

//! The table by its longest prefixes, and turns played over a log in memory with the time held still.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::scenario::{Scenario, Step, of};
use super::{Conformance, Profile, play};
use crate::clock::{ManualClock, SequentialIds};
use crate::log::{MemoryLog, NewTask, TaskLog as _};
use crate::server::{Agent as _, Caller, Updates};
use crate::types::{AgentCard, Message, Part, StreamResponse, Task, TaskState, TaskStatus};
use crate::version::ProtocolVersion;

fn steps(id: &str, text: &str, follow_up: bool) -> Vec<Step> {
    match of(
        ProtocolVersion::V1_0,
        &Message::user(id, vec![Part::text(text)]),
        follow_up,
    ) {
        Scenario::Steps(steps) => steps,
        Scenario::Reply(text) => panic!("a direct reply: {text}"),
    }
}

fn last_state(id: &str, text: &str, follow_up: bool) -> TaskState {
    match steps(id, text, follow_up).last() {
        Some(Step::Status(state, _)) => *state,
        other => panic!("{id} {text} ends with {other:?}"),
    }
}

fn parts(id: &str, text: &str) -> Vec<Part> {
    let artifacts = steps(id, text, false)
        .into_iter()
        .filter_map(|step| match step {
            Step::Artifact { artifact, .. } => Some(artifact.parts),
            Step::Status(..) | Step::Pause(_) => None,
        });
    artifacts.flatten().collect()
}

#[test]
fn the_longest_prefix_of_the_id_decides() {
    let url = Part::url("https://example.com/output.txt")
        .with_filename("output.txt")
        .with_media_type("text/plain");
    let raw = Part::raw("tck")
        .with_filename("output.txt")
        .with_media_type("text/plain");
    for (id, expect) in [
        ("tck-artifact-file-url-1a2b", vec![url]),
        ("tck-artifact-file-1a2b", vec![raw.clone()]),
        ("tck-stream-artifact-file-1a2b", vec![raw]),
        (
            "tck-artifact-text-1a2b",
            vec![Part::text("Generated text content")],
        ),
        (
            "tck-stream-artifact-text-1",
            vec![Part::text("Streamed text content")],
        ),
        (
            "tck-stream-ordering-001-1",
            vec![Part::text("Ordered output")],
        ),
        (
            "tck-stream-artifact-chunked-1",
            vec![Part::text("chunk-1 "), Part::text("chunk-2")],
        ),
    ] {
        assert_eq!(parts(id, "hello"), expect, "{id}");
    }
}

#[test]
fn the_id_goes_before_the_text_and_anything_else_completes() {
    assert_eq!(
        last_state("tck-reject-task-1", "tck-complete-task", false),
        TaskState::Rejected
    );
    assert_eq!(
        last_state("m-1", "tck-reject-task please", false),
        TaskState::Rejected
    );
    assert_eq!(
        last_state("m-1", "tck-task-failure", false),
        TaskState::Failed
    );
    assert_eq!(
        last_state("m-1", "say tck-reject-task", false),
        TaskState::Completed
    );
    assert_eq!(last_state("m-1", "", false), TaskState::Completed);
    assert_eq!(
        of(
            ProtocolVersion::V1_0,
            &Message::user("m", vec![Part::data(1), Part::text("tck-message-response")]),
            false
        ),
        Scenario::Reply("Direct message response")
    );
}

#[test]
fn a_question_named_by_its_text_is_asked_once_and_one_named_by_its_id_again() {
    for text in [
        "tck-input-required",
        "tck-multi-turn: turn 2",
        "tck-auth-required",
    ] {
        assert_ne!(
            last_state("m-1", text, false),
            TaskState::Completed,
            "{text}"
        );
        assert_eq!(
            last_state("m-1", text, true),
            TaskState::Completed,
            "{text}"
        );
    }
    assert_eq!(
        last_state("tck-input-required-1", "x", true),
        TaskState::InputRequired
    );
}

#[test]
fn a_task_of_0_3_stays_open_whatever_its_message_names() {
    for id in [
        "tck-complete-task-1",
        "m-1",
        "test-resubscribe-message-id-1",
    ] {
        let message = Message::user(id, vec![Part::text("tck-message-response")]);
        let Scenario::Steps(steps) = of(ProtocolVersion::V0_3, &message, true) else {
            panic!("{id}: a direct reply");
        };
        let [
            Step::Status(TaskState::Working, _),
            Step::Pause(time),
            Step::Status(last, _),
        ] = &steps[..]
        else {
            panic!("{id}: {steps:?}");
        };
        let resubscribe = id.starts_with("test-");
        assert_eq!(*last == TaskState::InputRequired, !resubscribe, "{id}");
        assert_eq!(*time > Duration::from_secs(60), resubscribe, "{id}");
    }
}

#[test]
fn every_name_is_a_profile_and_no_other() {
    for profile in Profile::ALL {
        assert_eq!(profile.name().parse(), Ok(profile));
    }
    let error = "all".parse::<Profile>().unwrap_err().to_string();
    assert!(error.contains("minimal"), "{error}");
}

#[test]
fn the_profile_decides_what_the_card_declares() {
    let declared = |profile| {
        Conformance::new(profile, AgentCard::default())
            .card()
            .capabilities
    };
    let minimal = declared(Profile::Minimal);
    assert_eq!(
        (minimal.streaming, minimal.push_notifications),
        (Some(false), Some(false))
    );
    assert!(declared(Profile::RequiredExtension).extensions[0].required);
    assert!(declared(Profile::StreamingPush).extensions.is_empty());
    let caller = Caller::new("x");
    for profile in Profile::ALL {
        let agent = Conformance::new(profile, AgentCard::default());
        let extended = agent.extended_card(&caller);
        assert_eq!(extended.is_some(), profile == Profile::ExtendedCard);
        let flag = agent.card().capabilities.extended_agent_card;
        assert_eq!(flag, Some(extended.is_some()), "{profile}");
    }
}

async fn pen(log: &MemoryLog) -> Updates {
    let clock = Arc::new(ManualClock::new("2026-01-02T03:04:05Z".parse().unwrap()));
    let task = Task {
        id: "t".to_owned(),
        context_id: "c".to_owned(),
        status: TaskStatus {
            state: TaskState::Submitted,
            ..TaskStatus::default()
        },
        ..Task::default()
    };
    let owner = Caller::new("x").subject;
    let task = log
        .create(NewTask {
            owner,
            alias: None,
            task,
            push: None,
        })
        .await
        .unwrap();
    Updates::new(task, clock, Arc::new(SequentialIds::new("m")))
}

#[tokio::test(start_paused = true)]
async fn chunks_come_in_order_under_one_id() {
    let log = MemoryLog::new().unwrap();
    let updates = pen(&log).await;
    let steps = steps("tck-stream-artifact-chunked", "", false);
    play::play(steps, &CancellationToken::new(), &updates)
        .await
        .unwrap();
    let task = log.open("x", "t").await.unwrap();
    let mut events = task.subscribe(1).unwrap();
    let mut all = Vec::new();
    loop {
        match events.next().await.unwrap() {
            more if more.is_empty() => break,
            more => all.extend(more),
        }
    }
    let mut seen = Vec::new();
    for event in all {
        let event: StreamResponse = serde_json::from_slice(&event.json).unwrap();
        seen.push(match event {
            StreamResponse::ArtifactUpdate(it) => {
                let text = it.artifact.parts[0].as_text().unwrap().to_owned();
                (it.artifact.artifact_id, text, it.append, it.last_chunk)
            }
            StreamResponse::StatusUpdate(it) => {
                (it.status.state.to_string(), String::new(), false, false)
            }
            other => panic!("{other:?}"),
        });
    }
    let of = |id: &str, text: &str, append, last| (id.to_owned(), text.to_owned(), append, last);
    assert_eq!(
        seen,
        [
            of(&TaskState::Working.to_string(), "", false, false),
            of("output", "chunk-1 ", false, false),
            of("output", "chunk-2", true, true),
            of(&TaskState::Completed.to_string(), "", false, false),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_canceled_turn_stops_in_its_pause_and_writes_nothing() {
    let log = MemoryLog::new().unwrap();
    let updates = pen(&log).await;
    let cancelled = CancellationToken::new();
    let begun = tokio::time::Instant::now();
    let turn = play::play(steps("", "tck-cancel", false), &cancelled, &updates);
    let cancel = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        cancelled.cancel();
    };
    let (played, ()) = tokio::join!(turn, cancel);
    played.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    assert_eq!(updates.state(), TaskState::Working);
}

//! Nothing is lost and nothing comes twice, whatever the binding and wherever the connection is cut.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use a2a_proto::client::{SIMPLE_BINDING, StreamEvent};
use a2a_proto::log::{MemoryLog, SqliteLog, TaskLog};
use a2a_proto::server::AnyCaller;
use a2a_proto::types::{Part, Task, TaskState};
use pretty_assertions::assert_eq;

use crate::world::{BINDINGS, World, collect, message, options};

fn check_count(events: &[StreamEvent], count: usize) {
    // In the simple dialect an event can be told in two pieces, and the second has the number.
    let seqs: Vec<_> = events.iter().filter_map(|event| event.seq).collect();
    let expected: Vec<_> = (seqs[0]..).take(seqs.len()).collect();
    assert_eq!(seqs, expected, "a gap or a repetition");
    let mut task = Task::default();
    for event in events {
        task.apply(&event.event);
    }
    let numbers: Vec<_> = task.artifacts[0]
        .parts
        .iter()
        .filter_map(Part::as_text)
        .collect();
    let expected: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected);
    assert_eq!(task.status.state, TaskState::Completed);
    assert_eq!(task.status.message.unwrap().text(), "done");
}

async fn count_through_cuts<L: TaskLog>(log: L, binding: &str) {
    // A frame of HTTP/2, 16 KiB at most, counts only when all of it has come.
    let (count, cut_after) = match binding.starts_with("GRPC") {
        true => (1000, 17_000),
        false => (300, 1500),
    };
    let world = World::new(log, binding, Arc::new(AnyCaller), cut_after).await;
    let client = world.client(options()).await;
    let events = collect(client.stream(message(&count.to_string()))).await;
    check_count(&events, count);
    let connections = world.connections.load(Ordering::SeqCst);
    assert!(
        connections > 5,
        "only {connections} connections: nothing was cut"
    );
    world.stop().await;
}

#[tokio::test]
async fn json_rpc_streams_survive_cuts() {
    count_through_cuts(MemoryLog::new().unwrap(), "JSONRPC").await;
}

#[tokio::test]
async fn http_json_streams_survive_cuts_over_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    count_through_cuts(
        SqliteLog::open(folder.path().join("log.db")).unwrap(),
        "HTTP+JSON",
    )
    .await;
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn grpc_streams_survive_cuts() {
    count_through_cuts(MemoryLog::new().unwrap(), "GRPC").await;
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn grpc_streams_of_0_3_survive_cuts() {
    count_through_cuts(MemoryLog::new().unwrap(), "GRPC 0.3").await;
}

#[tokio::test]
async fn streams_of_older_versions_survive_cuts() {
    for binding in [
        "JSONRPC 0.3",
        "HTTP+JSON 0.3",
        "JSONRPC 0.1",
        SIMPLE_BINDING,
    ] {
        count_through_cuts(MemoryLog::new().unwrap(), binding).await;
    }
}

#[tokio::test]
async fn an_ended_task_is_replayed_from_any_event() {
    for binding in BINDINGS {
        let world = World::new(MemoryLog::new().unwrap(), binding, Arc::new(AnyCaller), 0).await;
        let client = world.client(options()).await;
        let events = collect(client.stream(message("5"))).await;
        let task_id = events[0].event.task_id().to_owned();
        for (index, event) in events.iter().enumerate().take(events.len() - 1) {
            let replayed = collect(client.subscribe(&task_id, event.seq)).await;
            assert_eq!(replayed, events[index + 1..], "{binding}");
        }
        world.stop().await;
    }
}

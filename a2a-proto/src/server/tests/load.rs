//! Much at once and much in a row: nothing is lost, nothing grows. How long it takes is measured by `make bench`.

use std::time::Duration;

use super::*;
use crate::clock::{SystemClock, UuidV7};
use crate::log::NewTask;
use crate::server::Updates;
use crate::types::{Artifact, Part, Task, TaskState, TaskStatus};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_reader_of_a_long_stream_gets_everything() {
    let server = Running::start().await;
    let mut stream = server
        .stream(
            Binding::Rest,
            "SendStreamingMessage",
            message("chunks 10000"),
            &[],
        )
        .await;
    let task = stream.next().await.unwrap().json()["task"].clone();
    // The reader sleeps until the task has ended; the writer does not wait for it.
    let done = async {
        loop {
            let task = server
                .call(
                    Binding::Rpc,
                    "GetTask",
                    json!({"id": task["id"], "historyLength": 0}),
                )
                .await
                .unwrap();
            if state(&task) == "TASK_STATE_COMPLETED" {
                return task;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let task = tokio::time::timeout(Duration::from_secs(60), done)
        .await
        .expect("the task ends");
    assert_eq!(
        task["artifacts"][0]["parts"].as_array().unwrap().len(),
        10_000
    );
    let frames = stream.all().await;
    assert!(frames.iter().map(|frame| frame.id.unwrap()).eq(2..=10_003));
    assert!(frames[1].data.contains("chunk-0 ") && frames[10_000].data.contains("chunk-9999 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_frames_share_chunks() {
    let server = Running::start().await;
    let whole = server
        .stream(
            Binding::Rest,
            "SendStreamingMessage",
            message("chunks 2000"),
            &[],
        )
        .await
        .all()
        .await;
    let id = whole[0].json()["task"]["id"].clone();
    let mut replay = server
        .stream(
            Binding::Rest,
            "SubscribeToTask",
            json!({"id": id}),
            &[("last-event-id", "0")],
        )
        .await;
    let mut count = 0;
    while replay.next().await.is_some() {
        count += 1;
    }
    assert_eq!(count, 2003);
    assert!(
        replay.chunks < 50,
        "{} chunks for {count} frames",
        replay.chunks
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_thousand_chunks_come_whole_and_each_takes_no_more_room_than_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = SqliteLog::open(&path).unwrap();
    let task = Task {
        id: "t".to_owned(),
        context_id: "c".to_owned(),
        status: TaskStatus::new(TaskState::Working, jiff::Timestamp::UNIX_EPOCH),
        ..Task::default()
    };
    let task = log
        .create(NewTask {
            owner: "ann".into(),
            alias: None,
            task,
        })
        .await
        .unwrap();
    let updates = Updates::new(task.clone(), Arc::new(SystemClock), Arc::new(UuidV7));
    for n in 0..100_000 {
        let artifact = Artifact::new("out", vec![Part::text(format!("{n:064}"))]);
        updates.artifact(artifact, n > 0, false).await.unwrap();
    }
    updates.status(TaskState::Completed, None).await.unwrap();
    let mut subscription = task.subscribe(0).unwrap();
    let mut events = Vec::new();
    loop {
        let more = subscription.next().await.unwrap();
        if more.is_empty() {
            break;
        }
        events.extend(more);
    }
    assert!(events.iter().map(|event| event.seq).eq(1..=100_002));
    let chunks = &events[1..100_001];
    for (n, chunk) in chunks.iter().enumerate() {
        assert!(
            chunk
                .json
                .windows(64)
                .any(|text| text == format!("{n:064}").as_bytes())
        );
    }
    // The first makes the artifact, the others append to it.
    assert!(
        chunks[1..]
            .iter()
            .all(|chunk| chunk.json.len() == chunks[1].json.len())
    );
    // On disk, each event once, and what the task came to once: nothing that would grow with every event.
    let sent: usize = events.iter().map(|event| event.json.len()).sum();
    drop((updates, task, subscription, log));
    let database = rusqlite::Connection::open(&path).unwrap();
    let number = |sql: &str| {
        let number: i64 = database.query_one(sql, (), |row| row.get(0)).unwrap();
        usize::try_from(number).unwrap()
    };
    // A length before each.
    assert_eq!(
        number("SELECT sum(length(payload)) FROM events"),
        sent + 4 * events.len()
    );
    assert!((1..sent).contains(&number(
        "SELECT length(ended_task) + length(ended_artifacts) FROM tasks"
    )));
}

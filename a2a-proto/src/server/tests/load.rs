//! Much at once and much in a row: nothing is lost, nothing grows dearer.

use std::time::{Duration, Instant};

use super::*;

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
async fn hundred_thousand_chunks_cost_the_same_each() {
    use crate::log::{Expect, NewTask};
    use crate::types::{Task, TaskState, TaskStatus};
    let folder = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(folder.path().join("log.db")).unwrap();
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
    let clock: Arc<dyn crate::clock::Clock> = Arc::new(crate::clock::SystemClock);
    let updates = super::super::Updates::new(task.clone(), clock, Arc::new(crate::clock::UuidV7));
    let mut times = Vec::new();
    for tenth in 0..10 {
        let begin = Instant::now();
        for n in 0..10_000 {
            let artifact =
                crate::types::Artifact::new("out", vec![crate::types::Part::text("x".repeat(64))]);
            updates
                .artifact(artifact, tenth + n > 0, false)
                .await
                .unwrap();
        }
        updates.flush().await.unwrap();
        times.push(begin.elapsed());
    }
    task.append_one(
        Expect::Open,
        crate::types::StreamResponse::StatusUpdate(crate::types::TaskStatusUpdateEvent {
            status: TaskStatus::new(TaskState::Completed, jiff::Timestamp::UNIX_EPOCH),
            ..crate::types::TaskStatusUpdateEvent::default()
        }),
    )
    .await
    .unwrap();
    let mut subscription = task.subscribe(0).unwrap();
    let mut next = 1;
    loop {
        let events = subscription.next().await.unwrap();
        if events.is_empty() {
            break;
        }
        for event in events {
            assert_eq!(event.seq, next);
            next += 1;
        }
    }
    assert_eq!(next, 100_003);
    // The machine is shared, so the fastest of the first and of the last three are compared.
    let best = |times: &[Duration]| times.iter().min().unwrap().as_secs_f64();
    let (first, last) = (best(&times[..3]), best(&times[7..]));
    assert!(
        last < first * 3.0,
        "the first 10,000 took {first:.3} s, the last {last:.3} s"
    );
}

//! Much at once and much in a row: nothing is lost, nothing grows. How long it takes is measured by `make bench`.

use std::time::Duration;

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

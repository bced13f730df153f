//! The preview of 1.1 over gRPC.

use std::time::Duration;

use super::*;

async fn preview() -> (Running, Raw) {
    let server = Running::with(|options, _| options.preview_1_1 = true).await;
    let client = Raw::connect(server.address).await;
    (server, client)
}

fn get(task: &v1_0::Task, current: i64) -> v1_0::GetTaskRequest {
    v1_0::GetTaskRequest {
        id: task.id.clone(),
        current_generation: Some(current),
        ..Default::default()
    }
}

fn generation(event: &v1_0::StreamResponse) -> i64 {
    use v1_0::stream_response::Payload;
    match event.payload.as_ref().unwrap() {
        Payload::Task(task) => task.generation,
        Payload::StatusUpdate(update) => update.generation,
        Payload::ArtifactUpdate(update) => update.generation,
        Payload::Message(_) => 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_has_the_next_generation() {
    let (_server, client) = preview().await;
    let path = format!("{V1_0}/SendStreamingMessage");
    let events = client.call(&path, &send("chunks 4")).await;
    let events = events.all::<v1_0::StreamResponse>();
    let told: Vec<_> = events.iter().map(generation).collect();
    let expected: Vec<_> = (1..).take(events.len()).collect();
    assert_eq!(told, expected);
    let list = v1_0::ListTasksRequest::default();
    let list = client.call(&format!("{V1_0}/ListTasks"), &list).await;
    let list: v1_0::ListTasksResponse = list.one();
    assert_eq!(list.tasks[0].generation, events.len() as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_waits_for_the_next_generation() {
    let (server, client) = preview().await;
    let task = begin(&client, "wait").await;
    let path = format!("{V1_0}/GetTask");
    let working: v1_0::Task = client.call(&path, &get(&task, 1)).await.one();
    let waits = get(&task, working.generation);
    let mut waiting = std::pin::pin!(client.call(&path, &waits));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err());
    server.agent.go.add_permits(1);
    let changed: v1_0::Task = waiting.await.one();
    assert!(changed.generation > working.generation);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mismatch_aborts() {
    let (_server, client) = preview().await;
    let path = format!("{V1_0}/SendMessage");
    let task = sent_task(&client.call(&path, &send("ask")).await);
    let mut request = send("hello");
    request.message.as_mut().unwrap().task_id = task.id.clone();
    let mut wanted = |generation| {
        request.configuration = Some(v1_0::SendMessageConfiguration {
            if_generation_match: Some(generation),
            ..Default::default()
        });
        request.clone()
    };
    let stale = client.call(&path, &wanted(task.generation - 1)).await;
    assert_eq!(stale.status.code(), Code::Aborted);
    assert_eq!(reason(&stale).0, "TASK_GENERATION_MISMATCH");
    let taken = sent_task(&client.call(&path, &wanted(task.generation)).await);
    assert!(taken.generation > task.generation);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_switch_nothing_is_told() {
    let server = Running::start().await;
    let client = Raw::connect(server.address).await;
    let task = sent_task(
        &client
            .call(&format!("{V1_0}/SendMessage"), &send("ask"))
            .await,
    );
    assert_eq!(task.generation, 0);
    let got = client
        .call(&format!("{V1_0}/GetTask"), &get(&task, 99))
        .await;
    assert_eq!(got.one::<v1_0::Task>().generation, 0);
}

//! Following a task that is there: STREAM-SUB (A2A §3.1.6).

use serde_json::json;

use crate::{
    errors::Kind,
    kit::{check_event, ended, follow_up, kind, state},
    world::{At, Profile},
};

requirement!(stream_sub_001, stream_sub_001_jsonrpc: JsonRpc, stream_sub_001_rest: Rest, stream_sub_001_grpc: Grpc);

/// A subscription begins with the task as it stands, whether it works or asks.
async fn stream_sub_001(at: At) {
    let peer = at.peer().await;
    for task in [
        peer.working().await,
        peer.task("tck-input-required-1").await,
    ] {
        let first = peer.subscribed(&task).await.next().await.unwrap();
        assert_eq!(kind(&first), "task");
        check_event(&first);
        assert_eq!(first["task"], peer.get(&task).await);
    }
}

requirement!(stream_sub_002, stream_sub_002_jsonrpc: JsonRpc, stream_sub_002_rest: Rest, stream_sub_002_grpc: Grpc);

/// A subscription closes at the task's end, and not before.
async fn stream_sub_002(at: At) {
    let peer = at.peer().await;
    let task = peer.begun("test-resubscribe-message-id-1").await;
    let events = peer.subscribed(&task).await.rest().await;
    let end = events.iter().position(ended);
    assert_eq!(end, Some(events.len() - 1), "{events:#?}");
    let asks = peer.task("tck-input-required-1").await;
    let mut open = peer.subscribed(&asks).await;
    open.next().await.unwrap();
    // It asks again, twice, and the stream goes on.
    for _ in 0..2 {
        peer.ok(
            "SendMessage",
            follow_up(&asks, "tck-input-required-2", "more"),
        )
        .await;
        open.until(|event| state(event) == "TASK_STATE_INPUT_REQUIRED")
            .await;
    }
    peer.ok("CancelTask", json!({"id": asks["id"]})).await;
    let rest = open.rest().await;
    assert_eq!(
        rest.last().map(state),
        Some("TASK_STATE_CANCELED"),
        "{rest:#?}"
    );
}

requirement!(stream_sub_003, stream_sub_003_jsonrpc: JsonRpc, stream_sub_003_rest: Rest, stream_sub_003_grpc: Grpc);

/// A task that has ended cannot be followed.
async fn stream_sub_003(at: At) {
    let peer = at.peer().await;
    for id in ["tck-complete-task-1", "tck-reject-task-1"] {
        let task = peer.task(id).await;
        peer.refuses(
            "SubscribeToTask",
            json!({"id": task["id"]}),
            Kind::Unsupported,
        )
        .await;
    }
}

requirement!(stream_sub_004, stream_sub_004_jsonrpc: JsonRpc, stream_sub_004_rest: Rest, stream_sub_004_grpc: Grpc);

/// An unknown task is not found, as an ordinary answer and not as a broken stream.
async fn stream_sub_004(at: At) {
    let peer = at.peer().await;
    peer.refuses(
        "SubscribeToTask",
        json!({"id": "no-such-task"}),
        Kind::TaskNotFound,
    )
    .await;
    let minimal = at.profile(Profile::Minimal).await;
    let task = minimal.working().await;
    minimal
        .refuses(
            "SubscribeToTask",
            json!({"id": task["id"]}),
            Kind::Unsupported,
        )
        .await;
}

//! Sending: CORE-SEND, CORE-EXECUTION-MODE (A2A §3.1.1, §3.2.2).

use e2e::WorkerBuilder;
use serde_json::json;

use crate::{
    errors::Kind,
    kit::{ended, follow_up, immediate, message, names, params, state, task_of},
    wire::Peer,
    world::{At, Binding},
};

requirement!(core_send_001, core_send_001_jsonrpc: JsonRpc, core_send_001_rest: Rest, core_send_001_grpc: Grpc);

/// A send answers a task or a direct message, and never both. Without a message it is refused.
async fn core_send_001(at: At) {
    let peer = at.peer().await;
    let task = task_of(
        peer.ok("SendMessage", params("tck-complete-task-1", "hello"))
            .await,
    );
    assert_eq!(state(&task), "TASK_STATE_COMPLETED");
    assert_eq!(
        task["status"]["message"]["parts"][0]["text"],
        "Hello from TCK"
    );
    let direct = peer
        .ok("SendMessage", params("tck-message-response-1", "hello"))
        .await;
    assert_eq!(names(&direct), ["message"]);
    assert_eq!(direct["message"]["role"], "ROLE_AGENT");
    assert_eq!(
        direct["message"]["parts"],
        json!([{"text": "Direct message response"}])
    );
    peer.refuses("SendMessage", json!({}), Kind::InvalidParams)
        .await;
    // By its text, where the id says nothing.
    let rejected = task_of(
        peer.ok("SendMessage", params("m-1", "tck-reject-task now"))
            .await,
    );
    assert_eq!(state(&rejected), "TASK_STATE_REJECTED");
}

requirement!(core_send_002, core_send_002_jsonrpc: JsonRpc, core_send_002_rest: Rest, core_send_002_grpc: Grpc);

/// A task that has ended takes no more messages; one that has not does.
async fn core_send_002(at: At) {
    let peer = at.peer().await;
    let failed = task_of(
        peer.ok("SendMessage", params("m-1", "tck-task-failure"))
            .await,
    );
    let canceled = peer.working().await;
    peer.ok("CancelTask", json!({"id": canceled["id"]})).await;
    for task in [
        peer.task("tck-complete-task-1").await,
        peer.task("tck-reject-task-1").await,
        failed,
        canceled,
    ] {
        for operation in ["SendMessage", "SendStreamingMessage"] {
            peer.refuses(
                operation,
                follow_up(&task, "m-2", "more"),
                Kind::Unsupported,
            )
            .await;
        }
        let history = peer.get(&task).await["history"].clone();
        assert!(
            !history.to_string().contains("m-2"),
            "nothing was stored: {history}"
        );
    }
    let open = peer.task("tck-input-required-1").await;
    let answered = task_of(
        peer.ok("SendMessage", follow_up(&open, "m-2", "more"))
            .await,
    );
    assert_eq!(
        (answered["id"].clone(), state(&answered)),
        (open["id"].clone(), "TASK_STATE_COMPLETED")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn core_send_003_jsonrpc() {
    core_send_003(Binding::JsonRpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn core_send_003_rest() {
    core_send_003(Binding::Rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn core_send_003_grpc() {
    core_send_003(Binding::Grpc).await;
}

/// A part of a media type that the card does not name is refused. Against a worker with an agent, since the conformance
/// agent takes everything.
async fn core_send_003(binding: Binding) {
    let worker = WorkerBuilder::scripted().flag("--no-auth").start().await;
    let peer = Peer::new(worker.api().url(), binding);
    let mut picture = message("m-1", "say hi");
    picture["parts"] = json!([{"text": "say hi"}, {"raw": "AAAA", "mediaType": "image/png"}]);
    let fault = peer
        .refuses(
            "SendMessage",
            json!({"message": picture}),
            Kind::ContentType,
        )
        .await;
    assert!(fault.message.contains("image/png"), "{fault:#?}");
    peer.refuses(
        "SendStreamingMessage",
        json!({"message": picture}),
        Kind::ContentType,
    )
    .await;
    assert_eq!(
        peer.ok("ListTasks", json!({})).await["totalSize"],
        0,
        "nothing was stored"
    );
    let mut plain = message("m-2", "say hi");
    plain["parts"][0]["mediaType"] = json!("text/plain; charset=utf-8");
    let task = task_of(peer.ok("SendMessage", json!({"message": plain})).await);
    assert_eq!(state(&task), "TASK_STATE_COMPLETED", "{task:#}");
}

requirement!(
    core_execution_mode_001,
    core_execution_mode_001_jsonrpc: JsonRpc,
    core_execution_mode_001_rest: Rest, core_execution_mode_001_grpc: Grpc,
);

/// Unless told otherwise, a send waits until the task has ended or asks, and answers with all that came of it.
async fn core_execution_mode_001(at: At) {
    let peer = at.peer().await;
    let mut explicit = params("tck-stream-artifact-chunked-1", "hello");
    explicit["configuration"] = json!({"returnImmediately": false});
    for request in [params("tck-stream-artifact-chunked-1", "hello"), explicit] {
        let task = task_of(peer.ok("SendMessage", request).await);
        assert!(ended(&task), "{task:#}");
        let parts = &task["artifacts"][0]["parts"];
        assert_eq!(
            *parts,
            json!([{"text": "chunk-1 "}, {"text": "chunk-2"}]),
            "{task:#}"
        );
    }
    assert_eq!(
        state(&peer.task("tck-input-required-1").await),
        "TASK_STATE_INPUT_REQUIRED"
    );
    let auth = task_of(
        peer.ok("SendMessage", params("m-1", "tck-auth-required"))
            .await,
    );
    assert_eq!(state(&auth), "TASK_STATE_AUTH_REQUIRED");
}

requirement!(
    core_execution_mode_002,
    core_execution_mode_002_jsonrpc: JsonRpc,
    core_execution_mode_002_rest: Rest, core_execution_mode_002_grpc: Grpc,
);

/// With `returnImmediately` the answer comes when the task is there, and the work goes on behind it.
async fn core_execution_mode_002(at: At) {
    let peer = at.peer().await;
    let task = peer.begun("test-resubscribe-message-id-1").await;
    assert!(
        matches!(state(&task), "TASK_STATE_SUBMITTED" | "TASK_STATE_WORKING"),
        "{task:#}"
    );
    let mut events = peer.subscribed(&task).await;
    let seen = events.until(ended).await;
    assert_eq!(state(seen.last().unwrap()), "TASK_STATE_COMPLETED");
    // A direct reply has nothing to wait for.
    let direct = peer
        .ok("SendMessage", immediate("tck-message-response-1"))
        .await;
    assert_eq!(names(&direct), ["message"]);
}

//! Cancelling: CORE-CANCEL (A2A §3.1.5).

use serde_json::json;

use crate::{
    errors::{Kind, detail},
    kit::{params, state, task_of},
    world::At,
};

requirement!(core_cancel_001, core_cancel_001_jsonrpc: JsonRpc, core_cancel_001_rest: Rest, core_cancel_001_grpc: Grpc);

/// A task that has not ended is canceled, whether it works or asks; that is its end, and streams close with it.
async fn core_cancel_001(at: At) {
    let peer = at.peer().await;
    let asks = task_of(
        peer.ok("SendMessage", params("m-1", "tck-auth-required"))
            .await,
    );
    for task in [
        peer.working().await,
        peer.task("tck-input-required-1").await,
        asks,
    ] {
        let mut stream = peer.subscribed(&task).await;
        assert_eq!(stream.next().await.unwrap()["task"]["id"], task["id"]);
        let canceled = peer.ok("CancelTask", json!({"id": task["id"]})).await;
        assert_eq!(
            (&canceled["id"], state(&canceled)),
            (&task["id"], "TASK_STATE_CANCELED")
        );
        let rest = stream.rest().await;
        assert_eq!(
            rest.last().map(state),
            Some("TASK_STATE_CANCELED"),
            "{rest:#?}"
        );
        assert_eq!(state(&peer.get(&task).await), "TASK_STATE_CANCELED");
    }
    let task = peer.working().await;
    peer.ok(
        "CancelTask",
        json!({"id": task["id"], "metadata": {"reason": "test"}}),
    )
    .await;
}

requirement!(core_cancel_002, core_cancel_002_jsonrpc: JsonRpc, core_cancel_002_rest: Rest, core_cancel_002_grpc: Grpc);

/// A task that has ended cannot be canceled, and stays as it is.
async fn core_cancel_002(at: At) {
    let peer = at.peer().await;
    let canceled = peer.working().await;
    peer.ok("CancelTask", json!({"id": canceled["id"]})).await;
    for task in [
        peer.task("tck-complete-task-1").await,
        peer.task("tck-reject-task-1").await,
        peer.get(&canceled).await,
    ] {
        let fault = peer
            .refuses(
                "CancelTask",
                json!({"id": task["id"]}),
                Kind::TaskNotCancelable,
            )
            .await;
        let info = detail(&fault, "google.rpc.ErrorInfo").unwrap();
        assert_eq!(info["metadata"]["taskId"], task["id"], "{fault:#?}");
        assert_eq!(peer.get(&task).await, task);
    }
}

requirement!(core_cancel_003, core_cancel_003_jsonrpc: JsonRpc, core_cancel_003_rest: Rest, core_cancel_003_grpc: Grpc);

/// An unknown task is not found.
async fn core_cancel_003(at: At) {
    let peer = at.peer().await;
    peer.refuses(
        "CancelTask",
        json!({"id": "no-such-task"}),
        Kind::TaskNotFound,
    )
    .await;
}

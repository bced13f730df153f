//! What the card says that the server can do, and what it then does: CORE-CAP (A2A §3.3.4).

use serde_json::json;

use crate::{
    errors::{Kind, detail},
    kit::{immediate, params, state, task_of},
    world::{At, Profile},
};

/// The extension of the profile that requires one.
const EXTENSION: &str = "urn:a2a:tck:required-extension";

requirement!(core_cap_001, core_cap_001_jsonrpc: JsonRpc, core_cap_001_rest: Rest, core_cap_001_grpc: Grpc);

/// Without push notifications, each operation on their configurations is refused as that, and so is a send with one.
async fn core_cap_001(at: At) {
    let peer = at.profile(Profile::Minimal).await;
    let task = peer.task("tck-complete-task-1").await;
    let id = &task["id"];
    for (operation, request) in [
        (
            "CreateTaskPushNotificationConfig",
            json!({"taskId": id, "url": "https://example.com/hook"}),
        ),
        (
            "GetTaskPushNotificationConfig",
            json!({"taskId": id, "id": "c"}),
        ),
        ("ListTaskPushNotificationConfigs", json!({"taskId": id})),
        (
            "DeleteTaskPushNotificationConfig",
            json!({"taskId": id, "id": "c"}),
        ),
    ] {
        peer.refuses(operation, request, Kind::PushNotSupported)
            .await;
    }
    let mut request = immediate("m-1");
    request["configuration"]["taskPushNotificationConfig"] =
        json!({"url": "https://example.com/hook"});
    peer.refuses("SendMessage", request, Kind::PushNotSupported)
        .await;
}

requirement!(core_cap_002, core_cap_002_jsonrpc: JsonRpc, core_cap_002_rest: Rest, core_cap_002_grpc: Grpc);

/// Without streaming, both operations that stream are refused, and everything else works.
async fn core_cap_002(at: At) {
    let peer = at.profile(Profile::Minimal).await;
    peer.refuses(
        "SendStreamingMessage",
        params("m-1", "hello"),
        Kind::Unsupported,
    )
    .await;
    let task = peer.task("tck-input-required-1").await;
    peer.refuses(
        "SubscribeToTask",
        json!({"id": task["id"]}),
        Kind::Unsupported,
    )
    .await;
    assert_eq!(state(&peer.get(&task).await), "TASK_STATE_INPUT_REQUIRED");
}

requirement!(core_cap_003, core_cap_003_jsonrpc: JsonRpc, core_cap_003_rest: Rest, core_cap_003_grpc: Grpc);

/// Without an extended card, asking for it is refused.
async fn core_cap_003(at: At) {
    for profile in [Profile::Minimal, Profile::StreamingPush] {
        let peer = at.profile(profile).await;
        peer.refuses("GetExtendedAgentCard", json!({}), Kind::Unsupported)
            .await;
    }
}

requirement!(core_cap_004, core_cap_004_jsonrpc: JsonRpc, core_cap_004_rest: Rest, core_cap_004_grpc: Grpc);

/// An extension that the card requires must be named in every call; others need not.
async fn core_cap_004(at: At) {
    let peer = at.profile(Profile::RequiredExtension).await;
    let known = peer.with("A2A-Extensions", &format!("urn:example:other, {EXTENSION}"));
    let task = task_of(
        known
            .ok("SendMessage", params("tck-input-required-1", "hello"))
            .await,
    );
    known.subscribed(&task).await.next().await.unwrap();
    for unaware in [
        peer.clone(),
        peer.with("A2A-Extensions", "urn:example:other"),
    ] {
        for (operation, request) in [
            ("SendMessage", params("m-1", "hello")),
            ("SendStreamingMessage", params("m-1", "hello")),
            ("GetTask", json!({"id": task["id"]})),
            ("ListTasks", json!({})),
            ("SubscribeToTask", json!({"id": task["id"]})),
            ("CancelTask", json!({"id": task["id"]})),
        ] {
            let fault = unaware
                .refuses(operation, request, Kind::ExtensionRequired)
                .await;
            assert!(
                detail(&fault, "google.rpc.ErrorInfo")
                    .unwrap()
                    .to_string()
                    .contains(EXTENSION),
                "{fault:#?}"
            );
        }
    }
    let other = at.peer().await.with("A2A-Extensions", "urn:example:other");
    assert_eq!(
        state(&other.task("tck-complete-task-1").await),
        "TASK_STATE_COMPLETED",
        "unknown ones are ignored"
    );
}

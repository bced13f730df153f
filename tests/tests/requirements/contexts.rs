//! Conversations: CORE-MULTI (A2A §3.4).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    errors::{Kind, fields},
    kit::{follow_up, message, params, state, task_of, unique},
    world::At,
};

fn within(context: &str, id: &str) -> Value {
    let mut message = message(id, "hello");
    message["contextId"] = json!(context);
    json!({"message": message})
}

requirement!(core_multi_001, core_multi_001_jsonrpc: JsonRpc, core_multi_001_rest: Rest, core_multi_001_grpc: Grpc);

/// A message without a context begins one of its own.
async fn core_multi_001(at: At) {
    let peer = at.peer().await;
    let mut contexts = BTreeSet::new();
    for _ in 0..5 {
        let task = peer.task("tck-complete-task-1").await;
        let context = task["contextId"].as_str().unwrap().to_owned();
        assert!(
            !context.is_empty() && contexts.insert(context),
            "a fresh one: {contexts:?}"
        );
    }
}

requirement!(core_multi_001a, core_multi_001a_jsonrpc: JsonRpc, core_multi_001a_rest: Rest, core_multi_001a_grpc: Grpc);

/// A context that the agent made is in its answer, whether that is a task, a direct message or a stream.
async fn core_multi_001a(at: At) {
    let peer = at.peer().await;
    let has = |value: &Value| value["contextId"].as_str().is_some_and(|id| !id.is_empty());
    assert!(has(&peer.task("tck-complete-task-1").await));
    let direct = peer
        .ok("SendMessage", params("tck-message-response-1", "hello"))
        .await;
    assert!(has(&direct["message"]), "{direct}");
    let events = peer.streaming("tck-stream-001-1").await.rest().await;
    let payloads = events
        .iter()
        .map(|event| event.as_object().unwrap().values().next().unwrap());
    let contexts: BTreeSet<_> = payloads
        .map(|payload| payload["contextId"].to_string())
        .collect();
    assert_eq!(contexts.len(), 1, "every event has it: {events:#?}");
}

requirement!(core_multi_002, core_multi_002_jsonrpc: JsonRpc, core_multi_002_rest: Rest, core_multi_002_grpc: Grpc);

/// A context that the client made is taken.
async fn core_multi_002(at: At) {
    let peer = at.peer().await;
    for context in [
        unique("made-by-the-client"),
        "with spaces / and ümläuts".to_owned(),
    ] {
        let task = task_of(
            peer.ok("SendMessage", within(&context, "tck-complete-task-1"))
                .await,
        );
        assert_eq!(task["contextId"], context);
    }
}

requirement!(core_multi_002a, core_multi_002a_jsonrpc: JsonRpc, core_multi_002a_rest: Rest, core_multi_002a_grpc: Grpc);

/// A context is never replaced by another one: it is in every later answer as the client made it.
async fn core_multi_002a(at: At) {
    let peer = at.peer().await;
    let context = unique("c");
    let first = task_of(
        peer.ok("SendMessage", within(&context, "tck-complete-task-1"))
            .await,
    );
    let second = task_of(
        peer.ok("SendMessage", within(&context, "tck-complete-task-1"))
            .await,
    );
    assert_ne!(first["id"], second["id"]);
    for task in [&first, &second, &peer.get(&first).await] {
        assert_eq!(task["contextId"], context, "{task}");
        assert_eq!(task["history"][0]["contextId"], context, "{task}");
    }
    let direct = peer
        .ok("SendMessage", within(&context, "tck-message-response-1"))
        .await;
    assert_eq!(direct["message"]["contextId"], context, "{direct}");
    let request = within(&context, "tck-stream-001-1");
    let mut stream = peer.stream("SendStreamingMessage", request).await.unwrap();
    assert_eq!(stream.next().await.unwrap()["task"]["contextId"], context);
}

requirement!(core_multi_003, core_multi_003_jsonrpc: JsonRpc, core_multi_003_rest: Rest, core_multi_003_grpc: Grpc);

/// Every new task has an id of its own, even when the message's id is an old one.
async fn core_multi_003(at: At) {
    let peer = at.peer().await;
    let ids =
        futures_util::future::join_all((0..20).map(|_| peer.task("tck-complete-task-1"))).await;
    let ids: BTreeSet<_> = ids
        .iter()
        .map(|task| task["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 20);
}

requirement!(core_multi_004, core_multi_004_jsonrpc: JsonRpc, core_multi_004_rest: Rest, core_multi_004_grpc: Grpc);

/// A client cannot choose the id of a task: an unknown one is not found.
async fn core_multi_004(at: At) {
    let peer = at.peer().await;
    let unknown = json!({"id": "made-by-the-client"});
    for operation in ["SendMessage", "SendStreamingMessage"] {
        peer.refuses(
            operation,
            follow_up(&unknown, "m-1", "hello"),
            Kind::TaskNotFound,
        )
        .await;
    }
    peer.refuses("GetTask", unknown, Kind::TaskNotFound).await;
}

requirement!(core_multi_005, core_multi_005_jsonrpc: JsonRpc, core_multi_005_rest: Rest, core_multi_005_grpc: Grpc);

/// The context of a message to a task is the task's.
async fn core_multi_005(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-input-required-1").await;
    let again = task_of(
        peer.ok(
            "SendMessage",
            follow_up(&task, "tck-input-required-1", "more"),
        )
        .await,
    );
    assert_eq!(
        (&again["id"], &again["contextId"]),
        (&task["id"], &task["contextId"])
    );
    assert_eq!(
        state(&again),
        "TASK_STATE_INPUT_REQUIRED",
        "it may be answered again and again"
    );
    let mut both = follow_up(&task, "m-3", "done");
    both["message"]["contextId"] = task["contextId"].clone();
    let ended = task_of(peer.ok("SendMessage", both).await);
    assert_eq!(
        (&ended["id"], state(&ended)),
        (&task["id"], "TASK_STATE_COMPLETED")
    );
}

requirement!(core_multi_006, core_multi_006_jsonrpc: JsonRpc, core_multi_006_rest: Rest, core_multi_006_grpc: Grpc);

/// A message that names a task and another context than the task's is refused, and the task stays as it is.
async fn core_multi_006(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-input-required-1").await;
    let mut request = follow_up(&task, "m-2", "more");
    request["message"]["contextId"] = json!("another");
    for operation in ["SendMessage", "SendStreamingMessage"] {
        let fault = peer
            .refuses(operation, request.clone(), Kind::InvalidParams)
            .await;
        assert_eq!(fields(&fault), ["message.contextId"]);
    }
    assert_eq!(peer.get(&task).await, task);
}

//! The conversation that a task keeps: CORE-HIST (A2A §3.2.4).

use serde_json::{Value, json};

use crate::{
    errors::Kind,
    kit::{check_message, follow_up, message, params, task_of},
    wire::Peer,
    world::At,
};

/// A task with three messages of the user and the questions between them.
async fn talk(peer: &Peer) -> Value {
    let task = peer.task("tck-input-required-1").await;
    for text in ["second", "third"] {
        peer.ok(
            "SendMessage",
            follow_up(&task, "tck-input-required-2", text),
        )
        .await;
    }
    peer.get(&task).await
}

fn texts(task: &Value) -> Vec<String> {
    let history = task["history"].as_array().cloned().unwrap_or_default();
    history
        .iter()
        .map(|message| message["parts"][0]["text"].as_str().unwrap().to_owned())
        .collect()
}

async fn got(peer: &Peer, task: &Value, length: i64) -> Value {
    peer.ok(
        "GetTask",
        json!({"id": task["id"], "historyLength": length}),
    )
    .await
}

requirement!(core_hist_001, core_hist_001_jsonrpc: JsonRpc, core_hist_001_rest: Rest, core_hist_001_grpc: Grpc);

/// A length of 0 leaves the history out, and not asking for a length does not.
async fn core_hist_001(at: At) {
    let peer = at.peer().await;
    let task = talk(&peer).await;
    assert_eq!(got(&peer, &task, 0).await.get("history"), None);
    assert!(!texts(&task).is_empty());
    let list = peer.ok("ListTasks", json!({"historyLength": 0})).await;
    assert_eq!(list["tasks"][0].get("history"), None, "{list}");
}

requirement!(core_hist_002, core_hist_002_jsonrpc: JsonRpc, core_hist_002_rest: Rest, core_hist_002_grpc: Grpc);

/// A length bounds the history to the newest messages.
async fn core_hist_002(at: At) {
    let peer = at.peer().await;
    let task = talk(&peer).await;
    let all = texts(&task);
    assert!(all.len() > 2, "{all:?}");
    for length in 1..=all.len() + 2 {
        let some = texts(&got(&peer, &task, i64::try_from(length).unwrap()).await);
        assert_eq!(some, all[all.len().saturating_sub(length)..], "{length}");
    }
    let list = peer.ok("ListTasks", json!({"historyLength": 1})).await;
    assert_eq!(texts(&list["tasks"][0]), all[all.len() - 1..]);
    peer.refuses(
        "GetTask",
        json!({"id": task["id"], "historyLength": -1}),
        Kind::InvalidParams,
    )
    .await;
}

requirement!(core_hist_003, core_hist_003_jsonrpc: JsonRpc, core_hist_003_rest: Rest, core_hist_003_grpc: Grpc);

/// The length in a send bounds the history of its answer.
async fn core_hist_003(at: At) {
    let peer = at.peer().await;
    let sent = async |length: i64| {
        let mut request = params("tck-complete-task-1", "hello");
        request["configuration"] = json!({"historyLength": length});
        task_of(peer.ok("SendMessage", request).await)
    };
    let without = sent(0).await;
    assert_eq!(without.get("history"), None);
    assert!(
        !texts(&peer.get(&without).await).is_empty(),
        "it is kept all the same"
    );
    assert_eq!(texts(&sent(1).await), ["hello"]);
}

requirement!(core_hist_004, core_hist_004_jsonrpc: JsonRpc, core_hist_004_rest: Rest, core_hist_004_grpc: Grpc);

/// Messages may be kept: here all are, of both sides.
async fn core_hist_004(at: At) {
    let peer = at.peer().await;
    let task = talk(&peer).await;
    let history = task["history"].as_array().unwrap();
    history.iter().for_each(check_message);
    let roles: Vec<_> = history
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    let expect = [
        "ROLE_USER",
        "ROLE_AGENT",
        "ROLE_USER",
        "ROLE_AGENT",
        "ROLE_USER",
    ];
    assert_eq!(roles, expect, "{task:#}");
}

requirement!(core_hist_005, core_hist_005_jsonrpc: JsonRpc, core_hist_005_rest: Rest, core_hist_005_grpc: Grpc);

/// The oldest message comes first.
async fn core_hist_005(at: At) {
    let peer = at.peer().await;
    let mine: Vec<_> = texts(&talk(&peer).await)
        .into_iter()
        .filter(|text| !text.contains('?'))
        .collect();
    assert_eq!(mine, ["hello", "second", "third"]);
}

requirement!(core_hist_006, core_hist_006_jsonrpc: JsonRpc, core_hist_006_rest: Rest, core_hist_006_grpc: Grpc);

/// A message is kept as it was sent: every part, metadata and extension.
async fn core_hist_006(at: At) {
    let peer = at.peer().await;
    let mut sent = message("m-1", "hello");
    sent["parts"] = json!([
        {"text": "räksmörgås \u{1F980}", "metadata": {"lang": "sv"}},
        {"data": {"nested": [1, 2.5, true, null, {"deep": "x"}]}},
        {"raw": "AP8Q", "filename": "a.bin", "mediaType": "application/octet-stream"},
        {"url": "https://example.com/x", "mediaType": "text/html"},
    ]);
    sent["metadata"] = json!({"trace": {"id": 7}});
    sent["extensions"] = json!(["urn:example:one"]);
    sent["referenceTaskIds"] = json!(["another-task"]);
    let task = task_of(peer.ok("SendMessage", json!({"message": sent})).await);
    let mut kept = peer.get(&task).await["history"][0].clone();
    for name in ["taskId", "contextId"] {
        assert!(
            kept.as_object_mut().unwrap().remove(name).is_some(),
            "{name} was filled in"
        );
    }
    assert_eq!(kept, sent);
}

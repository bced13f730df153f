//! Getting and listing: CORE-GET, CORE-LIST (A2A §3.1.3, §3.1.4).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    errors::{Kind, fields},
    kit::{check_task, follow_up, message, unique},
    wire::Peer,
    world::At,
};

requirement!(core_get_001, core_get_001_jsonrpc: JsonRpc, core_get_001_rest: Rest, core_get_001_grpc: Grpc);

/// A task is got as it is: id, context, status, artifacts, history.
async fn core_get_001(at: At) {
    let peer = at.peer().await;
    for id in [
        "tck-artifact-file-1",
        "tck-input-required-1",
        "tck-reject-task-1",
    ] {
        let sent = peer.task(id).await;
        let got = peer.get(&sent).await;
        check_task(&got);
        assert_eq!(got, sent, "{id}");
    }
    let working = peer.working().await;
    peer.ok("CancelTask", json!({"id": working["id"]})).await;
    assert_eq!(
        peer.get(&working).await["status"]["state"],
        "TASK_STATE_CANCELED",
        "the newest state"
    );
}

requirement!(core_get_002, core_get_002_jsonrpc: JsonRpc, core_get_002_rest: Rest, core_get_002_grpc: Grpc);

/// An unknown task is not found.
async fn core_get_002(at: At) {
    let peer = at.peer().await;
    for id in [
        "no-such-task",
        "00000000-0000-0000-0000-000000000000",
        "tasks%2Fx",
        "x%3Acancel",
    ] {
        peer.refuses("GetTask", json!({"id": id}), Kind::TaskNotFound)
            .await;
    }
}

async fn tasks(peer: &Peer, context: &str, ids: &[&str]) -> Vec<Value> {
    let mut made = Vec::new();
    for id in ids {
        let mut message = message(id, "hello");
        message["contextId"] = json!(context);
        made.push(peer.ok("SendMessage", json!({"message": message})).await["task"].clone());
    }
    made
}

fn ids(list: &Value) -> Vec<String> {
    let tasks = list["tasks"]
        .as_array()
        .unwrap_or_else(|| panic!("no list: {list}"));
    tasks
        .iter()
        .map(|task| task["id"].as_str().unwrap().to_owned())
        .collect()
}

requirement!(core_list_001, core_list_001_jsonrpc: JsonRpc, core_list_001_rest: Rest, core_list_001_grpc: Grpc);

/// A list has the caller's tasks, all and only those that fit the filter. Other callers' are in AUTH-SCOPE-001.
async fn core_list_001(at: At) {
    let peer = at.peer().await;
    assert_eq!(peer.ok("ListTasks", json!({})).await["tasks"], json!([]));
    let (one, other) = (unique("c"), unique("c"));
    let made = tasks(
        &peer,
        &one,
        &["tck-complete-task-1", "tck-input-required-1"],
    )
    .await;
    tasks(&peer, &other, &["tck-complete-task-1"]).await;
    let all: BTreeSet<String> = ids(&peer.ok("ListTasks", json!({})).await)
        .into_iter()
        .collect();
    assert_eq!(all.len(), 3);
    let of_one = peer.ok("ListTasks", json!({"contextId": one})).await;
    assert_eq!(of_one["totalSize"], 2);
    let expect: BTreeSet<_> = made
        .iter()
        .map(|task| task["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids(&of_one).into_iter().collect::<BTreeSet<_>>(), expect);
    let open = peer
        .ok(
            "ListTasks",
            json!({"contextId": one, "status": "TASK_STATE_INPUT_REQUIRED"}),
        )
        .await;
    assert_eq!(ids(&open), [made[1]["id"].as_str().unwrap()]);
    let none = peer
        .ok("ListTasks", json!({"contextId": unique("c")}))
        .await;
    assert_eq!(
        (none["tasks"].clone(), none["totalSize"].clone()),
        (json!([]), json!(0))
    );
    let since = made[1]["status"]["timestamp"].clone();
    let newer = peer
        .ok(
            "ListTasks",
            json!({"contextId": one, "statusTimestampAfter": since}),
        )
        .await;
    assert!(
        ids(&newer).contains(&made[1]["id"].as_str().unwrap().to_owned()),
        "at or after: {newer:#}"
    );
    let never = json!({"statusTimestampAfter": "2999-01-01T00:00:00.000Z"});
    assert_eq!(peer.ok("ListTasks", never).await["totalSize"], 0);
}

requirement!(core_list_002, core_list_002_jsonrpc: JsonRpc, core_list_002_rest: Rest, core_list_002_grpc: Grpc);

/// Pages go on where the last one ended, without a gap or a repeat, also when tasks come meanwhile.
async fn core_list_002(at: At) {
    let peer = at.peer().await;
    let context = unique("c");
    let made = tasks(&peer, &context, &["tck-complete-task-1"; 5]).await;
    let mut seen = Vec::new();
    let mut token = String::new();
    for size in [2, 2, 1] {
        let page = peer
            .ok(
                "ListTasks",
                json!({"contextId": context, "pageSize": 2, "pageToken": token}),
            )
            .await;
        assert_eq!(
            (ids(&page).len(), &page["pageSize"]),
            (size, &json!(2)),
            "{page:#}"
        );
        seen.extend(ids(&page));
        page["nextPageToken"]
            .as_str()
            .unwrap()
            .clone_into(&mut token);
        if size == 2 && seen.len() == 2 {
            tasks(&peer, &context, &["tck-complete-task-1"]).await;
        }
    }
    let expect: Vec<_> = made
        .iter()
        .rev()
        .map(|task| task["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(seen, expect);
    let fault = peer
        .refuses(
            "ListTasks",
            json!({"pageToken": "nonsense"}),
            Kind::InvalidParams,
        )
        .await;
    assert_eq!(fields(&fault), ["pageToken"]);
    for size in [-1, 0, 101] {
        peer.refuses("ListTasks", json!({"pageSize": size}), Kind::InvalidParams)
            .await;
    }
    assert_eq!(
        peer.ok("ListTasks", json!({})).await["pageSize"],
        50,
        "the default"
    );
}

requirement!(core_list_003, core_list_003_jsonrpc: JsonRpc, core_list_003_rest: Rest, core_list_003_grpc: Grpc);

/// The task whose status changed last comes first.
async fn core_list_003(at: At) {
    let peer = at.peer().await;
    let context = unique("c");
    let made = tasks(
        &peer,
        &context,
        &[
            "tck-input-required-1",
            "tck-complete-task-1",
            "tck-complete-task-1",
        ],
    )
    .await;
    let list = async || ids(&peer.ok("ListTasks", json!({"contextId": context})).await);
    let id = |at: usize| made[at]["id"].as_str().unwrap().to_owned();
    assert_eq!(list().await, [id(2), id(1), id(0)]);
    peer.ok("SendMessage", follow_up(&made[0], "m-2", "go on"))
        .await;
    assert_eq!(list().await, [id(0), id(2), id(1)], "the first one changed");
}

requirement!(core_list_004, core_list_004_jsonrpc: JsonRpc, core_list_004_rest: Rest, core_list_004_grpc: Grpc);

/// The last page has an empty token, which is there.
async fn core_list_004(at: At) {
    let peer = at.peer().await;
    let empty = peer.ok("ListTasks", json!({})).await;
    assert_eq!(empty["nextPageToken"], "", "{empty}");
    let context = unique("c");
    tasks(&peer, &context, &["tck-complete-task-1"; 2]).await;
    for (size, last) in [(1, false), (2, true), (3, true)] {
        let page = peer
            .ok("ListTasks", json!({"contextId": context, "pageSize": size}))
            .await;
        let token = page["nextPageToken"]
            .as_str()
            .unwrap_or_else(|| panic!("no token: {page}"));
        assert_eq!(token.is_empty(), last, "{page}");
    }
}

requirement!(core_list_005, core_list_005_jsonrpc: JsonRpc, core_list_005_rest: Rest, core_list_005_grpc: Grpc);

/// Artifacts are listed only when they are asked for; without, not even an empty member.
async fn core_list_005(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-artifact-text-1").await;
    for request in [json!({}), json!({"includeArtifacts": false})] {
        let list = peer.ok("ListTasks", request).await;
        assert_eq!(list["tasks"][0].get("artifacts"), None, "{list:#}");
    }
    let list = peer
        .ok("ListTasks", json!({"includeArtifacts": true}))
        .await;
    assert_eq!(list["tasks"][0]["artifacts"], task["artifacts"]);
}

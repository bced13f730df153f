//! The objects: DM (A2A §4, §5.5, §5.6).

use serde_json::{Value, json};

use crate::{
    errors::{Kind, fields},
    kit::{
        check_artifact, check_event, check_message, check_part, check_task, check_timestamp, kind,
        message, params, task_of,
    },
    wire::{Peer, envelope, result},
    world::{At, Binding},
};

/// Every kind of task that there is.
const TASKS: [&str; 7] = [
    "tck-complete-task-1",
    "tck-input-required-1",
    "tck-reject-task-1",
    "tck-artifact-text-1",
    "tck-artifact-data-1",
    "tck-artifact-file-1",
    "tck-artifact-file-url-1",
];

async fn tasks(peer: &Peer) -> Vec<Value> {
    let mut all = Vec::new();
    for id in TASKS {
        all.push(peer.task(id).await);
    }
    all
}

requirement!(dm_task_001, dm_task_001_jsonrpc: JsonRpc, dm_task_001_rest: Rest, dm_task_001_grpc: Grpc);

/// A task has an id and a status, wherever it is shown.
async fn dm_task_001(at: At) {
    let peer = at.peer().await;
    for task in tasks(&peer).await {
        check_task(&task);
        check_task(&peer.get(&task).await);
    }
    let list = peer.ok("ListTasks", json!({})).await;
    list["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .for_each(check_task);
    let canceled = peer.working().await;
    check_task(&peer.ok("CancelTask", json!({"id": canceled["id"]})).await);
    check_event(&peer.streaming("m-1").await.next().await.unwrap());
}

requirement!(dm_task_002, dm_task_002_jsonrpc: JsonRpc, dm_task_002_rest: Rest, dm_task_002_grpc: Grpc);

/// A task's state is one of those that there are, and each is reached.
async fn dm_task_002(at: At) {
    let peer = at.peer().await;
    let mut states = vec![crate::kit::state(&peer.working().await).to_owned()];
    for text in [
        "tck-complete-task",
        "tck-task-failure",
        "tck-input-required",
        "tck-reject-task",
        "tck-auth-required",
    ] {
        let task = task_of(peer.ok("SendMessage", params("m-1", text)).await);
        check_task(&task);
        states.push(crate::kit::state(&task).to_owned());
    }
    let first = states.remove(0);
    assert!(
        matches!(&*first, "TASK_STATE_SUBMITTED" | "TASK_STATE_WORKING"),
        "{first}"
    );
    let expect = [
        "COMPLETED",
        "FAILED",
        "INPUT_REQUIRED",
        "REJECTED",
        "AUTH_REQUIRED",
    ];
    assert_eq!(states, expect.map(|state| format!("TASK_STATE_{state}")));
    let unknown = json!({"status": "completed"});
    if peer.can_say("ListTasks", &unknown) {
        peer.refuses("ListTasks", unknown, Kind::InvalidParams)
            .await;
    }
}

requirement!(dm_msg_001, dm_msg_001_jsonrpc: JsonRpc, dm_msg_001_rest: Rest, dm_msg_001_grpc: Grpc);

/// A message has an id, a role and parts; one without is refused.
async fn dm_msg_001(at: At) {
    let peer = at.peer().await;
    let direct = peer
        .ok("SendMessage", params("tck-message-response-1", "hello"))
        .await;
    check_message(&direct["message"]);
    for task in tasks(&peer).await {
        if let Some(said) = task["status"].get("message") {
            check_message(said);
            assert_eq!(
                (&said["taskId"], &said["contextId"]),
                (&task["id"], &task["contextId"]),
                "{said}"
            );
        }
    }
    for name in ["messageId", "role", "parts"] {
        let mut message = message("m-1", "hello");
        message.as_object_mut().unwrap().remove(name);
        let fault = peer
            .refuses(
                "SendMessage",
                json!({"message": message}),
                Kind::InvalidParams,
            )
            .await;
        assert_eq!(fields(&fault), [format!("message.{name}")]);
    }
}

requirement!(dm_msg_002, dm_msg_002_jsonrpc: JsonRpc, dm_msg_002_rest: Rest, dm_msg_002_grpc: Grpc);

/// A role is the user's or the agent's, by its full name.
async fn dm_msg_002(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-input-required-1").await;
    assert_eq!(task["history"][0]["role"], "ROLE_USER");
    assert_eq!(task["status"]["message"]["role"], "ROLE_AGENT");
    for role in ["user", "USER", "ROLE_UNSPECIFIED", "ROLE_SYSTEM", ""] {
        let mut message = message("m-1", "hello");
        message["role"] = json!(role);
        let request = json!({"message": message});
        if peer.can_say("SendMessage", &request) {
            peer.refuses("SendMessage", request, Kind::InvalidParams)
                .await;
        }
    }
}

requirement!(dm_part_001, dm_part_001_jsonrpc: JsonRpc, dm_part_001_rest: Rest, dm_part_001_grpc: Grpc);

/// A part has exactly one content: text, bytes, an address or data. Both or neither is refused.
async fn dm_part_001(at: At) {
    let peer = at.peer().await;
    let file = json!({"filename": "output.txt", "mediaType": "text/plain"});
    let with = |name: &str, value: &str| {
        let mut part = file.clone();
        part[name] = json!(value);
        part
    };
    for (id, part) in [
        (
            "tck-artifact-text-1",
            json!({"text": "Generated text content"}),
        ),
        (
            "tck-artifact-data-1",
            json!({"data": {"key": "value", "count": 42}}),
        ),
        ("tck-artifact-file-1", with("raw", "dGNr")),
        (
            "tck-artifact-file-url-1",
            with("url", "https://example.com/output.txt"),
        ),
    ] {
        let task = peer.task(id).await;
        assert_eq!(task["artifacts"][0]["parts"], json!([part]), "{id}");
        check_part(&task["artifacts"][0]["parts"][0]);
    }
    let contents = [
        ("text", json!("a")),
        ("raw", json!("AA==")),
        ("url", json!("https://example.com")),
        ("data", json!({})),
    ];
    for (one, value) in &contents {
        for (other, second) in contents.iter().filter(|(other, _)| other != one) {
            let mut wrong = message("m-1", "hello");
            wrong["parts"] = json!([{*one: value, *other: second}]);
            let request = json!({"message": wrong});
            if peer.can_say("SendMessage", &request) {
                peer.refuses("SendMessage", request, Kind::InvalidParams)
                    .await;
            }
        }
        let mut right = message("m-1", "hello");
        right["parts"] = json!([{*one: value}]);
        peer.ok("SendMessage", json!({"message": right})).await;
    }
    let mut none = message("m-1", "hello");
    none["parts"] = json!([{"mediaType": "text/plain"}]);
    peer.refuses("SendMessage", json!({"message": none}), Kind::InvalidParams)
        .await;
}

requirement!(dm_art_001, dm_art_001_jsonrpc: JsonRpc, dm_art_001_rest: Rest, dm_art_001_grpc: Grpc);

/// An artifact has an id and parts, in a task and in a stream.
async fn dm_art_001(at: At) {
    let peer = at.peer().await;
    for task in tasks(&peer).await {
        task["artifacts"]
            .as_array()
            .into_iter()
            .flatten()
            .for_each(check_artifact);
    }
    for id in [
        "tck-stream-artifact-text-1",
        "tck-stream-artifact-file-1",
        "tck-stream-artifact-chunked-1",
    ] {
        let events = peer.streaming(id).await.rest().await;
        let artifacts = events
            .iter()
            .filter(|event| kind(event) == "artifactUpdate");
        assert!(
            artifacts.inspect(|event| check_event(event)).count() > 0,
            "{id}: {events:#?}"
        );
    }
}

requirement!(dm_status_001, dm_status_001_jsonrpc: JsonRpc, dm_status_001_rest: Rest, dm_status_001_grpc: Grpc);

/// A status has a state and a time, which grows.
async fn dm_status_001(at: At) {
    let peer = at.peer().await;
    let events = peer.streaming("tck-stream-003-1").await.rest().await;
    let statuses = events
        .iter()
        .filter_map(|event| event[kind(event)].get("status"));
    let times: Vec<&str> = statuses
        .map(|status| status["timestamp"].as_str().unwrap())
        .collect();
    assert!(times.len() >= 3 && times.is_sorted(), "{times:?}");
    for event in &events {
        check_event(event);
    }
}

requirement!(dm_serial_001, dm_serial_001_jsonrpc: JsonRpc, dm_serial_001_rest: Rest);

/// Names are written in camel case, and read in that and in snake case.
async fn dm_serial_001(at: At) {
    let peer = at.peer().await;
    let snake = json!({
        "message": {
            "message_id": "tck-artifact-file-1",
            "context_id": "c-1",
            "role": "ROLE_USER",
            "parts": [{"text": "hello", "media_type": "text/plain"}],
            "reference_task_ids": ["x"],
        },
        "configuration": {"history_length": 1, "return_immediately": false, "accepted_output_modes": ["text/plain"]},
    });
    let task = task_of(peer.ok("SendMessage", snake).await);
    assert_eq!(task["contextId"], "c-1");
    assert_eq!(task["history"][0]["referenceTaskIds"], json!(["x"]));
    let list = peer
        .ok(
            "ListTasks",
            json!({"context_id": "c-1", "page_size": 1, "include_artifacts": true}),
        )
        .await;
    assert_eq!(list["tasks"][0]["artifacts"], task["artifacts"]);
    let got = peer
        .ok("GetTask", json!({"id": task["id"], "history_length": 0}))
        .await;
    assert_eq!(got.get("history"), None);
    for object in [&task, &list, &got] {
        no_underscore(object);
    }
}

#[track_caller]
fn no_underscore(value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                assert!(!name.contains('_'), "{name}");
                no_underscore(value);
            }
        }
        Value::Array(items) => items.iter().for_each(no_underscore),
        _ => {}
    }
}

requirement!(dm_serial_002, dm_serial_002_jsonrpc: JsonRpc, dm_serial_002_rest: Rest);

/// Enums are written by their full names; numbers are read too, unknown names are refused.
async fn dm_serial_002(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-complete-task-1").await;
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(task["history"][0]["role"], "ROLE_USER");
    let mut numbered = message("tck-complete-task-1", "hello");
    numbered["role"] = json!(1);
    let task = task_of(peer.ok("SendMessage", json!({"message": numbered})).await);
    assert_eq!(task["history"][0]["role"], "ROLE_USER", "written by name");
    let list = peer
        .ok("ListTasks", json!({"status": "TASK_STATE_COMPLETED"}))
        .await;
    assert_eq!(list["totalSize"], 2);
    for state in ["completed", "TASK_STATE_DONE", "task_state_completed"] {
        peer.refuses("ListTasks", json!({"status": state}), Kind::InvalidParams)
            .await;
    }
}

requirement!(dm_serial_003, dm_serial_003_jsonrpc: JsonRpc, dm_serial_003_rest: Rest);

/// Times are written in UTC with milliseconds, and read with any offset and fraction.
async fn dm_serial_003(at: At) {
    let peer = at.peer().await;
    for task in tasks(&peer).await {
        check_timestamp(&task["status"]["timestamp"]);
    }
    for time in [
        "2020-01-01T00:00:00Z",
        "2020-01-01T02:00:00+02:00",
        "2020-01-01T00:00:00.123456789Z",
        "2019-12-31T19:00:00.5-05:00",
    ] {
        let list = peer
            .ok("ListTasks", json!({"statusTimestampAfter": time}))
            .await;
        assert_eq!(list["totalSize"], TASKS.len(), "{time}");
    }
    for time in ["2020-01-01", "1577836800", "soon"] {
        peer.refuses(
            "ListTasks",
            json!({"statusTimestampAfter": time}),
            Kind::InvalidParams,
        )
        .await;
    }
}

requirement!(dm_serial_004, dm_serial_004_jsonrpc: JsonRpc, dm_serial_004_rest: Rest);

/// Members that are required are there even when they are empty; others are left out then.
async fn dm_serial_004(at: At) {
    let peer = at.peer().await;
    let list = peer.ok("ListTasks", json!({})).await;
    let expect = json!({"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0});
    assert_eq!(list, expect);
    let task = peer.task("tck-complete-task-1").await;
    for name in ["artifacts", "metadata"] {
        assert_eq!(task.get(name), None, "{name} is empty: {task}");
    }
}

requirement!(dm_serial_005, dm_serial_005_jsonrpc: JsonRpc, dm_serial_005_rest: Rest);

/// Members that are unknown are ignored at every level.
async fn dm_serial_005(at: At) {
    let peer = at.peer().await;
    let mut extra = message("tck-complete-task-1", "hello");
    extra["fromTheFuture"] = json!({"a": [1]});
    extra["parts"][0]["fromTheFuture"] = json!(1);
    let request =
        json!({"message": extra, "fromTheFuture": true, "configuration": {"fromTheFuture": null}});
    let task = task_of(peer.ok("SendMessage", request).await);
    assert!(!task.to_string().contains("fromTheFuture"), "{task}");
    peer.ok("GetTask", json!({"id": task["id"], "fromTheFuture": "x"}))
        .await;
    if peer.binding == Binding::JsonRpc {
        let mut call = envelope("GetTask", &json!({"id": task["id"]}));
        call["fromTheFuture"] = json!(1);
        let answer = e2e::http::answer(peer.raw(reqwest::Method::POST, "/").json(&call)).await;
        result(peer.binding, answer).await.unwrap();
    }
}

//! That all bindings say the same: BIND-EQUIV, BIND-FIELD (A2A §5.1, §5.5).

use serde_json::{Value, json};

use crate::{
    errors::Kind,
    json_rpc::METHODS,
    kit::{follow_up, kind, names, params, state},
    wire::Peer,
    world::{At, Binding},
};

/// Every binding that there is.
const ALL: [Binding; 3] = [Binding::JsonRpc, Binding::Rest, Binding::Grpc];

requirement!(bind_equiv_001, bind_equiv_001_all: JsonRpc);

/// Every operation is there in every binding.
async fn bind_equiv_001(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-complete-task-1").await;
    let params = json!({"id": task["id"], "taskId": task["id"]});
    for binding in ALL {
        let peer = peer.speaking(binding);
        for method in METHODS {
            // Whatever it answers, it is not that there is no such operation.
            if let Err(fault) = peer.call(method, params.clone()).await {
                let unknown =
                    fault.code == -32601 || fault.status.as_deref() == Some("UNIMPLEMENTED");
                assert!(!unknown, "{binding:?} {method}: {fault:#?}");
            }
        }
    }
}

requirement!(bind_equiv_002, bind_equiv_002_all: JsonRpc);

/// The same request gets the same answer, but for ids and times; and a task made in one binding is there in the others.
async fn bind_equiv_002(at: At) {
    let peer = at.peer().await;
    for id in [
        "tck-complete-task-1",
        "tck-artifact-data-1",
        "tck-artifact-file-1",
        "tck-input-required-1",
        "tck-message-response-1",
    ] {
        let mut answers = Vec::new();
        for binding in ALL {
            let answer = peer
                .speaking(binding)
                .ok("SendMessage", params(id, "hello"))
                .await;
            answers.push(blank(answer));
        }
        for answer in &answers[1..] {
            assert_eq!(*answer, answers[0], "{id}");
        }
    }
    for (made, used) in [(ALL[0], ALL[1]), (ALL[1], ALL[2]), (ALL[2], ALL[0])] {
        let task = peer.speaking(made).task("tck-input-required-1").await;
        let used = peer.speaking(used);
        assert_eq!(used.get(&task).await, task);
        let mut stream = used.subscribed(&task).await;
        stream.next().await.unwrap();
        peer.speaking(made)
            .ok("SendMessage", follow_up(&task, "m-2", "go on"))
            .await;
        let rest = stream.rest().await;
        assert_eq!(
            rest.last().map(state),
            Some("TASK_STATE_COMPLETED"),
            "{rest:#?}"
        );
    }
}

/// The same value without what differs between two tasks.
fn blank(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                let differs = matches!(&**name, "id" | "contextId" | "taskId" | "timestamp");
                let made =
                    name == "messageId" && !value.as_str().unwrap_or_default().starts_with("tck-");
                *value = if differs || made {
                    json!("…")
                } else {
                    blank(value.take())
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = blank(item.take())),
        _ => {}
    }
    value
}

requirement!(bind_equiv_003, bind_equiv_003_all: JsonRpc);

/// The same mistake gets the same error in each binding's words, with the same reason and the same text.
async fn bind_equiv_003(at: At) {
    let peer = at.peer().await;
    let ended = peer.task("tck-complete-task-1").await;
    let mismatch = {
        let open = peer.task("tck-input-required-1").await;
        let mut request = follow_up(&open, "m-2", "x");
        request["message"]["contextId"] = json!("another");
        request
    };
    for (operation, request, kind) in [
        ("GetTask", json!({"id": "x"}), Kind::TaskNotFound),
        (
            "CancelTask",
            json!({"id": ended["id"]}),
            Kind::TaskNotCancelable,
        ),
        (
            "SubscribeToTask",
            json!({"id": ended["id"]}),
            Kind::Unsupported,
        ),
        (
            "SendMessage",
            follow_up(&ended, "m-2", "x"),
            Kind::Unsupported,
        ),
        ("SendMessage", json!({}), Kind::InvalidParams),
        ("SendMessage", mismatch, Kind::InvalidParams),
        ("ListTasks", json!({"pageToken": "x"}), Kind::InvalidParams),
    ] {
        let mut texts = Vec::new();
        for binding in ALL {
            let fault = peer
                .speaking(binding)
                .refuses(operation, request.clone(), kind)
                .await;
            texts.push((fault.message.clone(), fault.details));
        }
        for text in &texts[1..] {
            assert_eq!(*text, texts[0], "{operation} {request}");
        }
    }
}

requirement!(bind_equiv_004, bind_equiv_004_all: JsonRpc);

/// A stream has the same events in every binding, also when they are read at once.
async fn bind_equiv_004(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-input-required-1").await;
    let mut streams = Vec::new();
    for binding in ALL {
        let mut stream = peer.speaking(binding).subscribed(&task).await;
        assert_eq!(kind(&stream.next().await.unwrap()), "task");
        streams.push(stream);
    }
    peer.ok(
        "SendMessage",
        follow_up(&task, "tck-stream-artifact-chunked-1", "go on"),
    )
    .await;
    let mut all = Vec::new();
    for stream in streams {
        all.push(stream.rest().await);
    }
    assert_eq!(all[0].len(), 5, "{all:#?}");
    for other in &all[1..] {
        assert_eq!(*other, all[0]);
    }
}

requirement!(bind_field_001, bind_field_001_all: JsonRpc);

/// Members have the names of the data model in every binding that writes names.
async fn bind_field_001(at: At) {
    let peer = at.peer().await;
    for binding in [Binding::JsonRpc, Binding::Rest] {
        let peer: Peer = peer.speaking(binding);
        let mut request = params("tck-artifact-file-1", "hello");
        request["message"]["metadata"] = json!({"keep_this_name": 1});
        let sent = peer.ok("SendMessage", request).await;
        let task = &sent["task"];
        assert_eq!(
            names(task),
            ["artifacts", "contextId", "history", "id", "status"],
            "{task}"
        );
        assert_eq!(
            names(&task["artifacts"][0]),
            ["artifactId", "parts"],
            "{task}"
        );
        assert_eq!(
            names(&task["artifacts"][0]["parts"][0]),
            ["filename", "mediaType", "raw"],
            "{task}"
        );
        let message = &task["history"][0];
        assert_eq!(
            names(message),
            [
                "contextId",
                "messageId",
                "metadata",
                "parts",
                "role",
                "taskId"
            ],
            "{task}"
        );
        assert_eq!(
            message["metadata"],
            json!({"keep_this_name": 1}),
            "the client's own names are kept"
        );
        let list = peer.ok("ListTasks", json!({})).await;
        assert_eq!(
            names(&list),
            ["nextPageToken", "pageSize", "tasks", "totalSize"]
        );
    }
}

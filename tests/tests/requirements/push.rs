//! Push notifications: PUSH (A2A §3.1.7 to §3.1.10, §4.3).

use serde_json::{Value, json};

use crate::{
    errors::{Kind, fields},
    kit::{check_event, ended, immediate, kind, params, state, task_of},
    recorder::Recorder,
    wire::Peer,
    world::At,
};

/// What kits register; nothing is ever sent there.
const HOOK: &str = "https://example.com/tck-push-webhook";

const CREATE: &str = "CreateTaskPushNotificationConfig";
const GET: &str = "GetTaskPushNotificationConfig";
const LIST: &str = "ListTaskPushNotificationConfigs";
const DELETE: &str = "DeleteTaskPushNotificationConfig";

async fn created(peer: &Peer, task: &Value) -> Value {
    peer.ok(CREATE, json!({"taskId": task["id"], "url": HOOK}))
        .await
}

fn ids(list: &Value) -> Vec<&str> {
    let configs = list["configs"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut ids: Vec<_> = configs
        .iter()
        .map(|config| config["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

requirement!(push_create_001, push_create_001_jsonrpc: JsonRpc, push_create_001_rest: Rest, push_create_001_grpc: Grpc);

/// A configuration is made on any task, also on one that has ended and within a send; it has an id, the client's own or a
/// made one, and the same id again replaces it. An address that must not be called is refused.
async fn push_create_001(at: At) {
    let peer = at.peer().await;
    for task in [
        peer.task("tck-complete-task-1").await,
        peer.task("tck-input-required-1").await,
    ] {
        let config = created(&peer, &task).await;
        assert!(
            config["id"].as_str().is_some_and(|id| !id.is_empty()),
            "{config}"
        );
        assert_eq!(
            (&config["taskId"], &config["url"]),
            (&task["id"], &json!(HOOK))
        );
        for url in [HOOK, "https://example.com/other"] {
            let own = json!({"taskId": task["id"], "id": "own", "url": url, "token": "t-1"});
            assert_eq!(peer.ok(CREATE, own).await["id"], "own");
        }
        let list = peer.ok(LIST, json!({"taskId": task["id"]})).await;
        assert_eq!(ids(&list).len(), 2, "{list}");
        let own = peer
            .ok(GET, json!({"taskId": task["id"], "id": "own"}))
            .await;
        assert_eq!(
            own["url"], "https://example.com/other",
            "the second one replaced the first"
        );
        for (url, field) in [
            (json!(null), "url"),
            (json!("no address"), "url"),
            (json!("ftp://example.com/x"), "url"),
            (json!("https://10.0.0.1/x"), "url"),
            (json!("http://169.254.169.254/latest/meta-data"), "url"),
        ] {
            let request = json!({"taskId": task["id"], "url": url});
            let fault = peer.refuses(CREATE, request, Kind::InvalidParams).await;
            assert_eq!(fields(&fault), [field], "{url}");
        }
    }
    let mut inline = params("tck-complete-task-1", "hello");
    inline["configuration"] = json!({"taskPushNotificationConfig": {"url": HOOK}});
    let task = task_of(peer.ok("SendMessage", inline).await);
    assert_eq!(
        ids(&peer.ok(LIST, json!({"taskId": task["id"]})).await).len(),
        1
    );
}

requirement!(push_create_002, push_create_002_jsonrpc: JsonRpc, push_create_002_rest: Rest, push_create_002_grpc: Grpc);

/// For a task that is not there it is refused.
async fn push_create_002(at: At) {
    let peer = at.peer().await;
    peer.refuses(
        CREATE,
        json!({"taskId": "no-such-task", "url": HOOK}),
        Kind::TaskNotFound,
    )
    .await;
}

requirement!(push_get_001, push_get_001_jsonrpc: JsonRpc, push_get_001_rest: Rest, push_get_001_grpc: Grpc);

/// A configuration is got as it was made, but its secrets are not told.
async fn push_get_001(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-complete-task-1").await;
    let request = json!({
        "taskId": task["id"],
        "url": HOOK,
        "authentication": {"scheme": "Bearer", "credentials": "very-secret"},
    });
    let config = peer.ok(CREATE, request).await;
    let got = peer
        .ok(GET, json!({"taskId": task["id"], "id": config["id"]}))
        .await;
    assert_eq!(got, config);
    assert_eq!(got["authentication"]["scheme"], "Bearer");
    assert!(!got.to_string().contains("very-secret"), "{got}");
}

requirement!(push_get_002, push_get_002_jsonrpc: JsonRpc, push_get_002_rest: Rest, push_get_002_grpc: Grpc);

/// One that is not there is not found, and neither is one of another task.
async fn push_get_002(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-complete-task-1").await;
    let other = peer.task("tck-complete-task-1").await;
    let config = created(&peer, &other).await;
    for (task, config) in [
        (&task["id"], &json!("no-such-config")),
        (&task["id"], &config["id"]),
        (&json!("no-such-task"), &config["id"]),
    ] {
        peer.refuses(
            GET,
            json!({"taskId": task, "id": config}),
            Kind::TaskNotFound,
        )
        .await;
    }
}

requirement!(push_list_001, push_list_001_jsonrpc: JsonRpc, push_list_001_rest: Rest, push_list_001_grpc: Grpc);

/// The configurations of a task are listed, all and only those.
async fn push_list_001(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-complete-task-1").await;
    let other = peer.task("tck-complete-task-1").await;
    let list = async || peer.ok(LIST, json!({"taskId": task["id"]})).await;
    assert_eq!(ids(&list().await), Vec::<&str>::new());
    for id in ["a", "b", "c"] {
        peer.ok(CREATE, json!({"taskId": task["id"], "id": id, "url": HOOK}))
            .await;
    }
    created(&peer, &other).await;
    let all = list().await;
    assert_eq!(ids(&all), ["a", "b", "c"], "{all}");
    for config in all["configs"].as_array().unwrap() {
        assert_eq!(
            (&config["taskId"], &config["url"]),
            (&task["id"], &json!(HOOK))
        );
    }
    peer.refuses(LIST, json!({"taskId": "no-such-task"}), Kind::TaskNotFound)
        .await;
}

requirement!(push_del_001, push_del_001_jsonrpc: JsonRpc, push_del_001_rest: Rest, push_del_001_grpc: Grpc);

/// A deleted configuration is gone, and no other.
async fn push_del_001(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-input-required-1").await;
    let (config, kept) = (created(&peer, &task).await, created(&peer, &task).await);
    let named = json!({"taskId": task["id"], "id": config["id"]});
    assert_eq!(peer.ok(DELETE, named.clone()).await, json!({}));
    peer.refuses(GET, named, Kind::TaskNotFound).await;
    let list = peer.ok(LIST, json!({"taskId": task["id"]})).await;
    assert_eq!(ids(&list), [kept["id"].as_str().unwrap()]);
}

requirement!(push_del_002, push_del_002_jsonrpc: JsonRpc, push_del_002_rest: Rest, push_del_002_grpc: Grpc);

/// Deleting what is not there is no error, as long as the task is.
async fn push_del_002(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-complete-task-1").await;
    let config = created(&peer, &task).await;
    for id in [&config["id"], &config["id"], &json!("never-there")] {
        assert_eq!(
            peer.ok(DELETE, json!({"taskId": task["id"], "id": id}))
                .await,
            json!({})
        );
    }
    peer.refuses(
        DELETE,
        json!({"taskId": "no-such-task", "id": "x"}),
        Kind::TaskNotFound,
    )
    .await;
}

/// A message whose events are to be pushed.
fn pushed(id: &str, config: Value) -> Value {
    let mut request = immediate(id);
    request["configuration"]["taskPushNotificationConfig"] = config;
    request
}

requirement!(push_deliver_001, push_deliver_001_jsonrpc: JsonRpc, push_deliver_001_rest: Rest, push_deliver_001_grpc: Grpc);

/// Deliveries carry the credentials and the token that the configuration has, and none if it has none.
async fn push_deliver_001(at: At) {
    let peer = at.peer().await;
    let (hook, bare) = (
        Recorder::start(|_, _| (200, String::new())).await,
        Recorder::start(|_, _| (204, String::new())).await,
    );
    let authentication = json!({"scheme": "Bearer", "credentials": "very-secret"});
    let config = json!({"url": format!("{}/hook?x=1", hook.url), "token": "t-1", "authentication": authentication});
    peer.ok("SendMessage", pushed("tck-complete-task-1", config))
        .await;
    let named = bare.url.replace("127.0.0.1", "localhost");
    peer.ok(
        "SendMessage",
        pushed("tck-complete-task-1", json!({"url": named})),
    )
    .await;
    for request in hook.at_least(1).await {
        assert!(
            request.line().starts_with("POST /hook?x=1 "),
            "{request:#?}"
        );
        assert_eq!(request.header("authorization"), Some("Bearer very-secret"));
        for name in ["X-A2A-Notification-Token", "A2A-Notification-Token"] {
            assert_eq!(request.header(name), Some("t-1"), "{request:#?}");
        }
    }
    for request in bare.at_least(1).await {
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("x-a2a-notification-token"), None);
    }
}

requirement!(push_deliver_002, push_deliver_002_jsonrpc: JsonRpc, push_deliver_002_rest: Rest, push_deliver_002_grpc: Grpc);

/// An event is tried again until it has arrived, and none overtakes it.
async fn push_deliver_002(at: At) {
    let peer = at.peer().await;
    let hook = Recorder::start(|before, _| {
        if before == 0 {
            (503, String::new())
        } else {
            (200, String::new())
        }
    })
    .await;
    let config = json!({"url": hook.url});
    peer.ok("SendMessage", pushed("tck-stream-artifact-text-1", config))
        .await;
    let is_last =
        |seen: &Vec<crate::recorder::Recorded>| seen.last().is_some_and(|it| ended(&it.json()));
    let seen = hook.until("the last event", e2e::wait::SOON, is_last).await;
    assert_eq!(seen[0].body, seen[1].body, "the first one came twice");
    let mut arrived: Vec<_> = seen[1..]
        .iter()
        .map(|request| request.body.clone())
        .collect();
    let count = arrived.len();
    arrived.dedup();
    assert_eq!(
        arrived.len(),
        count,
        "each of the others once: {arrived:#?}"
    );
}

requirement!(push_deliver_003, push_deliver_003_jsonrpc: JsonRpc, push_deliver_003_rest: Rest, push_deliver_003_grpc: Grpc);

/// A delivery is one event as in a stream, and all come, in their order.
async fn push_deliver_003(at: At) {
    let peer = at.peer().await;
    let hook = Recorder::start(|_, _| (200, String::new())).await;
    let mut request = params("tck-stream-artifact-chunked-1", "hello");
    request["configuration"] = json!({"taskPushNotificationConfig": {"url": hook.url}});
    let stream = peer
        .stream("SendStreamingMessage", request)
        .await
        .unwrap()
        .rest()
        .await;
    let is_last =
        |seen: &Vec<crate::recorder::Recorded>| seen.last().is_some_and(|it| ended(&it.json()));
    let seen = hook.until("the last event", e2e::wait::SOON, is_last).await;
    for delivery in &seen {
        assert_eq!(
            delivery.header("content-type"),
            Some("application/a2a+json")
        );
        check_event(&delivery.json());
    }
    let pushed: Vec<Value> = seen.iter().map(crate::recorder::Recorded::json).collect();
    // What the client knows from its own answer, the task as it was made, need not be pushed.
    let skip = usize::from(kind(&pushed[0]) != "task");
    assert_eq!(pushed, stream[skip..], "as in the stream");
    assert_eq!(
        pushed
            .iter()
            .filter(|event| state(event) == "TASK_STATE_COMPLETED")
            .count(),
        1
    );
}

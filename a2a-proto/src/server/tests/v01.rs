//! The JSON-RPC binding of 0.1 over the real router: task ids that the client makes, events by `id` and `event`, codes.

use super::*;

fn send(id: &str, text: &str) -> Value {
    json!({"id": id, "message": {"role": "user", "parts": [{"type": "text", "text": text}]}})
}

async fn call(server: &Running, method: &str, params: Value) -> Result<Value, i64> {
    let reply = server.post("/", &rpc(method, &params)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    assert_eq!(body["id"], 7, "{body}");
    match body["error"]["code"].as_i64() {
        Some(code) => Err(code),
        None => Ok(body["result"].clone()),
    }
}

async fn frames(
    server: &Running,
    method: &str,
    params: Value,
    headers: &[(&str, &str)],
) -> Vec<http::Frame> {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let body = rpc(method, &params).to_string();
    let stream = Stream::open(server.address, "POST", "/", &all, body.as_bytes()).await;
    assert_eq!(
        (stream.status, stream.header("content-type")),
        (200, Some("text/event-stream"))
    );
    let frames = stream.all().await;
    assert!(
        frames
            .iter()
            .all(|frame| frame.event.as_deref() == Some("message"))
    );
    frames
}

fn state(event: &Value) -> (&str, bool) {
    (
        event["status"]["state"].as_str().unwrap_or_default(),
        event["final"] == true,
    )
}

#[tokio::test]
async fn a_task_goes_by_the_id_that_its_client_made() {
    let server = Running::start().await;
    let mut params = send("mine", "hello");
    params["sessionId"] = json!("s");
    let task = call(&server, "tasks/send", params).await.unwrap();
    assert_eq!(
        (&task["id"], &task["sessionId"]),
        (&json!("mine"), &json!("s"))
    );
    assert_eq!(task["status"]["state"], "completed");
    assert_eq!(task["artifacts"][0]["index"], 0);
    assert_eq!(
        task["artifacts"][0]["parts"],
        json!([{"type": "text", "text": "hello"}])
    );
    let got = call(
        &server,
        "tasks/get",
        json!({"id": "mine", "historyLength": 1}),
    )
    .await
    .unwrap();
    assert_eq!((&got["id"], &got["status"]), (&task["id"], &task["status"]));
    assert_eq!(got["history"].as_array().unwrap().len(), 1);
    // The other dialects that know the id, and the one that does not.
    let simple = server.get("/tasks/mine").await.json();
    assert_eq!(simple["id"], "mine");
    let none = server
        .call(Binding::Rpc, "GetTask", json!({"id": "mine"}))
        .await;
    assert_eq!(none.unwrap_err().reason, "TASK_NOT_FOUND");
    assert_eq!(
        server.agent.protocols(),
        [crate::version::ProtocolVersion::V0_1]
    );
    // By the server's id it is a task of 0.3, unless the header says otherwise.
    let list = server
        .call(Binding::Rpc, "ListTasks", json!({}))
        .await
        .unwrap();
    let id = json!({"id": list["tasks"][0]["id"]});
    assert_eq!(
        call(&server, "tasks/get", id.clone()).await.unwrap()["kind"],
        "task"
    );
    let headers = [("content-type", "application/json"), ("A2A-Version", "0.1")];
    let body = rpc("tasks/get", &id).to_string();
    let old = server
        .send("POST", "/", &headers, body.as_bytes())
        .await
        .json()["result"]
        .clone();
    assert_eq!((&old["id"], &old["kind"]), (&json!("mine"), &Value::Null));
}

#[tokio::test]
async fn a_stream_is_told_by_statuses_and_artifacts_and_can_be_resumed_from_any_event() {
    let server = Running::start().await;
    let params = send("mine", "chunks 2");
    let all = frames(&server, "tasks/sendSubscribe", params.clone(), &[]).await;
    let events: Vec<_> = all.iter().map(http::Frame::event_json).collect();
    assert!(events.iter().all(|event| event["id"] == "mine"));
    assert_eq!(state(&events[0]), ("submitted", false));
    assert_eq!(state(&events[1]), ("working", false));
    assert_eq!(events[2]["artifact"]["append"], Value::Null);
    assert_eq!(
        events[3]["artifact"],
        json!({"index": 0, "append": true, "lastChunk": true, "parts": [{"type": "text", "text": "chunk-1 "}]})
    );
    assert_eq!(state(&events[4]), ("completed", true));
    for after in 1..5_usize {
        let header = after.to_string();
        let headers = [("Last-Event-ID", header.as_str())];
        for (method, params) in [
            ("tasks/resubscribe", json!({"id": "mine"})),
            ("tasks/sendSubscribe", params.clone()),
        ] {
            let rest = frames(&server, method, params, &headers).await;
            assert_eq!(rest, all[after..], "{method} after {after}");
        }
    }
    // An ended task is shown once more.
    let shown = frames(&server, "tasks/resubscribe", json!({"id": "mine"}), &[]).await;
    assert_eq!(
        state(&shown.last().unwrap().event_json()),
        ("completed", true)
    );
}

#[tokio::test]
async fn a_task_that_waits_ends_the_stream_and_goes_on_by_its_id() {
    let server = Running::start().await;
    let all = frames(&server, "tasks/sendSubscribe", send("mine", "ask"), &[]).await;
    assert_eq!(
        state(&all.last().unwrap().event_json()),
        ("input-required", true)
    );
    let task = call(&server, "tasks/send", send("mine", "go"))
        .await
        .unwrap();
    assert_eq!(
        (&task["id"], &task["status"]["state"]),
        (&json!("mine"), &json!("completed"))
    );
    assert!(task["history"].as_array().unwrap().len() > 1);
    assert_eq!(
        call(&server, "tasks/send", send("mine", "more")).await,
        Err(-32009)
    );
    assert_eq!(
        call(&server, "tasks/cancel", json!({"id": "mine"})).await,
        Err(-32002)
    );
}

#[tokio::test]
async fn a_direct_reply_is_a_task_that_has_ended() {
    let server = Running::start().await;
    let task = call(&server, "tasks/send", send("mine", "reply"))
        .await
        .unwrap();
    assert_eq!(
        task["status"]["message"]["parts"],
        json!([{"type": "text", "text": "hello"}])
    );
    let all = frames(&server, "tasks/sendSubscribe", send("mine", "reply"), &[]).await;
    assert_eq!(state(&all[0].event_json()), ("completed", true));
}

#[tokio::test]
async fn errors_have_the_codes_of_0_1() {
    let server = Running::start().await;
    for (method, params, code) in [
        ("tasks/send", json!({}), -32602),
        (
            "tasks/send",
            json!({"id": "a", "message": {"role": "user", "parts": []}}),
            -32602,
        ),
        (
            "tasks/send",
            json!({"id": "a", "message": {"role": "boss", "parts": [{"text": "x"}]}}),
            -32602,
        ),
        (
            "tasks/send",
            json!({"id": "a", "message": {"parts": [{"type": "x", "text": "x"}]}}),
            -32602,
        ),
        (
            "tasks/sendSubscribe",
            json!({"message": {"parts": [{"text": "x"}]}}),
            -32602,
        ),
        (
            "tasks/pushNotification/set",
            json!({"id": "none", "pushNotificationConfig": {"url": "http://h/"}}),
            -32003,
        ),
        ("tasks/pushNotification/get", json!({"id": "none"}), -32003),
        ("tasks/nothing", json!({}), -32601),
    ] {
        assert_eq!(
            call(&server, method, params.clone()).await,
            Err(code),
            "{method} {params}"
        );
    }
    let quiet = Running::with(|_, agent| {
        agent.change_card(|card| card.capabilities.streaming = Some(false));
    })
    .await;
    let refused = call(&quiet, "tasks/sendSubscribe", send("mine", "hello")).await;
    assert_eq!(refused, Err(-32006));
}

#[tokio::test]
async fn ids_of_clients_are_their_own() {
    let server = Running::with(|options, _| {
        options.auth = Arc::new(ByName);
    })
    .await;
    let ask = async |caller: &str, text: &str| {
        let body = rpc("tasks/send", &send("same", text)).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("authorization", caller),
        ];
        server
            .send("POST", "/", &headers, body.as_bytes())
            .await
            .json()["result"]
            .clone()
    };
    let (ann, bob) = (ask("ann", "one").await, ask("bob", "two").await);
    assert_eq!((&ann["id"], &bob["id"]), (&json!("same"), &json!("same")));
    assert_eq!(ann["artifacts"][0]["parts"][0]["text"], "one");
    assert_eq!(bob["artifacts"][0]["parts"][0]["text"], "two");
}

/// The header is the caller.
struct ByName;

impl crate::server::Authenticator for ByName {
    fn authenticate(
        &self,
        headers: &::http::HeaderMap,
    ) -> Result<Caller, crate::server::AuthError> {
        let name = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        name.map(Caller::new)
            .ok_or(crate::server::AuthError::Missing)
    }
}

#[tokio::test]
async fn a_task_has_one_push_configuration() {
    let server = pushing().await;
    let mut params = send("mine", "hello");
    params["pushNotification"] = json!({"url": "https://example.com/first"});
    params["message"]["parts"][0]["text"] = json!("ask");
    call(&server, "tasks/send", params).await.unwrap();
    let id = json!({"id": "mine"});
    let got = call(&server, "tasks/pushNotification/get", id.clone())
        .await
        .unwrap();
    assert_eq!(
        got,
        json!({"id": "mine", "pushNotificationConfig": {"url": "https://example.com/first"}})
    );
    let set = json!({"id": "mine", "pushNotificationConfig": {"url": "https://example.com/hook"}});
    for _ in 0..2 {
        let created = call(&server, "tasks/pushNotification/set", set.clone()).await;
        assert_eq!(created.unwrap(), set);
    }
    assert_eq!(
        call(&server, "tasks/pushNotification/get", id)
            .await
            .unwrap(),
        set
    );
    let none = call(&server, "tasks/pushNotification/get", json!({"id": "none"})).await;
    assert_eq!(none, Err(-32001));
    let empty = call(&server, "tasks/pushNotification/set", json!({"id": "mine"})).await;
    assert_eq!(empty, Err(-32602));
}

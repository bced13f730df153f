//! The simple dialect: the requests that the design document shows, as they stand there.

use super::*;

/// The body of the document's `curl` example: parts without `type`.
fn example(id: &str, text: &str) -> Value {
    json!({"id": id, "message": {"role": "user", "parts": [{"text": text}]}})
}

/// The same in v0.1: parts say their `type`.
fn typed(id: &str, text: &str) -> Value {
    json!({"id": id, "message": {"role": "user", "parts": [{"type": "text", "text": text}]}})
}

async fn frames(server: &Running, body: &Value, headers: &[(&str, &str)]) -> Vec<http::Frame> {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend_from_slice(headers);
    let stream = Stream::open(
        server.address,
        "POST",
        "/tasks/send",
        &all,
        body.to_string().as_bytes(),
    )
    .await;
    assert_eq!(
        (stream.status, stream.header("content-type")),
        (200, Some("text/event-stream"))
    );
    stream.all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_curl_example_streams_status_message_artifact_and_can_be_asked_after() {
    let server = Running::start().await;
    let body = example("task-123", "Build a REST API for user management");
    // Curl sends `Accept: */*`, the document's Python client `text/event-stream`.
    let frames = frames(&server, &body, &[("accept", "*/*")]).await;
    let kinds: Vec<_> = frames
        .iter()
        .map(|frame| frame.event.as_deref().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "task.status",
            "task.status",
            "task.artifact",
            "task.message",
            "task.status"
        ]
    );
    let ids: Vec<_> = frames.iter().filter_map(|frame| frame.id).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    let data: Vec<_> = frames.iter().map(http::Frame::json).collect();
    assert!(data.iter().all(|data| data["id"] == "task-123"));
    assert_eq!(data[1]["status"], "running");
    assert_eq!(data[2]["name"], "out");
    assert!(data[2]["data"].is_string());
    assert_eq!(
        (&data[4]["status"], &data[4]["final"]),
        (&json!("completed"), &json!(true))
    );
    for path in ["/tasks/task-123", "/legacy/tasks/task-123"] {
        let task = server.get(path).await.json();
        assert_eq!(
            (&task["id"], &task["status"]["state"]),
            (&json!("task-123"), &json!("completed")),
            "{path}"
        );
        assert_eq!(task["artifacts"][0]["parts"][0]["type"], "text");
    }
    // By its server-made id, and in 1.0 when the client says so.
    let list = server
        .call(Binding::Rpc, "ListTasks", json!({}))
        .await
        .unwrap();
    let id = list["tasks"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        server.get(&format!("/tasks/{id}")).await.json()["status"]["state"],
        "completed"
    );
    let versioned = server
        .send(
            "GET",
            &format!("/tasks/{id}"),
            &[("a2a-version", "1.0")],
            b"",
        )
        .await
        .json();
    assert_eq!(state(&versioned), "TASK_STATE_COMPLETED");
    assert_eq!(
        server
            .send("GET", "/tasks/task-123", &[("a2a-version", "1.0")], b"")
            .await
            .status,
        404
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_wants_json_waits_for_the_task() {
    let server = Running::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
    ];
    let reply = server
        .send(
            "POST",
            "/tasks/send",
            &headers,
            example("t", "hello").to_string().as_bytes(),
        )
        .await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.json()["status"]["state"], "completed");
    // Inside the envelope of early clients, too.
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/send", "params": example("u", "hello")});
    let reply = server
        .send(
            "POST",
            "/tasks/send/",
            &headers,
            call.to_string().as_bytes(),
        )
        .await;
    assert_eq!(reply.json()["id"], "u");
    let reply = server
        .send(
            "POST",
            "/legacy/tasks/send",
            &headers,
            example("v", "reply").to_string().as_bytes(),
        )
        .await;
    assert_eq!(
        reply.json()["status"]["message"]["parts"][0]["text"],
        "hello"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_reply_is_a_task_that_has_ended() {
    let server = Running::start().await;
    for (body, pointer) in [
        (example("mine", "reply"), "/status"),
        (typed("mine", "reply"), "/status/state"),
    ] {
        let frames = frames(&server, &body, &[]).await;
        let kinds: Vec<_> = frames.iter().map(|frame| frame.event.as_deref()).collect();
        assert_eq!(kinds, [Some("task.message"), Some("task.status")]);
        let last = frames[1].json();
        assert_eq!(
            (last.pointer(pointer), &last["final"]),
            (Some(&json!("completed")), &json!(true))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn same_id_goes_on_with_the_task_until_it_has_ended() {
    let server = Running::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
    ];
    let send = async |text: &str| {
        server
            .send(
                "POST",
                "/tasks/send",
                &headers,
                example("mine", text).to_string().as_bytes(),
            )
            .await
    };
    assert_eq!(
        send("ask").await.json()["status"]["state"],
        "input-required"
    );
    let done = send("hello").await.json();
    assert_eq!(done["status"]["state"], "completed");
    assert_eq!(done["history"].as_array().unwrap().len(), 3);
    let ended = send("more").await;
    assert_eq!(
        (ended.status, &ended.json()["error"]["details"][0]["reason"]),
        (400, &json!("UNSUPPORTED_OPERATION"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_with_typed_parts_is_answered_in_the_objects_of_v0_1() {
    let server = Running::start().await;
    let frames = frames(&server, &typed("mine", "Build a REST API"), &[]).await;
    let told: Vec<_> = frames
        .iter()
        .map(|frame| {
            let mut data = frame.json();
            if let Some(Value::Object(status)) = data.get_mut("status") {
                assert!(status.remove("timestamp").is_some_and(|at| at.is_string()));
            }
            (frame.event.as_deref().unwrap(), data)
        })
        .collect();
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let says = json!({"role": "agent", "parts": text("done")});
    assert_eq!(
        told,
        [
            (
                "task.status",
                json!({"id": "mine", "status": {"state": "submitted"}, "final": false})
            ),
            (
                "task.status",
                json!({"id": "mine", "status": {"state": "working"}, "final": false})
            ),
            (
                "task.artifact",
                json!({"id": "mine", "artifact": {"index": 0, "lastChunk": true, "parts": text("Build a REST API")}})
            ),
            ("task.message", json!({"id": "mine", "message": says})),
            (
                "task.status",
                json!({"id": "mine", "status": {"state": "completed", "message": says}, "final": true})
            ),
        ]
    );
    // The form is kept beside the task, not in it.
    let list = server
        .call(Binding::Rpc, "ListTasks", json!({}))
        .await
        .unwrap();
    assert_eq!(list["tasks"][0].get("metadata"), None);
    // A task of another dialect, followed by a simple client.
    let id = server.begin("hello").await["id"].clone();
    let path = format!("/legacy/tasks/{}", id.as_str().unwrap());
    let headers = [("accept", "text/event-stream")];
    let stream = Stream::open(server.address, "GET", &path, &headers, b"").await;
    let last = stream.all().await.last().unwrap().json();
    assert_eq!(
        (&last["id"], &last["status"]["state"]),
        (&id, &json!("completed"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_stream_is_resumed_in_its_form_by_get_or_by_the_same_post() {
    let server = Running::start().await;
    for (id, body, completed) in [
        ("short", example("short", "say a b c"), "/status"),
        ("typed", typed("typed", "say a b c"), "/status/state"),
        ("chunks", example("chunks", "chunks 10"), "/status"),
    ] {
        let whole = frames(&server, &body, &[]).await;
        let last = whole.last().unwrap();
        assert_eq!(last.json().pointer(completed), Some(&json!("completed")));
        let numbered = whole.iter().enumerate();
        let cuts: Vec<_> = numbered
            .filter_map(|(at, frame)| Some((at + 1, frame.id?)))
            .filter(|(_, seq)| Some(*seq) != last.id)
            .collect();
        assert!(cuts.len() > 3, "{whole:?}");
        for (after, seq) in cuts {
            let seq = seq.to_string();
            let headers = [("accept", "text/event-stream"), ("last-event-id", &*seq)];
            for path in [format!("/tasks/{id}"), format!("/legacy/tasks/{id}")] {
                let stream = Stream::open(server.address, "GET", &path, &headers, b"").await;
                assert_eq!(stream.all().await, whole[after..], "{path} after {seq}");
            }
            assert_eq!(
                frames(&server, &body, &headers).await,
                whole[after..],
                "{id} after {seq}"
            );
        }
        // Without a number: the task as it stands.
        let path = format!("/tasks/{id}");
        let headers = [("accept", "text/event-stream")];
        let stream = Stream::open(server.address, "GET", &path, &headers, b"").await;
        let all = stream.all().await;
        assert_eq!(
            all.last().unwrap().json().pointer(completed),
            Some(&json!("completed"))
        );
        // As JSON it is the same object whatever the form.
        assert_eq!(
            server.get(&path).await.json()["status"]["state"],
            "completed"
        );
    }
    assert_eq!(
        server
            .call(Binding::Rpc, "ListTasks", json!({}))
            .await
            .unwrap()["totalSize"],
        3
    );
    // A task that is not there is not begun by a client that means to go on with it.
    let headers = [("content-type", "application/json"), ("last-event-id", "3")];
    let body = example("none", "hello").to_string();
    let gone = server
        .send("POST", "/tasks/send", &headers, body.as_bytes())
        .await;
    assert_eq!(gone.status, 404);
    for bad in ["99", "x"] {
        let headers = [("accept", "text/event-stream"), ("last-event-id", bad)];
        assert_eq!(
            server
                .send("GET", "/tasks/short", &headers, b"")
                .await
                .status,
            400
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_bodies_name_the_field() {
    let server = Running::start().await;
    for (body, field) in [
        (json!({}), "id"),
        (json!({"id": "x"}), "message"),
        (
            json!({"id": "x", "message": {"role": "user", "parts": []}}),
            "message.parts",
        ),
        (
            json!({"id": "x", "message": {"parts": [{"type": "text"}]}}),
            "message.parts[0]",
        ),
        (
            json!({"id": 5, "message": {"parts": [{"text": "x"}]}}),
            "id",
        ),
    ] {
        let reply = server.post("/tasks/send", &body).await;
        assert_eq!(reply.status, 400, "{body}");
        let error = reply.json();
        assert_eq!(
            error["error"]["details"][0]["fieldViolations"][0]["field"], field,
            "{body}"
        );
    }
    assert_eq!(server.get("/legacy/tasks/none").await.status, 404);
}

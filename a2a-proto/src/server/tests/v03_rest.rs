//! The REST binding of 0.3 over the real router: every path with good and bad input, streams, error bodies.

use super::*;

fn says(text: &str) -> Value {
    json!({"message": {"messageId": format!("m-{text}"), "role": "ROLE_USER", "content": [{"text": text}]}})
}

async fn stream(
    server: &Running,
    method: &str,
    path: &str,
    body: &Value,
    headers: &[(&str, &str)],
) -> Stream {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let stream = Stream::open(server.address, method, path, &all, body.as_bytes()).await;
    assert_eq!(
        (stream.status, stream.header("content-type")),
        (200, Some("text/event-stream"))
    );
    stream
}

#[tokio::test]
async fn tasks_are_sent_got_listed_and_canceled() {
    let server = Running::start().await;
    let reply = server.post("/v1/message:send", &says("hello")).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/json"))
    );
    let task = reply.json()["task"].clone();
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(task["status"]["message"]["content"][0]["text"], "done");
    assert_eq!(task["artifacts"][0]["parts"], json!([{"text": "hello"}]));
    assert_eq!(task["history"][0]["role"], "ROLE_USER");
    let id = task["id"].as_str().unwrap();
    let got = server
        .get(&format!("/v1/tasks/{id}?historyLength=0"))
        .await
        .json();
    assert_eq!((&got["id"], &got["history"]), (&task["id"], &Value::Null));
    let list = server.get("/v1/tasks?pageSize=10").await.json();
    assert_eq!(
        (&list["tasks"][0]["id"], &list["totalSize"]),
        (&task["id"], &json!(1))
    );

    let mut waits = says("wait");
    waits["configuration"] = json!({"blocking": false});
    let task = server.post("/v1/message:send", &waits).await.json()["task"].clone();
    let path = format!("/v1/tasks/{}:cancel", task["id"].as_str().unwrap());
    let canceled = server.send("POST", &path, &[], b"").await.json();
    assert_eq!(canceled["status"]["state"], "TASK_STATE_CANCELLED");
    let again = server.send("POST", &path, &[], b"").await;
    assert_eq!((again.status, &again.json()["code"]), (400, &json!(-32002)));
    assert_eq!(
        server.agent.protocols(),
        [crate::version::ProtocolVersion::V0_3; 2]
    );

    let reply = server.post("/v1/message:send", &says("reply")).await.json();
    assert_eq!(reply["message"]["content"], json!([{"text": "hello"}]));
}

#[tokio::test]
async fn the_names_of_the_proto_file_and_empty_members_are_read() {
    let server = Running::start().await;
    let body = json!({"request": {"message_id": "m", "role": 1, "context_id": "c", "content": [
        {"text": "x"},
        {"file": {"file_with_uri": "", "file_with_bytes": "aGk=", "mime_type": "text/plain", "name": "f"}},
        {"file": {"file_with_uri": "http://h/", "file_with_bytes": ""}},
        {"data": {"data": {"a": 1}}},
    ]}, "configuration": {"blocking": true, "accepted_output_modes": ["text/plain"]}});
    let task = server.post("/v1/message:send", &body).await.json()["task"].clone();
    assert_eq!(task["contextId"], "c");
    assert_eq!(
        task["history"][0]["content"],
        json!([
            {"text": "x"},
            {"file": {"fileWithBytes": "aGk=", "mimeType": "text/plain", "name": "f"}},
            {"file": {"fileWithUri": "http://h/"}},
            {"data": {"data": {"a": 1}}},
        ])
    );
}

#[tokio::test]
async fn a_stream_has_bare_events_with_numbers_and_can_be_resumed_by_both_verbs() {
    let server = Running::start().await;
    let frames = stream(
        &server,
        "POST",
        "/v1/message:stream",
        &says("chunks 2"),
        &[],
    )
    .await
    .all()
    .await;
    let events: Vec<_> = frames.iter().map(http::Frame::json).collect();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event.as_object().unwrap().keys().next().unwrap().as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "task",
            "statusUpdate",
            "artifactUpdate",
            "artifactUpdate",
            "statusUpdate"
        ]
    );
    assert_eq!(events[1]["statusUpdate"]["final"], Value::Null);
    assert_eq!(events[4]["statusUpdate"]["final"], true);
    let path = format!(
        "/v1/tasks/{}:subscribe",
        events[0]["task"]["id"].as_str().unwrap()
    );
    for method in ["GET", "POST"] {
        let rest = stream(
            &server,
            method,
            &path,
            &Value::Null,
            &[("Last-Event-ID", "2")],
        )
        .await;
        assert_eq!(rest.all().await, frames[2..], "{method}");
    }
    let ended = server.get(&path).await;
    assert_eq!(
        (ended.status, &ended.json()["type"]),
        (400, &json!("UnsupportedOperationError"))
    );
}

#[tokio::test]
async fn a_stream_ends_when_the_task_waits() {
    let server = Running::start().await;
    let frames = stream(&server, "POST", "/v1/message:stream", &says("ask"), &[])
        .await
        .all()
        .await;
    let last = frames.last().unwrap().json()["statusUpdate"].clone();
    assert_eq!(
        (&last["status"]["state"], &last["final"]),
        (&json!("TASK_STATE_INPUT_REQUIRED"), &json!(true))
    );
}

#[tokio::test]
async fn errors_carry_what_every_sdk_looks_for() {
    let server = Running::start().await;
    let without = |name: &str| {
        let mut body = says("x");
        body["message"].as_object_mut().unwrap().remove(name);
        body
    };
    let mut both = says("x");
    both["message"]["content"] = json!([{"text": "x", "data": {"data": {}}}]);
    for body in [
        json!({}),
        json!({"message": {}}),
        without("messageId"),
        without("role"),
        without("content"),
        both,
        json!({"message": {"messageId": "m", "role": "ROLE_BOSS", "content": [{"text": "x"}]}}),
        json!({"message": {"messageId": "m", "role": "ROLE_USER", "content": []}}),
        json!({"message": {"messageId": "m", "role": "ROLE_USER", "content": [{"data": {"data": 5}}]}}),
    ] {
        for path in ["/v1/message:send", "/v1/message:stream"] {
            let reply = server.post(path, &body).await;
            let error = reply.json();
            assert_eq!(
                (reply.status, &error["code"]),
                (400, &json!(-32602)),
                "{body}"
            );
            assert_eq!(error["type"], "InvalidParamsError");
            assert_eq!(error["error"], "io.a2a.spec.InvalidParamsError");
            assert!(error["message"].is_string());
        }
    }
    for (method, path, status, code) in [
        ("GET", "/v1/tasks/none", 404, -32001),
        ("POST", "/v1/tasks/none:cancel", 404, -32001),
        ("GET", "/v1/tasks/none:subscribe", 404, -32001),
        ("GET", "/v1/tasks?pageSize=0", 400, -32602),
        ("GET", "/v1/card", 400, -32007),
    ] {
        let reply = server.send(method, path, &[], b"").await;
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (status, &json!(code)),
            "{path}"
        );
    }
    let broken = server
        .send(
            "POST",
            "/v1/message:send",
            &[("content-type", "application/json")],
            b"{",
        )
        .await;
    assert_eq!(
        (broken.status, &broken.json()["code"]),
        (400, &json!(-32700))
    );
    let text = server
        .send(
            "POST",
            "/v1/message:send",
            &[("content-type", "text/plain")],
            b"{}",
        )
        .await;
    assert_eq!((text.status, &text.json()["code"]), (400, &json!(-32005)));
}

#[tokio::test]
async fn callers_without_credentials_are_refused_and_the_card_for_known_ones_is_theirs() {
    let server = Running::with(|options, agent| {
        shared_token(options);
        agent.change_card(|card| {
            card.capabilities.extended_agent_card = Some(true);
            card.supported_interfaces = crate::card::interfaces("http://127.0.0.1:1", false);
        });
    })
    .await;
    let refused = server.get("/v1/card").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert!(refused.json()["message"].is_string());
    let card = server
        .send(
            "GET",
            "/v1/card",
            &[("authorization", "Bearer s3cret")],
            b"",
        )
        .await;
    assert_eq!(card.header("cache-control"), Some("private, no-store"));
    assert_eq!(card.json()["name"], "tester, extended");
    assert_eq!(card.json()["protocolVersion"], "0.3.0");
}

#[tokio::test]
async fn push_configurations_are_created_in_both_forms_got_listed_and_deleted() {
    let server = pushing().await;
    let task = server.post("/v1/message:send", &says("hello")).await.json()["task"].clone();
    let id = task["id"].as_str().unwrap();
    let path = format!("/v1/tasks/{id}/pushNotificationConfigs");
    let config = |id: &str| json!({"id": id, "url": "https://example.com/hook"});
    let whole = json!({"parent": format!("tasks/{id}"), "config_id": "a",
        "config": {"push_notification_config": config("")}});
    let short = json!({"name": format!("tasks/{id}/pushNotificationConfigs/b"),
        "pushNotificationConfig": config("b")});
    for (body, config_id) in [(whole, "a"), (short, "b")] {
        let created = server.post(&path, &body).await;
        assert_eq!(created.status, 200, "{created:?}");
        let created = created.json();
        assert_eq!(
            created["name"],
            format!("tasks/{id}/pushNotificationConfigs/{config_id}")
        );
        assert_eq!(created["pushNotificationConfig"], config(config_id));
        assert_eq!(
            server.get(&format!("{path}/{config_id}")).await.json(),
            created
        );
    }
    let list = server.get(&path).await.json();
    assert_eq!(list["configs"].as_array().unwrap().len(), 2);
    let deleted = server.send("DELETE", &format!("{path}/a"), &[], b"").await;
    assert_eq!((deleted.status, deleted.json()), (200, json!({})));
    let gone = server.get(&format!("{path}/a")).await;
    assert_eq!((gone.status, &gone.json()["code"]), (404, &json!(-32001)));
    for body in [
        json!({}),
        json!({"parent": "tasks/other", "config": {}}),
        json!({"pushNotificationConfig": {}}),
    ] {
        let refused = server.post(&path, &body).await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (400, &json!(-32602)),
            "{body}"
        );
    }
}

//! The JSON-RPC binding of 0.3 over the real router: every method with good and bad input, streams, resuming.

use super::*;

fn says(text: &str) -> Value {
    json!({"kind": "message", "messageId": format!("m-{text}"), "role": "user",
        "parts": [{"kind": "text", "text": text}]})
}

/// A call; an error comes back as its code.
async fn call(server: &Running, method: &str, params: Value) -> Result<Value, i64> {
    let reply = server.post("/", &rpc(method, &params)).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/json")),
        "{reply:?}"
    );
    let body = reply.json();
    assert_eq!(body["id"], 7, "{body}");
    match body["error"]["code"].as_i64() {
        Some(code) => {
            assert!(body["error"]["message"].is_string(), "{body}");
            Err(code)
        }
        None => Ok(body["result"].clone()),
    }
}

async fn open(server: &Running, method: &str, params: Value, headers: &[(&str, &str)]) -> Stream {
    let mut all = vec![
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
    ];
    all.extend_from_slice(headers);
    let body = rpc(method, &params).to_string();
    let stream = Stream::open(server.address, "POST", "/", &all, body.as_bytes()).await;
    assert_eq!(
        (stream.status, stream.header("content-type")),
        (200, Some("text/event-stream"))
    );
    stream
}

/// What an event is, in a few words.
fn word(event: &Value) -> String {
    let state = event["status"]["state"].as_str().unwrap_or_default();
    let last = if event["final"] == true { " final" } else { "" };
    format!("{} {state}{last}", event["kind"].as_str().unwrap())
}

#[tokio::test]
async fn a_send_answers_the_finished_task_and_the_task_can_be_got() {
    let server = Running::start().await;
    let task = call(&server, "message/send", json!({"message": says("hello")}))
        .await
        .unwrap();
    assert_eq!(task["kind"], "task");
    assert_eq!(task["status"]["state"], "completed");
    assert_eq!(task["status"]["message"]["kind"], "message");
    assert_eq!(task["status"]["message"]["role"], "agent");
    assert_eq!(
        task["artifacts"],
        json!([{"artifactId": "out", "parts": [{"kind": "text", "text": "hello"}]}])
    );
    assert_eq!(task["history"][0]["parts"][0]["text"], "hello");
    assert!(task["contextId"].is_string());
    let params = json!({"id": task["id"], "historyLength": 0});
    let got = call(&server, "tasks/get", params).await.unwrap();
    assert_eq!(got["history"], Value::Null);
    assert_eq!(got["artifacts"], task["artifacts"]);
    // 1.0 sees the same task.
    let current = server
        .call(Binding::Rpc, "GetTask", json!({"id": task["id"]}))
        .await
        .unwrap();
    assert_eq!(current["status"]["state"], "TASK_STATE_COMPLETED");
    let protocols = server.agent.protocols();
    assert_eq!(protocols, [crate::version::ProtocolVersion::V0_3]);
}

#[tokio::test]
async fn a_direct_reply_is_a_bare_message_and_ends_its_stream() {
    let server = Running::start().await;
    let params = json!({"message": says("reply")});
    let reply = call(&server, "message/send", params.clone()).await.unwrap();
    assert_eq!(
        (&reply["kind"], &reply["role"]),
        (&json!("message"), &json!("agent"))
    );
    let events = open(&server, "message/stream", params, &[])
        .await
        .events()
        .await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["kind"], "message");
}

#[tokio::test]
async fn a_stream_carries_numbered_events_and_the_last_is_final() {
    let server = Running::start().await;
    let params = json!({"message": says("chunks 3")});
    let frames = open(&server, "message/stream", params, &[])
        .await
        .all()
        .await;
    let words: Vec<_> = frames.iter().map(|it| word(&it.event_json())).collect();
    assert_eq!(
        words,
        [
            "task submitted",
            "status-update working",
            "artifact-update ",
            "artifact-update ",
            "artifact-update ",
            "status-update completed final",
        ]
    );
    let ids: Vec<_> = frames.iter().map(|it| it.id.unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    assert!(frames.iter().all(|it| it.event.is_none()));
    assert_eq!(frames[1].event_json()["final"], false);
    let (second, third) = (frames[3].event_json(), frames[4].event_json());
    assert_eq!(
        (&second["append"], &second["lastChunk"], &third["lastChunk"]),
        (&json!(true), &Value::Null, &json!(true))
    );

    // From every place on, the rest is the same.
    let id = frames[0].event_json()["id"].clone();
    for after in 0..6_usize {
        let header = after.to_string();
        let headers = [("Last-Event-ID", header.as_str())];
        let rest = open(&server, "tasks/resubscribe", json!({ "id": id }), &headers).await;
        assert_eq!(rest.all().await, frames[after..], "after {after}");
    }
    let beyond = server
        .send(
            "POST",
            "/",
            &[("content-type", "application/json"), ("Last-Event-ID", "7")],
            rpc("tasks/resubscribe", &json!({ "id": id }))
                .to_string()
                .as_bytes(),
        )
        .await;
    assert_eq!(beyond.json()["error"]["code"], -32602);
}

#[tokio::test]
async fn a_stream_ends_when_the_task_waits_and_goes_on_with_a_follow_up_by_task_id_alone() {
    let server = Running::start().await;
    let params = json!({"message": says("ask")});
    let events = open(&server, "message/stream", params, &[])
        .await
        .events()
        .await;
    assert_eq!(
        word(events.last().unwrap()),
        "status-update input-required final"
    );
    let id = events[0]["id"].clone();
    let before = call(&server, "tasks/get", json!({ "id": id }))
        .await
        .unwrap();

    // Who subscribes to a waiting task wants to see what comes, so this one stays open.
    let mut waiting = open(&server, "tasks/resubscribe", json!({ "id": id }), &[]).await;
    assert_eq!(
        word(&waiting.next().await.unwrap().event_json()),
        "task input-required"
    );

    let mut message = says("go");
    message["taskId"] = id.clone();
    let after = call(&server, "message/send", json!({ "message": message }))
        .await
        .unwrap();
    assert_eq!(
        (&after["id"], &after["contextId"], &after["status"]["state"]),
        (&id, &before["contextId"], &json!("completed"))
    );
    let length = |task: &Value| task["history"].as_array().map_or(0, Vec::len);
    assert!(length(&after) > length(&before), "{after}");
    let rest = waiting.events().await;
    assert_eq!(word(rest.last().unwrap()), "status-update completed final");
}

#[tokio::test]
async fn blocking_false_answers_at_once_and_a_running_task_is_canceled() {
    let server = Running::start().await;
    let params = json!({"message": says("wait"), "configuration": {"blocking": false}});
    let task = call(&server, "message/send", params).await.unwrap();
    assert!(matches!(
        task["status"]["state"].as_str(),
        Some("submitted" | "working")
    ));
    let id = json!({"id": task["id"]});
    let canceled = call(&server, "tasks/cancel", id.clone()).await.unwrap();
    assert_eq!(
        (&canceled["kind"], &canceled["status"]["state"]),
        (&json!("task"), &json!("canceled"))
    );
    assert_eq!(call(&server, "tasks/cancel", id.clone()).await, Err(-32002));
    assert_eq!(call(&server, "tasks/resubscribe", id).await, Err(-32004));
    let mut message = says("more");
    message["taskId"] = task["id"].clone();
    assert_eq!(
        call(&server, "message/send", json!({ "message": message })).await,
        Err(-32004)
    );
}

#[tokio::test]
async fn bad_parameters_are_invalid_params() {
    let server = Running::start().await;
    let without = |name: &str| {
        let mut message = says("x");
        message.as_object_mut().unwrap().remove(name);
        json!({ "message": message })
    };
    let with = |name: &str, value: Value| {
        let mut message = says("x");
        message[name] = value;
        json!({ "message": message })
    };
    for params in [
        json!({}),
        json!({"message": {}}),
        json!({"message": "x"}),
        without("messageId"),
        without("role"),
        without("parts"),
        with("parts", json!([])),
        with("parts", json!([{}])),
        with("parts", json!([{"kind": "text"}])),
        with("parts", json!([{"kind": "nothing", "text": "x"}])),
        with("parts", json!([{"kind": "text", "text": 5}])),
        with("parts", json!([{"kind": "data", "data": "x"}])),
        with(
            "parts",
            json!([{"kind": "file", "file": {"bytes": "aGk=", "uri": "http://h/"}}]),
        ),
        with("parts", json!([{"kind": "file", "file": {"bytes": "?"}}])),
        with("role", json!("ROLE_USER")),
        with("role", json!("")),
        with("kind", json!("task")),
        json!({"message": says("x"), "configuration": {"historyLength": -1}}),
    ] {
        for method in ["message/send", "message/stream"] {
            let code = call(&server, method, params.clone()).await;
            assert_eq!(code, Err(-32602), "{method} {params}");
        }
    }
    for (method, params, code) in [
        ("message/send", with("taskId", json!("none")), -32001),
        ("message/send", json!([]), -32602),
        ("tasks/get", json!({}), -32602),
        ("tasks/get", json!({"id": "none"}), -32001),
        (
            "tasks/get",
            json!({"id": "none", "historyLength": -1}),
            -32602,
        ),
        ("tasks/cancel", json!({}), -32602),
        ("tasks/cancel", json!({"id": "none"}), -32001),
        ("tasks/resubscribe", json!({}), -32602),
        ("tasks/resubscribe", json!({"id": "none"}), -32001),
        ("tasks/list", json!({}), -32601),
        ("agent/getAuthenticatedExtendedCard", json!({}), -32007),
    ] {
        assert_eq!(
            call(&server, method, params.clone()).await,
            Err(code),
            "{method} {params}"
        );
    }
}

#[tokio::test]
async fn data_that_is_no_object_is_wrapped_and_marked() {
    let server = Running::start().await;
    let mut message = json!({"messageId": "m", "role": "ROLE_USER",
        "parts": [{"text": "x"}, {"data": [1, 2]}, {"raw": "aGk=", "filename": "f", "mediaType": "text/plain"}]});
    let task = server
        .call(Binding::Rpc, "SendMessage", json!({ "message": message }))
        .await
        .unwrap()["task"]
        .clone();
    let old = call(&server, "tasks/get", json!({"id": task["id"]}))
        .await
        .unwrap();
    let parts = old["history"][0]["parts"].clone();
    assert_eq!(
        parts,
        json!([
            {"kind": "text", "text": "x"},
            {"kind": "data", "data": {"value": [1, 2]}, "metadata": {"data_part_compat": true}},
            {"kind": "file", "file": {"name": "f", "mimeType": "text/plain", "bytes": "aGk="}},
        ])
    );
    // What 0.3 shows it also takes, and 1.0 sees what it was.
    message["parts"] = parts;
    message["role"] = json!("user");
    let again = call(&server, "message/send", json!({ "message": message }))
        .await
        .unwrap();
    let current = server
        .call(Binding::Rpc, "GetTask", json!({"id": again["id"]}))
        .await
        .unwrap();
    assert_eq!(current["history"][0]["parts"], task["history"][0]["parts"]);
}

#[tokio::test]
async fn extended_card_is_one_of_0_3_under_both_names() {
    let server = Running::with(|options, agent| {
        shared_token(options);
        agent.change_card(|card| {
            card.capabilities.extended_agent_card = Some(true);
            card.supported_interfaces = crate::card::interfaces("http://127.0.0.1:1", false);
        });
    })
    .await;
    for method in [
        "agent/getAuthenticatedExtendedCard",
        "agent/authenticatedExtendedCard",
    ] {
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method}).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("authorization", "Bearer s3cret"),
        ];
        let card = server
            .send("POST", "/", &headers, body.as_bytes())
            .await
            .json()["result"]
            .clone();
        assert_eq!(card["name"], "tester, extended", "{method}");
        assert_eq!(card["preferredTransport"], "JSONRPC");
        assert_eq!(card["supportedInterfaces"], Value::Null);
    }
}

#[tokio::test]
async fn a_required_extension_is_activated_by_the_header_of_0_3() {
    let server = Running::with(|_, agent| agent.require_extension("urn:x")).await;
    let body = rpc("message/send", &json!({"message": says("x")})).to_string();
    for (header, expect) in [("x-a2a-extensions", None), ("x-other", Some(-32008))] {
        let headers = [("content-type", "application/json"), (header, "urn:x")];
        let reply = server.send("POST", "/", &headers, body.as_bytes()).await;
        assert_eq!(reply.json()["error"]["code"].as_i64(), expect);
    }
}

#[tokio::test]
async fn push_configurations_are_set_got_listed_and_deleted() {
    let server = pushing().await;
    let task = call(&server, "message/send", json!({"message": says("hello")}))
        .await
        .unwrap();
    let config = json!({"id": "c1", "url": "https://example.com/hook",
        "authentication": {"schemes": ["Bearer"], "credentials": "s3cret"}});
    let set = json!({"taskId": task["id"], "pushNotificationConfig": config});
    let created = call(&server, "tasks/pushNotificationConfig/set", set.clone())
        .await
        .unwrap();
    assert_eq!(created["taskId"], task["id"]);
    assert_eq!(created["pushNotificationConfig"]["url"], config["url"]);
    assert_eq!(
        created["pushNotificationConfig"]["authentication"]["schemes"],
        json!(["Bearer"])
    );
    let (id, named) = (
        json!({"id": task["id"]}),
        json!({"id": task["id"], "pushNotificationConfigId": "c1"}),
    );
    for params in [id.clone(), named.clone()] {
        let got = call(&server, "tasks/pushNotificationConfig/get", params).await;
        assert_eq!(got.unwrap(), created);
    }
    let list = call(&server, "tasks/pushNotificationConfig/list", id.clone()).await;
    assert_eq!(list.unwrap(), json!([created]));
    let deleted = call(
        &server,
        "tasks/pushNotificationConfig/delete",
        named.clone(),
    )
    .await;
    assert_eq!(deleted.unwrap(), Value::Null);
    let list = call(&server, "tasks/pushNotificationConfig/list", id.clone()).await;
    assert_eq!(list.unwrap(), json!([]));
    for (method, params, code) in [
        ("get", named, -32001),
        ("get", id, -32001),
        ("get", json!({}), -32602),
        ("set", json!({}), -32602),
        (
            "set",
            json!({"taskId": task["id"], "pushNotificationConfig": {}}),
            -32602,
        ),
        (
            "set",
            json!({"taskId": "none", "pushNotificationConfig": config}),
            -32001,
        ),
        ("delete", json!({"id": task["id"]}), -32602),
        ("list", json!({"id": "none"}), -32001),
    ] {
        let method = format!("tasks/pushNotificationConfig/{method}");
        assert_eq!(
            call(&server, &method, params.clone()).await,
            Err(code),
            "{method} {params}"
        );
    }
    let quiet = Running::start().await;
    for method in ["set", "get", "list"] {
        let method = format!("tasks/pushNotificationConfig/{method}");
        let mut params = set.clone();
        params["id"] = task["id"].clone();
        params["pushNotificationConfigId"] = json!("c1");
        assert_eq!(call(&quiet, &method, params).await, Err(-32003), "{method}");
    }
}

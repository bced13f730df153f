//! JSONRPC-FMT, JSONRPC-SVC, JSONRPC-ERR, HTTP_JSON-*, VER-SERVER, DM-SERIAL, BIND-FIELD: what the two bindings put on the wire.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jsonrpc_fmt_001_and_002_envelope_and_ids_come_back_as_they_were() {
    let server = Running::start().await;
    for id in [
        json!("a"),
        json!(1),
        json!(0),
        json!(-5),
        Value::Null,
        json!("ü\"\\"),
    ] {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "ListTasks", "params": {}});
        for path in ["/", "/rpc", "/rpc/", "/a2a"] {
            let reply = server.post(path, &body).await;
            assert_eq!(
                (reply.status, reply.header("content-type")),
                (200, Some("application/json"))
            );
            let answer = reply.json();
            assert_eq!(answer["id"], id);
            assert_eq!(answer["jsonrpc"], "2.0");
            assert!(answer["result"].is_object() && answer.get("error").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jsonrpc_err_001_to_003_codes_of_everything_that_is_no_request() {
    let server = Running::start().await;
    let json_type = [("content-type", "application/json")];
    for (body, code, id) in [
        ("", -32700, Value::Null),
        ("{", -32700, Value::Null),
        ("nonsense", -32700, Value::Null),
        ("[]", -32600, Value::Null),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ListTasks"}]"#,
            -32600,
            Value::Null,
        ),
        ("5", -32600, Value::Null),
        ("{}", -32600, Value::Null),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"ListTasks"}"#,
            -32600,
            json!(1),
        ),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"ListTasks"}"#,
            -32600,
            Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ListTasks"}"#,
            -32600,
            Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"ListTasks"}"#,
            -32600,
            Value::Null,
        ),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600, json!(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600, json!(1)),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"Nope"}"#,
            -32601,
            json!(1),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"messages/send","params":{}}"#,
            -32601,
            json!(1),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask"}"#,
            -32602,
            json!(1),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":[]}"#,
            -32602,
            json!(1),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":"x"}"#,
            -32602,
            json!(1),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"nope"}}"#,
            -32001,
            json!(1),
        ),
    ] {
        let reply = server.send("POST", "/", &json_type, body.as_bytes()).await;
        let answer = reply.json();
        assert_eq!(
            (reply.status, &answer["error"]["code"], &answer["id"]),
            (200, &json!(code), &id),
            "{body}"
        );
        assert!(answer.get("result").is_none());
    }
    let reply = server
        .send("POST", "/", &[("content-type", "text/plain")], b"{}")
        .await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (200, &json!(-32005))
    );
    // Details carry their type and string values.
    let error = server
        .post("/", &rpc("GetTask", &json!({"id": "nope"})))
        .await
        .json()["error"]
        .clone();
    assert_eq!(
        error["data"][0]["@type"],
        "type.googleapis.com/google.rpc.ErrorInfo"
    );
    assert_eq!(error["data"][0]["domain"], "a2a-protocol.org");
    assert_eq!(error["data"][0]["metadata"], json!({"taskId": "nope"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jsonrpc_svc_001_every_method_exists() {
    let server = Running::start().await;
    for method in [
        "SendMessage",
        "SendStreamingMessage",
        "GetTask",
        "ListTasks",
        "CancelTask",
        "SubscribeToTask",
        "CreateTaskPushNotificationConfig",
        "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs",
        "DeleteTaskPushNotificationConfig",
        "GetExtendedAgentCard",
    ] {
        let answer = server.post("/", &rpc(method, &json!({}))).await.json();
        assert_ne!(answer["error"]["code"], -32601, "{method}");
    }
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "GetExtendedAgentCard"});
    assert_eq!(
        server.post("/", &body).await.json()["error"]["code"],
        -32004
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_json_urls_statuses_and_error_bodies() {
    let server = Running::start().await;
    let reply = server.get("/tasks/nope").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (404, Some("application/json"))
    );
    let error = &reply.json()["error"];
    assert_eq!(
        (&error["code"], &error["status"]),
        (&json!(404), &json!("NOT_FOUND"))
    );
    assert_eq!(error["details"][0]["metadata"], json!({"taskId": "nope"}));
    assert_eq!(server.get("/no/such/path/here").await.status, 404);
    let reply = server.get("/message:send").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    for (body, status) in [("", 400), ("{", 400), ("[]", 400), ("{}", 400)] {
        let reply = server
            .send(
                "POST",
                "/message:send",
                &[("content-type", "application/json")],
                body.as_bytes(),
            )
            .await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["status"]),
            (status, &json!("INVALID_ARGUMENT")),
            "{body}"
        );
    }
    let plain = [("content-type", "text/plain")];
    let body = message("hello").to_string();
    assert_eq!(
        server
            .send("POST", "/message:send", &plain, body.as_bytes())
            .await
            .status,
        400
    );
    let older =
        Running::with(|options, _| options.error_map = crate::error::ErrorMap::V1_0_0).await;
    assert_eq!(
        older
            .send("POST", "/message:send", &plain, body.as_bytes())
            .await
            .status,
        415
    );
    let done = older
        .call(Binding::Rest, "SendMessage", message("hello"))
        .await
        .unwrap()["task"]
        .clone();
    let refused = older
        .post(
            &format!("/tasks/{}:cancel", done["id"].as_str().unwrap()),
            &json!({}),
        )
        .await;
    assert_eq!(refused.status, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_json_media_type_follows_the_client() {
    let server = Running::start().await;
    let body = message("hello").to_string();
    for (headers, expect) in [
        (
            vec![("content-type", "application/json")],
            "application/json",
        ),
        (
            vec![("content-type", "application/json; charset=utf-8")],
            "application/json",
        ),
        (
            vec![("content-type", "application/a2a+json")],
            "application/a2a+json",
        ),
        (
            vec![
                ("content-type", "application/json"),
                ("accept", "text/html, application/a2a+json;q=0.9"),
            ],
            "application/a2a+json",
        ),
    ] {
        let reply = server
            .send("POST", "/message:send", &headers, body.as_bytes())
            .await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some(expect)),
            "{headers:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_json_path_body_and_query_must_agree_on_task_and_tenant() {
    let server = Running::start().await;
    let task = server.begin("ask").await;
    let id = task["id"].as_str().unwrap();
    let refused = server
        .post(&format!("/tasks/{id}:cancel"), &json!({"id": "another"}))
        .await;
    assert_eq!(
        refused.json()["error"]["details"][0]["fieldViolations"][0]["field"],
        "id"
    );
    for (path, status) in [
        ("/acme/tasks?tenant=acme", 200),
        ("/acme/tasks?tenant=other", 400),
        ("/tasks?tenant=acme", 200),
        ("/tasks?tenant=acme&tenant=other", 400),
        ("/tasks?tenant=", 200),
        ("/a%01b/tasks", 400),
    ] {
        assert_eq!(server.get(path).await.status, status, "{path}");
    }
    let long = format!("/{}/tasks", "x".repeat(257));
    assert_eq!(server.get(&long).await.status, 400);
    for (path, tenant, status) in [
        ("/message:send?tenant=acme", "acme", 200),
        ("/message:send?tenant=acme", "other", 400),
        ("/acme/message:send?tenant=acme", "", 200),
    ] {
        let mut params = message("hello");
        params["tenant"] = json!(tenant);
        assert_eq!(server.post(path, &params).await.status, status, "{path}");
    }
    let mut params = message("hello");
    params["tenant"] = json!("acme");
    assert_eq!(server.post("/acme/message:send", &params).await.status, 200);
    assert_eq!(
        server.post("/other/message:send", &params).await.status,
        400
    );
    assert_eq!(
        server
            .post(&format!("/tasks/{id}:cancel/"), &json!({"id": id}))
            .await
            .status,
        200
    );
    // Percent-encoded, as a careful client sends it.
    assert_eq!(
        server
            .get(&format!("/tasks/{}", id.replace('-', "%2D")))
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_json_qp_001_query_parameters_in_both_spellings() {
    let server = Running::start().await;
    let task = server
        .call(Binding::Rest, "SendMessage", message("hello"))
        .await
        .unwrap()["task"]
        .clone();
    let id = task["id"].as_str().unwrap();
    for query in ["historyLength=0", "history_length=0"] {
        assert!(
            server
                .get(&format!("/tasks/{id}?{query}"))
                .await
                .json()
                .get("history")
                .is_none()
        );
    }
    let context = task["contextId"].as_str().unwrap();
    let query = format!(
        "context_id={context}&include_artifacts=true&page_size=5&status=TASK_STATE_COMPLETED"
    );
    let page = server.get(&format!("/tasks?{query}")).await.json();
    assert_eq!(
        (&page["totalSize"], &page["pageSize"]),
        (&json!(1), &json!(5))
    );
    assert!(page["tasks"][0]["artifacts"].is_array());
    assert_eq!(server.get("/tasks?pageSize=ten").await.status, 400);
    assert_eq!(
        server.get("/tasks?includeArtifacts=maybe").await.status,
        400
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ver_server_001_to_003_versions_in_every_binding() {
    let server = Running::start().await;
    let body = message("hello").to_string();
    let simple = json!({"id": "c", "message": {"parts": [{"text": "hello"}]}}).to_string();
    let rpc_body = rpc("SendMessage", &message("hello")).to_string();
    for (path, body) in [
        ("/", &rpc_body),
        ("/message:send", &body),
        ("/message:stream", &body),
        ("/tasks/send", &simple),
    ] {
        let headers = |version| {
            [
                ("content-type", "application/json"),
                ("a2a-version", version),
                ("accept", "application/json"),
            ]
        };
        for bad in ["99.0", "0.3", "2.0", "nonsense"] {
            let reply = server
                .send("POST", path, &headers(bad), body.as_bytes())
                .await
                .json();
            let error = &reply["error"];
            let details = if path == "/" {
                &error["data"]
            } else {
                &error["details"]
            };
            assert_eq!(
                details[0]["reason"], "VERSION_NOT_SUPPORTED",
                "{path} {bad}: {reply}"
            );
        }
        for good in ["1.0", "1.0.1", ""] {
            let reply = server
                .send("POST", path, &headers(good), body.as_bytes())
                .await;
            assert!(
                !String::from_utf8_lossy(&reply.body).contains("VERSION_NOT_SUPPORTED"),
                "{path} {good}"
            );
        }
        let reply = server
            .send(
                "POST",
                &format!("{path}?A2A-Version=99.0"),
                &headers("")[..1],
                body.as_bytes(),
            )
            .await;
        assert!(
            String::from_utf8_lossy(&reply.body).contains("VERSION_NOT_SUPPORTED"),
            "{path} by query"
        );
    }
    let strict = Running::with(|options, _| options.strict_version = true).await;
    for binding in BOTH {
        let refused = strict
            .call(binding, "SendMessage", message("hello"))
            .await
            .unwrap_err();
        assert_eq!(refused.reason, "VERSION_NOT_SUPPORTED");
        assert!(
            refused.message.contains("0.3") && refused.message.contains("1.0"),
            "{}",
            refused.message
        );
    }
    let headers = [("content-type", "application/json"), ("a2a-version", "1.0")];
    assert_eq!(
        strict
            .send("POST", "/message:send", &headers, body.as_bytes())
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dm_serial_001_to_005_names_enums_times_and_unknown_fields() {
    let server = Running::start().await;
    for binding in BOTH {
        // The conformance kit sends the names of the proto, and fields of tomorrow.
        let params = json!({
            "message": {"message_id": "m", "role": 1, "parts": [{"text": "hello", "media_type": "text/plain", "new": 1}], "new": {}},
            "configuration": {"accepted_output_modes": ["text/plain"], "history_length": "1", "return_immediately": null},
            "new": [],
        });
        let task = server.call(binding, "SendMessage", params).await.unwrap()["task"].clone();
        assert_eq!(state(&task), "TASK_STATE_COMPLETED");
        assert_eq!(task["history"].as_array().unwrap().len(), 1);
        assert_eq!(task["history"][0]["role"], "ROLE_USER");
        assert_eq!(task["history"][0]["parts"][0]["mediaType"], "text/plain");
        let time = task["status"]["timestamp"].as_str().unwrap();
        assert_eq!(
            (time.len(), &time[19..20], &time[23..]),
            (24, ".", "Z"),
            "{time}"
        );
        for required in ["id", "contextId", "status", "artifacts"] {
            assert!(task.get(required).is_some(), "{required}");
        }
        for artifact in task["artifacts"].as_array().unwrap() {
            assert!(
                artifact["artifactId"].is_string()
                    && !artifact["parts"].as_array().unwrap().is_empty()
            );
        }
    }
}

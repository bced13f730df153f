//! CORE-SEND, CORE-GET, CORE-LIST, CORE-EXECUTION-MODE, CORE-ERR, CORE-CAP, BIND-EQUIV: the operations, over both
//! bindings.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_send_001_answers_a_task_or_a_message() {
    let server = Running::start().await;
    for binding in BOTH {
        let sent = server
            .call(binding, "SendMessage", message("hello"))
            .await
            .unwrap();
        let task = &sent["task"];
        assert_eq!(state(task), "TASK_STATE_COMPLETED");
        assert_eq!(task["artifacts"][0]["parts"][0]["text"], "hello");
        assert_eq!(task["status"]["message"]["parts"][0]["text"], "done");
        let sent = server
            .call(binding, "SendMessage", message("reply"))
            .await
            .unwrap();
        let reply = &sent["message"];
        assert_eq!(reply["role"], "ROLE_AGENT");
        assert!(
            !reply["messageId"].as_str().unwrap().is_empty()
                && !reply["contextId"].as_str().unwrap().is_empty()
        );
        assert_eq!(sent.as_object().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_send_002_ended_task_refuses_messages() {
    let server = Running::start().await;
    for binding in BOTH {
        for text in ["hello", "reject", "fail"] {
            let task = server
                .call(binding, "SendMessage", message(text))
                .await
                .unwrap()["task"]
                .clone();
            for operation in ["SendMessage", "SendStreamingMessage"] {
                let refused = server
                    .call(binding, operation, follow_up(&task, "more"))
                    .await
                    .unwrap_err();
                assert_eq!(refused.reason, "UNSUPPORTED_OPERATION", "{refused:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_send_003_unsupported_media_type_is_refused() {
    let server = Running::start().await;
    for binding in BOTH {
        let mut params = message("hello");
        params["message"]["parts"] = json!([{"raw": "AAAA", "mediaType": "image/png"}]);
        let refused = server
            .call(binding, "SendMessage", params.clone())
            .await
            .unwrap_err();
        assert_eq!(refused.reason, "CONTENT_TYPE_NOT_SUPPORTED");
        for fits in [
            "text/plain",
            "TEXT/markdown; charset=utf-8",
            "application/json",
        ] {
            params["message"]["parts"] = json!([{"text": "x", "mediaType": fits}]);
            server
                .call(binding, "SendMessage", params.clone())
                .await
                .unwrap();
        }
    }
    let lenient = Running::with(|options, _| options.validate_input_modes = false).await;
    let mut params = message("hello");
    params["message"]["parts"] = json!([{"raw": "AAAA", "mediaType": "image/png"}]);
    lenient
        .call(Binding::Rpc, "SendMessage", params)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_get_001_and_002_found_and_not_found() {
    let server = Running::start().await;
    for binding in BOTH {
        let sent = server
            .call(binding, "SendMessage", message("hello"))
            .await
            .unwrap()["task"]
            .clone();
        let got = server
            .call(binding, "GetTask", json!({"id": sent["id"]}))
            .await
            .unwrap();
        assert_eq!(got, sent);
        let missing = server
            .call(binding, "GetTask", json!({"id": "nope"}))
            .await
            .unwrap_err();
        assert_eq!(missing.reason, "TASK_NOT_FOUND");
        assert!(missing.message.contains("nope"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_list_001_to_005_visible_paged_ordered_without_artifacts() {
    let server = Running::start().await;
    for _ in 0..7 {
        server
            .call(Binding::Rpc, "SendMessage", message("hello"))
            .await
            .unwrap();
    }
    for binding in BOTH {
        let mut params = json!({"pageSize": 3});
        let mut seen = Vec::new();
        loop {
            let page = server
                .call(binding, "ListTasks", params.clone())
                .await
                .unwrap();
            assert_eq!(
                (&page["totalSize"], &page["pageSize"]),
                (&json!(7), &json!(3))
            );
            let tasks = page["tasks"].as_array().unwrap();
            assert!(
                tasks
                    .iter()
                    .all(|task| task.get("artifacts").is_none() && task["history"].is_array())
            );
            seen.extend(tasks.iter().map(|task| {
                (
                    task["status"]["timestamp"].to_string(),
                    task["id"].to_string(),
                )
            }));
            if page["nextPageToken"] == "" {
                break;
            }
            params["pageToken"] = page["nextPageToken"].clone();
        }
        assert_eq!(seen.len(), 7);
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
        let with = server
            .call(
                binding,
                "ListTasks",
                json!({"includeArtifacts": true, "historyLength": 0}),
            )
            .await
            .unwrap();
        assert!(
            with["tasks"]
                .as_array()
                .unwrap()
                .iter()
                .all(|t| t["artifacts"].is_array() && t.get("history").is_none())
        );
        assert_eq!(with["pageSize"], 50);
        let none = server
            .call(binding, "ListTasks", json!({"contextId": "none"}))
            .await
            .unwrap();
        assert_eq!(
            none,
            json!({"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0})
        );
        let working = server
            .call(
                binding,
                "ListTasks",
                json!({"status": "TASK_STATE_WORKING"}),
            )
            .await
            .unwrap();
        assert_eq!(working["totalSize"], 0);
        for (bad, field) in [
            (json!({"pageSize": 0}), "pageSize"),
            (json!({"pageSize": 101}), "pageSize"),
            (json!({"pageToken": "x"}), "pageToken"),
            (json!({"status": "NO_STATE"}), "status"),
            (json!({"historyLength": -1}), "historyLength"),
            (
                json!({"statusTimestampAfter": "yesterday"}),
                "statusTimestampAfter",
            ),
        ] {
            let refused = server.call(binding, "ListTasks", bad).await.unwrap_err();
            assert_eq!(
                (refused.reason.as_str(), refused.fields.as_slice()),
                ("INVALID", &[field.to_owned()][..])
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_execution_mode_001_and_002_blocking_and_immediate() {
    let server = Running::start().await;
    for binding in BOTH {
        for (text, expect) in [
            ("hello", "TASK_STATE_COMPLETED"),
            ("ask", "TASK_STATE_INPUT_REQUIRED"),
            ("auth", "TASK_STATE_AUTH_REQUIRED"),
            ("reject", "TASK_STATE_REJECTED"),
            ("fail", "TASK_STATE_FAILED"),
        ] {
            let sent = server
                .call(binding, "SendMessage", message(text))
                .await
                .unwrap();
            assert_eq!(state(&sent["task"]), expect);
        }
        let mut params = message("wait");
        params["configuration"] = json!({"returnImmediately": true});
        let sent = server.call(binding, "SendMessage", params).await.unwrap();
        assert!(["TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"].contains(&state(&sent["task"])));
        server.agent.go.add_permits(1);
        let stream = server.stream(
            binding,
            "SubscribeToTask",
            json!({"id": sent["task"]["id"]}),
            &[("last-event-id", "0")],
        );
        assert_eq!(stream.await.events().await.len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_err_001_and_002_errors_name_every_field() {
    let server = Running::start().await;
    for binding in BOTH {
        for (bad, expect) in [
            (json!({}), vec!["message"]),
            (json!({"message": {}}), vec!["message"]),
            (
                json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": []}}),
                vec!["message.parts"],
            ),
            (
                json!({"message": {"role": "ROLE_USER", "parts": [{"text": "x"}]}}),
                vec!["message.messageId"],
            ),
            (
                json!({"message": {"messageId": "m", "parts": [{"text": "x"}]}}),
                vec!["message.role"],
            ),
            (
                json!({"message": {"messageId": "m", "role": "R", "parts": [{"text": "x"}]}}),
                vec!["message.role"],
            ),
            (
                json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{}]}}),
                vec!["message.parts[0]"],
            ),
            (
                json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x", "url": "y"}]}}),
                vec!["message.parts[0]"],
            ),
            (
                json!({"message": {"messageId": 5, "role": "ROLE_USER", "parts": [{"text": "x"}]}}),
                vec!["message.messageId"],
            ),
            (json!({"message": "hello"}), vec!["message"]),
            (
                json!({"message": {"parts": [{"text": "x"}]}}),
                vec!["message.messageId", "message.role"],
            ),
        ] {
            for operation in ["SendMessage", "SendStreamingMessage"] {
                let refused = server
                    .call(binding, operation, bad.clone())
                    .await
                    .unwrap_err();
                assert_eq!(refused.reason, "INVALID", "{bad}");
                assert_eq!(refused.fields, expect, "{bad}");
            }
        }
        let refused = server
            .call(binding, "SendMessage", message("refuse"))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.reason.as_str(), refused.fields),
            ("INVALID", vec!["message".to_owned()])
        );
        let refused = server
            .call(binding, "SendMessage", message("bad-reply"))
            .await
            .unwrap_err();
        assert_eq!(refused.reason, "INVALID_AGENT_RESPONSE");
    }
    let refused = server
        .call(Binding::Rpc, "GetTask", json!({}))
        .await
        .unwrap_err();
    assert_eq!(refused.fields, ["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_cap_001_to_004_capabilities_that_are_not_there() {
    let server =
        Running::with(|_, agent| agent.change_card(|card| card.capabilities.streaming = None))
            .await;
    for binding in BOTH {
        let code = async |operation: &str, params: Value| {
            server
                .call(binding, operation, params)
                .await
                .unwrap_err()
                .reason
        };
        assert_eq!(
            code("SendStreamingMessage", message("hello")).await,
            "UNSUPPORTED_OPERATION"
        );
        let task = server.begin("ask").await;
        assert_eq!(
            code("SubscribeToTask", json!({"id": task["id"]})).await,
            "UNSUPPORTED_OPERATION"
        );
        assert_eq!(
            code("ListTaskPushNotificationConfigs", json!({"taskId": "t"})).await,
            "PUSH_NOTIFICATION_NOT_SUPPORTED"
        );
        let mut params = message("hello");
        params["configuration"] =
            json!({"taskPushNotificationConfig": {"url": "https://example.com"}});
        assert_eq!(
            code("SendMessage", params).await,
            "PUSH_NOTIFICATION_NOT_SUPPORTED"
        );
        assert_eq!(
            code("GetExtendedAgentCard", json!({})).await,
            "UNSUPPORTED_OPERATION"
        );
    }
    let server = Running::with(|options, agent| {
        shared_token(options);
        agent.change_card(|card| card.capabilities.extended_agent_card = Some(true));
    })
    .await;
    let token = [("authorization", "Bearer s3cret")];
    let reply = server.send("GET", "/extendedAgentCard", &token, b"").await;
    assert_eq!(reply.json()["name"], "tester, extended");
    let server = Running::with(|_, agent| {
        agent.change_card(|card| card.capabilities.extended_agent_card = Some(true));
    })
    .await;
    let refused = server
        .call(Binding::Rest, "GetExtendedAgentCard", json!({}))
        .await
        .unwrap_err();
    assert_eq!(refused.reason, "EXTENDED_AGENT_CARD_NOT_CONFIGURED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_cap_004_required_extension_must_be_named() {
    let server = Running::with(|_, agent| agent.require_extension("urn:x")).await;
    for binding in BOTH {
        let refused = server
            .call(binding, "SendMessage", message("hello"))
            .await
            .unwrap_err();
        assert_eq!(refused.reason, "EXTENSION_SUPPORT_REQUIRED");
    }
    for header in ["a2a-extensions", "x-a2a-extensions"] {
        let headers = [
            (header, "urn:other, urn:x"),
            ("content-type", "application/json"),
        ];
        let reply = server
            .send(
                "POST",
                "/message:send",
                &headers,
                message("hello").to_string().as_bytes(),
            )
            .await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("a2a-extensions"), Some("urn:x"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_that_fails_panics_or_forgets_leaves_a_failed_task() {
    let server = Running::start().await;
    for (text, expect) in [
        ("fail", "it went wrong"),
        ("panic", "the agent crashed"),
        ("vanish", "the agent ended without a result"),
        ("invalid", "cannot update"),
    ] {
        let task = server
            .call(Binding::Rpc, "SendMessage", message(text))
            .await
            .unwrap()["task"]
            .clone();
        assert_eq!(state(&task), "TASK_STATE_FAILED");
        assert_eq!(task["status"]["message"]["parts"][0]["text"], expect);
        assert_eq!(task["status"]["message"]["taskId"], task["id"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn task_survives_a_client_that_hangs_up() {
    let server = Running::start().await;
    let body = message("wait").to_string();
    let length = body.len().to_string();
    let headers = [
        ("content-type", "application/json"),
        ("content-length", length.as_str()),
    ];
    // The answer never comes; the client leaves once the task is there.
    let hanging = server.send("POST", "/message:send", &headers, body.as_bytes());
    tokio::select! {
        _ = hanging => panic!("it blocks"),
        () = async {
            while server.call(Binding::Rpc, "ListTasks", json!({})).await.unwrap()["totalSize"] == 0 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    server.agent.go.add_permits(1);
    let list = server
        .call(Binding::Rpc, "ListTasks", json!({}))
        .await
        .unwrap();
    let id = list["tasks"][0]["id"].as_str().unwrap().to_owned();
    let stream = server
        .stream(
            Binding::Rest,
            "SubscribeToTask",
            json!({"id": id}),
            &[("last-event-id", "0")],
        )
        .await;
    assert_eq!(
        stream.events().await.last().unwrap()["statusUpdate"]["status"]["state"],
        "TASK_STATE_COMPLETED"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_log_serves_the_same() {
    let server = Running::memory().await;
    let sent = server
        .call(Binding::Rest, "SendMessage", message("hello"))
        .await
        .unwrap();
    assert_eq!(
        server
            .call(Binding::Rpc, "GetTask", json!({"id": sent["task"]["id"]}))
            .await
            .unwrap(),
        sent["task"]
    );
}

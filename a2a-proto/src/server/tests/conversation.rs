//! CORE-MULTI and CORE-HIST: contexts, follow-ups, history.

use super::*;

fn texts(task: &Value) -> Vec<String> {
    let history = task["history"].as_array().cloned().unwrap_or_default();
    history
        .iter()
        .map(|message| message["parts"][0]["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_multi_001_to_003_contexts_are_made_kept_and_tasks_are_unique() {
    let server = Running::start().await;
    for binding in BOTH {
        let first = server
            .call(binding, "SendMessage", message("hello"))
            .await
            .unwrap()["task"]
            .clone();
        let second = server
            .call(binding, "SendMessage", message("hello"))
            .await
            .unwrap()["task"]
            .clone();
        assert!(!first["contextId"].as_str().unwrap().is_empty());
        assert_ne!(first["contextId"], second["contextId"]);
        assert_ne!(first["id"], second["id"]);
        let mut params = message("hello");
        params["message"]["contextId"] = json!("my-context");
        let third = server
            .call(binding, "SendMessage", params.clone())
            .await
            .unwrap()["task"]
            .clone();
        let fourth = server.call(binding, "SendMessage", params).await.unwrap()["task"].clone();
        assert_eq!(
            (&third["contextId"], &fourth["contextId"]),
            (&json!("my-context"), &json!("my-context"))
        );
        assert_ne!(third["id"], fourth["id"]);
        assert_eq!(third["history"][0]["taskId"], third["id"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_multi_004_to_006_unknown_task_inferred_context_mismatch() {
    let server = Running::start().await;
    for binding in BOTH {
        let mut params = message("hello");
        params["message"]["taskId"] = json!("made-up");
        for operation in ["SendMessage", "SendStreamingMessage"] {
            let refused = server
                .call(binding, operation, params.clone())
                .await
                .unwrap_err();
            assert_eq!(refused.reason, "TASK_NOT_FOUND");
        }
        let task = server
            .call(binding, "SendMessage", message("ask"))
            .await
            .unwrap()["task"]
            .clone();
        let mut params = follow_up(&task, "hello");
        params["message"]["contextId"] = json!("another");
        let refused = server
            .call(binding, "SendMessage", params)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.reason.as_str(), refused.fields),
            ("INVALID", vec!["message.contextId".to_owned()])
        );
        let done = server
            .call(binding, "SendMessage", follow_up(&task, "hello"))
            .await
            .unwrap()["task"]
            .clone();
        assert_eq!(
            (&done["id"], &done["contextId"]),
            (&task["id"], &task["contextId"])
        );
        assert_eq!(state(&done), "TASK_STATE_COMPLETED");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_hist_001_to_006_history_is_chronological_and_limited() {
    let server = Running::start().await;
    for binding in BOTH {
        let task = server
            .call(binding, "SendMessage", message("ask"))
            .await
            .unwrap()["task"]
            .clone();
        assert_eq!(texts(&task), ["ask"]);
        let task = server
            .call(binding, "SendMessage", follow_up(&task, "ask again"))
            .await
            .unwrap()["task"]
            .clone();
        assert_eq!(texts(&task), ["ask", "what?", "ask again"]);
        let sent = follow_up(&task, "hello");
        let task = server
            .call(binding, "SendMessage", sent.clone())
            .await
            .unwrap()["task"]
            .clone();
        let all = ["ask", "what?", "ask again", "what?", "hello"];
        assert_eq!(texts(&task), all);
        assert_eq!(task["history"][4]["parts"], sent["message"]["parts"]);
        assert_eq!(
            task["history"][4]["messageId"],
            sent["message"]["messageId"]
        );
        let get = async |length: Value| {
            server
                .call(
                    binding,
                    "GetTask",
                    json!({"id": task["id"], "historyLength": length}),
                )
                .await
        };
        assert_eq!(texts(&get(json!(2)).await.unwrap()), all[3..]);
        assert_eq!(texts(&get(json!(99)).await.unwrap()), all);
        assert!(get(json!(0)).await.unwrap().get("history").is_none());
        assert_eq!(get(json!(-1)).await.unwrap_err().fields, ["historyLength"]);
        let mut params = message("hello");
        params["configuration"] = json!({"historyLength": 0});
        let task = server.call(binding, "SendMessage", params).await.unwrap()["task"].clone();
        assert!(task.get("history").is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follow_up_to_a_busy_task_runs_beside_its_turn() {
    let server = Running::start().await;
    let task = server.begin("wait").await;
    let second = server.call(Binding::Rpc, "SendMessage", {
        let mut params = follow_up(&task, "vanish");
        params["configuration"] = json!({"returnImmediately": true});
        params
    });
    // The second turn ends without a result, but the first still works on the task.
    assert_ne!(state(&second.await.unwrap()["task"]), "TASK_STATE_FAILED");
    server.agent.go.add_permits(1);
    let stream = server.stream(
        Binding::Rpc,
        "SubscribeToTask",
        json!({"id": task["id"]}),
        &[("last-event-id", "0")],
    );
    let events = stream.await.events().await;
    assert_eq!(
        events.last().unwrap()["statusUpdate"]["status"]["state"],
        "TASK_STATE_COMPLETED"
    );
}

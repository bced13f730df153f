//! Tenants and extensions: what a request says about itself reaches the agent, and tasks of one tenant do not exist for
//! another.

use super::*;

/// What the agent saw of a call.
fn seen(task: &Value) -> &Value {
    &task["artifacts"][0]["parts"][0]["data"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_one_tenant_do_not_exist_for_another() {
    let server = Running::start().await;
    for binding in BOTH {
        let mut params = message("ask");
        params["tenant"] = json!("acme");
        let task = server.call(binding, "SendMessage", params).await.unwrap()["task"].clone();
        let id = &task["id"];
        let call = async |operation: &str, params: Value| {
            server.call(Binding::Rpc, operation, params).await
        };
        for tenant in [json!("other"), json!(""), json!("Acme"), json!(null)] {
            for operation in ["GetTask", "CancelTask", "SubscribeToTask"] {
                let refused = call(operation, json!({"id": id, "tenant": tenant})).await;
                assert_eq!(refused.unwrap_err().reason, "TASK_NOT_FOUND", "{operation}");
            }
            let mut more = follow_up(&task, "hello");
            more["tenant"] = tenant.clone();
            let refused = call("SendMessage", more).await.unwrap_err();
            assert_eq!(refused.reason, "TASK_NOT_FOUND");
            let list = call("ListTasks", json!({"tenant": tenant})).await.unwrap();
            assert_eq!(list["totalSize"], 0, "{tenant}");
        }
        let same = json!({"id": id, "tenant": "acme"});
        assert_eq!(&call("GetTask", same.clone()).await.unwrap()["id"], id);
        let path = format!("/acme/tasks/{}", id.as_str().unwrap());
        assert_eq!(&server.get(&path).await.json()["id"], id);
        let list = call(
            "ListTasks",
            json!({"tenant": "acme", "status": "TASK_STATE_INPUT_REQUIRED"}),
        );
        assert_eq!(list.await.unwrap()["totalSize"], 1);
        call("CancelTask", same).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_is_told_the_tenant_from_wherever_it_came() {
    let server = Running::start().await;
    let mut params = message("who");
    let sent = server
        .post("/message:send?tenant=acme", &params)
        .await
        .json();
    assert_eq!(seen(&sent["task"])["tenant"], "acme");
    let sent = server.post("/ac%20me/message:send", &params).await.json();
    assert_eq!(seen(&sent["task"])["tenant"], "ac me");
    for binding in BOTH {
        let sent = server.call(binding, "SendMessage", params.clone()).await;
        assert_eq!(seen(&sent.unwrap()["task"])["tenant"], Value::Null);
    }
    params["tenant"] = json!("acme");
    for binding in BOTH {
        let sent = server.call(binding, "SendMessage", params.clone()).await;
        assert_eq!(seen(&sent.unwrap()["task"])["tenant"], "acme");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_is_told_which_of_its_extensions_are_active() {
    let server = Running::with(|_, agent| {
        agent.require_extension("urn:x");
        agent.require_extension("urn:y");
    })
    .await;
    for (method, path) in [("POST", "/message:send"), ("POST", "/")] {
        let rpc = rpc("SendMessage", &message("who"));
        let body = if path == "/" { rpc } else { message("who") };
        let headers = [
            ("content-type", "application/json"),
            ("a2a-extensions", "urn:y,urn:unknown, urn:x"),
            ("x-a2a-extensions", "urn:x"),
        ];
        let reply = server
            .send(method, path, &headers, body.to_string().as_bytes())
            .await;
        assert_eq!(reply.header("a2a-extensions"), Some("urn:x, urn:y"));
        let body = reply.json();
        let task = body.pointer("/result/task").unwrap_or(&body["task"]);
        assert_eq!(seen(task)["extensions"], json!(["urn:x", "urn:y"]));
    }
}

#[test]
fn owners_are_told_apart_and_read_back() {
    let caller = |subject: &str, tenant: &str| Caller::new(subject).within(tenant).unwrap();
    let all = [
        caller("ann", ""),
        caller("ann", "a"),
        caller("nn", "aa"),
        caller("1\u{1f}aann", ""),
        caller("0\u{1f}ann", ""),
        caller("ann", "ä"),
        caller("", "ann"),
    ];
    for one in &all {
        assert_eq!(Caller::of_owner(&one.owner()), *one);
        let same = all.iter().filter(|other| other.owner() == one.owner());
        assert_eq!(same.count(), 1, "{one:?}");
    }
    assert_eq!(
        &*caller("ann", "").owner(),
        "ann",
        "as it was always stored"
    );
}

//! PUSH-CREATE, PUSH-GET, PUSH-LIST, PUSH-DEL, PUSH-DELIVER: what clients ask about push notifications, in both bindings,
//! and that what they asked for comes.

use super::*;
use crate::push::tests::webhook::{Answer, Got, Webhook};
use crate::push::{Keyring, Pusher, tests::options};

const CREATE: &str = "CreateTaskPushNotificationConfig";
const GET: &str = "GetTaskPushNotificationConfig";
const LIST: &str = "ListTaskPushNotificationConfigs";
const DELETE: &str = "DeleteTaskPushNotificationConfig";

async fn pushing() -> Running {
    Running::with(|server, agent| {
        server.push = Some(Pusher::new(options(Keyring::in_memory())));
        agent.change_card(|card| card.capabilities.push_notifications = Some(true));
    })
    .await
}

fn config(task: &Value, url: &str) -> Value {
    json!({
        "taskId": task["id"],
        "url": url,
        "token": "client's own",
        "authentication": {"scheme": "Bearer", "credentials": "s3cret"},
    })
}

/// A message that brings a configuration along.
fn inline(text: &str, url: &str) -> Value {
    let mut params = message(text);
    params["configuration"] = json!({
        "taskPushNotificationConfig": {
            "url": url,
            "authentication": {"scheme": "Bearer", "credentials": "s3cret"},
        },
    });
    params
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_create_get_list_and_delete_in_both_bindings() {
    let server = pushing().await;
    for binding in BOTH {
        let call = |operation, params| server.call(binding, operation, params);
        let task = server.begin("wait").await;
        let url = "https://example.com/tck-push-webhook";
        let made = call(CREATE, config(&task, url)).await.unwrap();
        let id = made["id"].as_str().unwrap().to_owned();
        assert!(!id.is_empty(), "the server makes an id");
        let expected = json!({
            "id": id,
            "taskId": task["id"],
            "url": url,
            "token": "client's own",
            // The credentials do not come back.
            "authentication": {"scheme": "Bearer"},
        });
        assert_eq!(made, expected);
        let named = json!({"taskId": task["id"], "id": id});
        assert_eq!(call(GET, named.clone()).await.unwrap(), expected);
        // As a draft of 1.0 had it.
        let draft = json!({"taskId": task["id"], "config": {"id": "of-draft", "url": url}});
        let made = call(CREATE, draft).await.unwrap();
        assert_eq!(
            (&made["id"], &made["url"]),
            (&json!("of-draft"), &json!(url))
        );
        let of_draft = json!({"taskId": task["id"], "id": "of-draft"});
        call(DELETE, of_draft).await.unwrap();
        let other =
            json!({"taskId": task["id"], "url": url, "config": {"url": "https://example.com/x"}});
        let refused = call(CREATE, other).await.unwrap_err();
        assert_eq!(refused.fields, ["config.url"]);
        // The same id replaces.
        let mut again = config(&task, "https://example.com/other");
        again["id"] = json!(id);
        call(CREATE, again).await.unwrap();
        let mut second = config(&task, url);
        second["id"] = json!("zz of/mine");
        let second = call(CREATE, second).await.unwrap();
        assert_eq!(second["id"], "zz of/mine");
        let all = call(LIST, json!({"taskId": task["id"]})).await.unwrap();
        let all = all["configs"].as_array().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0]["url"], "https://example.com/other");
        // In pages.
        let first = json!({"taskId": task["id"], "pageSize": 1});
        let page = call(LIST, first).await.unwrap();
        assert_eq!(page["configs"].as_array().unwrap().len(), 1);
        let next = json!({"taskId": task["id"], "pageSize": 1, "pageToken": page["nextPageToken"]});
        let page = call(LIST, next).await.unwrap();
        assert_eq!(page["configs"][0]["id"], "zz of/mine");
        assert_eq!(page.get("nextPageToken"), None);
        for bad in [
            json!({"pageSize": -1}),
            json!({"pageSize": 101}),
            json!({"pageToken": "?"}),
        ] {
            let mut params = bad;
            params["taskId"] = task["id"].clone();
            assert_eq!(call(LIST, params).await.unwrap_err().reason, "INVALID");
        }
        // Deleting is the same whether it was there or not.
        for _ in 0..2 {
            assert_eq!(call(DELETE, named.clone()).await.unwrap(), json!({}));
        }
        assert_eq!(call(GET, named).await.unwrap_err().reason, "TASK_NOT_FOUND");
        call("CancelTask", json!({"id": task["id"]})).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_on_an_ended_task_succeeds_and_on_an_unknown_one_does_not() {
    let server = pushing().await;
    for binding in BOTH {
        let call = |operation, params| server.call(binding, operation, params);
        let sent = call("SendMessage", message("hello")).await.unwrap();
        let task = &sent["task"];
        assert_eq!(state(task), "TASK_STATE_COMPLETED");
        let made = call(CREATE, config(task, "https://example.com/")).await;
        let named = json!({"taskId": task["id"], "id": made.unwrap()["id"]});
        call(GET, named.clone()).await.unwrap();
        call(DELETE, named).await.unwrap();

        let nobody = json!({"id": "nobody"});
        let unknown = json!({"taskId": "nobody", "id": "c"});
        for (operation, params) in [
            (CREATE, config(&nobody, "https://example.com/")),
            (GET, unknown.clone()),
            (LIST, json!({"taskId": "nobody"})),
            (DELETE, unknown.clone()),
        ] {
            let failure = call(operation, params).await.unwrap_err();
            assert_eq!(failure.reason, "TASK_NOT_FOUND", "{operation}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_is_refused_where_the_card_or_the_server_does_not_have_it() {
    let undeclared = Running::with(|server, _| {
        server.push = Some(Pusher::new(options(Keyring::in_memory())));
    })
    .await;
    let unequipped = Running::with(|_, agent| {
        agent.change_card(|card| card.capabilities.push_notifications = Some(true));
    })
    .await;
    for server in [undeclared, unequipped] {
        for binding in BOTH {
            let task = json!({"id": "t"});
            let named = json!({"taskId": "t", "id": "c"});
            for (operation, params) in [
                (CREATE, config(&task, "https://example.com/")),
                (GET, named.clone()),
                (LIST, json!({"taskId": "t"})),
                (DELETE, named.clone()),
                ("SendMessage", inline("hello", "https://example.com/")),
            ] {
                let failure = server.call(binding, operation, params).await.unwrap_err();
                assert_eq!(
                    failure.reason, "PUSH_NOTIFICATION_NOT_SUPPORTED",
                    "{operation}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_configurations_that_cannot_be_are_refused_with_the_field() {
    let server = pushing().await;
    let task = server.begin("wait").await;
    for binding in BOTH {
        for (change, field) in [
            (json!({"url": ""}), "url"),
            (json!({"url": "https://10.0.0.1/"}), "url"),
            (json!({"url": "https://169.254.169.254/x"}), "url"),
            (json!({"url": "http://example.com/"}), "url"),
            (json!({"url": "https://a:b@example.com/"}), "url"),
            (json!({"token": "a\r\nb: c"}), "token"),
            (
                json!({"authentication": {"credentials": "x"}}),
                "authentication.scheme",
            ),
        ] {
            let mut params = config(&task, "https://example.com/");
            for (name, value) in change.as_object().unwrap() {
                params[name] = value.clone();
            }
            let failure = server.call(binding, CREATE, params).await.unwrap_err();
            assert_eq!(failure.reason, "INVALID", "{change}");
            assert_eq!(failure.fields, [field], "{change}");
        }
        let refused = server
            .call(binding, "SendMessage", inline("hello", "https://10.0.0.1/"))
            .await
            .unwrap_err();
        assert_eq!(
            refused.fields,
            ["configuration.taskPushNotificationConfig.url"]
        );
        assert!(refused.message.contains("push_allow"), "{refused:?}");
    }
    let all = server.call(Binding::Rpc, "ListTasks", json!({})).await;
    assert_eq!(all.unwrap()["totalSize"], 1, "nothing was stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_of_a_message_delivers_every_event_from_the_first() {
    let server = pushing().await;
    for binding in BOTH {
        let hook = Webhook::start(&[Answer::Status(503)], Answer::Status(200)).await;
        let params = inline("chunks 20", &hook.url());
        let stream = server.stream(binding, "SendStreamingMessage", params, &[]);
        let events = stream.await.events().await;
        let got = hook.until_taken(events.len()).await;
        let pushed: Vec<Value> = got.iter().map(Got::json).collect();
        assert!(pushed[0]["task"].is_object(), "{}", pushed[0]);
        assert_eq!(pushed, events);
        assert_eq!(got[0].header("authorization"), Some("Bearer s3cret"));
        assert_eq!(got[0].header("content-type"), Some("application/a2a+json"));
        assert_eq!(got[0].header("x-a2a-notification-token"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_of_a_follow_up_begins_with_it_and_is_gone_with_a_refused_one() {
    let server = pushing().await;
    let hook = Webhook::good().await;
    let sent = server
        .call(Binding::Rpc, "SendMessage", message("ask"))
        .await;
    let task = &sent.unwrap()["task"];
    let mut params = inline("say more", &hook.url());
    params["message"]["taskId"] = task["id"].clone();
    let answered = server.call(Binding::Rest, "SendMessage", params).await;
    assert_eq!(state(&answered.unwrap()["task"]), "TASK_STATE_COMPLETED");
    let got = hook.until_taken(3).await;
    let first = &got[0].json()["statusUpdate"]["status"];
    assert_eq!(first["message"]["parts"][0]["text"], "say more");
    let last = &got[2].json()["statusUpdate"]["status"];
    assert_eq!(last["state"], "TASK_STATE_COMPLETED");

    let mut late = inline("late", &hook.url());
    late["message"]["taskId"] = task["id"].clone();
    late["configuration"]["taskPushNotificationConfig"]["id"] = json!("late");
    let refused = server.call(Binding::Rpc, "SendMessage", late).await;
    assert_eq!(refused.unwrap_err().reason, "UNSUPPORTED_OPERATION");
    let named = json!({"taskId": task["id"], "id": "late"});
    let gone = server.call(Binding::Rpc, GET, named).await;
    assert_eq!(gone.unwrap_err().reason, "TASK_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_configurations_of_somebody_elses_task_are_not_found() {
    let server = pushing().await;
    let task = server.begin("wait").await;
    let made = server
        .call(Binding::Rpc, CREATE, config(&task, "https://example.com/"))
        .await
        .unwrap();
    // The same caller for another tenant is somebody else.
    let named = json!({"tenant": "other", "taskId": task["id"], "id": made["id"]});
    let mut create = config(&task, "https://example.com/");
    create["tenant"] = json!("other");
    for (operation, params) in [
        (CREATE, create),
        (GET, named.clone()),
        (LIST, json!({"tenant": "other", "taskId": task["id"]})),
        (DELETE, named.clone()),
    ] {
        let failure = server.call(Binding::Rpc, operation, params).await;
        assert_eq!(failure.unwrap_err().reason, "TASK_NOT_FOUND", "{operation}");
    }
    let id = task["id"].as_str().unwrap();
    let path = format!("/other/tasks/{id}/pushNotificationConfigs");
    assert_eq!(server.get(&path).await.status, 404);
    let own = json!({"taskId": task["id"], "id": made["id"]});
    server.call(Binding::Rpc, GET, own).await.unwrap();
}

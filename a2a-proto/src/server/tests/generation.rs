//! The preview of 1.1: the generation of tasks and events, waiting for the next one, messages only to a task that has not
//! changed. The gRPC side is in `grpc::generation`.

use std::time::Duration;

use super::*;
use crate::push::tests::webhook::Webhook;
use crate::push::{Keyring, Pusher, tests::options};

async fn preview() -> Running {
    Running::with(|options, _| options.preview_1_1 = true).await
}

fn generation(object: &Value) -> i64 {
    // An int64 is a string in ProtoJSON.
    object["generation"].as_str().unwrap().parse().unwrap()
}

fn with(mut params: Value, member: &str, value: Value) -> Value {
    params["configuration"][member] = value;
    params
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_one_event_with_the_next_generation() {
    let server = preview().await;
    for binding in BOTH {
        let stream = server
            .stream(binding, "SendStreamingMessage", message("chunks 5"), &[])
            .await;
        let frames = stream.all().await;
        let last = frames.len() as i64;
        for (frame, expected) in frames.iter().zip(1..) {
            let event = frame.event_json();
            let (_, inner) = event.as_object().unwrap().iter().next().unwrap();
            assert_eq!(generation(inner), expected, "{event}");
            assert_eq!(frame.id, Some(expected as u64), "the same counter");
        }
        let id = frames[0].event_json()["task"]["id"].clone();
        let got = server.call(binding, "GetTask", json!({"id": id})).await;
        assert_eq!(generation(&got.unwrap()), last);
        let list = server.call(binding, "ListTasks", json!({})).await.unwrap();
        let listed = list["tasks"].as_array().unwrap().iter();
        let listed = listed.clone().find(|task| task["id"] == id).unwrap();
        assert_eq!(generation(listed), last);

        let sent = server.call(binding, "SendMessage", message("ask")).await;
        let asked = &sent.unwrap()["task"];
        let now = generation(asked);
        let first = server
            .stream(binding, "SubscribeToTask", json!({"id": asked["id"]}), &[])
            .await
            .next()
            .await;
        assert_eq!(generation(&first.unwrap().event_json()["task"]), now);
        let cancelled = server.call(binding, "CancelTask", json!({"id": asked["id"]}));
        assert_eq!(generation(&cancelled.await.unwrap()), now + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_with_the_current_generation_waits_for_the_next() {
    let server = preview().await;
    for binding in BOTH {
        let task = server.begin("wait").await;
        let get = |current: Value| {
            let params = json!({"id": task["id"], "currentGeneration": current});
            server.call(binding, "GetTask", params)
        };
        // Older ones are answered at once; the turn has written its first status by the second.
        let working = get(json!(1)).await.unwrap();
        assert_eq!(state(&working), "TASK_STATE_WORKING");
        let now = generation(&working);
        assert_eq!(generation(&get(json!("0")).await.unwrap()), now);
        let waiting = get(json!(now.to_string()));
        let mut waiting = std::pin::pin!(waiting);
        let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
        assert!(early.is_err(), "{early:?}");
        server.agent.go.add_permits(1);
        let changed = waiting.await.unwrap();
        assert!(generation(&changed) > now, "{changed}");
        // What has ended does not change any more, so nobody waits for it.
        let ended = loop {
            let task = get(json!(generation(&changed))).await.unwrap();
            if state(&task) == "TASK_STATE_COMPLETED" {
                break task;
            }
        };
        let same = get(json!(generation(&ended) + 10)).await.unwrap();
        assert_eq!(generation(&same), generation(&ended));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_taken_only_at_the_generation_that_it_names() {
    let server = preview().await;
    for binding in BOTH {
        for (operation, stale) in [("SendMessage", -1), ("SendStreamingMessage", 1)] {
            let sent = server.call(Binding::Rpc, "SendMessage", message("ask"));
            let task = sent.await.unwrap()["task"].clone();
            let now = generation(&task);
            let wanted = |generation: i64| {
                let wanted = json!(generation.to_string());
                with(follow_up(&task, "hello"), "ifGenerationMatch", wanted)
            };
            let refused = server.call(binding, operation, wanted(now + stale)).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.reason, "TASK_GENERATION_MISMATCH", "{refused:?}");
            let path = "SendMessage";
            let taken = server.call(binding, path, wanted(now)).await.unwrap();
            assert_eq!(state(&taken["task"]), "TASK_STATE_COMPLETED");
            // The task has ended, and that it has changed comes first.
            let late = server.call(binding, path, wanted(now)).await.unwrap_err();
            assert_eq!(late.reason, "TASK_GENERATION_MISMATCH");
        }
        for (params, field) in [
            (
                with(message("hello"), "ifGenerationMatch", json!("1")),
                "configuration.ifGenerationMatch",
            ),
            (
                with(
                    follow_up(&json!({"id": "t"}), "hello"),
                    "ifGenerationMatch",
                    json!(0),
                ),
                "configuration.ifGenerationMatch",
            ),
        ] {
            let refused = server.call(binding, "SendMessage", params).await;
            assert_eq!(refused.unwrap_err().fields, [field]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_messages_for_one_generation_one_is_taken() {
    let server = preview().await;
    let sent = server.call(Binding::Rpc, "SendMessage", message("ask"));
    let task = sent.await.unwrap()["task"].clone();
    let wanted = json!(task["generation"]);
    let sends = (0..16).map(|n| {
        let text = format!("hello {n}");
        let params = with(follow_up(&task, &text), "ifGenerationMatch", wanted.clone());
        server.call(BOTH[n % 2], "SendMessage", params)
    });
    let answers = futures_util::future::join_all(sends).await;
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(taken, 1);
    for refused in answers.into_iter().filter_map(Result::err) {
        assert_eq!(refused.reason, "TASK_GENERATION_MISMATCH", "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mismatch_is_a_conflict() {
    let server = preview().await;
    let sent = server.call(Binding::Rpc, "SendMessage", message("ask"));
    let task = sent.await.unwrap()["task"].clone();
    let params = with(follow_up(&task, "hello"), "ifGenerationMatch", json!("1"));
    let reply = server.post("/message:send", &params).await;
    assert_eq!(reply.status, 409);
    let error = &reply.json()["error"];
    assert_eq!(error["status"], "ABORTED");
    let told = &error["details"][0]["metadata"];
    assert_eq!(told["currentGeneration"], task["generation"]);
    assert_eq!(told["taskId"], task["id"]);
    let reply = server.post("/", &rpc("SendMessage", &params)).await;
    assert_eq!(reply.json()["error"]["code"], -32010);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_switch_it_is_1_0() {
    let server = Running::start().await;
    for binding in BOTH {
        let params = with(message("ask"), "ifGenerationMatch", json!("7"));
        let sent = server.call(binding, "SendMessage", params).await.unwrap();
        let task = &sent["task"];
        assert_eq!(task["generation"], Value::Null);
        let waits = json!({"id": task["id"], "currentGeneration": 1000});
        let got = server.call(binding, "GetTask", waits).await.unwrap();
        assert_eq!(got["generation"], Value::Null);
        let stream = server
            .stream(binding, "SendStreamingMessage", message("chunks 2"), &[])
            .await;
        for event in stream.events().await {
            assert!(!event.to_string().contains("generation"), "{event}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_tell_the_generation_too() {
    let server = Running::with(|server, agent| {
        server.preview_1_1 = true;
        server.push = Some(Pusher::new(options(Keyring::in_memory())));
        agent.change_card(|card| card.capabilities.push_notifications = Some(true));
    })
    .await;
    let hook = Webhook::good().await;
    let config = json!({"url": hook.url()});
    let params = with(message("chunks 3"), "taskPushNotificationConfig", config);
    server
        .call(Binding::Rest, "SendMessage", params)
        .await
        .unwrap();
    let got = hook.until_taken(6).await;
    for (note, expected) in got.iter().zip(1..) {
        let event = note.json();
        let (_, inner) = event.as_object().unwrap().iter().next().unwrap();
        assert_eq!(generation(inner), expected, "{event}");
    }
}

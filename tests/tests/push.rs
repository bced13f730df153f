//! Push notifications of a real worker and a real captain to a real webhook: everything comes, also over `kill -9`; nothing goes where it must not.

use std::{fs, path::Path, time::Duration};

use e2e::{
    CaptainBuilder, Webhook, WorkerBuilder,
    http::{Api, json as body},
    wait::{JOB, SOON},
    webhook::Notification,
};
use pretty_assertions::assert_eq;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const CREDENTIALS: &str = "flotilla-webhook-credentials";
const TOKEN: &str = "flotilla-webhook-token";

fn config(url: &str) -> Value {
    json!({
        "id": "hook",
        "url": url,
        "token": TOKEN,
        "authentication": {"scheme": "Bearer", "credentials": CREDENTIALS},
    })
}

/// Begins a task with a webhook and answers its id.
async fn begin(api: &Api, parts: Value, url: &str) -> String {
    let message = json!({"messageId": "m", "role": "ROLE_USER", "parts": parts});
    let configuration =
        json!({"returnImmediately": true, "taskPushNotificationConfig": config(url)});
    let request = json!({"message": message, "configuration": configuration});
    let answer = api.post_raw("/message:send", &request).await;
    let task = body(answer, StatusCode::OK).await;
    task["task"]["id"].as_str().unwrap_or_default().to_owned()
}

/// The events of an ended task as the server's log has them.
async fn logged(api: &Api, id: &str) -> Vec<Value> {
    let request = api
        .request(Method::GET, &format!("/tasks/{id}:subscribe"))
        .header("Accept", "text/event-stream")
        .header("Last-Event-ID", 0);
    let frames = e2e::sse::Frames::new(e2e::http::answer(request).await);
    let frames = frames.rest(SOON).await;
    frames.into_iter().map(|frame| frame.data).collect()
}

fn bodies(got: &[Notification]) -> Vec<Value> {
    got.iter().map(|it| it.body.clone()).collect()
}

fn is_end(notification: &Notification) -> bool {
    let state = notification.body.pointer("/statusUpdate/status/state");
    state.is_some_and(|state| state == "TASK_STATE_COMPLETED" || state == "TASK_STATE_FAILED")
}

/// Nothing is lost and the order is kept; what was delivered last before the break may have come again.
fn delivered_with_one_break(got: &[Value], all: &[Value]) {
    let first = got.iter().zip(all).take_while(|(got, all)| got == all);
    let (first, again) = got.split_at(first.count());
    let resumed = all.len() - again.len();
    assert_eq!(again, &all[resumed..], "after the first {}", first.len());
    let repeated = first.len() - resumed;
    assert!(repeated <= 5, "{repeated} came twice");
}

/// The files below the folder that hold the text.
fn holds(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holds(&path, text));
        } else if fs::read(&path)
            .is_ok_and(|content| content.windows(text.len()).any(|it| it == text.as_bytes()))
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_task_reaches_its_webhook() {
    let hook = Webhook::start(Duration::ZERO).await;
    let worker = WorkerBuilder::scripted()
        .card("push_allow", json!(["loopback"]))
        .start()
        .await;
    let id = begin(
        worker.api(),
        json!([{"text": "spam 200\nsay done"}]),
        hook.url(),
    )
    .await;
    let ended = |got: &[Notification]| got.iter().any(is_end);
    let got = hook.until("the end of the task", JOB, ended).await;
    assert_eq!(bodies(&got), logged(worker.api(), &id).await);
    assert!(got[0].body["task"].is_object());
    for notification in &got {
        let bearer = format!("Bearer {CREDENTIALS}");
        assert_eq!(notification.header("authorization"), Some(bearer.as_str()));
        assert_eq!(notification.header("x-a2a-notification-token"), Some(TOKEN));
        assert_eq!(notification.header("a2a-notification-token"), Some(TOKEN));
        assert_eq!(
            notification.header("content-type"),
            Some("application/a2a+json")
        );
    }
    // The credentials went to the receiver and nowhere else.
    let path = format!("/tasks/{id}/pushNotificationConfigs/hook");
    let shown = worker.api().get(&path).await;
    assert_eq!(shown["authentication"], json!({"scheme": "Bearer"}));
    assert_eq!(holds(worker.folder(), CREDENTIALS), Vec::<String>::new());
    assert_eq!(holds(worker.folder(), TOKEN), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_worker_delivers_the_rest_when_it_is_back() {
    // Slower than the agent, so that the worker dies with most of the events undelivered.
    let hook = Webhook::start(Duration::from_millis(5)).await;
    let mut worker = WorkerBuilder::scripted()
        .arg("--push-allow", "loopback")
        .start()
        .await;
    let id = begin(
        worker.api(),
        json!([{"text": "spam 400\nhang"}]),
        hook.url(),
    )
    .await;
    let some = |got: &[Notification]| got.len() >= 50;
    hook.until("some notifications", JOB, some).await;
    worker.process.kill_hard();
    let before = hook.got().len();
    assert!(before < 400, "{before} of them were there already");
    worker.restart().await;

    // The next worker fails the task, whose agent is gone; that is the last event.
    let ended = |got: &[Notification]| got.iter().any(is_end);
    let got = hook.until("the end of the task", JOB, ended).await;
    let (all, got) = (logged(worker.api(), &id).await, bodies(&got));
    assert!(all.len() > before, "the log has {} events", all.len());
    delivered_with_one_break(&got, &all);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_captain_delivers_the_rest_of_a_job_when_it_is_back() {
    let hook = Webhook::start(Duration::ZERO).await;
    let mut captain = CaptainBuilder::scripted()
        .arg("--push-allow", "loopback")
        .start()
        .await;
    let script = "say one\nsleep 3000\nsay two\nwrite out.txt hello";
    let plan = json!({"subtasks": [{"id": "task", "prompt": script, "limits": {"attempts": 1}}]});
    let parts = json!([{"text": "play it"}, {"data": {"plan": plan}}]);
    let id = begin(captain.api(), parts, hook.url()).await;
    let says = |got: &[Notification], word: &str| {
        let said = |it: &Notification| {
            let text = it.body.pointer("/statusUpdate/status/message/parts/0/text");
            text.and_then(Value::as_str)
                .is_some_and(|text| text.trim() == word)
        };
        got.iter().any(said)
    };
    hook.until("the agent says one", JOB, |got| says(got, "one"))
        .await;
    captain.kill_hard();
    captain.restart().await;
    let ended = |got: &[Notification]| got.iter().any(is_end);
    let got = hook.until("the end of the job", JOB, ended).await;
    assert!(says(&got, "two"));
    let all = logged(captain.api(), &id).await;
    delivered_with_one_break(&bodies(&got), &all);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_inside_the_operators_network_is_refused() {
    let hook = Webhook::start(Duration::ZERO).await;
    let worker = WorkerBuilder::scripted().start().await;
    let internal = [
        hook.url(),
        "https://localhost/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "http://example.com/",
    ];
    for url in internal {
        let message =
            json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "say hello"}]});
        let configuration = json!({"taskPushNotificationConfig": config(url)});
        let request = json!({"message": message, "configuration": configuration});
        let answer = worker.api().post_raw("/message:send", &request).await;
        let refused = body(answer, StatusCode::BAD_REQUEST).await;
        let text = refused["error"]["message"].as_str().unwrap();
        assert!(text.contains("push_allow"), "{url}: {text}");
    }
    assert_eq!(hook.got().len(), 0);
    assert_eq!(worker.api().get("/tasks").await["totalSize"], 0);
}

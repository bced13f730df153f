//! Sends that are repeated with a key, and those that only look it.

use std::time::Duration;

use super::*;
use crate::clock::ManualClock;
use crate::server::Idempotency;

const WINDOW: Duration = Duration::from_secs(60);

async fn server(message_ids: bool) -> (Running, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new("2026-01-02T12:00:00Z".parse().unwrap()));
    let hands = Arc::clone(&clock);
    let server = Running::with(move |options, _| {
        options.clock = clock;
        options.idempotency = Some(Idempotency {
            window: WINDOW,
            message_ids,
        });
    })
    .await;
    (server, hands)
}

impl Running {
    async fn send_with(&self, binding: Binding, key: &str, params: &Value) -> Value {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        let (path, body) = match binding {
            Binding::Rpc => ("/", rpc("SendMessage", params)),
            Binding::Rest => ("/message:send", params.clone()),
        };
        let reply = self
            .send("POST", path, &headers, body.to_string().as_bytes())
            .await;
        let body = reply.json();
        body.get("result").unwrap_or(&body).clone()
    }

    async fn count(&self) -> i64 {
        let list = self
            .call(Binding::Rpc, "ListTasks", json!({}))
            .await
            .unwrap();
        list["totalSize"].as_i64().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_send_answers_the_first_result_for_at_least_one_window() {
    let (server, clock) = server(false).await;
    let first = server
        .send_with(Binding::Rest, "k1", &message("hello"))
        .await;
    assert_eq!(state(&first["task"]), "TASK_STATE_COMPLETED");
    for binding in BOTH {
        assert_eq!(
            server.send_with(binding, "k1", &message("hello")).await,
            first
        );
    }
    clock.advance(60_000);
    assert_eq!(
        server
            .send_with(Binding::Rpc, "k1", &message("hello"))
            .await,
        first
    );
    assert_eq!(server.count().await, 1);
    // Another key, none at all, another tenant, and the same key much later: each is another task.
    server
        .send_with(Binding::Rpc, "k2", &message("hello"))
        .await;
    server
        .call(Binding::Rpc, "SendMessage", message("hello"))
        .await
        .unwrap();
    assert_eq!(server.count().await, 3);
    let mut elsewhere = message("hello");
    elsewhere["tenant"] = json!("acme");
    let other = server.send_with(Binding::Rpc, "k1", &elsewhere).await;
    assert_ne!(other["task"]["id"], first["task"]["id"]);
    clock.advance(120_000);
    let later = server
        .send_with(Binding::Rest, "k1", &message("hello"))
        .await;
    assert_ne!(later["task"]["id"], first["task"]["id"]);
    // What the key is kept as is nobody's business.
    let got = server
        .get(&format!("/tasks/{}", later["task"]["id"].as_str().unwrap()))
        .await;
    assert!(!String::from_utf8_lossy(&got.body).contains("k1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_of_another_message_is_refused() {
    let (server, _) = server(false).await;
    for binding in BOTH {
        server.send_with(binding, "k", &message("hello")).await;
        let refused = server
            .send_with(binding, "k", &message("hello again"))
            .await;
        let text = refused.to_string();
        assert!(
            text.contains("Idempotency-Key") && text.contains("another message"),
            "{text}"
        );
        let long = server
            .send_with(binding, &"k".repeat(257), &message("hello"))
            .await;
        assert!(long.to_string().contains("Idempotency-Key"), "{long}");
    }
    assert_eq!(server.count().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sends_at_the_same_time_make_one_task() {
    let (server, _) = server(false).await;
    let sends = (0..16).map(|_| async {
        let sent = server
            .send_with(Binding::Rest, "k", &message("hello"))
            .await;
        sent["task"]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{sent}"))
            .to_owned()
    });
    let mut ids = futures_util::future::join_all(sends).await;
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(server.count().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_follow_up_is_said_once() {
    let (server, _) = server(true).await;
    let task = server.send_with(Binding::Rest, "a", &message("ask")).await["task"].clone();
    let more = follow_up(&task, "hello");
    let done = server.send_with(Binding::Rest, "b", &more).await["task"].clone();
    assert_eq!(state(&done), "TASK_STATE_COMPLETED");
    for binding in BOTH {
        assert_eq!(server.send_with(binding, "b", &more).await["task"], done);
    }
    // Without a key a follow-up is never taken for repeated: the task has ended.
    let refused = server
        .call(Binding::Rpc, "SendMessage", more)
        .await
        .unwrap_err();
    assert_eq!(refused.reason, "UNSUPPORTED_OPERATION");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_ids_count_only_with_their_content_and_only_if_the_owner_says_so() {
    let (server, _) = server(true).await;
    let first = server
        .call(Binding::Rpc, "SendMessage", message("hello"))
        .await
        .unwrap();
    let again = server
        .call(Binding::Rest, "SendMessage", message("hello"))
        .await
        .unwrap();
    assert_eq!(again, first);
    let mut other = message("hello");
    other["message"]["parts"] = json!([{"text": "something else"}]);
    server
        .call(Binding::Rpc, "SendMessage", other)
        .await
        .unwrap();
    assert_eq!(server.count().await, 2);
    // Off is off, whatever the client sends.
    let server = Running::start().await;
    for _ in 0..2 {
        server.send_with(Binding::Rpc, "k", &message("hello")).await;
    }
    assert_eq!(server.count().await, 2);
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        // The connections of the server before may still be closing.
        let log = loop {
            match crate::log::SqliteLog::open(&path) {
                Ok(log) => break log,
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let options = ServerOptions {
            idempotency: Some(Idempotency {
                window: Duration::from_secs(3600),
                message_ids: false,
            }),
            ..ServerOptions::new(Arc::new(AnyCaller))
        };
        let tracker = options.tracker.clone();
        let server = Server::new(Arc::new(TestAgent::default()), Arc::new(log), options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
        ];
        let body = message("hello").to_string();
        let router = server.router();
        drop(server);
        tokio::select! {
            ended = IntoFuture::into_future(axum::serve(listener, router)) => panic!("{ended:?}"),
            reply = http::send(address, "POST", "/message:send", &headers, body.as_bytes()) => {
                ids.push(reply.json()["task"]["id"].clone());
            }
        }
        tracker.close();
        tracker.wait().await;
    }
    assert!(ids[0].is_string() && ids[0] == ids[1], "{ids:?}");
}

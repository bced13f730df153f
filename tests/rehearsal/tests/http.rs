//! The server over real HTTP: what an agent's client library would see, faults included.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail the test, which is what unwrap does"
)]

use std::time::Duration;

use rehearsal::{Library, Options, Recorded, Rehearsal, shipped_scenarios};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

struct Server {
    url: String,
    stop: CancellationToken,
    tasks: TaskTracker,
    client: reqwest::Client,
}

impl Server {
    async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let library = Library::load(&shipped_scenarios()).unwrap();
        let tasks = TaskTracker::new();
        tasks.spawn(Rehearsal::new(library, options, stop.clone()).serve(listener));
        tasks.close();
        Self {
            url,
            stop,
            tasks,
            client: client(),
        }
    }

    async fn ask(&self, body: &Value) -> reqwest::Response {
        let url = format!("{}/v1/chat/completions", self.url);
        self.client
            .post(url)
            .bearer_auth("key")
            .json(body)
            .send()
            .await
            .unwrap()
    }

    async fn recorded(&self) -> Recorded {
        let url = format!("{}/_requests", self.url);
        self.client
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        let stopped = tokio::time::timeout(Duration::from_secs(5), self.tasks.wait());
        stopped
            .await
            .expect("the server ends with its token, whatever its streams do");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a2a-proto's client is not worth linking for a test of plain HTTP against loopback"
)]
fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

fn prompt(text: &str) -> Value {
    json!({
        "model": "m", "stream": true, "tools": [{"type": "function", "function": {"name": "write"}}],
        "messages": [{"role": "user", "content": text}],
    })
}

#[tokio::test]
async fn next_step_follows_from_the_conversation() {
    let server = Server::start(Options::default()).await;
    let mut body = prompt("Write hello.txt please");
    body["stream"] = false.into();
    let first: Value = server.ask(&body).await.json().await.unwrap();
    let message = first["choices"][0]["message"].clone();
    assert_eq!(message["tool_calls"][0]["function"]["name"], "write");
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(message);
    messages.push(json!({"role": "tool", "tool_call_id": "call_0_0", "content": "ok"}));
    let second: Value = server.ask(&body).await.json().await.unwrap();
    assert_eq!(
        second["choices"][0]["message"]["content"],
        "hello.txt is written."
    );
    body["messages"]
        .as_array_mut()
        .unwrap()
        .push(second["choices"][0]["message"].clone());
    let third: Value = server.ask(&body).await.json().await.unwrap();
    assert_eq!(third["choices"][0]["message"]["content"], "Done.");
    server.stop().await;
}

#[tokio::test]
async fn claim_is_not_made_when_the_output_was_another() {
    let server = Server::start(Options::default()).await;
    let mut body = prompt("Build a REST API for user management, with tests");
    body["stream"] = false.into();
    for output in ["written", "FAILED (errors=1)"] {
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({"role": "assistant", "content": ""}));
        messages.push(json!({"role": "tool", "content": output}));
    }
    let answer: Value = server.ask(&body).await.json().await.unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with("I stop here"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn wrong_key_is_refused_and_recorded_without_the_key() {
    let server = Server::start(Options {
        require_key: Some("right".to_owned()),
        ..Options::default()
    })
    .await;
    assert_eq!(server.ask(&prompt("just say pong")).await.status(), 401);
    let models = format!("{}/v1/models", server.url);
    assert_eq!(
        server.client.get(&models).send().await.unwrap().status(),
        401
    );
    let answer = server
        .client
        .get(&models)
        .bearer_auth("right")
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.json::<Value>().await.unwrap()["data"][0]["id"],
        "rehearsal"
    );
    let seen = server.recorded().await;
    assert_eq!((seen.count, seen.refused), (1, 1));
    assert_eq!(seen.requests[0].key_ok, Some(false));
    assert_eq!(seen.requests[0].headers["authorization"], "(10 bytes)");
    server.stop().await;
}

#[tokio::test]
async fn bad_requests_get_clear_errors() {
    let server = Server::start(Options::default()).await;
    let answer = server.ask(&json!({"model": 7})).await;
    assert_eq!(answer.status(), 400);
    let answer = server
        .ask(&prompt("something nobody wrote a script for"))
        .await;
    assert_eq!(answer.status(), 404);
    let error: Value = answer.json().await.unwrap();
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("something nobody wrote"), "{message}");
    let huge = prompt(&"x".repeat(8 * 1024 * 1024));
    assert_eq!(server.ask(&huge).await.status(), 413);
    server.stop().await;
}

#[tokio::test]
async fn request_without_tools_gets_a_title() {
    let server = Server::start(Options::default()).await;
    let mut body =
        prompt("\n  Build something with a very long description that goes on and on and on");
    body["tools"] = json!([]);
    body["stream"] = false.into();
    let answer: Value = server.ask(&body).await.json().await.unwrap();
    let title = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(title, "Build something with a very long description tha");
    server.stop().await;
}

#[tokio::test]
async fn http_fault_strikes_once_with_retry_after() {
    let server = Server::start(Options::default()).await;
    let body = prompt("fault: busy once");
    let first = server.ask(&body).await;
    assert_eq!(first.status(), 429);
    assert_eq!(first.headers()["retry-after"], "1");
    let second = server.ask(&body).await;
    assert_eq!(second.status(), 200);
    assert!(second.text().await.unwrap().contains("not busy any more"));
    assert_eq!(server.ask(&prompt("fault: wrong key")).await.status(), 401);
    assert_eq!(
        server.ask(&prompt("fault: model broken")).await.status(),
        500
    );
    server.stop().await;
}

#[tokio::test]
async fn stream_faults_are_what_they_say() {
    let server = Server::start(Options::default()).await;
    let cut = server.ask(&prompt("fault: cut always")).await;
    assert!(
        cut.text().await.is_err(),
        "a cut stream is an error of the transport"
    );
    let unfinished = server
        .ask(&prompt("fault: no finish reason"))
        .await
        .text()
        .await
        .unwrap();
    assert!(unfinished.ends_with("data: [DONE]\n\n") && !unfinished.contains("\"stop\""));
    let garbage = server
        .ask(&prompt("fault: garbage"))
        .await
        .text()
        .await
        .unwrap();
    assert!(garbage.contains("data: <html>") && !garbage.contains("[DONE]"));
    let mut hang = server.ask(&prompt("fault: hang")).await;
    assert_eq!(hang.status(), 200);
    let silence = tokio::time::timeout(Duration::from_millis(200), hang.chunk()).await;
    assert!(silence.is_err(), "a hanging model sends nothing");
    server.stop().await;
}

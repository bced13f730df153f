//! Who may call what: no token, a wrong one, another worker's, an expired one.

use e2e::{CaptainBuilder, WorkerBuilder, http, wait::JOB, worker};
use reqwest::StatusCode;
use serde_json::json;

/// Interfaces of a captain that need a token.
const CAPTAIN: [&str; 4] = ["/jobs", "/workers", "/jobs/none", "/jobs/none/events"];

#[tokio::test(flavor = "multi_thread")]
async fn captain_answers_nobody_without_its_token() {
    let captain = CaptainBuilder::scripted().start().await;
    for token in [None, Some("wrong"), Some("")] {
        let api = captain.api().with_token(token);
        for path in CAPTAIN {
            let answer = api.get_raw(path).await;
            assert_eq!(
                answer.status(),
                StatusCode::UNAUTHORIZED,
                "{path} with {token:?}"
            );
            assert!(answer.headers().contains_key("www-authenticate"), "{path}");
        }
        let answer = api.post_raw("/jobs", &json!({"goal": "x"})).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(
        captain.api().get("/jobs").await["jobs"],
        json!([]),
        "nothing was started"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_accepts_only_its_own_fresh_tokens() {
    let own = WorkerBuilder::scripted().start().await;
    let other = WorkerBuilder::scripted()
        .card("agent_id", json!("other"))
        .start()
        .await;
    let foreign = other.token(&[]).await;
    // Long over, so that no allowance for clocks that differ helps.
    let expired = own.forge("worker:e2e", -3600);
    let elsewhere = own.forge("worker:other", 600);
    let body = json!({"id": "t", "message": {"role": "user", "parts": [{"text": "say hi"}]}});
    for token in [
        None,
        Some("wrong"),
        Some(&*foreign),
        Some(&*expired),
        Some(&*elsewhere),
    ] {
        let api = own.api().with_token(token);
        assert_eq!(
            api.post_raw("/tasks/send", &body).await.status(),
            StatusCode::UNAUTHORIZED,
            "{token:?}"
        );
        assert_eq!(
            api.get_raw("/tasks").await.status(),
            StatusCode::UNAUTHORIZED,
            "{token:?}"
        );
    }
    let own_token = own.forge("worker:e2e", 600);
    assert!(
        own.api()
            .with_token(Some(&own_token))
            .get_raw("/tasks")
            .await
            .status()
            .is_success()
    );
    let frames = own.turn("t", "say hi").await;
    assert_eq!(
        worker::status(&frames),
        "completed",
        "its own token is good"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn card_is_public_and_says_what_is_needed() {
    let server = WorkerBuilder::scripted().start().await;
    let open = server.api().with_token(None);
    for path in ["/.well-known/agent-card.json", "/.well-known/agent.json"] {
        let card = http::json(open.get_raw(path).await, StatusCode::OK).await;
        assert!(
            card["skills"].as_array().is_some_and(|s| !s.is_empty()),
            "{card}"
        );
        assert!(
            card.to_string().contains("earer"),
            "the card names the scheme: {card}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_of_a_captain_refuses_the_users_token() {
    let captain = CaptainBuilder::scripted().start().await;
    let id = captain.submit_prompt("sleep 3000").await;
    let running = |job: &serde_json::Value| job["subtasks"][0]["state"] == "running";
    let job = captain.until(&id, "the subtask runs", running).await;
    let endpoint = job["subtasks"][0]["endpoint"].as_str().unwrap();
    let as_user = http::Api::new(endpoint, Some("anything"));
    assert_eq!(
        as_user.get_raw("/tasks").await.status(),
        StatusCode::UNAUTHORIZED
    );
    captain.ends(&id, "completed", JOB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn public_address_without_authentication_does_not_start() {
    let captain = CaptainBuilder::default()
        .flag("--no-auth")
        .arg("--listen", "0.0.0.0:0");
    let _ = captain
        .fails()
        .await
        .exits(64)
        .says(&["error:", "0.0.0.0", "127.0.0.1"]);
    let worker = WorkerBuilder::scripted()
        .flag("--no-auth")
        .arg("--listen", "0.0.0.0:0");
    let _ = worker
        .fails()
        .await
        .exits(2)
        .says(&["error:", "0.0.0.0", "127.0.0.1"]);
}

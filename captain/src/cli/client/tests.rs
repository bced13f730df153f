//! The client against a small real server that says what it is told to say, and breaks off when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::TryStreamExt;
use http::HeaderMap;
use pretty_assertions::assert_eq;
use tokio_util::task::TaskTracker;

use super::*;
use crate::cli::board::tests::Story;

/// Serves `router` and gives a client of it.
async fn serve(router: Router) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    client(&base)
}

fn client(base: &str) -> Client {
    let http = crate::cli::connect::http().unwrap();
    Client::new(
        http,
        Url::parse(base).unwrap(),
        Some(SecretString::from("secret")),
    )
}

#[tokio::test]
async fn calls_carry_the_token_and_escape_their_path() {
    let echo = |headers: HeaderMap, uri: http::Uri| async move {
        let token = headers[http::header::AUTHORIZATION]
            .to_str()
            .unwrap()
            .to_owned();
        axum::Json(serde_json::json!({ "path": uri.path(), "token": token }))
    };
    let client = serve(Router::new().fallback(echo)).await;
    let answer: serde_json::Value = client.get(&["jobs", "a/b ?#%", "events"]).await.unwrap();
    assert_eq!(
        answer,
        serde_json::json!({ "path": "/jobs/a%2Fb%20%3F%23%25/events", "token": "Bearer secret" })
    );
}

#[tokio::test]
async fn a_refusal_becomes_words_and_an_exit_code() {
    async fn refuse() -> Response {
        let body = serde_json::json!({ "error": {
            "code": "invalid_request",
            "message": "the plan is not valid",
            "hint": "see the plan's format",
            "details": [{ "field": "plan.subtasks[0]", "problem": "no prompt" }, { "field": "", "problem": "a cycle" }],
        }});
        (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
    }
    let router = Router::new()
        .route("/jobs", post(refuse))
        .route("/denied", get(|| async { StatusCode::UNAUTHORIZED }))
        .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/page", get(|| async { "<html>" }));
    let client = serve(router).await;
    let told = |error: ClientError| {
        let failure = Failure::from(error);
        let mut text = Vec::new();
        failure.write_to(&mut text).unwrap();
        (failure.exit(), String::from_utf8(text).unwrap())
    };
    let (exit, text) = told(
        client
            .post::<serde_json::Value>(&["jobs"], &1)
            .await
            .unwrap_err(),
    );
    assert_eq!(exit, Exit::BadInput);
    assert_eq!(
        text,
        "error: the plan is not valid\n  - plan.subtasks[0]: no prompt\n  - a cycle\nhint: see the plan's format\n"
    );
    for (path, exit) in [
        ("denied", Exit::NotPermitted),
        ("busy", Exit::Unavailable),
        ("page", Exit::Unavailable),
    ] {
        assert_eq!(
            told(client.get::<serde_json::Value>(&[path]).await.unwrap_err()).0,
            exit,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_captain_that_is_not_there_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&base)
        .get::<serde_json::Value>(&["jobs"])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot reach the captain at {base}/: Connection refused (os error 111)")
    );
    assert_eq!(Failure::from(error).exit(), Exit::Unavailable);
}

/// Sends the story in pieces: two events per connection, the second connection refused, the stream cut within an event.
async fn stutter(State(tries): State<Arc<AtomicUsize>>, headers: HeaderMap) -> Response {
    let number = tries.fetch_add(1, Ordering::SeqCst);
    if number == 1 {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let after: usize = headers
        .get("last-event-id")
        .map_or(0, |id| id.to_str().unwrap().parse().unwrap());
    let story = Story::demo().completed(9).0;
    // Begins one too early, as a careless server might.
    let from = after.saturating_sub(1);
    let mut text = String::new();
    for envelope in story.iter().skip(from).take(3) {
        let json = serde_json::to_string(envelope).unwrap();
        text.push_str(&format!(
            ": note\nid: {}\nevent: {}\ndata: {json}\n\n",
            envelope.seq,
            envelope.event.name()
        ));
    }
    text.push_str("id: 99\ndata: {\"half");
    (
        [(http::header::CONTENT_TYPE, "text/event-stream")],
        Body::from(text),
    )
        .into_response()
}

#[tokio::test]
async fn a_cut_stream_goes_on_without_gap_or_repeat() {
    let tries = Arc::new(AtomicUsize::new(0));
    let router = Router::new()
        .route("/jobs/j/events", get(stutter))
        .with_state(Arc::clone(&tries));
    let client = serve(router).await;
    let told: Vec<Told> = client.events("j", None).try_collect().await.unwrap();
    let numbers: Vec<u64> = told
        .iter()
        .map(|told| told.envelope.as_ref().unwrap().seq)
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    let told: Vec<Told> = client.events("j", Some(3)).try_collect().await.unwrap();
    assert_eq!(told.len(), 2);
}

#[tokio::test]
async fn an_event_that_is_not_known_is_passed_on() {
    let router = Router::new().route(
        "/jobs/j/events",
        get(|| async {
            let end = serde_json::to_string(Story::demo().completed(9).0.last().unwrap()).unwrap();
            format!("id: 1\ndata: {{\"new\":true}}\n\nid: 2\ndata: {end}\n\n")
        }),
    );
    let told: Vec<Told> = serve(router)
        .await
        .events("j", None)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(told.len(), 2);
    assert!(told[0].envelope.is_none());
    assert_eq!(&told[0].json[..], b"{\"new\":true}");
}

#[tokio::test]
async fn a_resume_that_cannot_be_served_is_an_error_at_once() {
    let router = Router::new().route("/jobs/j/events", get(|| async { StatusCode::CONFLICT }));
    let client = serve(router).await;
    let told: Result<Vec<Told>, _> = client.events("j", Some(1000)).try_collect().await;
    let error = told.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Refused {
                status: StatusCode::CONFLICT,
                ..
            }
        ),
        "{error}"
    );
}

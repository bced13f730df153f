//! The link against a worker that is played by hand, so that it can lie, stay silent and fall over at any point.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2a_proto::clock::{SystemClock, UuidV7};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use captain_core::job::WorkerTask;
use captain_core::{Attempt, JobEvent, JobId, Outcome, SubtaskId};
use futures_util::StreamExt as _;
use http::{HeaderMap, StatusCode, header};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::engine::ports::{BUNDLE_FILE, Labels};

const DEADLINE: Duration = Duration::from_secs(30);
const TASK: &str = "t1";

/// The worker's side: its log, and how much of it each connection carries.
struct Played {
    context: String,
    log: Vec<Value>,
    /// Frames after which a connection is cut; when this is empty, connections carry all there is.
    cuts: VecDeque<usize>,
    /// Whether the worker has its prompt.
    prompted: bool,
    asked: Vec<String>,
    bundle: (StatusCode, &'static str),
    url: String,
}

type Shared = Arc<Mutex<Played>>;

struct World {
    played: Shared,
    link: WorkerLink,
    assignment: Assignment,
    dir: TempDir,
    _server: AbortOnDropHandle<()>,
}

fn assignment(endpoint: &str, dir: &TempDir) -> Assignment {
    let labels = Labels {
        job: JobId::parse("0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01").unwrap(),
        subtask: SubtaskId::parse("api").unwrap(),
        attempt: Attempt::FIRST,
    };
    Assignment {
        worker: labels.worker(),
        endpoint: endpoint.to_owned(),
        prompt: "build it".to_owned(),
        task: None,
        cursor: None,
        out_of_reach: false,
        files: labels.files(dir.path()),
        labels,
    }
}

async fn world(log: impl FnOnce(&str) -> Vec<Value>) -> World {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let assignment = assignment(&url, &dir);
    let context = assignment.context().to_owned();
    let played = Arc::new(Mutex::new(Played {
        log: log(&context),
        context,
        cuts: VecDeque::new(),
        prompted: false,
        asked: Vec::new(),
        bundle: (StatusCode::OK, "pack"),
        url,
    }));
    let router = Router::new()
        .route("/.well-known/agent-card.json", get(card))
        .route("/tasks", get(list))
        .route("/tasks/{rest}", get(task).post(verb))
        .route("/message:stream", post(prompt))
        .route("/artifacts/t1/bundle", get(bundle))
        .with_state(Arc::clone(&played));
    let server = tokio_util::task::TaskTracker::new().spawn(async move {
        axum::serve(listener, router).await.unwrap();
    });
    let tokens = WorkerTokens::load(dir.path(), Arc::new(SystemClock), Arc::new(UuidV7)).unwrap();
    World {
        played,
        link: WorkerLink::new(tokens).unwrap(),
        assignment,
        dir,
        _server: AbortOnDropHandle::new(server),
    }
}

async fn card(State(played): State<Shared>) -> Json<Value> {
    let url = played.lock().unwrap().url.clone();
    Json(json!({
        "name": "played", "description": "a played worker", "version": "1",
        "supportedInterfaces": [{"url": url, "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}],
        "capabilities": {"streaming": true},
        "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "code", "name": "code", "description": "codes", "tags": ["code"]}],
    }))
}

async fn list(State(played): State<Shared>) -> Json<Value> {
    let played = played.lock().unwrap();
    let known =
        json!({"id": TASK, "contextId": played.context, "status": {"state": "TASK_STATE_WORKING"}});
    let tasks = if played.prompted {
        vec![known]
    } else {
        Vec::new()
    };
    Json(json!({"tasks": tasks, "nextPageToken": "", "pageSize": 1, "totalSize": tasks.len()}))
}

async fn task(State(played): State<Shared>, Path(_id): Path<String>) -> Json<Value> {
    let played = played.lock().unwrap();
    Json(
        json!({"id": TASK, "contextId": played.context, "status": {"state": "TASK_STATE_COMPLETED"}}),
    )
}

async fn prompt(State(played): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut played = played.lock().unwrap();
    assert!(headers.contains_key(header::AUTHORIZATION));
    played.prompted = true;
    let body: Value = serde_json::from_slice(&body).unwrap();
    played
        .asked
        .push(format!("prompt {}", body["message"]["parts"][0]["text"]));
    connection(&mut played, 0)
}

async fn verb(
    State(played): State<Shared>,
    Path(rest): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mut played = played.lock().unwrap();
    let after = headers
        .get("last-event-id")
        .map(|value| value.to_str().unwrap().to_owned());
    played
        .asked
        .push(format!("{rest} {}", after.as_deref().unwrap_or("-")));
    if rest.ends_with(":cancel") {
        return Json(json!({"id": TASK, "contextId": played.context, "status": {"state": "TASK_STATE_CANCELED"}}))
            .into_response();
    }
    connection(
        &mut played,
        after.and_then(|after| after.parse().ok()).unwrap_or(0),
    )
}

async fn bundle(State(played): State<Shared>) -> Response {
    played.lock().unwrap().bundle.into_response()
}

/// The frames after `after`, numbered from 1, up to the next cut.
fn connection(played: &mut Played, after: usize) -> Response {
    let end = played
        .cuts
        .pop_front()
        .unwrap_or(played.log.len())
        .clamp(after, played.log.len());
    let frames: String = played.log[after..end]
        .iter()
        .zip(after + 1..)
        .map(|(event, seq)| format!("id: {seq}\ndata: {event}\n\n"))
        .collect();
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from(frames),
    )
        .into_response()
}

fn opened(context: &str) -> Value {
    json!({"task": {"id": TASK, "contextId": context, "status": {"state": "TASK_STATE_SUBMITTED"}}})
}

fn status(context: &str, state: &str, text: &str) -> Value {
    json!({"statusUpdate": {"taskId": TASK, "contextId": context, "status": {
        "state": state,
        "message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": text}]},
    }}})
}

fn artifact(context: &str, part: &Value) -> Value {
    json!({"artifactUpdate": {"taskId": TASK, "contextId": context, "lastChunk": true,
        "artifact": {"artifactId": "bundle", "parts": [part]}}})
}

fn plain(context: &str) -> Vec<Value> {
    vec![
        opened(context),
        status(context, "TASK_STATE_WORKING", "one"),
        status(context, "TASK_STATE_WORKING", "two"),
        artifact(
            context,
            &json!({"url": "/artifacts/t1/bundle", "mediaType": "application/x-git-bundle"}),
        ),
        status(context, "TASK_STATE_COMPLETED", "done"),
    ]
}

async fn follow(world: &World) -> Vec<Report> {
    let reports = world.link.follow(world.assignment.clone()).collect();
    timeout(DEADLINE, reports).await.expect("the attempt ends")
}

fn told(reports: &[Report]) -> Vec<(&'static str, Option<u64>)> {
    let names = |report: &Report| {
        let cursor = report.cursor;
        let names = report.events.iter().map(JobEvent::name);
        names.map(|name| (name, cursor)).collect::<Vec<_>>()
    };
    reports.iter().flat_map(names).collect()
}

fn outcome(reports: &[Report]) -> Outcome {
    match reports.last().unwrap().events.last().unwrap() {
        JobEvent::AttemptEnded { outcome, .. } => outcome.clone(),
        other => panic!("the last report is {other:?}"),
    }
}

#[tokio::test]
async fn whole_attempt_is_told_in_order_with_its_numbers() {
    let world = world(plain).await;
    let reports = follow(&world).await;
    assert_eq!(
        told(&reports),
        [
            ("worker.ready", None),
            ("worker.accepted", Some(1)),
            ("agent.text", Some(2)),
            ("agent.text", Some(3)),
            ("artifact.made", Some(4)),
            ("attempt.ended", Some(5)),
        ]
    );
    assert_eq!(outcome(&reports), Outcome::Completed);
    assert_eq!(
        std::fs::read(world.assignment.files.join(BUNDLE_FILE)).unwrap(),
        b"pack"
    );
    assert_eq!(world.played.lock().unwrap().asked, ["prompt \"build it\""]);
}

#[tokio::test]
async fn cut_connections_lose_and_repeat_nothing() {
    let world = world(plain).await;
    world.played.lock().unwrap().cuts = VecDeque::from([1, 2, 2, 2, 2, 2, 2, 4]);
    let reports = follow(&world).await;
    let texts: Vec<_> = reports
        .iter()
        .flat_map(|report| &report.events)
        .filter_map(|event| match event {
            JobEvent::AgentText { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(outcome(&reports), Outcome::Completed);
    let prompts = world
        .played
        .lock()
        .unwrap()
        .asked
        .iter()
        .filter(|asked| asked.starts_with("prompt"))
        .count();
    assert_eq!(prompts, 1, "the prompt is sent once");
}

#[tokio::test]
async fn reattached_link_goes_on_after_the_cursor() {
    let mut world = world(plain).await;
    world.played.lock().unwrap().prompted = true;
    world.assignment.task = Some(WorkerTask {
        task: TASK.to_owned(),
        context: world.assignment.context().to_owned(),
    });
    world.assignment.cursor = Some(3);
    let reports = follow(&world).await;
    assert_eq!(
        told(&reports),
        [("artifact.made", Some(4)), ("attempt.ended", Some(5))]
    );
    assert_eq!(world.played.lock().unwrap().asked, ["t1:subscribe 3"]);
}

#[tokio::test]
async fn prompt_of_a_captain_that_died_is_found_and_not_sent_again() {
    let world = world(plain).await;
    world.played.lock().unwrap().prompted = true;
    let reports = follow(&world).await;
    assert_eq!(reports.len(), 6, "everything is told from the start");
    assert_eq!(world.played.lock().unwrap().asked, ["t1:subscribe 0"]);
}

#[tokio::test]
async fn liar_ends_its_attempt_only() {
    for (lie, word) in [
        (
            json!({"statusUpdate": {"taskId": "t9", "contextId": "c", "status": {"state": "TASK_STATE_COMPLETED"}}}),
            "t9",
        ),
        (json!({"hello": "world"}), "event of the stream"),
        (
            artifact("CONTEXT", &json!({"url": "http://127.0.0.1:1/elsewhere"})),
            "not at the worker itself",
        ),
        (artifact("CONTEXT", &json!({"text": "x"})), "git bundle"),
    ] {
        let lie = lie.to_string();
        let world = world(|context| {
            let lie = serde_json::from_str(&lie.replace("CONTEXT", context)).unwrap();
            vec![opened(context), lie]
        })
        .await;
        let Outcome::Failed { message } = outcome(&follow(&world).await) else {
            panic!("{lie}")
        };
        assert!(message.contains(word), "{message}");
    }
}

#[tokio::test]
async fn worker_that_lost_its_task_is_lost() {
    let mut world = world(plain).await;
    world.assignment.task = Some(WorkerTask {
        task: "gone/away".to_owned(),
        context: world.assignment.context().to_owned(),
    });
    // The played worker has no such path; a real one answers so for a task that it does not know.
    let router = Router::new().route("/.well-known/agent-card.json", get(card)).fallback(|| async {
        let error = json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "no such task", "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TASK_NOT_FOUND",
            "domain": "a2a-protocol.org", "metadata": {"taskId": "gone"}}]}});
        (StatusCode::NOT_FOUND, Json(error))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.assignment.endpoint = format!("http://{}", listener.local_addr().unwrap());
    world
        .played
        .lock()
        .unwrap()
        .url
        .clone_from(&world.assignment.endpoint);
    let router = router.with_state(Arc::clone(&world.played));
    let _server = AbortOnDropHandle::new(tokio_util::task::TaskTracker::new().spawn(async move {
        axum::serve(listener, router).await.unwrap();
    }));
    let outcome = outcome(&follow(&world).await);
    assert!(matches!(outcome, Outcome::Lost { .. }), "{outcome:?}");
}

#[tokio::test]
async fn silence_is_told_and_so_is_the_return() {
    let mut world = world(plain).await;
    // Nobody listens there until a worker does.
    let vacant = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = vacant.local_addr().unwrap();
    drop(vacant);
    world.assignment.endpoint = format!("http://{address}");
    let mut reports = world.link.follow(world.assignment.clone());
    let first = timeout(DEADLINE, reports.next()).await.unwrap().unwrap();
    assert_eq!(first.events[0].name(), "worker.unreachable");
    let listener = TcpListener::bind(address).await.unwrap();
    world.played.lock().unwrap().url = format!("http://{address}");
    let router = Router::new()
        .route("/.well-known/agent-card.json", get(card))
        .route("/tasks", get(list))
        .route("/message:stream", post(prompt))
        .route("/artifacts/t1/bundle", get(bundle))
        .with_state(Arc::clone(&world.played));
    let _server = AbortOnDropHandle::new(tokio_util::task::TaskTracker::new().spawn(async move {
        axum::serve(listener, router).await.unwrap();
    }));
    let rest: Vec<Report> = timeout(DEADLINE, reports.collect()).await.unwrap();
    assert_eq!(
        told(&rest)[..2],
        [("worker.reachable", None), ("worker.ready", None)]
    );
    assert_eq!(outcome(&rest), Outcome::Completed);
    drop(world.dir);
}

#[tokio::test]
async fn card_that_points_elsewhere_is_refused() {
    let world = world(plain).await;
    world.played.lock().unwrap().url = "http://203.0.113.1".to_owned();
    let outcome = outcome(&follow(&world).await);
    assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
}

#[tokio::test]
async fn refused_bundle_fails_the_attempt() {
    let world = world(plain).await;
    world.played.lock().unwrap().bundle = (StatusCode::NOT_FOUND, "");
    let Outcome::Failed { message } = outcome(&follow(&world).await) else {
        panic!()
    };
    assert!(message.contains("404"), "{message}");
}

#[tokio::test]
async fn cancel_reaches_the_task_also_when_only_its_context_is_known() {
    let world = world(plain).await;
    world.link.cancel(&world.assignment).await.unwrap();
    assert!(
        world.played.lock().unwrap().asked.is_empty(),
        "without a prompt there is nothing to cancel"
    );
    world.played.lock().unwrap().prompted = true;
    world.link.cancel(&world.assignment).await.unwrap();
    assert_eq!(world.played.lock().unwrap().asked, ["t1:cancel -"]);
}

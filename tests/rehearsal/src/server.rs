//! The HTTP face: routes, key check, faults.
//!
//! Here because this is all that knows axum. The caller gives the listener and the token that ends it, so tests bind port 0
//! and stop the server when they like. Must not decide what is played: `library` and `play` do.

use std::{
    borrow::Cow,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_stream::stream;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    chat::{ChatRequest, Position},
    library::{Library, Loaded},
    play::{self, Cue},
    records::{Recorded, Records, Seen},
    scenario::{Fault, Step},
};

/// Largest request body. An agent's prompt with tools and a long history is a few hundred kilobytes.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// Long enough for hyper to write out a few small chunks.
const FLUSH: Duration = Duration::from_millis(20);
/// Longest title in characters.
const MAX_TITLE: usize = 48;
/// The header by which opencode marks the requests of one session.
const SESSION_HEADER: &str = "x-session-affinity";

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The model's name in `GET /v1/models`. Requests may name any model.
    pub model: String,
    /// When set, every request must carry `Authorization: Bearer` with this key, else it is answered 401.
    pub require_key: Option<String>,
    /// When set, replaces every pause between chunks, in milliseconds.
    pub pace_ms: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            model: "rehearsal".to_owned(),
            require_key: None,
            pace_ms: None,
        }
    }
}

/// The socket failed while serving.
#[derive(Debug, thiserror::Error)]
#[error("the rehearsal model's socket failed")]
pub struct ServeError(#[source] io::Error);

/// The rehearsal model. Clones share one memory of requests.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    library: Library,
    options: Options,
    records: Mutex<Records>,
    stop: CancellationToken,
}

impl Rehearsal {
    /// A model that plays `library`. Cancelling `stop` ends running streams and `serve`.
    #[must_use]
    pub fn new(library: Library, options: Options, stop: CancellationToken) -> Self {
        let shared = Shared {
            library,
            options,
            records: Mutex::default(),
            stop,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What was asked so far.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        self.shared.with_records(|r| r.all())
    }

    /// Serves on `listener` until the stop token is cancelled.
    ///
    /// # Errors
    /// The socket failed.
    pub async fn serve(self, listener: TcpListener) -> Result<(), ServeError> {
        let stop = self.shared.stop.clone();
        axum::serve(listener, self.router())
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
            .map_err(ServeError)
    }

    fn router(self) -> Router {
        Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/models", get(models))
            .route("/_requests", get(requests))
            .route("/_requests/last", get(last_body))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(self.shared)
    }
}

impl Shared {
    /// The records stay consistent under a panic (each change is one call), so a poisoned lock is still good.
    fn with_records<T>(&self, f: impl FnOnce(&mut Records) -> T) -> T {
        f(&mut self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn key_ok(&self, headers: &HeaderMap) -> Option<bool> {
        let sent = headers
            .get(header::AUTHORIZATION)
            .map(|value| value.to_str().ok().and_then(|v| v.strip_prefix("Bearer ")));
        match (&self.options.require_key, sent) {
            (None, None) => None,
            (None, Some(_)) => Some(true),
            (Some(key), sent) => Some(sent.flatten() == Some(key)),
        }
    }
}

async fn models(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if shared.key_ok(&headers) == Some(false) {
        return wrong_key();
    }
    let model = json!({"id": shared.options.model, "object": "model", "created": 0, "owned_by": "rehearsal"});
    Json(json!({"object": "list", "data": [model]})).into_response()
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Recorded> {
    Json(shared.with_records(|r| r.all()))
}

async fn last_body(State(shared): State<Arc<Shared>>) -> Response {
    match shared.with_records(|r| r.last_body()) {
        Some(body) => Json(body).into_response(),
        None => refuse(
            StatusCode::NOT_FOUND,
            "no request with tools has come in yet",
        ),
    }
}

async fn chat(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let parsed = serde_json::from_slice::<ChatRequest>(&body);
    let key_ok = shared.key_ok(&headers);
    let mut seen = Seen {
        seq: 0,
        key_ok,
        script: None,
        step: 0,
        headers: visible(&headers),
        tools: parsed
            .as_ref()
            .map(|r| tool_names(&r.tools))
            .unwrap_or_default(),
    };
    if key_ok == Some(false) {
        shared.with_records(|r| r.add(seen));
        return wrong_key();
    }
    let request = match parsed {
        Ok(request) => request,
        Err(error) => {
            shared.with_records(|r| r.add(seen));
            let message = format!("the body is no chat-completions request: {error}");
            return refuse(StatusCode::BAD_REQUEST, &message);
        }
    };
    let position = request.position();
    if position.wants_title {
        shared.with_records(|r| r.add(seen));
        let step = title(&position);
        return respond(&shared, &request, &position, &step, None, body.len(), 0);
    }
    let Some(loaded) = shared.library.pick(&position.prompt) else {
        shared.with_records(|r| r.add(seen));
        return refuse(
            StatusCode::NOT_FOUND,
            &no_script(&shared.library, &position),
        );
    };
    seen.script = Some(loaded.script.when.clone());
    seen.step = position.call;
    let whole_body = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    shared.with_records(|r| {
        r.add(seen);
        r.keep_body(whole_body);
    });
    let step = due(loaded, &position);
    let step = step.as_ref();
    let fault = step.fault.as_ref().filter(|_| {
        let session = headers.get(SESSION_HEADER).and_then(|v| v.to_str().ok());
        let conversation = format!(
            "{}\u{0}{}\u{0}{}",
            session.unwrap_or(&position.prompt),
            loaded.script.when,
            position.call
        );
        shared.with_records(|r| r.strikes(conversation, step.fault_times))
    });
    let pace = shared
        .options
        .pace_ms
        .or(step.pace_ms)
        .unwrap_or(loaded.pace_ms);
    respond(&shared, &request, &position, step, fault, body.len(), pace)
}

fn respond(
    shared: &Shared,
    request: &ChatRequest,
    position: &Position,
    step: &Step,
    fault: Option<&Fault>,
    request_bytes: usize,
    pace_ms: u64,
) -> Response {
    if let Some(Fault::Status {
        status,
        retry_after,
    }) = fault
    {
        return fail(*status, *retry_after);
    }
    let cue = Cue {
        model: &request.model,
        answers: position.answers,
        request_bytes,
    };
    if !request.stream {
        return Json(play::completion(step, &cue)).into_response();
    }
    let mut frames = play::chunks(step, &cue);
    let end = match fault {
        None | Some(Fault::Status { .. }) => {
            frames.extend(play::ending(
                step,
                &cue,
                request.stream_options.include_usage,
            ));
            End::Clean
        }
        Some(Fault::NoFinish) => {
            frames.push("[DONE]".to_owned());
            End::Clean
        }
        Some(Fault::Garbage) => {
            frames.push("{\"choices\": [{\"delta\": ".to_owned());
            frames.push("<html>502 Bad Gateway</html>".to_owned());
            End::Clean
        }
        Some(Fault::Hang) => {
            frames.clear();
            End::Hang
        }
        Some(Fault::Cut { after }) => {
            frames.truncate(*after);
            End::Cut
        }
    };
    event_stream(
        frames,
        end,
        Duration::from_millis(pace_ms),
        shared.stop.clone(),
    )
}

/// How a stream goes on after its last chunk.
#[derive(Clone, Copy, Debug)]
enum End {
    Clean,
    Hang,
    Cut,
}

fn event_stream(
    frames: Vec<String>,
    end: End,
    pace: Duration,
    stop: CancellationToken,
) -> Response {
    let body = stream! {
        for frame in frames {
            if !pace.is_zero() {
                let pause = tokio::time::timeout(pace, stop.cancelled());
                if pause.await.is_ok() {
                    return;
                }
            }
            yield Ok::<_, io::Error>(Bytes::from(format!("data: {frame}\n\n")));
        }
        match end {
            End::Clean => {}
            End::Hang => stop.cancelled().await,
            End::Cut => {
                // Waiting lets hyper send what it holds; then an error in the body makes it drop the connection without the
                // closing chunk, as a dying server does.
                tokio::time::sleep(FLUSH).await;
                yield Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

fn title(position: &Position) -> Step {
    let line = position.prompt.lines().find(|l| !l.trim().is_empty());
    let title: String = line
        .unwrap_or("Untitled")
        .trim()
        .chars()
        .take(MAX_TITLE)
        .collect();
    say(&title)
}

/// The step to play now: the script's, or a closing sentence when the script is over or expected another output.
fn due<'a>(loaded: &'a Loaded, position: &Position) -> Cow<'a, Step> {
    let Some(step) = loaded.script.step(position.call) else {
        return Cow::Owned(say("Done."));
    };
    match &step.expect {
        Some(text) if !position.last_output.contains(text) => Cow::Owned(say(&format!(
            "I stop here: I expected {text:?} in the last output and do not see it."
        ))),
        _ => Cow::Borrowed(step),
    }
}

fn say(text: &str) -> Step {
    Step {
        say: vec![text.to_owned()],
        ..Step::default()
    }
}

fn no_script(library: &Library, position: &Position) -> String {
    let start: String = position.prompt.chars().take(80).collect();
    let rules: Vec<String> = library.rules().map(|r| format!("{r:?}")).collect();
    format!(
        "no rehearsal script matches the prompt that begins with {start:?}; a prompt must contain one of: {}. \
         Give a real model, or another scenario.",
        rules.join(", ")
    )
}

fn wrong_key() -> Response {
    refuse(StatusCode::UNAUTHORIZED, "missing or wrong API key")
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let kind = status.canonical_reason().unwrap_or("error");
    let error = json!({"error": {"message": message, "type": kind, "code": status.as_u16()}});
    (status, Json(error)).into_response()
}

fn fail(status: u16, retry_after: Option<u64>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = match status {
        StatusCode::UNAUTHORIZED => "incorrect API key provided",
        StatusCode::TOO_MANY_REQUESTS => "rate limit reached, try again later",
        _ => "the server had an error while processing the request",
    };
    let mut response = refuse(status, message);
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn tool_names(tools: &[Value]) -> Vec<String> {
    tools
        .iter()
        .filter_map(|t| t.pointer("/function/name").and_then(Value::as_str))
        .map(str::to_owned)
        .collect()
}

/// Headers as recorded: credentials are replaced by their length.
fn visible(headers: &HeaderMap) -> std::collections::BTreeMap<String, String> {
    let secret = |name: &HeaderName| *name == header::AUTHORIZATION || name == "x-api-key";
    headers
        .iter()
        .map(|(name, value)| {
            let text = if secret(name) {
                format!("({} bytes)", value.len())
            } else {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            };
            (name.as_str().to_owned(), text)
        })
        .collect()
}

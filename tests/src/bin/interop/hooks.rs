//! A receiver of push notifications on loopback: what a driver registers as its webhook. Remembers every request by its path;
//! judging them is the caller's business.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::Failure;

/// How long a notification may take after the turn that it tells of.
const PATIENCE: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(50);
/// The headers in which SDKs and we send the token of a config.
const TOKEN_HEADERS: [&str; 2] = ["x-a2a-notification-token", "a2a-notification-token"];

#[derive(Debug, Clone)]
struct Notification {
    token: Option<String>,
    body: String,
}

type Received = Arc<Mutex<HashMap<String, Vec<Notification>>>>;

/// The receiver.
#[derive(Debug)]
pub(crate) struct Hooks {
    url: String,
    received: Received,
}

impl Hooks {
    /// Listens on a free port; serves until the process ends.
    pub(crate) async fn start(tracker: &TaskTracker) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let received = Received::default();
        let app = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&received));
        tracker.spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, received })
    }

    /// The webhook called `name`.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// Waits until the webhook called `name` was told that the task `id` is completed, with the right token.
    pub(crate) async fn told(&self, name: &str, id: &str, token: &str) -> Result<String, String> {
        let path = format!("/{name}");
        let start = Instant::now();
        loop {
            let notes = {
                let all = self.received.lock().unwrap_or_else(PoisonError::into_inner);
                all.get(&path).cloned().unwrap_or_default()
            };
            let end = |note: &&Notification| {
                let completed = ["TASK_STATE_COMPLETED", "\"completed\""];
                note.body.contains(id) && completed.iter().any(|state| note.body.contains(state))
            };
            match notes.iter().find(end) {
                Some(note) if note.token.as_deref() == Some(token) => {
                    return Ok(format!("{} notifications", notes.len()));
                }
                Some(note) => return Err(format!("the token was {:?}", note.token)),
                None if start.elapsed() > PATIENCE => {
                    return Err(format!(
                        "{} notifications, and none of the end, within {PATIENCE:?}",
                        notes.len()
                    ));
                }
                None => tokio::time::sleep(INTERVAL).await,
            }
        }
    }
}

async fn receive(
    State(received): State<Received>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let token = TOKEN_HEADERS.iter().find_map(|name| headers.get(*name));
    let note = Notification {
        token: token.and_then(|value| Some(value.to_str().ok()?.to_owned())),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let mut all = received.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(uri.path().to_owned()).or_default().push(note);
    StatusCode::OK
}

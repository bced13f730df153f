//! A receiver of our own: it answers as it is told and keeps what came.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Longer than anything here takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What it does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Status(u16),
    /// Sends elsewhere.
    Redirect(String),
    /// Says nothing.
    Silence,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// It was answered with success.
    pub(crate) taken: bool,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

struct Inner {
    got: Mutex<Vec<Got>>,
    count: watch::Sender<usize>,
    next: Mutex<VecDeque<Answer>>,
    then: Mutex<Answer>,
}

#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
}

impl Webhook {
    /// Answers `next`, one after the other, and `then` from there on.
    pub(crate) async fn start(next: &[Answer], then: Answer) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), next, then).await
    }

    pub(crate) async fn good() -> Self {
        Self::start(&[], Answer::Status(200)).await
    }

    pub(crate) async fn at(address: SocketAddr, next: &[Answer], then: Answer) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let inner = Arc::new(Inner {
            got: Mutex::default(),
            count: watch::Sender::new(0),
            next: Mutex::new(next.iter().cloned().collect()),
            then: Mutex::new(then),
        });
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&inner));
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?key=url-secret", self.address)
    }

    /// Answers this from now on.
    pub(crate) fn answer(&self, then: Answer) {
        *self.inner.then.lock().unwrap() = then;
    }

    /// Everything that came.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.inner.got.lock().unwrap().clone()
    }

    /// What was taken.
    pub(crate) fn taken(&self) -> Vec<Got> {
        let mut got = self.got();
        got.retain(|got| got.taken);
        got
    }

    /// Waits until what came is as `enough` says.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let mut count = self.inner.count.subscribe();
        let seen = count.wait_for(|_| enough(&self.got()));
        let in_time = tokio::time::timeout(DEADLINE, seen).await;
        assert!(in_time.is_ok(), "{what}: {:#?}", self.got());
        self.got()
    }

    /// Waits until `n` were taken, and answers those.
    pub(crate) async fn until_taken(&self, n: usize) -> Vec<Got> {
        let count = |got: &[Got]| got.iter().filter(|got| got.taken).count();
        let what = format!("{n} are taken");
        self.until(&what, |got| count(got) >= n).await;
        self.taken()
    }
}

async fn receive(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let next = inner.next.lock().unwrap().pop_front();
    let answer = next.unwrap_or_else(|| inner.then.lock().unwrap().clone());
    let got = Got {
        method: parts.method,
        path: parts.uri.to_string(),
        headers: parts.headers,
        body,
        taken: matches!(answer, Answer::Status(200..300)),
    };
    inner.got.lock().unwrap().push(got);
    inner.count.send_modify(|count| *count += 1);
    let mut response = Response::new(Body::from("{}"));
    match answer {
        Answer::Status(status) => *response.status_mut() = status.try_into().unwrap(),
        Answer::Redirect(to) => {
            *response.status_mut() = http::StatusCode::TEMPORARY_REDIRECT;
            response
                .headers_mut()
                .insert(header::LOCATION, to.parse().unwrap());
        }
        Answer::Silence => std::future::pending().await,
    }
    response
}

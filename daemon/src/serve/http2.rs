//! A connection of HTTP/2, which gRPC needs: without TLS a client begins with it at once (RFC 9113 §3.3). Many requests
//! share the connection, so its life is bounded by pings that must be answered and by an end when nothing is asked for.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{MAX_HEAD_BYTES, answer};

/// How the preface of HTTP/2 begins; no method of HTTP/1.1 does.
const PREFACE: &[u8] = b"PRI";
/// A client that sent only a part of these three bytes is looked at again after so long.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// After how long a silent peer is asked whether it is there, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection without an open request at such a moment is closed; clients connect again when they need to.
const IDLE: Duration = Duration::from_secs(120);
/// Requests at once on one connection, streams included.
const MAX_STREAMS: u32 = 1024;

/// Whether the peer begins with HTTP/2. Looks without taking, so that either protocol finds all of its bytes.
pub(super) async fn is_spoken(stream: &TcpStream) -> io::Result<bool> {
    let mut bytes = [0; PREFACE.len()];
    loop {
        let there = stream.peek(&mut bytes).await?;
        let begun = bytes.get(..there).unwrap_or_default();
        if there == 0 || there == PREFACE.len() || !PREFACE.starts_with(begun) {
            return Ok(begun == PREFACE);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Runs what a connection of HTTP/2 needs for each of its streams.
#[derive(Clone)]
struct OnTracker(TaskTracker);

impl<F> Executor<F> for OnTracker
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// Serves one connection until it ends or `stop` is cancelled, then until its open requests are answered.
pub(super) async fn http2<I>(
    stream: I,
    router: Router,
    tracker: TaskTracker,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Held by every open request; alone, nothing is asked for.
    let open = Arc::new(());
    let requests = Arc::clone(&open);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (mut router, open) = (router.clone(), Arc::clone(&requests));
        Box::pin(async move {
            let response = answer(&mut router, request).await?;
            Ok::<_, Infallible>(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _held = &open;
                    frame
                }))
            }))
        })
    });
    let connection = http2::Builder::new(OnTracker(tracker))
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|context| connection.as_mut().poll(context)) => break ended,
            () = stop.cancelled() => {}
            () = tokio::time::sleep(IDLE) => {
                // Ours, and the service's.
                if Arc::strong_count(&open) > 2 {
                    continue;
                }
            }
        }
        connection.as_mut().graceful_shutdown();
        break connection.await;
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection broken off");
    }
}

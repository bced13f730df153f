//! A connection of HTTP/2, which gRPC needs: without TLS a client begins with it at once (RFC 9113 §3.3). Many requests
//! share the connection, so its life is bounded by pings that must be answered, by an end when nothing is asked for, and
//! by patience with a client that lets the answers of single requests stand.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::patient::PATIENCE;
use super::room::{Answer, Guest};
use super::{HEAD_TIMEOUT, LEAVE, MAX_HEAD_BYTES, answer};

/// How the preface of HTTP/2 begins; no method of HTTP/1.1 does.
const PREFACE: &[u8] = b"PRI";
/// A client that sent only a part of these three bytes is looked at again after so long.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// After how long a silent peer is asked whether it is there, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection without an open request for so long is closed; clients connect again when they need to.
const IDLE: Duration = Duration::from_secs(120);
/// How often a connection is looked at for one of its bounds.
const LOOK_EVERY: Duration = Duration::from_secs(10);
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
    guest: &Arc<Guest>,
    tracker: TaskTracker,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handed = Arc::new(Handed::default());
    let (requests, frames) = (Arc::clone(guest), Arc::clone(&handed));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (mut router, open) = (router.clone(), requests.open());
        let frames = Arc::clone(&frames);
        Box::pin(async move {
            let response = answer(&mut router, request, open).await?;
            Ok::<_, Infallible>(response.map(|answer| Watched::new(answer, frames)))
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
        let asked = tokio::select! {
            ended = poll_fn(|context| connection.as_mut().poll(context)) => break ended,
            () = stop.cancelled() => false,
            () = guest.asked_to_leave() => true,
            () = tokio::time::sleep(LOOK_EVERY) => {
                if handed.longest() > PATIENCE {
                    tracing::debug!("a client lets an answer stand");
                    return;
                }
                // Before its first request a client has the time for a head, since the preface is one.
                let bound = if guest.is_used() { IDLE } else { HEAD_TIMEOUT };
                if guest.idle_for() < bound {
                    continue;
                }
                false
            }
        };
        connection.as_mut().graceful_shutdown();
        if asked && guest.is_idle() {
            // Once, for the word that it is over; others want its place.
            let once = poll_fn(|context| Poll::Ready(connection.as_mut().poll(context)));
            let _ = once.await;
            return;
        }
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = guest.quiet(LEAVE) => return,
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection broken off");
    }
}

/// Answers of one connection with a frame that was handed over and not asked on from since: their client gives no room for
/// more.
#[derive(Default)]
struct Handed(Mutex<Standing>);

#[derive(Default)]
struct Standing {
    next: u64,
    since: HashMap<u64, Instant>,
}

impl Handed {
    fn lock(&self) -> MutexGuard<'_, Standing> {
        // Nobody panics while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn longest(&self) -> Duration {
        let standing = self.lock();
        let oldest = standing.since.values().min();
        oldest.map_or(Duration::ZERO, Instant::elapsed)
    }
}

/// An answer that is watched.
struct Watched {
    answer: Answer,
    number: u64,
    handed: Arc<Handed>,
}

impl Watched {
    fn new(answer: Answer, handed: Arc<Handed>) -> Self {
        let mut standing = handed.lock();
        let number = standing.next;
        standing.next += 1;
        drop(standing);
        Self {
            answer,
            number,
            handed,
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.handed.lock().since.remove(&self.number);
    }
}

impl Body for Watched {
    type Data = <Answer as Body>::Data;
    type Error = <Answer as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.answer).poll_frame(context);
        let mut standing = self.handed.lock();
        match polled {
            Poll::Ready(Some(_)) => standing.since.insert(self.number, Instant::now()),
            Poll::Ready(None) | Poll::Pending => standing.since.remove(&self.number),
        };
        drop(standing);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

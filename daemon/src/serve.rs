//! The connections of a server: HTTP/1.1 and HTTP/2 side by side, a bound on their number, deadlines for a request's head
//! and for taking the answer, and an orderly end. Our own loop and not axum's, because that has neither bound nor deadline
//! and keeps room for HTTP/2 in every connection, which a thousand open event streams pay for; here the first bytes decide,
//! before either is set up.

mod http2;
mod patient;
mod room;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use self::http2::http2;
use self::patient::Patient;
use self::room::{Answer, Guest, Open, Room, Seat};
use crate::tls::Tls;

/// How long a client may take to send a request's head. Also ends connections that are kept open for nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request, in bytes; also what a connection buffers at most.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Pause after a failed accept. It fails when the process has no file descriptors left; some come free meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection without an open request lives on after the stop, for the last bytes of its answer.
const LEAVE: Duration = Duration::from_secs(1);

/// How much of a refused body is thrown away, and for how long, before the connection is closed all the same.
const LINGER_BYTES: u64 = 64 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);

/// Serves `router` on `listener` until `stop` is cancelled. Connections run on `tracker`; they end after the answer that
/// they are giving. At most `connections` are open: for one more, the one that has been without a request for longest is
/// closed; where all have one, further ones wait in the system's queue.
///
/// # Errors
/// None at present: what fails, fails for one connection.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: usize,
    tracker: TaskTracker,
    stop: CancellationToken,
) -> io::Result<()> {
    serve_with(listener, None, router, connections, tracker, stop).await
}

/// The same, over TLS where there is a certificate.
///
/// # Errors
/// None at present: what fails, fails for one connection.
pub async fn serve_with(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    connections: usize,
    tracker: TaskTracker,
    stop: CancellationToken,
) -> io::Result<()> {
    let room = Room::new(room::seats(connections));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = stop.cancelled() => return Ok(()),
        };
        match accepted {
            Ok((stream, seat)) => {
                let (router, stop) = (router.clone(), stop.clone());
                let (streams, tls) = (tracker.clone(), tls.clone());
                tracker.spawn(async move {
                    let guest = &seat.guest;
                    match tls {
                        None => connection(stream, router, guest, streams, stop).await,
                        Some(tls) => {
                            Box::pin(secure(stream, &tls, router, guest, streams, stop)).await;
                        }
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn accept(listener: &TcpListener, room: &Arc<Room>) -> io::Result<(TcpStream, Seat)> {
    let (stream, _) = listener.accept().await?;
    // Events are small and wanted at once.
    stream.set_nodelay(true)?;
    Ok((stream, room.seat().await))
}

async fn connection(
    stream: TcpStream,
    router: Router,
    guest: &Arc<Guest>,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let begun = tokio::select! {
        begun = tokio::time::timeout(HEAD_TIMEOUT, http2::is_spoken(&stream)) => begun,
        () = guest.asked_to_leave() => return,
        () = stop.cancelled() => return,
    };
    let stream = move || Patient::new(stream);
    match begun {
        Ok(Ok(false)) => http1(stream(), router, guest, stop).await,
        // Boxed, so that the many connections of HTTP/1.1 do not keep room for it.
        Ok(Ok(true)) => Box::pin(http2(stream(), router, guest, tracker, stop)).await,
        Ok(Err(error)) => tracing::debug!(%error, "connection broken off"),
        Err(_) => tracing::debug!("a connection began nothing"),
    }
}

/// A connection over TLS: what is spoken inside is agreed on with it.
async fn secure(
    stream: TcpStream,
    tls: &Arc<Tls>,
    router: Router,
    guest: &Arc<Guest>,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let acceptor = tls.acceptor().await;
    let agreeing = acceptor.accept(Patient::new(stream));
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(HANDSHAKE_TIMEOUT, agreeing) => agreed,
        () = guest.asked_to_leave() => return,
        () = stop.cancelled() => return,
    };
    match agreed {
        Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            http2(stream, router, guest, tracker, stop).await;
        }
        Ok(Ok(stream)) => http1(stream, router, guest, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS came about"),
        Err(_) => tracing::debug!("a client took too long to agree on TLS"),
    }
}

async fn http1<I>(stream: I, router: Router, guest: &Arc<Guest>, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let requests = Arc::clone(guest);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (mut router, open) = (router.clone(), requests.open());
        Box::pin(async move { answer(&mut router, request, open).await })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let in_time = tokio::select! {
        ended = poll_fn(|context| connection.poll_without_shutdown(context)) => Some(ended),
        () = guest.asked_to_leave() => None,
        () = stop.cancelled() => None,
    };
    let ended = match in_time {
        Some(ended) => ended,
        // Others want the place of one that asks for nothing.
        None if !stop.is_cancelled() && guest.is_idle() => return,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            tokio::select! {
                ended = poll_fn(|context| connection.poll_without_shutdown(context)) => ended,
                () = guest.quiet(LEAVE) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection broken off");
        return;
    }
    let stream = connection.into_parts().io.into_inner();
    tokio::select! {
        () = linger(stream) => {}
        () = guest.asked_to_leave() => {}
        () = stop.cancelled() => {}
    }
}

/// Closes a connection without losing the answer. A client may still be sending a body that was refused; closing at once
/// would reset the connection, and the client would find that instead of the answer. So its bytes are thrown away until it
/// has read the answer and closes too, within bounds.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let discard = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // Whether the client closes, breaks off or takes too long: the connection is over.
    let _over = tokio::time::timeout(LINGER_TIME, discard).await;
}

/// A router is always ready.
async fn answer(
    router: &mut Router,
    request: Request<Incoming>,
    open: Open,
) -> Result<Response<Answer>, Infallible> {
    let response = router.call(request.map(Body::new)).await?;
    Ok(response.map(|body| Answer { body, _open: open }))
}

#[cfg(test)]
mod tests;

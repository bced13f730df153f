//! The worker's one way out: an HTTP server on a unix socket that is bound into the sandbox.
//!
//! `/v1/…` is the model: the request goes to the provider with the key added here, so that no key is in the sandbox.
//! `CONNECT host:port` and `GET http://host/…` are the agent's proxy, limited to the card's `allowed_hosts`. Everything else is
//! refused, and everything is written to the audit file. Nothing here knows of tasks or sessions: they read the [`Meter`].

mod audit;
mod body;
mod hosts;
mod meter;
mod model;
mod proxy;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::clock::Clock;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::SecretString;
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::card::Provider;
use audit::{Audit, Record};
use body::{ResponseBody, refusal};

pub(crate) use hosts::HostPattern;
pub(crate) use meter::Meter;

/// Connections that the sandbox may hold open at once; an agent needs a few, a package manager some dozens.
const MAX_CONNECTIONS: usize = 256;

/// How long a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What the gateway is to do, taken from the agent ID card.
#[derive(Debug)]
pub(crate) struct GatewayOptions {
    /// Where the socket is made. Its folder must be private to this user.
    pub(crate) socket: PathBuf,
    /// Where the audit lines go.
    pub(crate) audit_file: PathBuf,
    /// The provider's dialect.
    pub(crate) provider: Provider,
    /// The provider's address, with its version part.
    pub(crate) base_url: Option<url::Url>,
    /// The provider's key.
    pub(crate) key: Option<SecretString>,
    /// An HTTP proxy on the way out.
    pub(crate) proxy: Option<url::Url>,
    /// Where the agent may connect to.
    pub(crate) allowed_hosts: Vec<HostPattern>,
}

/// Why the gateway did not start.
#[derive(Debug, Error)]
pub(crate) enum GatewayError {
    /// The socket could not be made.
    #[error("cannot listen on the gateway's socket {}", path.display())]
    Listen {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The audit file could not be opened.
    #[error("cannot open the audit file {}", path.display())]
    Audit {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A running gateway. Dropping it does not stop it; the cancellation token given to [`Gateway::start`] does.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    socket: PathBuf,
    meter: Arc<Meter>,
    audit: Audit,
    model: model::Model,
    proxy: proxy::Proxy,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Gateway {
    /// Makes the socket and serves it on `tracker` until `stop` is cancelled.
    pub(crate) fn start(
        options: GatewayOptions,
        clock: Arc<dyn Clock>,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, GatewayError> {
        let audit =
            Audit::open(&options.audit_file, clock).map_err(|source| GatewayError::Audit {
                path: options.audit_file.clone(),
                source,
            })?;
        let listen_error = |source| GatewayError::Listen {
            path: options.socket.clone(),
            source,
        };
        // A socket left behind by a killed worker would make the bind fail.
        match std::fs::remove_file(&options.socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(listen_error(error));
            }
            _ => {}
        }
        let listener = bind(&options.socket).map_err(listen_error)?;
        let meter = Arc::new(Meter::default());
        let inner = Arc::new(Inner {
            socket: options.socket.clone(),
            meter: Arc::clone(&meter),
            audit,
            model: model::Model::new(
                options.provider,
                options.base_url,
                options.key,
                options.proxy.clone(),
                meter,
            ),
            proxy: proxy::Proxy::new(
                options.allowed_hosts,
                options.proxy,
                tracker.clone(),
                stop.clone(),
            ),
            tracker: tracker.clone(),
            stop,
        });
        tracker.spawn(Arc::clone(&inner).accept_loop(listener));
        Ok(Self { inner })
    }

    /// What the watchdogs read.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.inner.meter
    }
}

impl Inner {
    async fn accept_loop(self: Arc<Self>, listener: UnixListener) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => break,
                accepted = accept(&listener, &permits) => accepted,
            };
            let (stream, permit) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: give connections time to close.
                    warn!(%error, "the gateway cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let this = Arc::clone(&self);
            self.tracker.spawn(async move {
                let stop = this.stop.clone();
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = this.serve(stream) => {}
                }
                drop(permit);
            });
        }
        // Best effort: the folder goes with the state directory.
        let _ = std::fs::remove_file(&self.socket);
    }

    async fn serve(self: Arc<Self>, stream: UnixStream) {
        let service = service_fn(move |request| {
            let this = Arc::clone(&self);
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        if let Err(error) = connection.await {
            debug!(%error, "a connection from the sandbox ended early");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        if request.method() == Method::CONNECT {
            return self.proxy.connect(request, &self.audit).await;
        }
        if request.uri().scheme().is_some() {
            return self.proxy.forward(request, &self.audit).await;
        }
        if request.uri().path().starts_with("/v1/") {
            return self.model.forward(request, &self.audit).await;
        }
        let record = Record::new("refused", request.method(), "", request.uri().path());
        self.audit
            .write(&record.finished(StatusCode::NOT_FOUND, "unknown-path"));
        refusal(
            StatusCode::NOT_FOUND,
            "unknown-path",
            "this is the worker's gateway: it serves the model under /v1/ and is an HTTP proxy",
        )
    }
}

/// Binds a unix socket whose path may be longer than the 107 bytes that unix(7) allows: by way of its folder's descriptor.
fn bind(socket: &Path) -> io::Result<UnixListener> {
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = std::fs::File::open(folder)?;
    let short = Path::new("/proc/self/fd")
        .join(folder.as_raw_fd().to_string())
        .join(name);
    UnixListener::bind(short)
}

async fn accept(
    listener: &UnixListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

//! The agent's HTTP proxy: CONNECT tunnels and plain requests, to the hosts of the card and nowhere else.
//!
//! A name is resolved once, here, and the connection goes to the address that was checked: a second answer of the DNS
//! server cannot lead elsewhere. With an upstream proxy in the card the name is passed on and resolved there.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use a2a_proto::push::is_public;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::audit::{Audit, Record};
use super::body::{Metered, ResponseBody, refusal, strip_hop_by_hop, whole};
use super::hosts::{self, HostPattern, Target, Verdict};

/// How long a host may take to accept a connection, name resolution included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer of an upstream proxy to CONNECT that is read.
const MAX_PROXY_HEAD: usize = 8 * 1024;

/// The proxy side of the gateway.
#[derive(Debug)]
pub(super) struct Proxy {
    allowed: Vec<HostPattern>,
    upstream: Option<url::Url>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// Why a connection was not made: the reason for programs and the words for people.
struct Denial {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

impl Proxy {
    pub(super) fn new(
        allowed: Vec<HostPattern>,
        upstream: Option<url::Url>,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            allowed,
            upstream,
            tracker,
            stop,
        }
    }

    /// Answers `CONNECT host:port`: opens the tunnel or says why not.
    pub(super) async fn connect(
        &self,
        request: Request<Incoming>,
        audit: &Audit,
    ) -> Response<ResponseBody> {
        let target = request
            .uri()
            .authority()
            .and_then(|authority| Target::parse(authority, None));
        let named = target.as_ref().map_or_else(String::new, |target| {
            format!("{}:{}", target.host, target.port)
        });
        let record = Record::new("connect", request.method(), &named, "");
        match self.open(target).await {
            Ok(stream) => {
                self.tracker.spawn(tunnel(
                    request,
                    stream,
                    record,
                    audit.clone(),
                    self.stop.clone(),
                ));
                Response::new(whole(""))
            }
            Err(denial) => deny(&denial, record, audit),
        }
    }

    /// Answers `GET http://host/…` and the like.
    pub(super) async fn forward(
        &self,
        request: Request<Incoming>,
        audit: &Audit,
    ) -> Response<ResponseBody> {
        let target = match request.uri().scheme_str() {
            Some("http") => request
                .uri()
                .authority()
                .and_then(|authority| Target::parse(authority, Some(80))),
            _ => None,
        };
        let named = target.as_ref().map_or_else(String::new, |target| {
            format!("{}:{}", target.host, target.port)
        });
        let record = Record::new("http", request.method(), &named, request.uri().path());
        let stream = match self.open(target).await {
            Ok(stream) => stream,
            Err(denial) => return deny(&denial, record, audit),
        };
        match exchange(request, stream, &self.tracker).await {
            Ok(response) => {
                let record = record.finished(response.status(), "");
                let (mut parts, body) = response.into_parts();
                strip_hop_by_hop(&mut parts.headers);
                Response::from_parts(
                    parts,
                    Metered::new(body, record, audit.clone(), None)
                        .map_err(Into::into)
                        .boxed(),
                )
            }
            Err(error) => {
                let message = format!("{named} did not answer as an HTTP server: {error}");
                deny(
                    &Denial {
                        status: StatusCode::BAD_GATEWAY,
                        reason: "bad-answer",
                        message,
                    },
                    record,
                    audit,
                )
            }
        }
    }

    async fn open(&self, target: Option<Target>) -> Result<TcpStream, Denial> {
        let target = target.ok_or_else(|| Denial {
            status: StatusCode::BAD_REQUEST,
            reason: "bad-target",
            message: "the request names no host and port that could be connected to".to_owned(),
        })?;
        let pinned = match hosts::judge(&self.allowed, &target) {
            Verdict::Refused(reason) => {
                return Err(Denial {
                    status: StatusCode::FORBIDDEN,
                    reason,
                    message: format!(
                        "{}:{} is not among the hosts that this agent may reach; the operator can add it to allowed_hosts in the agent ID card",
                        target.host, target.port
                    ),
                });
            }
            Verdict::Listed(address) => Some(address),
            Verdict::Named => None,
        };
        match timeout(CONNECT_TIMEOUT, self.dial(&target, pinned)).await {
            Ok(result) => result,
            Err(_) => Err(unreachable(&target, "it did not answer within 10 seconds")),
        }
    }

    async fn dial(&self, target: &Target, pinned: Option<IpAddr>) -> Result<TcpStream, Denial> {
        if let Some(upstream) = &self.upstream {
            return through(upstream, target)
                .await
                .map_err(|error| unreachable(target, &error.to_string()));
        }
        let addresses: Vec<SocketAddr> = match pinned {
            Some(address) => vec![SocketAddr::new(address, target.port)],
            None => {
                let resolved: Vec<SocketAddr> =
                    tokio::net::lookup_host((target.host.as_str(), target.port))
                        .await
                        .map_err(|error| unreachable(target, &error.to_string()))?
                        .collect();
                // One private address among public ones is already a sign of a name that is being played with.
                if !resolved.iter().all(|address| is_public(address.ip())) {
                    return Err(Denial {
                        status: StatusCode::FORBIDDEN,
                        reason: "private-address",
                        message: format!(
                            "{} resolves to an address that is not on the public internet",
                            target.host
                        ),
                    });
                }
                resolved
            }
        };
        TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| unreachable(target, &error.to_string()))
    }
}

fn unreachable(target: &Target, why: &str) -> Denial {
    Denial {
        status: StatusCode::BAD_GATEWAY,
        reason: "host-unreachable",
        message: format!("{}:{} cannot be reached: {why}", target.host, target.port),
    }
}

fn deny(denial: &Denial, record: Record, audit: &Audit) -> Response<ResponseBody> {
    audit.write(&record.finished(denial.status, denial.reason));
    refusal(denial.status, denial.reason, &denial.message)
}

/// Opens a tunnel through an upstream HTTP proxy.
async fn through(upstream: &url::Url, target: &Target) -> io::Result<TcpStream> {
    let host = upstream.host_str().unwrap_or_default();
    let mut stream =
        TcpStream::connect((host, upstream.port_or_known_default().unwrap_or(3128))).await?;
    let authority = format!("{}:{}", target.host, target.port);
    stream
        .write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes())
        .await?;
    let mut head = Vec::new();
    // Byte by byte, since what follows the head belongs to the tunnel. It is a few dozen bytes once per connection.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_PROXY_HEAD {
            return Err(io::Error::other("the upstream proxy's answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    let status = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if status == b"200" {
        return Ok(stream);
    }
    Err(io::Error::other(format!(
        "the upstream proxy answered {}",
        String::from_utf8_lossy(status)
    )))
}

/// Moves bytes both ways until both sides have ended or the worker stops.
async fn tunnel(
    request: Request<Incoming>,
    stream: TcpStream,
    record: Record,
    audit: Audit,
    stop: CancellationToken,
) {
    let upgraded = match hyper::upgrade::on(request).await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            debug!(%error, "a tunnel was given up before it opened");
            audit.write(&record.finished(StatusCode::OK, "given-up"));
            return;
        }
    };
    let (inside_reader, mut inside_writer) = tokio::io::split(TokioIo::new(upgraded));
    let (outside_reader, mut outside_writer) = stream.into_split();
    // Counted on the way, so that a tunnel that is cut has its numbers too.
    let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
    let count = |counter: &AtomicU64, bytes: &[u8]| {
        counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    };
    let mut inside_reader = InspectReader::new(inside_reader, |bytes: &[u8]| count(&sent, bytes));
    let mut outside_reader =
        InspectReader::new(outside_reader, |bytes: &[u8]| count(&received, bytes));
    let outwards = async {
        let copied = tokio::io::copy(&mut inside_reader, &mut outside_writer).await;
        copied.and(outside_writer.shutdown().await)
    };
    let inwards = async {
        let copied = tokio::io::copy(&mut outside_reader, &mut inside_writer).await;
        copied.and(inside_writer.shutdown().await)
    };
    tokio::select! {
        () = stop.cancelled() => {}
        // A side that was cut off is a usual end of a tunnel.
        _ = async { tokio::try_join!(outwards, inwards) } => {}
    }
    let (sent, received) = (
        sent.load(Ordering::Relaxed),
        received.load(Ordering::Relaxed),
    );
    audit.write(
        &record
            .finished(StatusCode::OK, "")
            .sends(sent)
            .received(received),
    );
}

/// One plain HTTP exchange over a connection of its own.
async fn exchange(
    request: Request<Incoming>,
    stream: TcpStream,
    tracker: &TaskTracker,
) -> Result<Response<Incoming>, hyper::Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tracker.spawn(async move {
        if let Err(error) = connection.await {
            debug!(%error, "a connection to an allowed host ended early");
        }
    });
    let (mut parts, body) = request.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    if let Some(authority) = parts.uri.authority()
        && let Ok(value) = authority.as_str().parse()
    {
        parts.headers.insert(header::HOST, value);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    sender.send_request(Request::from_parts(parts, body)).await
}

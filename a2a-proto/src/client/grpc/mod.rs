//! Calls over gRPC (A2A §10): one channel per client, made at the first call, which connects again by itself and asks with
//! pings whether the agent is there. Statuses become the errors that every other binding has; a broken connection is
//! told apart from an agent that refuses.

mod address;
mod operation;
mod service;
mod stream;

use std::any::Any;
use std::time::Duration;

use http::uri::PathAndQuery;
use secrecy::ExposeSecret as _;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

pub(super) use self::address::Address;
use self::service::Checked;
pub(super) use self::stream::Events;
use super::operation::Operation;
use super::{ClientError, Inner, TokenError, invalid};
use crate::error::A2aError;
use crate::pb::{self, Proto};
use crate::{sequence, sse, version};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After how long without a sign of life the agent is asked for one while something is open, and how long it has. An
/// agent that vanished without a word is so noticed as quickly as on a silent event stream.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

type Client = tonic::client::Grpc<Checked>;

/// Calls and reads the one answer.
pub(super) async fn call<T: 'static>(
    inner: &Inner,
    address: &Address,
    operation: &Operation<'_>,
    limit: Option<Duration>,
) -> Result<T, ClientError> {
    let call = operation::call(inner, address, operation, limit);
    let answer: Box<dyn Any + Send> = match limit {
        Some(limit) => {
            tokio::time::timeout(limit, call)
                .await
                .unwrap_or(Err(ClientError::TimedOut {
                    what: operation.method(),
                    limit,
                }))?
        }
        None => call.await?,
    };
    // Each operation has one type of answer, which the caller knows.
    answer
        .downcast()
        .map(|answer| *answer)
        .map_err(|_| invalid("an answer of another operation"))
}

/// Opens a stream.
pub(super) async fn open(
    inner: &Inner,
    address: &Address,
    operation: &Operation<'_>,
    after: Option<u64>,
) -> Result<Events, ClientError> {
    operation::open(inner, address, operation, after).await
}

/// One call with one answer.
async fn unary<Q, P, T>(
    inner: &Inner,
    address: &Address,
    path: &'static str,
    message: Q,
    limit: Option<Duration>,
) -> Result<T, ClientError>
where
    Q: prost::Message + 'static,
    P: prost::Message + Default + 'static,
    T: Proto<P>,
{
    read(exchange(inner, address, path, message, limit).await?)
}

/// One message there and one back.
async fn exchange<Q, P>(
    inner: &Inner,
    address: &Address,
    path: &'static str,
    message: Q,
    limit: Option<Duration>,
) -> Result<P, ClientError>
where
    Q: prost::Message + 'static,
    P: prost::Message + Default + 'static,
{
    let mut request = request(inner, address, message)?;
    if let Some(limit) = limit {
        // The agent may stop working when nobody waits any more.
        request.set_timeout(limit);
    }
    let mut client = client(inner, address)?;
    let failed = |status| failed(inner, status);
    client.ready().await.map_err(broken)?;
    let codec = ProstCodec::<Q, P>::default();
    let path = PathAndQuery::from_static(path);
    let answer = client.unary(request, path, codec).await.map_err(failed)?;
    Ok(answer.into_inner())
}

/// An object of the agent; what is wrong with it is the agent's mistake, not ours.
fn read<P, T: Proto<P>>(message: P) -> Result<T, ClientError> {
    pb::read(message).map_err(|error| invalid(&error.to_string()))
}

/// The message with everything that a request says beside it.
fn request<Q>(inner: &Inner, address: &Address, message: Q) -> Result<Request<Q>, ClientError> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    insert(metadata, version::VERSION_HEADER, address.version.as_str())?;
    if !inner.options.extensions.is_empty() {
        let extensions = inner.options.extensions.join(", ");
        insert(metadata, version::EXTENSIONS_HEADER, &extensions)?;
    }
    if let Some(source) = &inner.options.token {
        let token = source.token()?;
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut value = AsciiMetadataValue::try_from(bearer)
            .map_err(|_| TokenError::new("the token has characters that a header cannot hold"))?;
        value.set_sensitive(true);
        metadata.insert("authorization", value);
    }
    Ok(request)
}

/// Makes a request one for a stream: with the numbers of the events, and after the last one that came through.
fn for_stream<Q>(
    request: &mut Request<Q>,
    inner: &Inner,
    after: Option<u64>,
) -> Result<(), ClientError> {
    let mut extensions = inner.options.extensions.clone();
    extensions.push(sequence::URI.to_owned());
    let metadata = request.metadata_mut();
    insert(metadata, version::EXTENSIONS_HEADER, &extensions.join(", "))?;
    match after {
        Some(after) => insert(metadata, sse::LAST_EVENT_ID, &after.to_string()),
        None => Ok(()),
    }
}

fn insert(metadata: &mut MetadataMap, key: &'static str, text: &str) -> Result<(), ClientError> {
    let value = AsciiMetadataValue::try_from(text).map_err(|_| {
        ClientError::Agent(A2aError::invalid_param(
            key,
            "has characters that a header cannot hold",
        ))
    })?;
    metadata.insert(key, value);
    Ok(())
}

fn client(inner: &Inner, address: &Address) -> Result<Client, ClientError> {
    let channel = match inner.channel.get() {
        Some(channel) => channel.clone(),
        // Two first calls at once make two; one of them stays.
        None => {
            let channel = channel(address)?;
            inner.channel.get_or_init(|| channel).clone()
        }
    };
    let limit = inner.options.max_answer_bytes;
    Ok(Client::new(Checked::new(channel))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(usize::MAX))
}

fn channel(address: &Address) -> Result<Channel, ClientError> {
    let unusable = |error: tonic::transport::Error| ClientError::Channel {
        source: error.into(),
    };
    let endpoint = Endpoint::from_shared(address.uri.clone()).map_err(unusable)?;
    let endpoint = endpoint
        .user_agent(concat!("flotilla/", env!("CARGO_PKG_VERSION")))
        .map_err(unusable)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let endpoint = if address.is_secure() {
        let tls = ClientTlsConfig::new().with_native_roots();
        endpoint.tls_config(tls).map_err(unusable)?
    } else {
        endpoint
    };
    Ok(endpoint.connect_lazy())
}

/// What is never asked for, because such an address is only called from here.
pub(super) fn not_http() -> A2aError {
    A2aError::internal("an HTTP request to a gRPC address")
}

/// What a status means to the caller.
fn failed(inner: &Inner, status: Status) -> ClientError {
    use std::error::Error as _;
    let told = !status.details().is_empty();
    match status.code() {
        // Made by our side of the connection, not by the agent.
        _ if status.source().is_some() => broken(status),
        // A server that stops, a proxy that gave up, a stream that was cut: another attempt may do better.
        Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown if !told => {
            broken(status)
        }
        Code::OutOfRange if !told => ClientError::TooLarge {
            limit: inner.options.max_answer_bytes,
        },
        _ => A2aError::from_grpc(&status).into(),
    }
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> ClientError {
    ClientError::Broken {
        source: Box::new(error),
    }
}

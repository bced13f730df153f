//! The A2A client: finds an agent by its card, picks a version and a binding that both speak, calls it, and follows its
//! streams through cut connections. One [`Client`] per agent; it is cheap to clone and safe to share. What the events mean is
//! the caller's business.

mod discovery;
mod error;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
mod older;
mod operation;
mod options;
mod push;
mod retry;
mod stream;
mod token;
#[cfg(feature = "auth")]
mod trust;
mod unnumbered;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use url::Url;

pub use discovery::fetch_card_bytes;
pub use error::ClientError;
#[cfg(feature = "server")]
pub(crate) use http::http_client_resolving;
pub use http::{HttpOptions, http_client};
pub use older::SIMPLE_BINDING;
pub use options::{Binding, ClientOptions};
pub use retry::RetryOptions;
pub use stream::{EventStream, ResumeOptions, StreamEvent};
pub use token::{StaticToken, TokenError, TokenSource};
#[cfg(feature = "auth")]
pub use trust::{CardPolicy, CardTrust};

use crate::error::A2aError;
use crate::types::{
    self, AgentCard, CancelTaskRequest, GetExtendedAgentCardRequest, GetTaskRequest,
    ListTasksRequest, ListTasksResponse, SendMessageRequest, SendMessageResponse, Task,
};
use crate::{jsonrpc, sse, version};
use discovery::Interface;
use operation::Operation;

/// Where the task `id` is asked for over HTTP+JSON; for `fuzzing`.
#[cfg(feature = "fuzzing")]
pub(crate) fn address_of_task(base: &Url, id: &str) -> Option<Url> {
    let request = GetTaskRequest {
        id: id.to_owned(),
        ..GetTaskRequest::default()
    };
    let request = Operation::Get(&request).http(base, "", false).ok();
    request.map(|(_, url, _)| url)
}

/// Fetches the card of the agent at `base`, whatever it offers.
///
/// # Errors
/// When the card cannot be had.
pub async fn fetch_card(base: &Url, options: &ClientOptions) -> Result<AgentCard, ClientError> {
    discovery::fetch(base, options).await
}

/// A client of one agent.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    card: AgentCard,
    interface: Interface,
    options: ClientOptions,
    /// Made at the first call over gRPC.
    #[cfg(feature = "grpc")]
    channel: std::sync::OnceLock<tonic::transport::Channel>,
}

impl Client {
    /// Fetches the card of the agent at `base` and makes a client for it.
    ///
    /// # Errors
    /// When the card cannot be had, or offers nothing that we speak.
    pub async fn discover(base: &Url, options: ClientOptions) -> Result<Self, ClientError> {
        let card = discovery::fetch(base, &options).await?;
        Self::from_card(card, options)
    }

    /// A client for an agent whose card is known.
    ///
    /// # Errors
    /// [`ClientError::NoInterface`] when the card offers nothing that we speak.
    pub fn from_card(card: AgentCard, options: ClientOptions) -> Result<Self, ClientError> {
        let interface = discovery::choose(&card, &options)?;
        Ok(Self {
            inner: Arc::new(Inner {
                card,
                interface,
                options,
                #[cfg(feature = "grpc")]
                channel: std::sync::OnceLock::new(),
            }),
        })
    }

    /// The agent's card.
    pub fn card(&self) -> &AgentCard {
        &self.inner.card
    }

    /// The same client, going by the card that the agent shows to known callers, as is proper for the rest of a session
    /// (A2A §3.1.11). The address stays: an extended card tells more about the agent, not where it is.
    ///
    /// # Errors
    /// [`ClientError::Agent`] when the agent declares no extended card, has none, or refuses; another one when it
    /// cannot be reached.
    pub async fn extended(&self) -> Result<Self, ClientError> {
        if self.inner.card.capabilities.extended_agent_card != Some(true) {
            return Err(A2aError::UnsupportedOperation {
                what: "an extended agent card".to_owned(),
            }
            .into());
        }
        let request = GetExtendedAgentCardRequest::default();
        let operation = Operation::ExtendedCard(&request);
        let document: serde_json::Value = self.inner.ask(&operation).await?;
        // What is verified is what is used: the one reading of the answer, written again.
        let bytes = serde_json::to_vec(&document)?;
        let card = discovery::accept(&bytes, &self.inner.options).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                card,
                interface: self.inner.interface.clone(),
                options: self.inner.options.clone(),
                #[cfg(feature = "grpc")]
                channel: self.inner.channel.clone(),
            }),
        })
    }

    /// Sends a message and waits for the answer: until the task ends or waits for us, unless the request says
    /// `returnImmediately`. There is no time limit: wrap the call in one if the agent may hang.
    ///
    /// # Errors
    /// [`ClientError::Agent`] when the agent refuses; another one when it cannot be reached.
    pub async fn send(
        &self,
        request: &SendMessageRequest,
    ) -> Result<SendMessageResponse, ClientError> {
        let at_once = request
            .configuration
            .as_ref()
            .is_some_and(|configuration| configuration.return_immediately);
        let limit = at_once.then_some(self.inner.options.call_timeout);
        self.inner.call(&Operation::Send(request), limit).await
    }

    /// The task `id` with the newest `history_length` messages (`None`: as many as the agent likes).
    ///
    /// # Errors
    /// [`ClientError::Agent`] when the agent refuses; another one when it cannot be reached.
    pub async fn get(&self, id: &str, history_length: Option<i32>) -> Result<Task, ClientError> {
        let request = GetTaskRequest {
            id: id.to_owned(),
            history_length,
            ..GetTaskRequest::default()
        };
        self.inner.ask(&Operation::Get(&request)).await
    }

    /// The task `id` as soon as it has changed more often than `generation` says, or has ended (1.1 preview). An agent that
    /// knows nothing of it answers at once, and any other answers after a while: look at what it says before you ask again.
    ///
    /// # Errors
    /// [`ClientError::Agent`] when the agent refuses; another one when it cannot be reached.
    pub async fn get_changed(&self, id: &str, generation: i64) -> Result<Task, ClientError> {
        let request = GetTaskRequest {
            id: id.to_owned(),
            current_generation: Some(generation),
            ..GetTaskRequest::default()
        };
        self.inner.ask(&Operation::Get(&request)).await
    }

    /// One page of the tasks that match.
    ///
    /// # Errors
    /// [`ClientError::Agent`] when the agent refuses; another one when it cannot be reached.
    pub async fn list(&self, request: &ListTasksRequest) -> Result<ListTasksResponse, ClientError> {
        self.inner.ask(&Operation::List(request)).await
    }

    /// Cancels the task `id` and waits until it is dead.
    ///
    /// # Errors
    /// [`ClientError::Agent`] when the agent refuses; another one when it cannot be reached.
    pub async fn cancel(&self, id: &str) -> Result<Task, ClientError> {
        let request = CancelTaskRequest {
            id: id.to_owned(),
            ..CancelTaskRequest::default()
        };
        self.inner
            .call(
                &Operation::Cancel(&request),
                Some(self.inner.options.cancel_timeout),
            )
            .await
    }

    /// Sends a message and follows the stream of what comes of it. Nothing is sent before the stream is polled.
    pub fn stream(&self, request: SendMessageRequest) -> EventStream {
        EventStream::of_message(Arc::clone(&self.inner), request)
    }

    /// Follows the stream of the task `task_id`: from its snapshot, or strictly after the event `after`.
    pub fn subscribe(&self, task_id: impl Into<String>, after: Option<u64>) -> EventStream {
        EventStream::of_task(Arc::clone(&self.inner), task_id.into(), after)
    }
}

/// A stream as its binding carries it.
enum Opened {
    /// Server-sent events.
    Sse(reqwest::Response),
    /// Messages of gRPC.
    #[cfg(feature = "grpc")]
    Grpc(grpc::Events),
}

/// How a response is told to be what it is.
enum Answer {
    /// A stream of events.
    Stream(reqwest::Response),
    /// Everything else, read to its end.
    Whole(
        reqwest::StatusCode,
        reqwest::header::HeaderMap,
        bytes::Bytes,
    ),
}

impl Inner {
    /// Calls something that changes nothing, and so may be tried again; all tries together have the time of one call.
    async fn ask<T: DeserializeOwned + 'static>(
        &self,
        operation: &Operation<'_>,
    ) -> Result<T, ClientError> {
        let limit = self.options.call_timeout;
        let tries = retry::retrying(&self.options.retry, || self.call(operation, None));
        tokio::time::timeout(limit, tries)
            .await
            .unwrap_or(Err(ClientError::TimedOut {
                what: operation.method(),
                limit,
            }))
    }

    /// Calls and reads the one answer.
    async fn call<T: DeserializeOwned + 'static>(
        &self,
        operation: &Operation<'_>,
        limit: Option<Duration>,
    ) -> Result<T, ClientError> {
        #[cfg(feature = "grpc")]
        if let Interface::Grpc(address) = &self.interface {
            return Box::pin(grpc::call(self, address, operation, limit)).await;
        }
        let call = async {
            match self.request(operation, None).await? {
                Answer::Stream(_) => Err(invalid("a stream where one answer was expected")),
                Answer::Whole(status, headers, body) => Ok(match &self.interface {
                    Interface::Older(older) => older.answer(operation, status, &headers, &body)?,
                    _ => self.read(status, &headers, &body)?,
                }),
            }
        };
        match limit {
            Some(limit) => {
                tokio::time::timeout(limit, call)
                    .await
                    .unwrap_or(Err(ClientError::TimedOut {
                        what: operation.method(),
                        limit,
                    }))
            }
            None => call.await,
        }
    }

    /// Opens a stream.
    async fn open(
        &self,
        operation: &Operation<'_>,
        after: Option<u64>,
    ) -> Result<Opened, ClientError> {
        #[cfg(feature = "grpc")]
        if let Interface::Grpc(address) = &self.interface {
            let events = Box::pin(grpc::open(self, address, operation, after));
            return Ok(Opened::Grpc(events.await?));
        }
        let (status, headers, body) = match self.request(operation, after).await? {
            Answer::Stream(response) => return Ok(Opened::Sse(response)),
            Answer::Whole(status, headers, body) => (status, headers, body),
        };
        // An error before the first event is an ordinary answer.
        match self.read::<serde_json::Value>(status, &headers, &body) {
            Err(error) => Err(error.into()),
            Ok(_) => Err(not_a_stream().into()),
        }
    }

    fn read<T: DeserializeOwned>(
        &self,
        status: reqwest::StatusCode,
        headers: &reqwest::header::HeaderMap,
        body: &[u8],
    ) -> Result<T, A2aError> {
        match &self.interface {
            Interface::JsonRpc { .. } if status.is_success() => jsonrpc::read_response(body),
            Interface::HttpJson { .. } if status.is_success() => {
                // 204 is an answer too, to what has no result.
                let body = if body.is_empty() { b"null" } else { body };
                types::from_slice(body).map_err(|error| A2aError::InvalidAgentResponse {
                    detail: error.to_string(),
                })
            }
            Interface::HttpJson { .. } => Err(A2aError::from_http(status, headers, body)),
            #[cfg(feature = "grpc")]
            Interface::Grpc(_) => Err(grpc::not_http()),
            Interface::Older(older) => Err(older
                .refusal(status, headers, body)
                .unwrap_or_else(not_a_stream)),
            // Errors of the protocol come with status 200; yet some servers send them with another one.
            Interface::JsonRpc { .. } => match jsonrpc::read_response::<serde_json::Value>(body) {
                Err(error)
                    if !matches!(
                        error,
                        A2aError::InvalidAgentResponse { .. } | A2aError::Internal { .. }
                    ) =>
                {
                    Err(error)
                }
                _ => Err(A2aError::from_http(status, headers, body)),
            },
        }
    }

    /// Sends one request. Some have another form, which is tried when the agent does not know the first. On HTTP+JSON a
    /// subscribe is POST in the text of the specification and GET in its proto file: the one that the agent does not know
    /// answers 404 or 405. Over REST of 0.3 the body that creates a push configuration is the whole request for some
    /// agents, and only the configuration for others.
    async fn request(
        &self,
        operation: &Operation<'_>,
        after: Option<u64>,
    ) -> Result<Answer, ClientError> {
        let answer = self.request_once(operation, after, false).await?;
        match (&answer, operation, &self.interface) {
            (
                Answer::Whole(status, _, body),
                Operation::Subscribe(_),
                Interface::HttpJson { .. },
            ) if matches!(status.as_u16(), 404 | 405)
                && !matches!(
                    A2aError::from_http(*status, &reqwest::header::HeaderMap::new(), body),
                    A2aError::TaskNotFound { .. }
                ) =>
            {
                self.request_once(operation, after, true).await
            }
            (Answer::Whole(status, _, body), operation, Interface::Older(older))
                if older.may_be_the_form(operation, *status, body) =>
            {
                self.request_once(operation, after, true).await
            }
            _ => Ok(answer),
        }
    }

    async fn request_once(
        &self,
        operation: &Operation<'_>,
        after: Option<u64>,
        other_form: bool,
    ) -> Result<Answer, ClientError> {
        let http = &self.options.http;
        let mut request = match &self.interface {
            Interface::JsonRpc { url, tenant } => {
                let request = http
                    .post(url.clone())
                    .header(CONTENT_TYPE, "application/json")
                    .body(operation.json_rpc(tenant)?);
                self.of_current(request, operation, "application/json")
            }
            #[cfg(feature = "grpc")]
            Interface::Grpc(_) => return Err(grpc::not_http().into()),
            Interface::HttpJson { base, tenant } => {
                let (method, url, body) = operation.http(base, tenant, other_form)?;
                let mut request = http.request(method, url);
                if let Some(body) = body {
                    request = request
                        .header(CONTENT_TYPE, "application/a2a+json")
                        .body(body);
                }
                self.of_current(request, operation, "application/a2a+json, application/json")
            }
            Interface::Older(older) => {
                older.request(http, operation, &self.options.extensions, other_form)?
            }
        };
        if let Some(after) = after {
            request = request.header(sse::LAST_EVENT_ID, after);
        }
        if let Some(source) = &self.options.token {
            let token = source.token()?;
            let mut header = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                .map_err(|_| {
                    TokenError::new("the token has characters that a header cannot hold")
                })?;
            header.set_sensitive(true);
            request = request.header(AUTHORIZATION, header);
        }
        let response = request
            .send()
            .await
            .map_err(|source| ClientError::Unreachable { source })?;
        if response.status().is_success() && is_event_stream(response.headers()) {
            return Ok(Answer::Stream(response));
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = http::read_body(response, self.options.max_answer_bytes).await?;
        Ok(Answer::Whole(status, headers, body))
    }
}

impl Inner {
    /// A request of 1.0 with what all of them carry.
    fn of_current(
        &self,
        request: reqwest::RequestBuilder,
        operation: &Operation<'_>,
        accept: &'static str,
    ) -> reqwest::RequestBuilder {
        let accept = match operation.streams() {
            true => "text/event-stream, application/a2a+json, application/json",
            false => accept,
        };
        let request = request
            .header(ACCEPT, accept)
            .header(version::VERSION_HEADER, version::CURRENT);
        if self.options.extensions.is_empty() {
            return request;
        }
        let extensions = self.options.extensions.join(", ");
        request.header(version::EXTENSIONS_HEADER, extensions)
    }
}

fn not_a_stream() -> A2aError {
    A2aError::InvalidAgentResponse {
        detail: "one answer where a stream was expected".to_owned(),
    }
}

fn is_event_stream(headers: &reqwest::header::HeaderMap) -> bool {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    media_type
        .split(';')
        .next()
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

fn invalid(detail: &str) -> ClientError {
    A2aError::InvalidAgentResponse {
        detail: detail.to_owned(),
    }
    .into()
}

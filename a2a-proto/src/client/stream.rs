//! A stream that outlives its connections. When a connection breaks, ends early or goes silent, the stream subscribes
//! again after the last event that came through; events that come twice are dropped, a gap is asked for again. It ends
//! after a terminal event. When it cannot go on it says so and where it stopped: it never just ends.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures_util::Stream;

use super::error::is_transient;
use super::older::SoFar;
use super::operation::Operation;
use super::unnumbered::Unnumbered;
use super::{ClientError, Inner, Interface, Opened, invalid};
use crate::error::A2aError;
use crate::jsonrpc;
use crate::sse::{Decoder, Event};
use crate::types::{
    self, GetTaskRequest, SendMessageRequest, StreamResponse, SubscribeToTaskRequest, Task,
    TaskState,
};

/// How a stream goes on after a cut. The budget is for one cut: every new event makes it whole again, and so does a
/// connection that stands for longer than `max_delay`.
#[derive(Debug, Clone)]
pub struct ResumeOptions {
    /// Before the first attempt; doubled, with jitter, for each one after it.
    pub min_delay: Duration,
    /// The longest wait between two attempts.
    pub max_delay: Duration,
    /// After so many attempts without a new event the stream is lost; 0 never resumes.
    pub max_attempts: usize,
    /// A connection that carries nothing, not even a keep-alive, for this long is taken for broken.
    pub idle_timeout: Duration,
}

impl Default for ResumeOptions {
    /// Ten attempts over about a minute; four keep-alives of our server may go missing.
    fn default() -> Self {
        Self {
            min_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(10),
            max_attempts: 10,
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamEvent {
    /// Its number, if the agent numbers its events: what to subscribe after.
    pub seq: Option<u64>,
    /// The event.
    pub event: StreamResponse,
}

/// The events of one task, or the one message that is the answer.
pub struct EventStream {
    events: Pin<Box<dyn Stream<Item = Result<StreamEvent, ClientError>> + Send>>,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl Stream for EventStream {
    type Item = Result<StreamEvent, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(cx)
    }
}

impl EventStream {
    pub(super) fn of_message(inner: Arc<Inner>, request: SendMessageRequest) -> Self {
        Self::run(Follower::new(inner), Some(request))
    }

    pub(super) fn of_task(inner: Arc<Inner>, task_id: String, after: Option<u64>) -> Self {
        Self::run(
            Follower {
                task_id,
                last: after,
                ..Follower::new(inner)
            },
            None,
        )
    }

    fn run(mut follower: Follower, mut message: Option<SendMessageRequest>) -> Self {
        let events = async_stream::stream! {
            loop {
                match follower.next(&mut message).await {
                    Ok(Some(event)) => {
                        let last = event.event.ends_stream();
                        yield Ok(event);
                        if last {
                            return;
                        }
                    }
                    Ok(None) => return,
                    Err(error) => {
                        yield Err(error);
                        return;
                    }
                }
            }
        };
        Self {
            events: Box::pin(events),
        }
    }
}

/// A connection that carries events.
struct Connection {
    carrier: Carrier,
    since: Instant,
}

/// What the events come in.
enum Carrier {
    /// The bytes of server-sent events.
    Sse(reqwest::Response, Decoder),
    /// Messages of gRPC. Whether the agent is there is asked for by the channel.
    #[cfg(feature = "grpc")]
    Grpc(super::grpc::Events),
}

/// The state of a stream between two events.
struct Follower {
    inner: Arc<Inner>,
    connection: Option<Connection>,
    /// Empty until the first event tells it.
    task_id: String,
    /// The conversation, if the message named it.
    context_id: String,
    /// The number of the last event that was passed on.
    last: Option<u64>,
    last_state: TaskState,
    /// The waits that are left of the budget of the present cut.
    waits: Option<<ExponentialBuilder as backon::BackoffBuilder>::Backoff>,
    /// The events of a gap were asked for again since the last new event.
    gap_asked: bool,
    /// Whether an event was passed on.
    begun: bool,
    /// Cleared for an agent whose numbers are not consecutive.
    consecutive: bool,
    /// For agents of older versions without numbers.
    unnumbered: Unnumbered,
}

impl Follower {
    fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            connection: None,
            task_id: String::new(),
            context_id: String::new(),
            last: None,
            last_state: TaskState::Unspecified,
            waits: None,
            gap_asked: false,
            begun: false,
            consecutive: true,
            unnumbered: Unnumbered::default(),
        }
    }

    /// The next new event; `None` when the agent ended the stream of a waiting task.
    async fn next(
        &mut self,
        message: &mut Option<SendMessageRequest>,
    ) -> Result<Option<StreamEvent>, ClientError> {
        let mut broken = match message.take() {
            Some(request) => {
                self.context_id.clone_from(&request.message.context_id);
                self.send(&request).await?;
                None
            }
            None if self.connection.is_none() && !self.begun => self.subscribe().await.err(),
            None => None,
        };
        loop {
            let error = match (broken.take(), self.last_state.is_interrupted()) {
                (Some(error), _) => error,
                (None, waiting) => match self.read().await {
                    Ok(Some(event)) => match self.catch_up(event).await {
                        Ok(Some(event)) => return Ok(Some(event)),
                        Ok(None) => continue,
                        Err(error) => error,
                    },
                    Ok(None) => {
                        self.disconnect();
                        // Agents of older versions say that the stream is over.
                        if waiting && self.inner.is_older() {
                            return Ok(None);
                        }
                        // Some agents close the stream of a task that waits for us (A2A §11.7). One that numbers its
                        // events, and so may have been cut, is asked once more.
                        if waiting && (self.last.is_none() || self.waits.is_some()) {
                            return Ok(None);
                        }
                        ClientError::Cut
                    }
                    Err(error) => error,
                },
            };
            self.disconnect();
            if let Some(last) = self.resume(error).await? {
                return Ok(Some(last));
            }
        }
    }

    /// Sends the message, once: whether a broken attempt reached the agent cannot be known.
    async fn send(&mut self, request: &SendMessageRequest) -> Result<(), ClientError> {
        if self.inner.card.capabilities.streaming != Some(true) {
            return Err(A2aError::UnsupportedOperation {
                what: "streaming".to_owned(),
            }
            .into());
        }
        let response = self.inner.open(&Operation::Stream(request), None).await?;
        self.connect(response);
        Ok(())
    }

    fn connect(&mut self, opened: Opened) {
        let limit = self.inner.options.max_answer_bytes;
        let carrier = match opened {
            Opened::Sse(response) => Carrier::Sse(response, Decoder::with_limit(limit)),
            #[cfg(feature = "grpc")]
            Opened::Grpc(events) => Carrier::Grpc(events),
        };
        self.connection = Some(Connection {
            carrier,
            since: Instant::now(),
        });
    }

    /// A connection that stood for a while was a good one, even if the task had nothing to say: its cut is a new cut.
    fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take()
            && connection.since.elapsed() > self.inner.options.resume.max_delay
        {
            self.waits = None;
        }
    }

    /// The next event of the present connection; `None` at its end.
    async fn read(&mut self) -> Result<Option<StreamEvent>, ClientError> {
        if let Some(event) = self.unnumbered.take_held() {
            return Ok(Some(event));
        }
        let limit = self.inner.options.resume.idle_timeout;
        loop {
            let Some(connection) = &mut self.connection else {
                return Err(ClientError::Cut);
            };
            let (response, decoder) = match &mut connection.carrier {
                Carrier::Sse(response, decoder) => (response, decoder),
                #[cfg(feature = "grpc")]
                Carrier::Grpc(events) => return events.next(&self.inner).await,
            };
            let event = decoder.next_event();
            if let Some(event) = event.map_err(|_| ClientError::TooLarge {
                limit: self.inner.options.max_answer_bytes,
            })? {
                let so_far = SoFar {
                    context_id: &self.context_id,
                    state: self.last_state,
                };
                return self.inner.read_event(&event, so_far).map(Some);
            }
            match tokio::time::timeout(limit, response.chunk()).await {
                Ok(Ok(Some(bytes))) => decoder.feed(&bytes),
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(source)) => return Err(ClientError::Unreachable { source }),
                Err(_) => return Err(ClientError::Silent { limit }),
            }
        }
    }

    /// Passes on what is new. Drops what came before; drops, and asks again for, what lies beyond a gap.
    fn admit(&mut self, event: StreamEvent) -> Option<StreamEvent> {
        if let (Some(seq), Some(last)) = (event.seq, self.last) {
            if seq <= last {
                return None;
            }
            // A snapshot stands for everything before it.
            let gap = self.consecutive
                && seq > last + 1
                && !matches!(event.event, StreamResponse::Task(_));
            if gap && !self.gap_asked {
                self.gap_asked = true;
                self.connection = None;
                return None;
            }
            if gap {
                tracing::warn!(task = %self.task_id, last, seq, "the agent does not number its events consecutively");
                self.consecutive = false;
            }
        }
        if event.seq.is_none() && self.unnumbered.has_seen(&event.event) {
            return None;
        }
        self.gap_asked = false;
        // What is asked for after a cut is no sign that the connection is a better one.
        if !matches!(event.event, StreamResponse::Task(_)) || event.seq.is_some() {
            self.waits = None;
        }
        self.begun = true;
        self.last = event.seq.or(self.last);
        if self.task_id.is_empty() {
            event.event.task_id().clone_into(&mut self.task_id);
        }
        self.last_state = event.event.state().unwrap_or(self.last_state);
        Some(event)
    }

    /// Connects again after `error`. Gives an event when the task turns out to have ended meanwhile.
    async fn resume(&mut self, mut error: ClientError) -> Result<Option<StreamEvent>, ClientError> {
        if self.task_id.is_empty() {
            // The first event never came: nobody knows the task.
            return Err(error);
        }
        loop {
            if !error.is_transient() {
                return Err(self.lost(error));
            }
            let options = &self.inner.options.resume;
            let waits = self.waits.get_or_insert_with(|| {
                ExponentialBuilder::new()
                    .with_min_delay(options.min_delay)
                    .with_max_delay(options.max_delay)
                    .with_max_times(options.max_attempts)
                    .with_jitter()
                    .build()
            });
            let Some(wait) = waits.next() else {
                return Err(self.lost(error));
            };
            let asked_for = error
                .agent_error()
                .and_then(A2aError::retry_after)
                .unwrap_or_default();
            tracing::debug!(task = %self.task_id, after = self.last, error = %error, "resuming the stream");
            tokio::time::sleep(wait.max(asked_for.min(options.max_delay))).await;

            error = match self.subscribe().await {
                Ok(ended) => return Ok(ended),
                Err(error) => error,
            };
        }
    }

    /// Connects after the last event. Gives an event instead when the task turns out to have ended meanwhile.
    async fn subscribe(&mut self) -> Result<Option<StreamEvent>, ClientError> {
        let request = SubscribeToTaskRequest {
            id: self.task_id.clone(),
            ..SubscribeToTaskRequest::default()
        };
        match self
            .inner
            .open(&Operation::Subscribe(&request), self.last)
            .await
        {
            Ok(response) => {
                self.connect(response);
                self.unnumbered
                    .connected(self.inner.is_older() && self.last.is_none());
                Ok(None)
            }
            // An agent without replay refuses to stream a task that has ended: then the task itself tells.
            Err(ClientError::Agent(refused))
                if self.begun
                    && (matches!(refused, A2aError::UnsupportedOperation { .. })
                        || self.inner.is_older() && !is_transient(&refused)) =>
            {
                self.ended().await?.map(Some).ok_or(refused.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Passes on what is new: the event, or before it the task as it is, if the agent neither numbers its events nor
    /// began the stream with the task.
    async fn catch_up(&mut self, event: StreamEvent) -> Result<Option<StreamEvent>, ClientError> {
        if !self.unnumbered.is_in_doubt(&event) {
            return Ok(self.admit(event));
        }
        let task = self.task().await?;
        self.unnumbered.hold(event, &task);
        let event = StreamResponse::Task(task);
        Ok(self.admit(StreamEvent { seq: None, event }))
    }

    async fn task(&self) -> Result<Task, ClientError> {
        let request = GetTaskRequest {
            id: self.task_id.clone(),
            ..GetTaskRequest::default()
        };
        self.inner.ask(&Operation::Get(&request)).await
    }

    /// The task as the last event, if it has ended.
    async fn ended(&self) -> Result<Option<StreamEvent>, ClientError> {
        let task = self.task().await?;
        let ended = task.status.state.is_terminal();
        Ok(ended.then_some(StreamEvent {
            seq: None,
            event: StreamResponse::Task(task),
        }))
    }

    fn lost(&self, error: ClientError) -> ClientError {
        match self.begun {
            true => ClientError::Lost {
                task_id: self.task_id.clone(),
                after: self.last,
                source: Box::new(error),
            },
            false => error,
        }
    }
}

impl Inner {
    fn is_older(&self) -> bool {
        matches!(self.interface, Interface::Older(_))
    }

    /// Reads one frame.
    fn read_event(&self, frame: &Event, so_far: SoFar<'_>) -> Result<StreamEvent, ClientError> {
        let seq = frame.id.as_deref().and_then(|id| id.parse().ok());
        let event = match &self.interface {
            Interface::JsonRpc { .. } => jsonrpc::read_response(&frame.data)?,
            Interface::Older(older) => older.event(frame, so_far)?,
            Interface::HttpJson { .. } if frame.event == "error" => {
                let (status, headers) = (
                    reqwest::StatusCode::INTERNAL_SERVER_ERROR,
                    Default::default(),
                );
                return Err(A2aError::from_http(status, &headers, &frame.data).into());
            }
            Interface::HttpJson { .. } => types::from_slice(&frame.data)
                .map_err(|error| invalid(&format!("an event of the stream: {error}")))?,
            #[cfg(feature = "grpc")]
            Interface::Grpc(_) => return Err(super::grpc::not_http().into()),
        };
        Ok(StreamEvent { seq, event })
    }
}

//! From a [`Feed`] to the body of a streaming answer: frames that are ready go out together in one chunk, silence is
//! broken by keep-alives, an error becomes the last frame. How a frame looks is the binding's business ([`Render`]);
//! the events are sent as the bytes that the log keeps.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use tokio_util::sync::CancellationToken;

use super::dispatch::{Feed, First, log_error};
use super::options::ServerOptions;
use crate::error::A2aError;
use crate::log::{LogError, LoggedEvent, Subscription};
use crate::sse::Frames;
use crate::types::StreamResponse;

/// How a binding writes the events of a stream.
pub(super) trait Render: Send + 'static {
    /// A stored event.
    fn event(&mut self, event: &LoggedEvent, frames: &mut Frames) -> Result<(), A2aError>;
    /// The error that ends the stream.
    fn error(&mut self, error: &A2aError, frames: &mut Frames);
    /// Whether the event just written is the last one although the task goes on, as older dialects have it.
    fn closed(&self) -> bool {
        false
    }
}

struct Pump<R> {
    render: R,
    first: Option<LoggedEvent>,
    rest: Option<Subscription>,
    frames: Frames,
    keep_alive: std::time::Duration,
    shutdown: CancellationToken,
    /// Held until the stream ends.
    _permit: tokio::sync::OwnedSemaphorePermit,
}

/// The answer that streams `feed`.
pub(super) fn response(
    feed: Feed,
    render: impl Render,
    options: &ServerOptions,
) -> Result<Response, A2aError> {
    let first = match feed.first {
        First::Rest => None,
        First::Snapshot(snapshot) => Some((
            snapshot.seq,
            StreamResponse::Task(snapshot.task.as_ref().clone()),
        )),
        // A direct reply is the only event of its stream.
        First::Reply(message) => Some((1, StreamResponse::Message(*message))),
    };
    let first = first
        .map(|(seq, event)| {
            Ok(LoggedEvent {
                seq,
                json: serde_json::to_vec(&event)?.into(),
            })
        })
        .transpose()
        .map_err(|error: serde_json::Error| A2aError::internal(error))?;
    let pump = Pump {
        render,
        first,
        rest: feed.rest,
        frames: Frames::default(),
        keep_alive: options.keep_alive,
        shutdown: options.shutdown.clone(),
        _permit: feed.permit,
    };
    let chunks = stream::unfold(pump, |mut pump| async move {
        let chunk = pump.chunk().await?;
        Some((Ok::<_, Infallible>(chunk), pump))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that buffer would hold back what should be seen at once.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl<R: Render> Pump<R> {
    /// The next bytes to send; `None` at the end.
    async fn chunk(&mut self) -> Option<Bytes> {
        let first = self.first.take();
        if let Some(first) = &first {
            self.render(std::slice::from_ref(first));
        }
        // What is there already goes out at once, and together.
        if let Some(rest) = &mut self.rest {
            match rest.ready().await {
                Ok(events) => self.render(&events),
                Err(error) => self.fail(error),
            }
        }
        if !self.frames.is_empty() {
            return Some(self.frames.take());
        }
        loop {
            let rest = self.rest.as_mut()?;
            let events = tokio::select! {
                biased;
                events = tokio::time::timeout(self.keep_alive, rest.next()) => events,
                // The client resumes with the next server.
                () = self.shutdown.cancelled() => return None,
            };
            match events {
                Ok(Ok(events)) if events.is_empty() => return None,
                Ok(Ok(events)) => self.render(&events),
                Ok(Err(error)) => self.fail(error),
                Err(_) => self.frames.push_keep_alive(),
            }
            // An event can be without a frame in some dialects.
            if !self.frames.is_empty() {
                return Some(self.frames.take());
            }
        }
    }

    fn render(&mut self, events: &[LoggedEvent]) {
        let bytes: usize = events.iter().map(|event| event.json.len()).sum();
        self.frames.reserve(events.len(), bytes);
        for event in events {
            if let Err(error) = self.render.event(event, &mut self.frames) {
                self.end(&error);
                return;
            }
            if self.render.closed() {
                self.rest = None;
                return;
            }
        }
    }

    fn fail(&mut self, error: LogError) {
        self.end(&log_error(error));
    }

    /// The last frame: an error.
    fn end(&mut self, error: &A2aError) {
        tracing::warn!(%error, "a stream ends early");
        self.render.error(error, &mut self.frames);
        self.rest = None;
    }
}

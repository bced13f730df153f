//! From a [`Feed`] to the messages of a streaming answer. The end says why it came: OK when the task has ended, UNAVAILABLE
//! when the server stops, so that the client goes on with the next one. Silence is broken by HTTP/2 pings, which are the
//! connection's business.

use axum::response::Response;
use futures_util::stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{frame, too_late};
use crate::error::ErrorMap;
use crate::log::{LoggedEvent, Subscription};
use crate::pb::Proto;
use crate::sequence;
use crate::server::dispatch::{Feed, First, log_error};
use crate::server::options::ServerOptions;
use crate::types::StreamResponse;

/// What differs from stream to stream.
pub(super) struct Manner {
    /// Tell the number of each event.
    pub(super) numbered: bool,
    /// Tell the generation of the task.
    pub(super) generations: bool,
    /// When the client stops waiting.
    pub(super) deadline: Option<Instant>,
    /// Whether an event is the last one.
    pub(super) ends: fn(&StreamResponse) -> bool,
}

struct Events {
    first: Option<(u64, StreamResponse)>,
    /// Events that came together and were not sent yet.
    ready: std::vec::IntoIter<LoggedEvent>,
    rest: Option<Subscription>,
    manner: Manner,
    limit: usize,
    map: ErrorMap,
    shutdown: CancellationToken,
    /// Held until the stream ends.
    _permit: tokio::sync::OwnedSemaphorePermit,
}

/// The answer that streams `feed` as messages of one version.
pub(super) fn response<P>(
    feed: Feed,
    manner: Manner,
    limit: usize,
    options: &ServerOptions,
) -> Response
where
    P: prost::Message + 'static,
    StreamResponse: Proto<P>,
{
    let first = match feed.first {
        First::Rest => None,
        First::Snapshot(snapshot) => Some((
            snapshot.seq,
            StreamResponse::Task(snapshot.task.as_ref().clone()),
        )),
        // A direct reply is the only event of its stream.
        First::Reply(message) => Some((1, StreamResponse::Message(*message))),
    };
    let events = Events {
        first,
        ready: Vec::new().into_iter(),
        rest: feed.rest,
        manner,
        limit,
        map: options.error_map,
        shutdown: options.shutdown.clone(),
        _permit: feed.permit,
    };
    frame::replies(stream::unfold(events, async |mut events| {
        let event = events.next().await?;
        let message = event.and_then(|event| {
            let pb = event.to_pb();
            frame::check_size(&pb, events.limit)?;
            Ok(pb)
        });
        if message.is_err() {
            events.end();
        }
        Some((message, events))
    }))
}

impl Events {
    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Result<StreamResponse, Status>> {
        if let Some((seq, event)) = self.first.take() {
            return Some(Ok(self.numbered(seq, event)));
        }
        loop {
            if let Some(logged) = self.ready.next() {
                return Some(match logged.event() {
                    Ok(event) => Ok(self.numbered(logged.seq, event)),
                    Err(error) => Err(self.failed(error)),
                });
            }
            let rest = self.rest.as_mut()?;
            let deadline = self.manner.deadline;
            let events = tokio::select! {
                biased;
                events = rest.next() => events,
                () = self.shutdown.cancelled() => {
                    return Some(Err(Status::unavailable("the server stops: resume with the next one")));
                }
                () = until(deadline) => return Some(Err(too_late())),
            };
            match events {
                Ok(events) if events.is_empty() => return None,
                Ok(events) => self.ready = events.into_iter(),
                Err(error) => return Some(Err(self.failed(error))),
            }
        }
    }

    fn numbered(&mut self, seq: u64, mut event: StreamResponse) -> StreamResponse {
        if (self.manner.ends)(&event) {
            self.end();
        }
        if self.manner.numbered {
            sequence::mark(&mut event, seq);
        }
        if self.manner.generations {
            event.set_generation(i64::try_from(seq).unwrap_or(i64::MAX));
        }
        event
    }

    fn failed(&self, error: crate::log::LogError) -> Status {
        let error = log_error(error);
        tracing::warn!(%error, "a stream ends early");
        error.to_grpc(self.map)
    }

    fn end(&mut self) {
        self.ready = Vec::new().into_iter();
        self.rest = None;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

//! The simple dialect on the wire: `POST /tasks/send`, answered by events or, when the client asks for JSON, by the
//! finished task; `GET /tasks/{id}`, and its unambiguous twin under `/legacy`. Objects and frames come from
//! [`crate::dialect::simple`]; here is who gets which.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header;
use http::request::Parts;

use super::answer::{JSON, check_content_type, names, read_body, rest_error};
use super::dispatch::{Feed, First, Send, log_error};
use super::route::Call;
use super::stream::{self, Render};
use super::view::SentView;
use super::{Agent, Caller, Inner, rest};
use crate::dialect::simple::{self, Form, ReceivedSend, SimpleStream};
use crate::dialect::v01;
use crate::error::{A2aError, ErrorMap};
use crate::log::{Alias, LogTask, LoggedEvent, TaskLog};
use crate::sse::{Frames, last_event_id};
use crate::types::{StreamResponse, SubscribeToTaskRequest};
use crate::version::{self, ProtocolVersion};

const EVENT_STREAM: &str = "text/event-stream";

/// Events that are read at once on the way to the place where a client goes on: some 300 KiB.
const PAGE: usize = 1000;

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// `POST /tasks/send`.
    pub(super) async fn simple_send(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        body: Body,
    ) -> Response {
        let answer = self.try_simple_send(caller, parts, body).await;
        answer.unwrap_or_else(|error| rest_error(&error, self.options.error_map))
    }

    async fn try_simple_send(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        body: Body,
    ) -> Result<Response, A2aError> {
        self.negotiate_simple(parts)?;
        check_content_type(&parts.headers)?;
        let body = read_body(&parts.headers, body, self.options.max_body_bytes).await?;
        let ReceivedSend {
            client_id,
            form,
            mut request,
        } = simple::read_send(&body, self.options.ids.next())?;
        let known = self
            .log
            .alias(&caller.owner(), &client_id)
            .await
            .map_err(log_error)?;
        let after = last_event_id(&parts.headers)?;
        if after.is_some() {
            // The same request again, with the last event seen: the client reconnects, so the message is not sent again.
            let Some(task_id) = known else {
                return Err(A2aError::TaskNotFound { task_id: client_id });
            };
            let stream = SimpleStream::new(client_id, form);
            return self.simple_stream(&caller, &task_id, stream, after).await;
        }
        let wants_stream = self.card().capabilities.streaming == Some(true)
            && (names(&parts.headers, header::ACCEPT, EVENT_STREAM)
                || !names(&parts.headers, header::ACCEPT, JSON));
        request.message.task_id = known.clone().unwrap_or_default();
        let alias = Alias {
            id: client_id.clone(),
            form: form.word().to_owned(),
        };
        let send = Send {
            caller,
            request,
            protocol: ProtocolVersion::Simple,
            alias: known.is_none().then_some(alias),
        };
        if wants_stream {
            let feed = self.send_streaming(send).await?;
            return stream::response(
                feed,
                SimpleFrames {
                    stream: SimpleStream::new(client_id, form),
                    error_map: self.options.error_map,
                },
                &self.options,
            );
        }
        let task = match self.send(send).await? {
            SentView::Task(view) => view.to_task(),
            // This dialect knows tasks only.
            SentView::Message(reply) => v01::reply_as_task(reply),
        };
        rest::respond(parts, &v01::task(&task, &client_id))
    }

    /// `GET /tasks/{id}`: 1.0, unless the client names no version and the task was made in the simple dialect.
    pub(super) async fn task_or_simple(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        id: String,
    ) -> Response {
        if version::requested(&parts.headers, parts.uri.query()).is_none() {
            match self.simple_id(&caller, &id).await {
                Ok(Some(found)) => return self.simple_get(caller, parts, found).await,
                Ok(None) => {}
                Err(error) => return rest_error(&error, self.options.error_map),
            }
        }
        self.rest(caller, parts, Body::empty(), "", Call::Get(id))
            .await
    }

    /// `GET /legacy/tasks/{id}`: by the client's id or the server's.
    pub(super) async fn simple_task(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        id: String,
    ) -> Response {
        let found = match self.simple_id(&caller, &id).await {
            Ok(None) => self.open(&caller, &id).await.map(|task| {
                // Made in another dialect, so no simple client has shown how it speaks.
                let form = Form::V01.word().to_owned();
                (task, Alias { id, form })
            }),
            Ok(Some(found)) => Ok(found),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => self.simple_get(caller, parts, found).await,
            Err(error) => rest_error(&error, self.options.error_map),
        }
    }

    async fn simple_get(
        self: &Arc<Self>,
        caller: Caller,
        parts: &Parts,
        (task, alias): (LogTask, Alias),
    ) -> Response {
        let answer = async {
            self.negotiate_simple(parts)?;
            if names(&parts.headers, header::ACCEPT, EVENT_STREAM) {
                let after = last_event_id(&parts.headers)?;
                let stream = SimpleStream::new(alias.id, Form::from_word(&alias.form));
                return self.simple_stream(&caller, task.id(), stream, after).await;
            }
            rest::respond(parts, &v01::task(&task.snapshot().task, &alias.id))
        };
        answer
            .await
            .unwrap_or_else(|error| rest_error(&error, self.options.error_map))
    }

    /// Follows a task.
    async fn simple_stream(
        &self,
        caller: &Caller,
        task_id: &str,
        mut stream: SimpleStream,
        after: Option<u64>,
    ) -> Result<Response, A2aError> {
        let task = self.open(caller, task_id).await?;
        let feed = self.follow_or_show(caller, &task, after).await?;
        skip(&task, after.unwrap_or(0), |event| stream.skip(event)).await?;
        let error_map = self.options.error_map;
        stream::response(feed, SimpleFrames { stream, error_map }, &self.options)
    }

    /// Follows a task. One that has ended is shown once more, which is what a client of the old dialects means by asking.
    pub(super) async fn follow_or_show(
        &self,
        caller: &Caller,
        task: &LogTask,
        after: Option<u64>,
    ) -> Result<Feed, A2aError> {
        if after.is_none() && task.state().is_terminal() {
            let permit = self.stream_permit()?;
            return Ok(Feed {
                first: First::Snapshot(task.snapshot()),
                rest: None,
                permit,
            });
        }
        let request = SubscribeToTaskRequest {
            id: task.id().to_owned(),
            ..SubscribeToTaskRequest::default()
        };
        self.subscribe(caller, request, after).await
    }

    /// The task that the client means, if it was made in the simple dialect, and what the client calls it.
    pub(super) async fn simple_id(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<Option<(LogTask, Alias)>, A2aError> {
        let task = match self.open(caller, id).await {
            Err(A2aError::TaskNotFound { .. }) => {
                let known = self.log.alias(&caller.owner(), id).await;
                match known.map_err(log_error)? {
                    Some(task_id) => self.open(caller, &task_id).await?,
                    None => return Ok(None),
                }
            }
            task => task?,
        };
        let alias = task.alias().cloned();
        Ok(alias.map(|alias| (task, alias)))
    }

    fn negotiate_simple(&self, parts: &Parts) -> Result<(), A2aError> {
        self.negotiate(parts, ProtocolVersion::Simple)
    }
}

/// Shows `pass` the events up to number `after`: what a later frame says depends on them.
pub(super) async fn skip(
    task: &LogTask,
    after: u64,
    mut pass: impl FnMut(&StreamResponse),
) -> Result<(), A2aError> {
    let mut seen = 0;
    while seen < after {
        let events = task.read(seen, PAGE).await.map_err(log_error)?;
        for event in events.iter().take_while(|event| event.seq <= after) {
            pass(&event.event().map_err(log_error)?);
        }
        seen = events.last().map_or(after, |event| event.seq);
    }
    Ok(())
}

/// Frames named `task.status`, `task.message` and `task.artifact`.
struct SimpleFrames {
    stream: SimpleStream,
    error_map: ErrorMap,
}

impl Render for SimpleFrames {
    fn event(&mut self, event: &LoggedEvent, frames: &mut Frames) -> Result<(), A2aError> {
        let object: StreamResponse = event.event().map_err(log_error)?;
        let parts = self.stream.frames(&object);
        let last = parts.len();
        for (index, part) in (1..).zip(&parts) {
            // A client that got only some of an event's frames has not seen the event.
            let id = (index == last).then_some(event.seq);
            frames.push(id, Some(part.event), &[&part.data]);
        }
        Ok(())
    }

    fn error(&mut self, error: &A2aError, frames: &mut Frames) {
        frames.push(None, Some("error"), &[&error.to_http_body(self.error_map)]);
    }
}

//! The other side of the comparison: a bare axum handler that writes the same bytes.
//!
//! It has the frames in memory and does nothing else: no log, no task, no check. What our server does more is what the
//! comparison shows.

use std::{convert::Infallible, io, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::header,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::post,
};
use futures_util::stream;
use tokio::net::TcpListener;

/// What the handlers answer.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// `id` and `data` of each event.
    pub(crate) frames: Vec<(String, String)>,
    /// The answer to a unary call.
    pub(crate) unary: Bytes,
}

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, answers: Arc<Answers>) -> io::Result<()> {
    let router = Router::new()
        .route("/stream", post(stream_frames))
        .route("/unary", post(answer))
        .with_state(answers);
    axum::serve(listener, router).await
}

async fn stream_frames(State(answers): State<Arc<Answers>>, _body: Bytes) -> Response {
    let count = answers.frames.len();
    let events = stream::iter((0..count).filter_map(move |index| {
        let (id, data) = answers.frames.get(index)?;
        Some(Ok::<_, Infallible>(Event::default().id(id).data(data)))
    }));
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

async fn answer(State(answers): State<Arc<Answers>>, _body: Bytes) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (headers, answers.unary.clone()).into_response()
}

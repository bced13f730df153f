//! A job's event stream. A broken connection is taken up again after the last event that came, so the caller sees each
//! event once and in order, or an error; never a gap.

use std::time::Duration;

use a2a_proto::sse::{Decoder, LAST_EVENT_ID};
use bytes::Bytes;
use captain_core::Envelope;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use super::{Client, ClientError};

/// The first pause before a new try.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause between tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the captain may be gone; a restart takes a few seconds, an upgrade perhaps a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// One event of a job.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// The event as it came, one line of JSON.
    pub(crate) json: Bytes,
    /// The same, understood; none if a newer captain tells something that this program does not know.
    pub(crate) envelope: Option<Envelope>,
}

impl Client {
    /// The events of `job` strictly after number `after`, up to the job's end.
    pub(crate) fn events(
        &self,
        job: &str,
        after: Option<u64>,
    ) -> impl Stream<Item = Result<Told, ClientError>> + use<> {
        let client = self.clone();
        let job = job.to_owned();
        async_stream::try_stream! {
            let mut last = after;
            let mut lost: Option<Instant> = None;
            let mut pause = FIRST_PAUSE;
            loop {
                let mut failed = None;
                match client.open(&job, last).await {
                    Ok(response) => {
                        let mut decoder = Decoder::default();
                        let mut pieces = response.bytes_stream();
                        while let Some(piece) = pieces.next().await {
                            match piece {
                                Ok(piece) => decoder.feed(&piece),
                                Err(error) => {
                                    failed = Some(ClientError::Broken(error));
                                    break;
                                }
                            }
                            let garbled = |problem: String| ClientError::Garbled {
                                url: client.url(&["jobs", &job, "events"]),
                                problem,
                            };
                            while let Some(event) = decoder.next_event().map_err(|error| garbled(error.to_string()))? {
                                (lost, pause) = (None, FIRST_PAUSE);
                                let seq = event.id.as_deref().and_then(|id| id.parse::<u64>().ok());
                                // What came before is not told again.
                                if seq.is_some() && seq <= last {
                                    continue;
                                }
                                last = seq.or(last);
                                let envelope: Option<Envelope> = serde_json::from_slice(&event.data).ok();
                                let over = envelope.as_ref().is_some_and(|envelope| envelope.event.is_terminal());
                                yield Told { json: event.data, envelope };
                                if over {
                                    return;
                                }
                            }
                        }
                    }
                    Err(error) if is_passing(&error) => failed = Some(error),
                    Err(error) => Err(error)?,
                }
                let since = *lost.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE
                    && let Some(source) = failed
                {
                    let url = client.base.clone();
                    Err(ClientError::Lost { url, seconds: since.elapsed().as_secs(), source: Box::new(source) })?;
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    async fn open(&self, job: &str, after: Option<u64>) -> Result<reqwest::Response, ClientError> {
        let mut request = self.http.get(self.url(&["jobs", job, "events"]));
        request = request.header(http::header::ACCEPT, "text/event-stream");
        if let Some(after) = after {
            request = request.header(LAST_EVENT_ID, after);
        }
        self.answer(request).await
    }
}

/// Whether the same request may work a little later.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Broken(_) => true,
        ClientError::Refused { status, .. } => {
            status.is_server_error() || *status == http::StatusCode::TOO_MANY_REQUESTS
        }
        ClientError::Garbled { .. } | ClientError::Lost { .. } => false,
    }
}

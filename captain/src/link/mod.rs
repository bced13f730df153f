//! The captain's end of the line to a worker: one A2A client stream per attempt, told as job events. Loss of contact is
//! told and tried again for ever; whether the worker still lives is the backend's to say, and what follows from either
//! is the core's. A worker is a stranger here: its words are bounded and checked before they are passed on.

mod bundle;
mod follow;
mod judge;
mod tell;
#[cfg(test)]
mod tests;
mod title;
mod translate;

use std::sync::Arc;
use std::time::Duration;

use a2a_proto::activity::{ACTIVITY_URI, RESULT_URI};
use a2a_proto::client::{
    Client, ClientError, ClientOptions, HttpOptions, ResumeOptions, TokenSource, http_client,
};
use a2a_proto::error::A2aError;
use a2a_proto::types::ListTasksRequest;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use url::Url;

use self::follow::Follow;
use crate::auth::WorkerTokens;
use crate::engine::ports::{Assignment, Link, LinkError, Note, Report};

/// In whose name the captain calls workers: always the same, because a worker shows a task only to its caller.
const SUBJECT: &str = "captain";
/// A worker is on this machine or on the next: longer than this it is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a short call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Three keep-alives of a worker's stream may go missing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// Largest event, and largest task with its artifacts: a thousand files of the size that is sent inline.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// Resuming within one connection's life is the client's; a longer absence is told and handled here.
const RESUME_ATTEMPTS: usize = 3;

/// Talks to workers over A2A.
#[derive(Debug, Clone)]
pub struct WorkerLink {
    http: reqwest::Client,
    tokens: WorkerTokens,
}

impl WorkerLink {
    /// A link whose calls carry tokens of `tokens`.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(tokens: WorkerTokens) -> Result<Self, ClientError> {
        let options = HttpOptions {
            connect_timeout: CONNECT_TIMEOUT,
            ..HttpOptions::default()
        };
        Ok(Self {
            http: http_client(&options)?,
            tokens,
        })
    }

    fn token(&self, assignment: &Assignment) -> Arc<dyn TokenSource> {
        self.tokens.source(assignment.worker.as_str(), SUBJECT)
    }

    /// Fetches the worker's card.
    async fn connect(&self, assignment: &Assignment) -> Result<Client, ClientError> {
        let base = Url::parse(&assignment.endpoint).map_err(|_| ClientError::BadUrl {
            url: assignment.endpoint.clone(),
        })?;
        let options = ClientOptions {
            extensions: vec![ACTIVITY_URI.to_owned(), RESULT_URI.to_owned()],
            call_timeout: CALL_TIMEOUT,
            max_answer_bytes: MAX_ANSWER_BYTES,
            resume: ResumeOptions {
                max_attempts: RESUME_ATTEMPTS,
                idle_timeout: IDLE_TIMEOUT,
                ..ResumeOptions::default()
            },
            ..ClientOptions::new(self.http.clone()).with_token(self.token(assignment))
        };
        let client = Client::discover(&base, options.clone()).await?;
        // A card could name any address, and the captain would send its token and the prompt there.
        let mut card = client.card().clone();
        card.supported_interfaces
            .retain(|at| Url::parse(&at.url).is_ok_and(|url| url.origin() == base.origin()));
        if card.supported_interfaces.len() == client.card().supported_interfaces.len() {
            return Ok(client);
        }
        Client::from_card(card, options)
    }
}

/// The task that the worker has in the assignment's context, if it has the prompt.
async fn find_task(
    client: &Client,
    assignment: &Assignment,
) -> Result<Option<String>, ClientError> {
    let request = ListTasksRequest {
        context_id: assignment.context().to_owned(),
        page_size: Some(1),
        history_length: Some(0),
        ..ListTasksRequest::default()
    };
    let found = client.list(&request).await?;
    Ok(found.tasks.into_iter().next().map(|task| task.id))
}

impl Link for WorkerLink {
    fn follow(&self, assignment: Assignment) -> BoxStream<'static, Report> {
        Follow::new(self.clone(), assignment).into_stream()
    }

    fn cancel<'a>(&'a self, assignment: &'a Assignment) -> BoxFuture<'a, Result<(), LinkError>> {
        Box::pin(async move {
            cancel(self, assignment).await.map_err(|error| LinkError {
                message: format!(
                    "the worker {} did not take the cancellation",
                    assignment.worker
                ),
                transient: error.is_transient(),
                source: Some(error.into()),
            })
        })
    }

    fn tell<'a>(
        &'a self,
        assignment: &'a Assignment,
        note: &'a Note,
    ) -> BoxFuture<'a, Result<(), LinkError>> {
        Box::pin(async move {
            tell::tell(self, assignment, note).await.map_err(|error| {
                let problem = error.agent_error().map(ToString::to_string);
                LinkError {
                    message: match problem {
                        Some(problem) => format!("the worker refused it: {problem}"),
                        None => "the worker could not be reached".to_owned(),
                    },
                    transient: error.is_transient(),
                    source: Some(error.into()),
                }
            })
        })
    }
}

async fn cancel(link: &WorkerLink, assignment: &Assignment) -> Result<(), ClientError> {
    let client = link.connect(assignment).await?;
    let task = match &assignment.task {
        Some(task) => Some(task.task.clone()),
        None => find_task(&client, assignment).await?,
    };
    let Some(task) = task else { return Ok(()) };
    match client.cancel(&task).await {
        // It has ended, in whatever way.
        Err(ClientError::Agent(
            A2aError::TaskNotCancelable { .. } | A2aError::TaskNotFound { .. },
        )) => Ok(()),
        other => other.map(drop),
    }
}

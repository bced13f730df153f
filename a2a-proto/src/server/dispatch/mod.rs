//! The operations of A2A §3.1, without any binding: typed request and caller in, answer or [`A2aError`] out. Sending is
//! in `send`, what concerns an existing task in `task`. Nothing here knows HTTP.

mod generation;
mod push;
mod repeat;
mod send;
mod task;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Agent, Inner};
use crate::error::A2aError;
use crate::log::{LogError, Snapshot, Subscription, TaskLog};
use crate::types::{AgentCard, GetExtendedAgentCardRequest, Message};

pub use self::repeat::Idempotency;
pub(super) use self::send::Send;

/// A stream to be sent: what comes first, and what follows.
pub(super) struct Feed {
    pub(super) first: First,
    pub(super) rest: Option<Subscription>,
    /// Given back when the stream ends.
    pub(super) permit: OwnedSemaphorePermit,
}

/// How a stream begins.
pub(super) enum First {
    /// With the task as it stands.
    Snapshot(Snapshot),
    /// With a direct reply, which is all.
    Reply(Box<Message>),
    /// With what follows.
    Rest,
}

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// A place among the open streams.
    pub(super) fn stream_permit(&self) -> Result<OwnedSemaphorePermit, A2aError> {
        let card = self.card();
        if card.capabilities.streaming != Some(true) {
            return Err(A2aError::UnsupportedOperation {
                what: "streaming".to_owned(),
            });
        }
        let streams = std::sync::Arc::clone(&self.streams);
        streams.try_acquire_owned().map_err(|_| overloaded())
    }

    /// The card for known callers (A2A §3.1.11).
    pub(super) fn extended_card(
        &self,
        caller: &super::Caller,
        request: &GetExtendedAgentCardRequest,
    ) -> Result<AgentCard, A2aError> {
        let caller = caller.within(&request.tenant)?;
        if self.card().capabilities.extended_agent_card != Some(true) {
            return Err(A2aError::UnsupportedOperation {
                what: "an extended agent card".to_owned(),
            });
        }
        let card = self
            .agent
            .extended_card(&caller)
            .ok_or(A2aError::ExtendedAgentCardNotConfigured)?;
        let mut document = serde_json::to_value(&card).map_err(A2aError::internal)?;
        self.options.sign(&mut document);
        serde_json::from_value(document).map_err(A2aError::internal)
    }

    /// Runs `work` to its end even when the caller goes away, and gives its answer to a caller who stays.
    async fn detached<T: std::marker::Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, A2aError>> + std::marker::Send + 'static,
    ) -> Result<T, A2aError> {
        let (reply, answer) = oneshot::channel();
        self.options.tracker.spawn(async move {
            // A caller who left does not miss it.
            let _ = reply.send(work.await);
        });
        answer
            .await
            .unwrap_or_else(|_| Err(A2aError::internal("a task of the server panicked")))
    }
}

fn overloaded() -> A2aError {
    // Streams end when tasks end, which takes seconds at least.
    A2aError::Overloaded {
        retry_after: std::time::Duration::from_secs(5),
    }
}

/// What a failure of the log means to a client.
pub(super) fn log_error(error: LogError) -> A2aError {
    match error {
        LogError::NotFound { mut id } => {
            // An id that nobody has can be of any length; enough of it is said to know it again.
            const SHOWN: usize = 128;
            id.truncate(id.floor_char_boundary(SHOWN));
            A2aError::TaskNotFound { task_id: id }
        }
        LogError::BeyondEnd { after, last } => A2aError::invalid_param(
            "Last-Event-ID",
            format!("there is no event {after} yet: the last one is {last}"),
        ),
        LogError::Full { .. } => A2aError::Internal {
            external: "no space left to store the task: free some and try again".to_owned(),
            internal: chain(&error),
        },
        LogError::Closed => overloaded(),
        other => A2aError::internal(chain(&other)),
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

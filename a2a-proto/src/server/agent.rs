//! The seam to what does the work: an [`Agent`] takes messages and reports what it does through
//! [`Updates`](super::Updates). It sees no HTTP, no JSON-RPC and no store; it decides nothing about who may call.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Caller, Updates};
use crate::error::A2aError;
use crate::types::{AgentCard, Message, Metadata, SendMessageConfiguration, Task};
use crate::version::ProtocolVersion;

/// What answers messages.
pub trait Agent: Send + Sync + 'static {
    /// The agent card. Called often, so it should be cheap; a changed card is noticed.
    fn card(&self) -> AgentCard;

    /// The card for known callers; `None` when there is no other (A2A §3.1.11).
    fn extended_card(&self, caller: &Caller) -> Option<AgentCard> {
        let _ = caller;
        None
    }

    /// Decides about a valid message before anything is stored: a task, or a direct reply without one.
    ///
    /// # Errors
    /// Refuses the message; the client gets the error and nothing is stored.
    fn accept(
        &self,
        incoming: &Incoming,
    ) -> impl Future<Output = Result<Acceptance, A2aError>> + Send {
        let _ = incoming;
        async { Ok(Acceptance::Task) }
    }

    /// Works on one message. Runs on its own, whatever happens to the client; an agent that can do one thing at a
    /// time per conversation serializes its turns itself. It should bring the task to a terminal or interrupted
    /// state, and end soon after [`Turn::cancelled`] or after an update answers that the task has ended.
    ///
    /// # Errors
    /// Makes the task FAILED with the error's public text. So do a panic, and coming back while the task is still
    /// in progress and no other turn of it runs.
    fn execute(
        &self,
        turn: Turn,
        updates: Updates,
    ) -> impl Future<Output = Result<(), AgentError>> + Send;

    /// Stops all work on a task and comes back when everything is dead; then the server writes CANCELED. May be
    /// called more than once, and when nothing runs.
    ///
    /// # Errors
    /// Tells the client that the task could not be stopped; its state stays as it is.
    fn cancel(&self, target: &CancelTarget) -> impl Future<Output = Result<(), AgentError>> + Send;
}

/// A valid message that nothing has been done about yet.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The message, with the ids of its context and task filled in when it goes on with a task.
    pub message: Message,
    /// The task that it goes on with.
    pub task: Option<Arc<Task>>,
    /// How the client wants it handled.
    pub configuration: Option<SendMessageConfiguration>,
    /// Free-form data of the request.
    pub metadata: Option<Metadata>,
    /// Who sent it.
    pub caller: Caller,
    /// How the client speaks. Everything is converted, so few agents care.
    pub protocol: ProtocolVersion,
}

/// What an agent makes of a message.
#[derive(Debug, Clone)]
pub enum Acceptance {
    /// A task is made, or the message's task goes on.
    Task,
    /// A direct reply. Missing ids are filled in.
    Reply(Box<Message>),
}

/// One message to work on.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The task with the message already in it.
    pub task: Arc<Task>,
    /// The message.
    pub message: Message,
    /// How the client wants it handled.
    pub configuration: Option<SendMessageConfiguration>,
    /// Free-form data of the request.
    pub metadata: Option<Metadata>,
    /// Who sent it.
    pub caller: Caller,
    /// How the client speaks.
    pub protocol: ProtocolVersion,
    /// Fires when the task is to be canceled or the server stops.
    pub cancelled: CancellationToken,
    /// The message goes on with a task that was there before.
    pub follow_up: bool,
}

/// A task to stop.
#[derive(Debug, Clone)]
pub struct CancelTarget {
    /// The task.
    pub task_id: String,
    /// Its conversation.
    pub context_id: String,
    /// Free-form data of the request.
    pub metadata: Option<Metadata>,
    /// Who asks.
    pub caller: Caller,
}

/// Why an agent gave up.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AgentError {
    /// For the client, in plain words.
    pub message: String,
    /// For the log.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl AgentError {
    /// An error with nothing more to say.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// An error with its cause.
    pub fn because(
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            message: message.into(),
            source: Some(source.into()),
        }
    }
}

//! How the worker talks to an agent, whatever the agent is: start a session, prompt it, cancel it, read what it does.
//!
//! One closed list of events for all agents; each driver translates its own protocol into it and handles that protocol's traps.
//! Drivers know nothing of A2A and nothing of tasks. Everything they start runs in the sandbox.

#[cfg(feature = "acp")]
pub(crate) mod acp;
#[cfg(feature = "acp")]
pub(crate) mod opencode;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod scripted;

use std::future::Future;
use std::pin::Pin;

use a2a_proto::activity::{PlanEntry, Usage};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::mpsc;

use process::ProcessHandle;

/// Events that may wait between driver and session. A session that is slow to store them slows the agent down.
pub(crate) const EVENT_QUEUE: usize = 256;

/// Commands that may wait: a prompt and a cancel.
pub(crate) const COMMAND_QUEUE: usize = 4;

/// A future of a trait object's method.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Starts sessions with one kind of agent.
pub(crate) trait Driver: Send + Sync + 'static {
    /// Starts an agent in a sandbox and a session with it; ready to be prompted when it returns.
    fn start(&self, spec: SessionSpec) -> BoxFuture<'_, Result<DriverSession, DriverError>>;
}

/// Which session to start.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionSpec {
    /// The agent's own name of a session that is to be continued.
    pub(crate) resume: Option<String>,
}

/// A live session with an agent.
#[derive(Debug)]
pub(crate) struct DriverSession {
    /// The agent's own name of the session, by which a later process can continue it.
    pub(crate) agent_session: Option<String>,
    /// What the agent does, in order. Ends when the agent is gone.
    pub(crate) events: mpsc::Receiver<DriverEvent>,
    commands: mpsc::Sender<Command>,
    process: ProcessHandle,
}

/// What a session is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Take this text as the next message.
    Prompt(String),
    /// Stop working on the message.
    Cancel,
}

impl DriverSession {
    pub(crate) fn new(
        agent_session: Option<String>,
        events: mpsc::Receiver<DriverEvent>,
        commands: mpsc::Sender<Command>,
        process: ProcessHandle,
    ) -> Self {
        Self {
            agent_session,
            events,
            commands,
            process,
        }
    }

    /// Gives the agent its next message. The turn ends with [`DriverEvent::TurnEnded`] or [`DriverEvent::Error`].
    pub(crate) async fn prompt(&self, text: String) -> Result<(), DriverError> {
        self.commands
            .send(Command::Prompt(text))
            .await
            .map_err(|_| DriverError::Gone)
    }

    /// Asks the agent to stop. It may not obey: see [`DriverSession::kill`].
    pub(crate) fn cancel(&self) {
        // A full queue holds a cancel already, a closed one needs none.
        let _ = self.commands.try_send(Command::Cancel);
    }

    /// Ends the agent and everything that it started, and returns when all of it is gone.
    pub(crate) async fn kill(self) {
        // Without a reader the driver's tasks could wait for room in the queue for ever.
        drop(self.events);
        drop(self.commands);
        self.process.kill().await;
    }
}

/// One thing that an agent did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DriverEvent {
    /// More of what it says.
    Text { message_id: String, delta: String },
    /// More of what it thinks.
    Thought { message_id: String, delta: String },
    /// A tool call began.
    ToolStarted { id: String, call: ToolCall },
    /// More is known about a running tool call.
    ToolUpdated { id: String, call: ToolCall },
    /// A running tool call printed this.
    ToolOutput { id: String, delta: String },
    /// A tool call ended.
    ToolFinished {
        id: String,
        failed: bool,
        call: ToolCall,
    },
    /// The agent's plan, whole.
    Plan(Vec<PlanEntry>),
    /// What the session uses.
    Usage(Usage),
    /// The agent asked whether it may do something, and the worker's policy decided.
    PermissionAsked { title: String, allowed: bool },
    /// The turn is over.
    TurnEnded(StopReason),
    /// The turn failed, and why, in words for the client. The session may live on.
    Error { message: String },
}

/// What is known about a tool call; empty fields say nothing new.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ToolCall {
    /// The tool's name.
    pub(crate) name: String,
    /// A line for people.
    pub(crate) title: String,
    /// What kind of thing it does: `read`, `edit`, `execute`, …
    pub(crate) kind: String,
    /// Its input.
    pub(crate) input: Option<Value>,
    /// Files that it touches.
    pub(crate) locations: Vec<String>,
}

/// Why a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The agent is done.
    EndTurn,
    /// The model's output limit was reached.
    MaxTokens,
    /// The agent's own limit of model calls was reached.
    MaxSteps,
    /// The model refused.
    Refusal,
    /// The turn was cancelled.
    Cancelled,
    /// The agent needs an answer to go on.
    InputRequired { question: String },
}

impl StopReason {
    /// The name used in results.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::EndTurn => "end_turn",
            Self::MaxTokens => "max_tokens",
            Self::MaxSteps => "max_steps",
            Self::Refusal => "refusal",
            Self::Cancelled => "cancelled",
            Self::InputRequired { .. } => "input_required",
        }
    }
}

/// Why there is no session.
#[derive(Debug, Error)]
pub(crate) enum DriverError {
    /// The sandbox or the program in it did not start.
    #[error("cannot start the agent in its sandbox")]
    Start(#[source] process::ProcessError),
    /// The agent did not become ready.
    #[error("the agent did not become ready within {seconds} seconds{said}")]
    NotReady { seconds: u64, said: String },
    /// The agent ended, or did not speak the protocol.
    #[error("the agent cannot be used: {what}")]
    Unusable { what: String },
    /// The agent is gone.
    #[error("the agent has ended")]
    Gone,
}

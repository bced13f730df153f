//! [`Updates`], the agent's pen: status and artifacts of one task, written to its log in the order of the calls.
//! It fills in what the protocol requires and the agent need not know (ids, context, time). It cannot overwrite the
//! end of a task: after a terminal state every call says so.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Ids};
use crate::log::{Expect, LogError, LogTask};
use crate::types::{
    Artifact, Message, Metadata, Part, Role, StreamResponse, TaskState, TaskStatus,
    TaskStatusUpdateEvent,
};

/// How long to wait for space on a full disk before looking again. People make it, and they take longer.
const SPACE: Duration = Duration::from_millis(500);

/// Writes to one task; clones write to the same one.
#[derive(Clone)]
pub struct Updates {
    task: LogTask,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

/// How soon an update is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the call comes back.
    Now,
    /// Within milliseconds, together with others: for progress that comes often.
    Soon,
}

/// A new status.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusUpdate {
    /// The state.
    pub state: TaskState,
    /// What the agent says about it. Missing ids and the role are filled in.
    pub message: Option<Message>,
    /// Free-form data; extensions put theirs under their URI.
    pub metadata: Option<Metadata>,
}

/// Why an update was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UpdateError {
    /// The task has ended; the agent should stop.
    #[error("the task has ended already: it is {state:?}")]
    Terminal {
        /// How it ended.
        state: TaskState,
    },
    /// The update is no valid A2A object; nothing was written.
    #[error("invalid update: {detail}")]
    Invalid {
        /// What is wrong.
        detail: &'static str,
    },
    /// The log could not store it, or an earlier one that was to be stored soon. A full disk is none of the reasons: that
    /// is waited out.
    #[error("cannot store the update")]
    Log(#[source] LogError),
}

impl From<LogError> for UpdateError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Conflict { actual } => Self::Terminal { state: actual },
            other => Self::Log(other),
        }
    }
}

impl Updates {
    /// Writes to `task`. The server makes one per turn; an agent's own tests make theirs over a
    /// [`MemoryLog`](crate::log::MemoryLog).
    pub fn new(task: LogTask, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { task, clock, ids }
    }

    /// The task that is written to.
    pub fn task_id(&self) -> &str {
        self.task.id()
    }

    /// Its conversation.
    pub fn context_id(&self) -> &str {
        self.task.context_id()
    }

    /// The task's state as stored.
    pub fn state(&self) -> TaskState {
        self.task.state()
    }

    /// A message of the agent within this task, with a fresh id.
    pub fn agent_message(&self, parts: Vec<Part>) -> Message {
        let mut message = Message::agent(self.ids.next(), parts);
        message.context_id.push_str(self.context_id());
        message.task_id.push_str(self.task_id());
        message
    }

    /// Sets the status and comes back when it is stored, which with a full disk is when there is space again. Answers
    /// the number of the event.
    ///
    /// # Errors
    /// [`UpdateError::Terminal`] when the task has ended, else [`UpdateError::Log`].
    pub async fn status(
        &self,
        state: TaskState,
        message: Option<Message>,
    ) -> Result<u64, UpdateError> {
        let event = self.status_event(StatusUpdate {
            state,
            message,
            metadata: None,
        })?;
        self.append(event).await
    }

    /// Like [`Updates::status`], but a full disk is an error.
    pub(super) async fn try_status(
        &self,
        state: TaskState,
        message: Option<Message>,
    ) -> Result<u64, UpdateError> {
        let event = self.status_event(StatusUpdate {
            state,
            message,
            metadata: None,
        })?;
        Ok(self.task.append_one(Expect::Open, event).await?)
    }

    /// Appends, waiting for space if there is none: a turn of an hour must not fail for a minute without it.
    async fn append(&self, event: StreamResponse) -> Result<u64, UpdateError> {
        loop {
            match self.task.append_one(Expect::Open, event.clone()).await {
                Err(LogError::Full { .. }) => tokio::time::sleep(SPACE).await,
                other => return Ok(other?),
            }
        }
    }

    /// Sets the status, with metadata, stored as soon as `durability` says. A terminal or interrupted state is
    /// always stored before the call comes back.
    ///
    /// # Errors
    /// Like [`Updates::status`].
    pub async fn status_with(
        &self,
        update: StatusUpdate,
        durability: Durability,
    ) -> Result<(), UpdateError> {
        let decisive = update.state.is_terminal() || update.state.is_interrupted();
        let event = self.status_event(update)?;
        match durability {
            Durability::Soon if !decisive => self.task.enqueue(event).await?,
            Durability::Soon | Durability::Now => {
                self.append(event).await?;
            }
        }
        Ok(())
    }

    /// Sends an artifact or, with `append`, more of one; `last_chunk` ends it. Comes back when there is room in the
    /// queue; it is stored within milliseconds, in order with everything else.
    ///
    /// # Errors
    /// [`UpdateError::Terminal`] when the task has ended, [`UpdateError::Invalid`] without an id or parts,
    /// [`UpdateError::Log`] when an earlier event could not be stored.
    pub async fn artifact(
        &self,
        artifact: Artifact,
        append: bool,
        last_chunk: bool,
    ) -> Result<(), UpdateError> {
        if artifact.artifact_id.is_empty() || artifact.parts.is_empty() {
            let detail = "an artifact needs an id and at least one part";
            return Err(UpdateError::Invalid { detail });
        }
        Ok(self
            .task
            .enqueue_artifact(artifact, append, last_chunk)
            .await?)
    }

    /// Waits until everything sent before is stored.
    ///
    /// # Errors
    /// [`UpdateError::Log`] when something could not be stored.
    pub async fn flush(&self) -> Result<(), UpdateError> {
        loop {
            match self.task.flush().await {
                Err(LogError::Full { .. }) => tokio::time::sleep(SPACE).await,
                other => return Ok(other?),
            }
        }
    }

    fn status_event(&self, update: StatusUpdate) -> Result<StreamResponse, UpdateError> {
        if update.state == TaskState::Unspecified {
            let detail = "a status needs a state";
            return Err(UpdateError::Invalid { detail });
        }
        let message = update.message.map(|message| self.complete(message));
        if message
            .as_ref()
            .is_some_and(|message| message.parts.is_empty())
        {
            let detail = "a message needs at least one part";
            return Err(UpdateError::Invalid { detail });
        }
        Ok(StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
            task_id: self.task_id().to_owned(),
            context_id: self.context_id().to_owned(),
            status: TaskStatus {
                state: update.state,
                message,
                timestamp: Some(self.clock.now()),
            },
            metadata: update.metadata,
            ..TaskStatusUpdateEvent::default()
        }))
    }

    /// Fills in what an agent's message must carry (A2A §4.1.4).
    fn complete(&self, mut message: Message) -> Message {
        if message.message_id.is_empty() {
            message.message_id = self.ids.next();
        }
        if message.role == Role::Unspecified {
            message.role = Role::Agent;
        }
        if message.context_id.is_empty() {
            message.context_id.push_str(self.context_id());
        }
        if message.task_id.is_empty() {
            message.task_id.push_str(self.task_id());
        }
        message
    }
}

impl std::fmt::Debug for Updates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Updates").field(&self.task).finish()
    }
}

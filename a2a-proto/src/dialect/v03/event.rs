//! What a send answers and what a stream carries in 0.3: one object whose `kind` says what it is.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::convert::{artifact_update_in, closes, message_in, status_update_in, task_in};
use super::objects::{Message, Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent};
use crate::error::A2aError;
use crate::types::validate::{Found, Path};
use crate::types::{self, SendMessageResponse, StreamResponse};

/// One answer or event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// `task`.
    Task(Task),
    /// `message`.
    Message(Message),
    /// `status-update`.
    StatusUpdate(TaskStatusUpdateEvent),
    /// `artifact-update`.
    ArtifactUpdate(TaskArtifactUpdateEvent),
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let json = Value::deserialize(deserializer)?;
        let read = match kind(&json) {
            "task" => serde_json::from_value(json).map(Self::Task),
            "message" => serde_json::from_value(json).map(Self::Message),
            "status-update" => serde_json::from_value(json).map(Self::StatusUpdate),
            "artifact-update" => serde_json::from_value(json).map(Self::ArtifactUpdate),
            _ => {
                let known = "`kind`: expected one of task, message, status-update, artifact-update";
                return Err(D::Error::custom(known));
            }
        };
        read.map_err(D::Error::custom)
    }
}

/// The kind that an object says, or that its members tell.
fn kind(json: &Value) -> &str {
    match json.get("kind").and_then(Value::as_str) {
        Some(kind) => kind,
        None if json.get("artifact").is_some() => "artifact-update",
        None if json.get("status").is_some() && json.get("id").is_some() => "task",
        None if json.get("status").is_some() => "status-update",
        None if json.get("parts").is_some() => "message",
        None => "",
    }
}

impl Event {
    /// Whether the server closes the stream after it.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Task(_) | Self::ArtifactUpdate(_) => false,
            Self::Message(_) => true,
            Self::StatusUpdate(update) => update.r#final,
        }
    }

    /// The event of 1.0.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_response(self) -> Result<StreamResponse, A2aError> {
        let mut found = Found::default();
        let event = match self {
            Self::Task(task) => task_in(task, &Path::ROOT, &mut found).into(),
            Self::Message(message) => message_in(message, &Path::ROOT, &mut found).into(),
            Self::StatusUpdate(update) => status_update_in(update, &mut found).into(),
            Self::ArtifactUpdate(update) => artifact_update_in(update, &mut found).into(),
        };
        found.checked(event)
    }

    /// The answer of 1.0 to a send.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_answer(self) -> Result<SendMessageResponse, A2aError> {
        match self.into_response()? {
            StreamResponse::Task(task) => Ok(SendMessageResponse::Task(task)),
            StreamResponse::Message(message) => Ok(SendMessageResponse::Message(message)),
            StreamResponse::StatusUpdate(_) | StreamResponse::ArtifactUpdate(_) => {
                Err(A2aError::invalid_param("kind", "must be task or message"))
            }
        }
    }
}

impl Task {
    /// The task of 1.0.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_task(self) -> Result<types::Task, A2aError> {
        let mut found = Found::default();
        let task = task_in(self, &Path::ROOT, &mut found);
        found.checked(task)
    }
}

impl From<StreamResponse> for Event {
    fn from(event: StreamResponse) -> Self {
        match event {
            StreamResponse::Task(task) => Self::Task(task.into()),
            StreamResponse::Message(message) => Self::Message(message.into()),
            StreamResponse::StatusUpdate(update) => Self::StatusUpdate(update.into()),
            StreamResponse::ArtifactUpdate(update) => Self::ArtifactUpdate(update.into()),
        }
    }
}

/// Whether a server of 0.3 closes the stream after `event`: like 1.0, and besides when the task comes to wait for the client.
pub fn ends_stream(event: &StreamResponse) -> bool {
    match event {
        StreamResponse::StatusUpdate(update) => closes(update.status.state),
        other => other.ends_stream(),
    }
}

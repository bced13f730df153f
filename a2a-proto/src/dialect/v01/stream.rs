//! The events of v0.1, both ways. There are two: a new status, and an artifact or more of one; a task as a whole is told
//! by them. Artifacts go by their place, so a stream remembers in which order they appeared.

use serde::{Deserialize, Serialize};

use super::convert::{artifact_out, status_out};
use super::objects::{TaskArtifactUpdateEvent, TaskStatusUpdateEvent};
use crate::error::A2aError;
use crate::types::validate::{Found, Path};
use crate::types::{self, Artifact, StreamResponse, TaskState, TaskStatus};

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A new status.
    Status(TaskStatusUpdateEvent),
    /// An artifact, or more of one.
    Artifact(TaskArtifactUpdateEvent),
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let json = serde_json::Value::deserialize(deserializer)?;
        let wrong = |error: serde_json::Error| D::Error::custom(error);
        match (json.get("status"), json.get("artifact")) {
            (Some(_), None) => serde_json::from_value(json)
                .map(Self::Status)
                .map_err(wrong),
            (None, Some(_)) => serde_json::from_value(json)
                .map(Self::Artifact)
                .map_err(wrong),
            _ => Err(D::Error::custom(
                "exactly one of status, artifact must be set",
            )),
        }
    }
}

impl Event {
    /// Whether the server closes the stream after it.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Status(update) if update.r#final)
    }

    /// The event of 1.0. The conversation is not told by events of v0.1: `context_id` is what is known of it.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_response(self, context_id: &str) -> Result<StreamResponse, A2aError> {
        let mut found = Found::default();
        let context_id = context_id.to_owned();
        let event = match self {
            Self::Status(update) => types::TaskStatusUpdateEvent {
                task_id: update.id,
                context_id,
                status: update
                    .status
                    .into_status(&Path::ROOT.field("status"), &mut found),
                metadata: update.metadata,
                ..types::TaskStatusUpdateEvent::default()
            }
            .into(),
            Self::Artifact(update) => {
                let (append, last_chunk) = (update.artifact.append, update.artifact.last_chunk);
                let path = Path::ROOT.field("artifact");
                types::TaskArtifactUpdateEvent {
                    task_id: update.id,
                    context_id,
                    artifact: update.artifact.into_artifact(&path, &mut found),
                    append,
                    last_chunk,
                    metadata: update.metadata,
                    ..types::TaskArtifactUpdateEvent::default()
                }
                .into()
            }
        };
        found.checked(event)
    }
}

/// Turns the canonical events of one task into those of v0.1.
#[derive(Debug)]
pub struct EventStream {
    client_id: String,
    artifacts: Vec<String>,
}

impl EventStream {
    /// A stream of the task that the client calls `client_id`.
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            artifacts: Vec::new(),
        }
    }

    /// Passes an event that the client has seen before it was cut off.
    pub fn skip(&mut self, event: &StreamResponse) {
        match event {
            StreamResponse::Task(task) => {
                for artifact in &task.artifacts {
                    self.index_of(artifact);
                }
            }
            StreamResponse::ArtifactUpdate(update) => {
                self.index_of(&update.artifact);
            }
            StreamResponse::Message(_) | StreamResponse::StatusUpdate(_) => {}
        }
    }

    /// The events that tell `event`, in order: several for a whole task, else one.
    pub fn events(&mut self, event: &StreamResponse) -> Vec<Event> {
        match event {
            StreamResponse::Task(task) => {
                let artifacts = task.artifacts.iter();
                let mut events: Vec<_> = artifacts
                    .map(|artifact| self.artifact(artifact, (false, true), None))
                    .collect();
                // That a task waits is no reason to close a stream which begins with it.
                let ended = task.status.state.is_terminal();
                events.push(self.status(&task.status, ended, None));
                events
            }
            StreamResponse::Message(message) => {
                let status = TaskStatus {
                    state: TaskState::Completed,
                    message: Some(message.clone()),
                    timestamp: None,
                };
                vec![self.status(&status, true, None)]
            }
            StreamResponse::StatusUpdate(update) => {
                let state = update.status.state;
                let closes = state.is_terminal() || state.is_interrupted();
                vec![self.status(&update.status, closes, update.metadata.clone())]
            }
            StreamResponse::ArtifactUpdate(update) => {
                let flags = (update.append, update.last_chunk);
                vec![self.artifact(&update.artifact, flags, update.metadata.clone())]
            }
        }
    }

    fn status(
        &self,
        status: &TaskStatus,
        r#final: bool,
        metadata: Option<types::Metadata>,
    ) -> Event {
        Event::Status(TaskStatusUpdateEvent {
            id: self.client_id.clone(),
            status: status_out(status),
            r#final,
            metadata,
        })
    }

    fn artifact(
        &mut self,
        artifact: &Artifact,
        (append, last_chunk): (bool, bool),
        metadata: Option<types::Metadata>,
    ) -> Event {
        let index = self.index_of(artifact);
        Event::Artifact(TaskArtifactUpdateEvent {
            id: self.client_id.clone(),
            artifact: artifact_out(artifact, index, append, last_chunk),
            metadata,
        })
    }

    fn index_of(&mut self, artifact: &Artifact) -> usize {
        let known = self
            .artifacts
            .iter()
            .rposition(|id| *id == artifact.artifact_id);
        known.unwrap_or_else(|| {
            self.artifacts.push(artifact.artifact_id.clone());
            self.artifacts.len() - 1
        })
    }
}

//! The events of the simple dialect. One canonical event becomes no, one or several frames, the same in both forms: what
//! the agent says is a `task.message`, a *change* of state a `task.status`, an artifact a `task.artifact`. The state
//! between them is small: whether the agent spoke, and in which order artifacts appeared.

use bytes::Bytes;
use serde::Serialize;

use super::{Form, long, short};
use crate::activity::Activity;
use crate::dialect::v01::convert::{artifact_out, message_out, status_out};
use crate::types::{Artifact, Message, Metadata, StreamResponse, TaskState, TaskStatus};

/// One frame: the `event:` field and the JSON for the `data:` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleFrame {
    /// `task.status`, `task.message` or `task.artifact`.
    pub event: &'static str,
    /// JSON.
    pub data: Bytes,
}

/// Turns the canonical events of one task into frames.
#[derive(Debug)]
pub struct SimpleStream {
    client_id: String,
    form: Form,
    state: TaskState,
    /// The agent's words went out as they came: the closing status then need not repeat them as a message.
    said: bool,
    /// Ids and names of the artifacts, in order of appearance.
    artifacts: Vec<(String, String)>,
}

fn frame(event: &'static str, data: &impl Serialize) -> SimpleFrame {
    // Plain data with string keys: this always becomes JSON.
    SimpleFrame {
        event,
        data: serde_json::to_vec(data).unwrap_or_default().into(),
    }
}

impl SimpleStream {
    /// A stream of the task that the client calls `client_id`.
    pub fn new(client_id: impl Into<String>, form: Form) -> Self {
        Self {
            client_id: client_id.into(),
            form,
            state: TaskState::Unspecified,
            said: false,
            artifacts: Vec::new(),
        }
    }

    /// Passes an event that the client has seen before it was cut off: what follows is told as if it had not been.
    pub fn skip(&mut self, event: &StreamResponse) {
        match event {
            StreamResponse::Task(task) => {
                for artifact in &task.artifacts {
                    self.index_of(artifact);
                }
                self.state = task.status.state;
            }
            // This dialect knows tasks only: a direct answer is one that has ended.
            StreamResponse::Message(_) => self.state = TaskState::Completed,
            StreamResponse::StatusUpdate(update) => {
                self.said |= matches!(
                    Activity::from_event(update),
                    Ok(Some(Activity::Text { .. }))
                );
                self.state = update.status.state;
            }
            StreamResponse::ArtifactUpdate(update) => {
                self.index_of(&update.artifact);
            }
        }
    }

    /// The frames of one event, in order. An SSE id belongs to the last of them: a client that got only some asks again.
    pub fn frames(&mut self, event: &StreamResponse) -> Vec<SimpleFrame> {
        let before = self.state;
        self.skip(event);
        let mut frames = Vec::new();
        match event {
            StreamResponse::Task(task) => {
                for artifact in &task.artifacts {
                    frames.push(self.artifact(artifact, false, true));
                }
                self.status(before, &task.status, None, &mut frames);
            }
            StreamResponse::Message(message) => {
                let status = TaskStatus {
                    state: self.state,
                    message: Some(message.clone()),
                    timestamp: None,
                };
                self.status(before, &status, None, &mut frames);
            }
            StreamResponse::StatusUpdate(update) => {
                let metadata = update.metadata.as_ref();
                self.status(before, &update.status, metadata, &mut frames);
            }
            StreamResponse::ArtifactUpdate(update) => {
                frames.push(self.artifact(&update.artifact, update.append, update.last_chunk));
            }
        }
        frames
    }

    fn status(
        &self,
        before: TaskState,
        status: &TaskStatus,
        metadata: Option<&Metadata>,
        frames: &mut Vec<SimpleFrame>,
    ) {
        let ended = status.state.is_terminal();
        if let Some(message) = &status.message
            && !(ended && self.said)
        {
            frames.push(self.message(message, metadata));
        }
        if status.state == before {
            return;
        }
        let id = &self.client_id;
        frames.push(match self.form {
            Form::Short => {
                let names = self.artifacts.iter().map(|(_, name)| name.as_str());
                frame("task.status", &short::status(id, status, names))
            }
            Form::V01 => {
                let status = status_out(status);
                let r#final = ended;
                frame(
                    "task.status",
                    &long::StatusData {
                        id,
                        status,
                        r#final,
                    },
                )
            }
        });
    }

    fn message(&self, message: &Message, metadata: Option<&Metadata>) -> SimpleFrame {
        let id = &self.client_id;
        match self.form {
            Form::Short => {
                let metadata = metadata.or(message.metadata.as_ref());
                frame("task.message", &short::message(id, message, metadata))
            }
            Form::V01 => {
                let message = message_out(message);
                let data = long::MessageData {
                    id,
                    message,
                    metadata,
                };
                frame("task.message", &data)
            }
        }
    }

    fn artifact(&mut self, artifact: &Artifact, append: bool, last_chunk: bool) -> SimpleFrame {
        let index = self.index_of(artifact);
        let id = &self.client_id;
        match self.form {
            Form::Short => {
                let place = (index, self.artifacts[index].1.as_str());
                let data = short::artifact(id, artifact, place, append, last_chunk);
                frame("task.artifact", &data)
            }
            Form::V01 => {
                let artifact = artifact_out(artifact, index, append, last_chunk);
                frame("task.artifact", &long::ArtifactData { id, artifact })
            }
        }
    }

    fn index_of(&mut self, artifact: &Artifact) -> usize {
        let known = self
            .artifacts
            .iter()
            .rposition(|(id, _)| *id == artifact.artifact_id);
        known.unwrap_or_else(|| {
            let first_part = artifact.parts.first().map(|part| &part.filename);
            let names = [
                Some(&artifact.name),
                first_part,
                Some(&artifact.artifact_id),
            ];
            let name = names
                .into_iter()
                .flatten()
                .find(|name| !name.is_empty())
                .cloned()
                .unwrap_or_default();
            self.artifacts.push((artifact.artifact_id.clone(), name));
            self.artifacts.len() - 1
        })
    }
}

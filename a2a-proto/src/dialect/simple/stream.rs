//! The events of the simple dialect. One canonical event becomes no, one or several frames: what the agent says is a
//! `task.message`, a *change* of state a `task.status`, an artifact a `task.artifact`. The state between them is small:
//! what was said last, and in which order artifacts appeared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::convert::{artifact_out, message_out, parts_out, role_out, state_out};
use super::objects::{SimpleArtifact, SimpleMessage, SimplePart};
use crate::activity::Activity;
use crate::types::protojson::WriteField;
use crate::types::{
    Artifact, Message, Metadata, PartContent, StreamResponse, Task, TaskArtifactUpdateEvent,
    TaskState, TaskStatus,
};

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
    state: TaskState,
    /// The agent's words went out as they came: the closing status then need not repeat them as a message.
    said: bool,
    /// Ids and names of the artifacts, in order of appearance.
    artifacts: Vec<(String, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusData<'a> {
    id: &'a str,
    status: &'a str,
    r#final: bool,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "timestamp")]
    timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<SimpleMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<Vec<&'a str>>,
}

#[derive(Serialize)]
struct MessageData<'a> {
    id: &'a str,
    role: &'a str,
    parts: Vec<SimplePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactData<'a> {
    id: &'a str,
    artifact_id: &'a str,
    name: &'a str,
    index: usize,
    append: bool,
    last_chunk: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    mime_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact: Option<SimpleArtifact>,
}

fn timestamp<S: serde::Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    WriteField(time).serialize(serializer)
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
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            state: TaskState::Unspecified,
            said: false,
            artifacts: Vec::new(),
        }
    }

    /// The same for a client that has seen events before: `task` tells the artifacts so far.
    #[must_use]
    pub fn resumed(mut self, task: &Task) -> Self {
        for artifact in &task.artifacts {
            self.index_of(artifact);
        }
        self
    }

    /// The frames of one event, in order. An SSE id belongs to the last of them: a client that got only some asks again.
    pub fn frames(&mut self, event: &StreamResponse) -> Vec<SimpleFrame> {
        let mut frames = Vec::new();
        match event {
            StreamResponse::Task(task) => {
                for artifact in &task.artifacts {
                    frames.push(self.artifact(artifact, false, true));
                }
                self.status(&task.status, None, &mut frames);
            }
            StreamResponse::Message(message) => {
                frames.push(self.message(message, message.metadata.as_ref()));
            }
            StreamResponse::StatusUpdate(update) => {
                self.said |= matches!(
                    Activity::from_event(update),
                    Ok(Some(Activity::Text { .. }))
                );
                self.status(&update.status, update.metadata.as_ref(), &mut frames);
            }
            StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
                artifact,
                append,
                last_chunk,
                ..
            }) => {
                frames.push(self.artifact(artifact, *append, *last_chunk));
            }
        }
        frames
    }

    fn status(
        &mut self,
        status: &TaskStatus,
        metadata: Option<&Metadata>,
        frames: &mut Vec<SimpleFrame>,
    ) {
        let state = status.state;
        let ended = state.is_terminal();
        if let Some(message) = &status.message
            && !(ended && self.said)
        {
            frames.push(self.message(message, metadata));
        }
        if state == self.state {
            return;
        }
        self.state = state;
        let text = || {
            status
                .message
                .as_ref()
                .map_or_else(|| "no reason given".to_owned(), Message::text)
        };
        let names = || {
            self.artifacts
                .iter()
                .map(|(_, name)| name.as_str())
                .collect()
        };
        frames.push(frame(
            "task.status",
            &StatusData {
                id: &self.client_id,
                // The one word that differs between a stored task and its events.
                status: if state == TaskState::Working {
                    "running"
                } else {
                    state_out(state)
                },
                r#final: ended,
                timestamp: status.timestamp,
                message: status.message.as_ref().map(message_out),
                error: matches!(state, TaskState::Failed | TaskState::Rejected).then(text),
                artifacts: ended.then(names),
            },
        ));
    }

    fn message(&self, message: &Message, metadata: Option<&Metadata>) -> SimpleFrame {
        let (role, parts) = (role_out(message.role), parts_out(&message.parts));
        frame(
            "task.message",
            &MessageData {
                id: &self.client_id,
                role,
                parts,
                metadata,
            },
        )
    }

    fn artifact(&mut self, artifact: &Artifact, append: bool, last_chunk: bool) -> SimpleFrame {
        let index = self.index_of(artifact);
        let mut data = ArtifactData {
            id: &self.client_id,
            artifact_id: &artifact.artifact_id,
            name: &self.artifacts[index].1,
            index,
            append,
            last_chunk,
            mime_type: "",
            data: None,
            url: None,
            artifact: None,
        };
        // One part is a file for all that a simple client cares; several need their own list.
        match artifact.parts.as_slice() {
            [part] => {
                let kind = match &part.content {
                    PartContent::Text(text) => {
                        data.data = Some(STANDARD.encode(text));
                        "text/plain"
                    }
                    PartContent::Raw(bytes) => {
                        data.data = Some(STANDARD.encode(bytes));
                        "application/octet-stream"
                    }
                    PartContent::Url(url) => {
                        data.url = Some(url);
                        ""
                    }
                    PartContent::Data(value) => {
                        data.data = Some(STANDARD.encode(value.to_string()));
                        "application/json"
                    }
                };
                data.mime_type = if part.media_type.is_empty() {
                    kind
                } else {
                    &part.media_type
                };
            }
            _ => data.artifact = Some(artifact_out(artifact, index, append, last_chunk)),
        }
        frame("task.artifact", &data)
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

//! Canonical objects from those of the REST binding of 0.3 and back. Lost on the way out: what a message refers to, and name
//! and media type of parts that are no files.

use super::objects::{
    Artifact, DataPart, FilePart, Message, Part, SendMessageResponse, StreamResponse, Task,
    TaskArtifactUpdateEvent, TaskState, TaskStatus, TaskStatusUpdateEvent,
};
use crate::dialect::part::{FileContent, Members};
use crate::dialect::v03::convert::{closes, each};
use crate::error::A2aError;
use crate::types;
use crate::types::validate::{Found, Path};

impl From<types::TaskState> for TaskState {
    fn from(state: types::TaskState) -> Self {
        match state {
            types::TaskState::Unspecified => Self::Unspecified,
            types::TaskState::Submitted => Self::Submitted,
            types::TaskState::Working => Self::Working,
            types::TaskState::Completed => Self::Completed,
            types::TaskState::Failed => Self::Failed,
            types::TaskState::Canceled => Self::Cancelled,
            types::TaskState::InputRequired => Self::InputRequired,
            types::TaskState::Rejected => Self::Rejected,
            types::TaskState::AuthRequired => Self::AuthRequired,
        }
    }
}

impl From<TaskState> for types::TaskState {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::Unspecified => Self::Unspecified,
            TaskState::Submitted => Self::Submitted,
            TaskState::Working => Self::Working,
            TaskState::Completed => Self::Completed,
            TaskState::Failed => Self::Failed,
            TaskState::Cancelled => Self::Canceled,
            TaskState::InputRequired => Self::InputRequired,
            TaskState::Rejected => Self::Rejected,
            TaskState::AuthRequired => Self::AuthRequired,
        }
    }
}

impl From<types::Part> for Part {
    fn from(part: types::Part) -> Self {
        let (_, members) = Members::of(part);
        Self {
            text: members.text,
            file: members.file.map(|file| FilePart {
                file_with_uri: file.uri,
                file_with_bytes: file.bytes,
                mime_type: file.mime_type,
                name: file.name,
            }),
            data: members.data.map(|data| DataPart { data: Some(data) }),
            metadata: members.metadata,
        }
    }
}

fn part_in(part: Part) -> Result<types::Part, &'static str> {
    let data = match part.data {
        None => None,
        Some(DataPart { data: Some(data) }) if data.is_object() => Some(data),
        Some(_) => return Err("data must hold an object, under the key data"),
    };
    let file = part.file.map(|file| FileContent {
        name: file.name,
        mime_type: file.mime_type,
        bytes: file
            .file_with_bytes
            .filter(|bytes| !bytes.is_empty() || file.file_with_uri.is_empty()),
        uri: file.file_with_uri,
    });
    let members = Members {
        text: part.text,
        file,
        data,
        metadata: part.metadata,
    };
    members.part("")
}

fn parts_in(parts: Vec<Part>, path: &Path<'_>, found: &mut Found) -> Vec<types::Part> {
    let mut converted = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        match part_in(part) {
            Ok(part) => converted.push(part),
            Err(description) => found.push(path.index(index).violation(description)),
        }
    }
    converted
}

impl From<types::Message> for Message {
    fn from(message: types::Message) -> Self {
        Self {
            message_id: message.message_id,
            context_id: message.context_id,
            task_id: message.task_id,
            role: message.role,
            content: message.parts.into_iter().map(Into::into).collect(),
            metadata: message.metadata,
            extensions: message.extensions,
        }
    }
}

pub(super) fn message_in(message: Message, path: &Path<'_>, found: &mut Found) -> types::Message {
    types::Message {
        message_id: message.message_id,
        context_id: message.context_id,
        task_id: message.task_id,
        role: message.role,
        parts: parts_in(message.content, &path.field("content"), found),
        metadata: message.metadata,
        extensions: message.extensions,
        reference_task_ids: Vec::new(),
    }
}

impl From<types::Artifact> for Artifact {
    fn from(artifact: types::Artifact) -> Self {
        Self {
            artifact_id: artifact.artifact_id,
            name: artifact.name,
            description: artifact.description,
            parts: artifact.parts.into_iter().map(Into::into).collect(),
            metadata: artifact.metadata,
            extensions: artifact.extensions,
        }
    }
}

fn artifact_in(artifact: Artifact, path: &Path<'_>, found: &mut Found) -> types::Artifact {
    types::Artifact {
        artifact_id: artifact.artifact_id,
        name: artifact.name,
        description: artifact.description,
        parts: parts_in(artifact.parts, &path.field("parts"), found),
        metadata: artifact.metadata,
        extensions: artifact.extensions,
    }
}

impl From<types::TaskStatus> for TaskStatus {
    fn from(status: types::TaskStatus) -> Self {
        Self {
            state: status.state.into(),
            update: status.message.map(Into::into),
            timestamp: status.timestamp,
        }
    }
}

fn status_in(status: TaskStatus, path: &Path<'_>, found: &mut Found) -> types::TaskStatus {
    types::TaskStatus {
        state: status.state.into(),
        message: status
            .update
            .map(|message| message_in(message, &path.field("message"), found)),
        timestamp: status.timestamp,
    }
}

impl From<types::Task> for Task {
    fn from(task: types::Task) -> Self {
        Self {
            id: task.id,
            context_id: task.context_id,
            status: task.status.into(),
            artifacts: task.artifacts.into_iter().map(Into::into).collect(),
            history: task.history.into_iter().map(Into::into).collect(),
            metadata: task.metadata,
        }
    }
}

fn task_in(task: Task, path: &Path<'_>, found: &mut Found) -> types::Task {
    types::Task {
        id: task.id,
        context_id: task.context_id,
        status: status_in(task.status, &path.field("status"), found),
        artifacts: each(task.artifacts, &path.field("artifacts"), found, artifact_in),
        history: each(task.history, &path.field("history"), found, message_in),
        metadata: task.metadata,
        ..types::Task::default()
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

impl From<types::StreamResponse> for StreamResponse {
    fn from(event: types::StreamResponse) -> Self {
        match event {
            types::StreamResponse::Task(task) => Self::Task(task.into()),
            types::StreamResponse::Message(message) => Self::Message(message.into()),
            types::StreamResponse::StatusUpdate(update) => {
                Self::StatusUpdate(TaskStatusUpdateEvent {
                    r#final: closes(update.status.state),
                    task_id: update.task_id,
                    context_id: update.context_id,
                    status: update.status.into(),
                    metadata: update.metadata,
                })
            }
            types::StreamResponse::ArtifactUpdate(update) => {
                Self::ArtifactUpdate(TaskArtifactUpdateEvent {
                    task_id: update.task_id,
                    context_id: update.context_id,
                    artifact: update.artifact.into(),
                    append: update.append,
                    last_chunk: update.last_chunk,
                    metadata: update.metadata,
                })
            }
        }
    }
}

impl StreamResponse {
    /// The event of 1.0.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_response(self) -> Result<types::StreamResponse, A2aError> {
        let mut found = Found::default();
        let event = match self {
            Self::Task(task) => task_in(task, &Path::ROOT.field("task"), &mut found).into(),
            Self::Message(message) => {
                message_in(message, &Path::ROOT.field("message"), &mut found).into()
            }
            Self::StatusUpdate(update) => {
                let path = Path::ROOT.field("statusUpdate");
                types::TaskStatusUpdateEvent {
                    task_id: update.task_id,
                    context_id: update.context_id,
                    status: status_in(update.status, &path.field("status"), &mut found),
                    metadata: update.metadata,
                    ..types::TaskStatusUpdateEvent::default()
                }
                .into()
            }
            Self::ArtifactUpdate(update) => {
                let path = Path::ROOT.field("artifactUpdate");
                types::TaskArtifactUpdateEvent {
                    task_id: update.task_id,
                    context_id: update.context_id,
                    artifact: artifact_in(update.artifact, &path.field("artifact"), &mut found),
                    append: update.append,
                    last_chunk: update.last_chunk,
                    metadata: update.metadata,
                    ..types::TaskArtifactUpdateEvent::default()
                }
                .into()
            }
        };
        found.checked(event)
    }
}

impl From<types::SendMessageResponse> for SendMessageResponse {
    fn from(answer: types::SendMessageResponse) -> Self {
        match answer {
            types::SendMessageResponse::Task(task) => Self::Task(task.into()),
            types::SendMessageResponse::Message(message) => Self::Message(message.into()),
        }
    }
}

impl SendMessageResponse {
    /// The answer of 1.0.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_answer(self) -> Result<types::SendMessageResponse, A2aError> {
        let mut found = Found::default();
        let answer = match self {
            Self::Task(task) => task_in(task, &Path::ROOT.field("task"), &mut found).into(),
            Self::Message(message) => {
                message_in(message, &Path::ROOT.field("message"), &mut found).into()
            }
        };
        found.checked(answer)
    }
}

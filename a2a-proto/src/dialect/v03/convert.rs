//! Canonical objects from those of 0.3 and back. Into canonical, what makes no sense is refused with the path of the
//! field; out of canonical, everything has a form, and everything comes back from it but the name and media type of
//! parts that are no files.

use super::objects::{
    Artifact, Message, Part, Task, TaskArtifactUpdateEvent, TaskStatus, TaskStatusUpdateEvent,
};
use crate::dialect::part::Members;
use crate::dialect::words::{Time, role_in, role_out, state_in, state_out};
use crate::types::validate::{Found, Path};
use crate::types::{self, Role, TaskState};

/// What `convert` makes of each element.
pub(super) fn each<T, U>(
    list: Vec<T>,
    path: &Path<'_>,
    found: &mut Found,
    convert: impl Fn(T, &Path<'_>, &mut Found) -> U,
) -> Vec<U> {
    (0..)
        .zip(list)
        .map(|(index, it)| convert(it, &path.index(index), found))
        .collect()
}

/// An object may leave its kind out, but not be of another one.
fn check_kind(kind: &str, expected: &'static str, path: &Path<'_>, found: &mut Found) {
    if !kind.is_empty() && kind != expected {
        let path = path.field("kind");
        found.push(path.violation(format!("must be {expected}")));
    }
}

pub(super) fn message_in(message: Message, path: &Path<'_>, found: &mut Found) -> types::Message {
    check_kind(&message.kind, "message", path, found);
    let role = match message.role.as_str() {
        // What is missing is told by the check of the whole.
        "" => Role::Unspecified,
        word => role_in(word).unwrap_or_else(|| {
            found.push(path.field("role").violation("must be user or agent"));
            Role::Unspecified
        }),
    };
    types::Message {
        message_id: message.message_id,
        context_id: message.context_id,
        task_id: message.task_id,
        role,
        parts: parts_in(message.parts, &path.field("parts"), found),
        metadata: message.metadata,
        extensions: message.extensions,
        reference_task_ids: message.reference_task_ids,
    }
}

impl From<types::Message> for Message {
    fn from(message: types::Message) -> Self {
        Self {
            kind: "message".to_owned(),
            message_id: message.message_id,
            role: role_out(message.role).to_owned(),
            parts: message.parts.into_iter().map(Into::into).collect(),
            task_id: message.task_id,
            context_id: message.context_id,
            metadata: message.metadata,
            extensions: message.extensions,
            reference_task_ids: message.reference_task_ids,
        }
    }
}

fn parts_in(parts: Vec<Part>, path: &Path<'_>, found: &mut Found) -> Vec<types::Part> {
    let mut converted = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        let path = path.index(index);
        if part.data.as_ref().is_some_and(|data| !data.is_object()) {
            found.push(path.field("data").violation("expected an object"));
            continue;
        }
        let members = Members {
            text: part.text,
            file: part.file,
            data: part.data,
            metadata: part.metadata,
        };
        match members.part(&part.kind) {
            Ok(part) => converted.push(part),
            Err(description) => found.push(path.violation(description)),
        }
    }
    converted
}

impl From<types::Part> for Part {
    fn from(part: types::Part) -> Self {
        let (kind, members) = Members::of(part);
        Self {
            kind: kind.to_owned(),
            text: members.text,
            file: members.file,
            data: members.data,
            metadata: members.metadata,
        }
    }
}

pub(super) fn artifact_in(
    artifact: Artifact,
    path: &Path<'_>,
    found: &mut Found,
) -> types::Artifact {
    types::Artifact {
        artifact_id: artifact.artifact_id,
        name: artifact.name,
        description: artifact.description,
        parts: parts_in(artifact.parts, &path.field("parts"), found),
        metadata: artifact.metadata,
        extensions: artifact.extensions,
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

pub(super) fn status_in(
    status: TaskStatus,
    path: &Path<'_>,
    found: &mut Found,
) -> types::TaskStatus {
    let state = state_in(&status.state).unwrap_or_else(|| {
        found.push(path.field("state").violation("is no state of A2A 0.3"));
        TaskState::Unspecified
    });
    types::TaskStatus {
        state,
        message: status
            .message
            .map(|message| message_in(message, &path.field("message"), found)),
        timestamp: status.timestamp.map(|time| time.0),
    }
}

impl From<types::TaskStatus> for TaskStatus {
    fn from(status: types::TaskStatus) -> Self {
        Self {
            state: state_out(status.state).to_owned(),
            message: status.message.map(Into::into),
            timestamp: status.timestamp.map(Time),
        }
    }
}

impl From<types::Task> for Task {
    fn from(task: types::Task) -> Self {
        Self {
            kind: "task".to_owned(),
            id: task.id,
            context_id: task.context_id,
            status: task.status.into(),
            artifacts: task.artifacts.into_iter().map(Into::into).collect(),
            history: task.history.into_iter().map(Into::into).collect(),
            metadata: task.metadata,
        }
    }
}

pub(super) fn task_in(task: Task, path: &Path<'_>, found: &mut Found) -> types::Task {
    check_kind(&task.kind, "task", path, found);
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

/// Whether a server closes a stream after a status with this state: the task has ended, or waits for the client.
pub(super) fn closes(state: TaskState) -> bool {
    state.is_terminal() || state.is_interrupted()
}

impl From<types::TaskStatusUpdateEvent> for TaskStatusUpdateEvent {
    fn from(update: types::TaskStatusUpdateEvent) -> Self {
        Self {
            kind: "status-update".to_owned(),
            r#final: closes(update.status.state),
            task_id: update.task_id,
            context_id: update.context_id,
            status: update.status.into(),
            metadata: update.metadata,
        }
    }
}

pub(super) fn status_update_in(
    update: TaskStatusUpdateEvent,
    found: &mut Found,
) -> types::TaskStatusUpdateEvent {
    check_kind(&update.kind, "status-update", &Path::ROOT, found);
    types::TaskStatusUpdateEvent {
        task_id: update.task_id,
        context_id: update.context_id,
        status: status_in(update.status, &Path::ROOT.field("status"), found),
        metadata: update.metadata,
        ..types::TaskStatusUpdateEvent::default()
    }
}

impl From<types::TaskArtifactUpdateEvent> for TaskArtifactUpdateEvent {
    fn from(update: types::TaskArtifactUpdateEvent) -> Self {
        Self {
            kind: "artifact-update".to_owned(),
            task_id: update.task_id,
            context_id: update.context_id,
            artifact: update.artifact.into(),
            append: update.append,
            last_chunk: update.last_chunk,
            metadata: update.metadata,
        }
    }
}

pub(super) fn artifact_update_in(
    update: TaskArtifactUpdateEvent,
    found: &mut Found,
) -> types::TaskArtifactUpdateEvent {
    check_kind(&update.kind, "artifact-update", &Path::ROOT, found);
    types::TaskArtifactUpdateEvent {
        task_id: update.task_id,
        context_id: update.context_id,
        artifact: artifact_in(update.artifact, &Path::ROOT.field("artifact"), found),
        append: update.append,
        last_chunk: update.last_chunk,
        metadata: update.metadata,
        ..types::TaskArtifactUpdateEvent::default()
    }
}

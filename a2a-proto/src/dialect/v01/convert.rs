//! Canonical objects from those of v0.1 and back. Into canonical, what makes no sense is refused with the path of the
//! field; out of canonical, everything has a form. What v0.1 has no word for is lost on the way out: ids of messages
//! and artifacts (an artifact goes by its place), what a message refers to, extensions.

use super::objects::{
    Artifact, Message, Part, SendParams, Task, TaskPushNotificationConfig, TaskStatus,
};
use crate::dialect::part::Members;
use crate::dialect::push::PushNotificationConfig;
use crate::dialect::words::{Time, role_out, state_in, state_out};
use crate::error::A2aError;
use crate::types::validate::{Found, Path};
use crate::types::{self, Role, SendMessageConfiguration, SendMessageRequest, Validate as _};

impl SendParams {
    /// The request of 1.0, which names no task, after a check. `message_id` becomes the id of the message, which v0.1
    /// does not have.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_request(self, message_id: String) -> Result<SendMessageRequest, A2aError> {
        let mut found = Found::of(&self);
        let message = message_in(self.message, &Path::ROOT.field("message"), &mut found);
        found.checked(())?;
        let push = self.push_notification;
        let configuration = SendMessageConfiguration {
            history_length: self.history_length,
            task_push_notification_config: push.map(|config| only(config, String::new())),
            ..SendMessageConfiguration::default()
        };
        let request = SendMessageRequest {
            message: types::Message {
                message_id,
                context_id: self.session_id,
                ..message
            },
            configuration: Some(configuration)
                .filter(|it| *it != SendMessageConfiguration::default()),
            metadata: self.metadata,
            ..SendMessageRequest::default()
        };
        request.validate()?;
        Ok(request)
    }

    /// What asks for the same, for a task that we call `id`.
    pub fn from_request(request: SendMessageRequest, id: String) -> Self {
        let configuration = request.configuration.unwrap_or_default();
        Self {
            id,
            session_id: request.message.context_id.clone(),
            message: message_out(&request.message),
            push_notification: configuration.task_push_notification_config.map(Into::into),
            history_length: configuration.history_length,
            metadata: request.metadata,
        }
    }
}

/// The id of the configuration of a task: in v0.1 there is one, and setting it again replaces it.
const ONLY: &str = "only";

fn only(config: PushNotificationConfig, task_id: String) -> types::TaskPushNotificationConfig {
    types::TaskPushNotificationConfig {
        id: ONLY.to_owned(),
        ..config.for_task(task_id)
    }
}

impl TaskPushNotificationConfig {
    /// The configuration of 1.0 for the task `task_id`.
    pub fn into_config(self, task_id: String) -> types::TaskPushNotificationConfig {
        only(self.push_notification_config.unwrap_or_default(), task_id)
    }

    /// A configuration of the task that the client calls `client_id`.
    pub fn of(config: types::TaskPushNotificationConfig, client_id: String) -> Self {
        Self {
            id: client_id,
            push_notification_config: Some(PushNotificationConfig {
                id: String::new(),
                ..config.into()
            }),
        }
    }
}

/// The message of 1.0, without ids.
pub(in crate::dialect) fn message_in(
    message: Message,
    path: &Path<'_>,
    found: &mut Found,
) -> types::Message {
    let role = match message.role.as_str() {
        "" | "user" => Role::User,
        "agent" | "assistant" => Role::Agent,
        _ => {
            found.push(path.field("role").violation("must be user or agent"));
            Role::Unspecified
        }
    };
    types::Message {
        role,
        parts: parts_in(message.parts, &path.field("parts"), found),
        metadata: message.metadata,
        ..types::Message::default()
    }
}

impl Message {
    /// The message of 1.0, without ids.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_message(self) -> Result<types::Message, A2aError> {
        let mut found = Found::default();
        let message = message_in(self, &Path::ROOT, &mut found);
        found.checked(message)
    }
}

fn parts_in(parts: Vec<Part>, path: &Path<'_>, found: &mut Found) -> Vec<types::Part> {
    let mut converted = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        let Part {
            kind,
            text,
            file,
            data,
            metadata,
        } = part;
        let members = Members {
            text,
            file,
            data,
            metadata,
        };
        match members.part(&kind) {
            Ok(part) => converted.push(part),
            Err(description) => found.push(path.index(index).violation(description)),
        }
    }
    converted
}

impl TaskStatus {
    pub(super) fn into_status(self, path: &Path<'_>, found: &mut Found) -> types::TaskStatus {
        let state = state_in(&self.state).unwrap_or_else(|| {
            found.push(path.field("state").violation("is no state of A2A 0.1"));
            types::TaskState::Unspecified
        });
        types::TaskStatus {
            state,
            message: self
                .message
                .map(|message| message_in(message, &path.field("message"), found)),
            timestamp: self.timestamp.map(|time| time.0),
        }
    }
}

impl Artifact {
    /// The artifact of 1.0. Its place is all the identity that it has.
    pub(super) fn into_artifact(self, path: &Path<'_>, found: &mut Found) -> types::Artifact {
        types::Artifact {
            artifact_id: self.index.to_string(),
            name: self.name,
            description: self.description,
            parts: parts_in(self.parts, &path.field("parts"), found),
            metadata: self.metadata,
            extensions: Vec::new(),
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
        let (artifacts, history) = (Path::ROOT.field("artifacts"), Path::ROOT.field("history"));
        let task = types::Task {
            id: self.id,
            context_id: self.session_id,
            status: self
                .status
                .into_status(&Path::ROOT.field("status"), &mut found),
            artifacts: (0..)
                .zip(self.artifacts)
                .map(|(index, it)| it.into_artifact(&artifacts.index(index), &mut found))
                .collect(),
            history: (0..)
                .zip(self.history)
                .map(|(index, it)| message_in(it, &history.index(index), &mut found))
                .collect(),
            metadata: self.metadata,
            ..types::Task::default()
        };
        found.checked(task)
    }
}

/// A task under the id that the client gave it.
pub fn task(task: &types::Task, client_id: &str) -> Task {
    let artifacts = task.artifacts.iter().enumerate();
    Task {
        id: client_id.to_owned(),
        session_id: task.context_id.clone(),
        status: status_out(&task.status),
        artifacts: artifacts
            .map(|(index, artifact)| artifact_out(artifact, index, false, true))
            .collect(),
        history: task.history.iter().map(message_out).collect(),
        metadata: task.metadata.clone(),
    }
}

pub(in crate::dialect) fn status_out(status: &types::TaskStatus) -> TaskStatus {
    TaskStatus {
        state: state_out(status.state).to_owned(),
        message: status.message.as_ref().map(message_out),
        timestamp: status.timestamp.map(Time),
    }
}

pub(in crate::dialect) fn message_out(message: &types::Message) -> Message {
    Message {
        role: role_out(message.role).to_owned(),
        parts: parts_out(&message.parts),
        metadata: message.metadata.clone(),
    }
}

pub(in crate::dialect) fn parts_out(parts: &[types::Part]) -> Vec<Part> {
    parts
        .iter()
        .map(|part| {
            let (kind, members) = Members::of(part.clone());
            Part {
                kind: kind.to_owned(),
                text: members.text,
                file: members.file,
                data: members.data,
                metadata: members.metadata,
            }
        })
        .collect()
}

pub(in crate::dialect) fn artifact_out(
    artifact: &types::Artifact,
    index: usize,
    append: bool,
    last_chunk: bool,
) -> Artifact {
    Artifact {
        name: artifact.name.clone(),
        description: artifact.description.clone(),
        parts: parts_out(&artifact.parts),
        // A task has nowhere near 2^31 artifacts: a body is bounded.
        index: i32::try_from(index).unwrap_or(i32::MAX),
        append,
        last_chunk,
        metadata: artifact.metadata.clone(),
    }
}

/// A direct reply as a task that has ended, where a dialect knows tasks only.
pub fn reply_as_task(reply: types::Message) -> types::Task {
    types::Task {
        context_id: reply.context_id.clone(),
        status: types::TaskStatus {
            state: types::TaskState::Completed,
            message: Some(reply),
            timestamp: None,
        },
        ..types::Task::default()
    }
}

//! Canonical objects from the simple dialect's and back. Into canonical, what makes no sense is refused with the path of
//! the field; out of canonical, everything has a form.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Form;
use super::objects::{
    FileContent, SendParams, SimpleArtifact, SimpleMessage, SimplePart, SimpleStatus, SimpleTask,
};
use crate::error::{A2aError, FieldViolation};
use crate::types::{
    self, Artifact, Message, Part, PartContent, Role, SendMessageConfiguration, SendMessageRequest,
    Task, TaskState, TaskStatus, Validate,
};

/// What a `POST /tasks/send` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedSend {
    /// The task's id, made by the client.
    pub client_id: String,
    /// How the client speaks.
    pub form: Form,
    /// The request; it names no task.
    pub request: SendMessageRequest,
}

/// Reads the body of `POST /tasks/send`, bare or inside a JSON-RPC envelope (as early clients send it), and checks it.
/// `message_id` becomes the id of the message, which this dialect does not have.
///
/// # Errors
/// [`A2aError::ParseError`] or [`A2aError::InvalidParams`].
pub fn read_send(body: &[u8], message_id: String) -> Result<ReceivedSend, A2aError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        params: &'a RawValue,
        #[serde(rename = "jsonrpc")]
        _jsonrpc: &'a str,
    }
    let params: SendParams = match serde_json::from_slice::<Envelope<'_>>(body) {
        Ok(envelope) => types::from_slice(envelope.params.get().as_bytes())?,
        Err(_) => types::from_slice(body)?,
    };
    params.validate()?;
    let form = Form::of(&params.message.parts);
    let mut violations = Vec::new();
    let role = match params.message.role.as_str() {
        "" | "user" => Role::User,
        "agent" | "assistant" => Role::Agent,
        _ => {
            violations.push(violation("message.role", "must be user or agent"));
            Role::Unspecified
        }
    };
    let mut parts = Vec::with_capacity(params.message.parts.len());
    for (index, part) in params.message.parts.into_iter().enumerate() {
        match part_in(part) {
            Ok(part) => parts.push(part),
            Err(description) => {
                violations.push(violation(&format!("message.parts[{index}]"), description));
            }
        }
    }
    if !violations.is_empty() {
        return Err(A2aError::InvalidParams { violations });
    }
    let request = SendMessageRequest {
        message: Message {
            message_id,
            context_id: params.session_id,
            role,
            parts,
            metadata: params.message.metadata,
            ..Message::default()
        },
        configuration: params
            .history_length
            .map(|length| SendMessageConfiguration {
                history_length: Some(length),
                ..SendMessageConfiguration::default()
            }),
        metadata: params.metadata,
        ..SendMessageRequest::default()
    };
    request.validate()?;
    Ok(ReceivedSend {
        client_id: params.id,
        form,
        request,
    })
}

fn violation(field: &str, description: &str) -> FieldViolation {
    FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
    }
}

fn part_in(part: SimplePart) -> Result<Part, &'static str> {
    let SimplePart {
        kind,
        text,
        file,
        data,
        metadata,
    } = part;
    let mut canonical = match (kind.as_str(), text, file, data) {
        ("" | "text", Some(text), None, None) => Part::text(text),
        ("" | "data", None, None, Some(value)) => Part::data(value),
        ("" | "file", None, Some(file), None) => {
            let FileContent {
                name,
                mime_type,
                bytes,
                uri,
            } = file;
            let part = match (bytes, uri.is_empty()) {
                (Some(bytes), true) => Part::raw(bytes),
                (None, false) => Part::url(uri),
                _ => return Err("a file has either bytes or a uri"),
            };
            part.with_filename(name).with_media_type(mime_type)
        }
        ("" | "text" | "data" | "file", ..) => {
            return Err("exactly one of text, file, data must be set, as type says");
        }
        _ => return Err("type must be text, file or data"),
    };
    canonical.metadata = metadata;
    Ok(canonical)
}

/// The task as `GET /tasks/{id}` shows it, under the id that the client gave it.
pub fn task(task: &Task, client_id: &str) -> SimpleTask {
    let artifacts = task.artifacts.iter().enumerate();
    SimpleTask {
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

pub(super) fn status_out(status: &TaskStatus) -> SimpleStatus {
    SimpleStatus {
        state: state_out(status.state).to_owned(),
        message: status.message.as_ref().map(message_out),
        timestamp: status.timestamp,
    }
}

/// The state in the words of v0.1; the two that came later keep their later names.
pub(super) fn state_out(state: TaskState) -> &'static str {
    match state {
        TaskState::Unspecified => "unknown",
        TaskState::Submitted => "submitted",
        TaskState::Working => "working",
        TaskState::Completed => "completed",
        TaskState::Failed => "failed",
        TaskState::Canceled => "canceled",
        TaskState::InputRequired => "input-required",
        TaskState::Rejected => "rejected",
        TaskState::AuthRequired => "auth-required",
    }
}

pub(super) fn role_out(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Agent | Role::Unspecified => "agent",
    }
}

pub(super) fn message_out(message: &Message) -> SimpleMessage {
    SimpleMessage {
        role: role_out(message.role).to_owned(),
        parts: parts_out(&message.parts),
        metadata: message.metadata.clone(),
    }
}

pub(super) fn parts_out(parts: &[Part]) -> Vec<SimplePart> {
    parts.iter().map(part_out).collect()
}

pub(super) fn artifact_out(
    artifact: &Artifact,
    index: usize,
    append: bool,
    last_chunk: bool,
) -> SimpleArtifact {
    SimpleArtifact {
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

fn part_out(part: &Part) -> SimplePart {
    let file = || FileContent {
        name: part.filename.clone(),
        mime_type: part.media_type.clone(),
        ..FileContent::default()
    };
    let mut simple = SimplePart {
        metadata: part.metadata.clone(),
        ..SimplePart::default()
    };
    simple.kind = match &part.content {
        PartContent::Text(text) => {
            simple.text = Some(text.clone());
            "text"
        }
        PartContent::Raw(bytes) => {
            simple.file = Some(FileContent {
                bytes: Some(bytes.clone()),
                ..file()
            });
            "file"
        }
        PartContent::Url(url) => {
            simple.file = Some(FileContent {
                uri: url.clone(),
                ..file()
            });
            "file"
        }
        PartContent::Data(value) => {
            simple.data = Some(object(value));
            "data"
        }
    }
    .to_owned();
    simple
}

/// v0.1 data parts hold objects only.
fn object(value: &Value) -> Value {
    if value.is_object() {
        value.clone()
    } else {
        json!({"value": value})
    }
}

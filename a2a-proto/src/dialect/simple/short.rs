//! What is in the frames of the short form: everything at the top, as in the exchange that the dialect was made for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::dialect::v01;
use crate::dialect::v01::convert::{artifact_out, message_out, parts_out};
use crate::dialect::words::{role_out, state_out};
use crate::types::protojson::WriteField;
use crate::types::{Artifact, Message, Metadata, PartContent, TaskState, TaskStatus};

#[derive(Serialize)]
pub(super) struct StatusData<'a> {
    id: &'a str,
    status: &'static str,
    r#final: bool,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "timestamp")]
    timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<v01::Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<Vec<&'a str>>,
}

#[derive(Serialize)]
pub(super) struct MessageData<'a> {
    id: &'a str,
    role: &'static str,
    parts: Vec<v01::Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArtifactData<'a> {
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
    artifact: Option<v01::Artifact>,
}

fn timestamp<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    WriteField(time).serialize(serializer)
}

/// A change of state; the last one lists the names of the artifacts.
pub(super) fn status<'a>(
    id: &'a str,
    status: &TaskStatus,
    artifacts: impl Iterator<Item = &'a str>,
) -> StatusData<'a> {
    let (state, message) = (status.state, status.message.as_ref());
    let reason = || message.map_or_else(|| "no reason given".to_owned(), Message::text);
    StatusData {
        id,
        // The one word that differs from those of v0.1.
        status: if state == TaskState::Working {
            "running"
        } else {
            state_out(state)
        },
        r#final: state.is_terminal(),
        timestamp: status.timestamp,
        message: message.map(message_out),
        error: matches!(state, TaskState::Failed | TaskState::Rejected).then(reason),
        artifacts: state.is_terminal().then(|| artifacts.collect()),
    }
}

/// What somebody says.
pub(super) fn message<'a>(
    id: &'a str,
    message: &Message,
    metadata: Option<&'a Metadata>,
) -> MessageData<'a> {
    MessageData {
        id,
        role: role_out(message.role),
        parts: parts_out(&message.parts),
        metadata,
    }
}

/// An artifact, or a piece of one.
pub(super) fn artifact<'a>(
    id: &'a str,
    artifact: &'a Artifact,
    (index, name): (usize, &'a str),
    append: bool,
    last_chunk: bool,
) -> ArtifactData<'a> {
    let mut data = ArtifactData {
        id,
        artifact_id: &artifact.artifact_id,
        name,
        index,
        append,
        last_chunk,
        mime_type: "",
        data: None,
        url: None,
        artifact: None,
    };
    // One part is a file for all that a simple client cares; several need their own list.
    let [part] = artifact.parts.as_slice() else {
        data.artifact = Some(artifact_out(artifact, index, append, last_chunk));
        return data;
    };
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
    data
}

//! A2A 0.3: what its proto file names otherwise, nests otherwise or cannot say. A message's `content` is our `parts`, a
//! file is a part of its own kind, resources have names (`resource`), an event says whether it is the `final` one, and
//! `blocking` is the opposite of `returnImmediately`. What 0.3 has no field for (tenants, references to other tasks) is
//! left out; nothing else gets lost.

mod card;
mod push;
mod resource;

use a2a_pb_types::v0_3 as pb;
use serde_json::Value;

pub(crate) use self::push::Create;
use super::{Found, Proto, always_there, same_fields, same_members};
use crate::dialect::part::{unwrap, wrap};
use crate::types::validate::Path;
use crate::types::{
    Artifact, CancelTaskRequest, GetTaskRequest, Message, Metadata, Part, PartContent,
    SendMessageConfiguration, SendMessageRequest, SendMessageResponse, StreamResponse,
    SubscribeToTaskRequest, Task, TaskArtifactUpdateEvent, TaskStatus, TaskStatusUpdateEvent,
};

same_fields! {
    Task = pb::Task { id, context_id, status, artifacts, history, metadata; without generation }
    Artifact = pb::Artifact { artifact_id, name, description, parts, metadata, extensions }
    TaskArtifactUpdateEvent = pb::TaskArtifactUpdateEvent {
        task_id, context_id, artifact, append, last_chunk, metadata; without generation
    }
}
always_there!(TaskStatus = pb::TaskStatus, Message = pb::Message);

same_members!(StreamResponse = pb::StreamResponse.payload: stream_response::Payload {
    Task / Task, Message / Msg, StatusUpdate / StatusUpdate, ArtifactUpdate / ArtifactUpdate,
});
same_members!(SendMessageResponse = pb::SendMessageResponse.payload: send_message_response::Payload {
    Task / Task, Message / Msg,
});

impl Proto<pb::TaskStatus> for TaskStatus {
    fn to_pb(&self) -> pb::TaskStatus {
        pb::TaskStatus {
            state: self.state.to_pb(),
            update: self.message.to_pb(),
            timestamp: self.timestamp.to_pb(),
        }
    }
    fn from_pb(pb: pb::TaskStatus, path: &Path<'_>, found: &mut Found) -> Self {
        Self {
            state: Proto::from_pb(pb.state, &path.field("state"), found),
            message: Proto::from_pb(pb.update, &path.field("message"), found),
            timestamp: Proto::from_pb(pb.timestamp, &path.field("timestamp"), found),
        }
    }
}

impl Proto<pb::Message> for Message {
    fn to_pb(&self) -> pb::Message {
        pb::Message {
            message_id: self.message_id.clone(),
            context_id: self.context_id.clone(),
            task_id: self.task_id.clone(),
            role: self.role.to_pb(),
            content: self.parts.to_pb(),
            metadata: self.metadata.to_pb(),
            extensions: self.extensions.clone(),
        }
    }
    fn from_pb(pb: pb::Message, path: &Path<'_>, found: &mut Found) -> Self {
        Self {
            message_id: pb.message_id,
            context_id: pb.context_id,
            task_id: pb.task_id,
            role: Proto::from_pb(pb.role, &path.field("role"), found),
            parts: Proto::from_pb(pb.content, &path.field("content"), found),
            metadata: Proto::from_pb(pb.metadata, &path.field("metadata"), found),
            extensions: pb.extensions,
            reference_task_ids: Vec::new(),
        }
    }
}

impl Proto<pb::Part> for Part {
    fn to_pb(&self) -> pb::Part {
        use pb::file_part::File;
        use pb::part::Part as Kind;
        let file = |file: File| {
            Kind::File(pb::FilePart {
                file: Some(file),
                mime_type: self.media_type.clone(),
                name: self.filename.clone(),
            })
        };
        let mut metadata = self.metadata.clone();
        let kind = match &self.content {
            PartContent::Text(text) => Kind::Text(text.clone()),
            PartContent::Raw(bytes) => file(File::FileWithBytes(bytes.clone())),
            PartContent::Url(url) => file(File::FileWithUri(url.clone())),
            PartContent::Data(value) => Kind::Data(pb::DataPart {
                data: wrap(value.clone(), &mut metadata)
                    .as_object()
                    .map(Proto::to_pb),
            }),
        };
        pb::Part {
            part: Some(kind),
            metadata: metadata.to_pb(),
        }
    }
    fn from_pb(pb: pb::Part, path: &Path<'_>, found: &mut Found) -> Self {
        use pb::file_part::File;
        use pb::part::Part as Kind;
        let mut part = Self::text("");
        part.metadata = Proto::from_pb(pb.metadata, &path.field("metadata"), found);
        match pb.part {
            Some(Kind::Text(text)) => part.content = PartContent::Text(text),
            Some(Kind::File(file)) => {
                part.filename = file.name;
                part.media_type = file.mime_type;
                part.content = match file.file {
                    Some(File::FileWithBytes(bytes)) => PartContent::Raw(bytes),
                    Some(File::FileWithUri(url)) => PartContent::Url(url),
                    None => {
                        let path = path.field("file");
                        found.report(&path, "must have exactly one of fileWithUri, fileWithBytes");
                        PartContent::Text(String::new())
                    }
                };
            }
            Some(Kind::Data(data)) => {
                let path = path.field("data");
                let fields = data.data.unwrap_or_default();
                let fields = Metadata::from_pb(fields, &path, found);
                part.content = PartContent::Data(unwrap(Value::Object(fields), &mut part.metadata));
            }
            None => found.report(path, "must have exactly one of text, file, data"),
        }
        part
    }
}

impl Proto<pb::TaskStatusUpdateEvent> for TaskStatusUpdateEvent {
    fn to_pb(&self) -> pb::TaskStatusUpdateEvent {
        let state = self.status.state;
        pb::TaskStatusUpdateEvent {
            task_id: self.task_id.clone(),
            context_id: self.context_id.clone(),
            status: self.status.to_pb(),
            r#final: state.is_terminal() || state.is_interrupted(),
            metadata: self.metadata.to_pb(),
        }
    }
    fn from_pb(pb: pb::TaskStatusUpdateEvent, path: &Path<'_>, found: &mut Found) -> Self {
        Self {
            task_id: pb.task_id,
            context_id: pb.context_id,
            status: Proto::from_pb(pb.status, &path.field("status"), found),
            metadata: Proto::from_pb(pb.metadata, &path.field("metadata"), found),
            ..Self::default()
        }
    }
}

impl Proto<pb::SendMessageRequest> for SendMessageRequest {
    fn to_pb(&self) -> pb::SendMessageRequest {
        // Without a configuration it would be the server's choice whether to wait.
        let configuration = self.configuration.clone().unwrap_or_default();
        pb::SendMessageRequest {
            request: self.message.to_pb(),
            configuration: Some(configuration.to_pb()),
            metadata: self.metadata.to_pb(),
        }
    }
    fn from_pb(pb: pb::SendMessageRequest, path: &Path<'_>, found: &mut Found) -> Self {
        Self {
            tenant: String::new(),
            message: Proto::from_pb(pb.request, &path.field("message"), found),
            configuration: Proto::from_pb(pb.configuration, &path.field("configuration"), found),
            metadata: Proto::from_pb(pb.metadata, &path.field("metadata"), found),
        }
    }
}

impl Proto<pb::SendMessageConfiguration> for SendMessageConfiguration {
    fn to_pb(&self) -> pb::SendMessageConfiguration {
        pb::SendMessageConfiguration {
            accepted_output_modes: self.accepted_output_modes.clone(),
            push_notification: self.task_push_notification_config.to_pb(),
            history_length: self.history_length.unwrap_or_default(),
            blocking: !self.return_immediately,
        }
    }
    fn from_pb(pb: pb::SendMessageConfiguration, path: &Path<'_>, found: &mut Found) -> Self {
        let push = &path.field("pushNotification");
        Self {
            accepted_output_modes: pb.accepted_output_modes,
            task_push_notification_config: Proto::from_pb(pb.push_notification, push, found),
            history_length: set(pb.history_length),
            return_immediately: !pb.blocking,
            ..Self::default()
        }
    }
}

/// In 0.3 a length of zero cannot be told from none.
fn set(length: i32) -> Option<i32> {
    Some(length).filter(|length| *length != 0)
}

impl Proto<pb::GetTaskRequest> for GetTaskRequest {
    fn to_pb(&self) -> pb::GetTaskRequest {
        pb::GetTaskRequest {
            name: resource::task(&self.id),
            history_length: self.history_length.unwrap_or_default(),
        }
    }
    fn from_pb(pb: pb::GetTaskRequest, path: &Path<'_>, found: &mut Found) -> Self {
        Self {
            tenant: String::new(),
            id: resource::task_id(&pb.name, &path.field("name"), found),
            history_length: set(pb.history_length),
            ..Self::default()
        }
    }
}

impl Proto<pb::CancelTaskRequest> for CancelTaskRequest {
    fn to_pb(&self) -> pb::CancelTaskRequest {
        pb::CancelTaskRequest {
            name: resource::task(&self.id),
        }
    }
    fn from_pb(pb: pb::CancelTaskRequest, path: &Path<'_>, found: &mut Found) -> Self {
        Self {
            id: resource::task_id(&pb.name, &path.field("name"), found),
            ..Self::default()
        }
    }
}

impl Proto<pb::TaskSubscriptionRequest> for SubscribeToTaskRequest {
    fn to_pb(&self) -> pb::TaskSubscriptionRequest {
        pb::TaskSubscriptionRequest {
            name: resource::task(&self.id),
        }
    }
    fn from_pb(pb: pb::TaskSubscriptionRequest, path: &Path<'_>, found: &mut Found) -> Self {
        Self {
            id: resource::task_id(&pb.name, &path.field("name"), found),
            ..Self::default()
        }
    }
}

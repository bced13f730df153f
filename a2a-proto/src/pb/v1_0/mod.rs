//! A2A 1.0: the canonical objects were made after its proto file, so all but one have the same fields on both sides.

mod card;

use a2a_pb_types::v1_0 as pb;

use super::{Found, Proto, same_fields, same_members};
use crate::types::validate::Path;
use crate::types::{
    Artifact, AuthenticationInfo, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest, GetTaskPushNotificationConfigRequest, GetTaskRequest,
    ListTaskPushNotificationConfigsRequest, ListTaskPushNotificationConfigsResponse,
    ListTasksRequest, ListTasksResponse, Message, Part, PartContent, SendMessageConfiguration,
    SendMessageRequest, SendMessageResponse, StreamResponse, SubscribeToTaskRequest, Task,
    TaskArtifactUpdateEvent, TaskPushNotificationConfig, TaskStatus, TaskStatusUpdateEvent,
};

same_fields! {
    Task = pb::Task { id, context_id, status, artifacts, history, metadata, generation }
    TaskStatus = pb::TaskStatus { state, message, timestamp }
    Message = pb::Message {
        message_id, context_id, task_id, role, parts, metadata, extensions, reference_task_ids,
    }
    Artifact = pb::Artifact { artifact_id, name, description, parts, metadata, extensions }

    TaskStatusUpdateEvent = pb::TaskStatusUpdateEvent {
        task_id, context_id, status, metadata, generation,
    }
    TaskArtifactUpdateEvent = pb::TaskArtifactUpdateEvent {
        task_id, context_id, artifact, append, last_chunk, metadata, generation,
    }

    SendMessageConfiguration = pb::SendMessageConfiguration {
        accepted_output_modes, task_push_notification_config, history_length, return_immediately,
        if_generation_match,
    }
    SendMessageRequest = pb::SendMessageRequest { tenant, message, configuration, metadata }
    GetTaskRequest = pb::GetTaskRequest { tenant, id, history_length, current_generation }
    ListTasksRequest = pb::ListTasksRequest {
        tenant, context_id, status, page_size, page_token, history_length, status_timestamp_after,
        include_artifacts,
    }
    ListTasksResponse = pb::ListTasksResponse { tasks, next_page_token, page_size, total_size }
    CancelTaskRequest = pb::CancelTaskRequest { tenant, id, metadata }
    SubscribeToTaskRequest = pb::SubscribeToTaskRequest { tenant, id }
    GetExtendedAgentCardRequest = pb::GetExtendedAgentCardRequest { tenant }

    AuthenticationInfo = pb::AuthenticationInfo { scheme, credentials }
    TaskPushNotificationConfig = pb::TaskPushNotificationConfig {
        tenant, id, task_id, url, token, authentication,
    }
    GetTaskPushNotificationConfigRequest = pb::GetTaskPushNotificationConfigRequest { tenant, task_id, id }
    DeleteTaskPushNotificationConfigRequest = pb::DeleteTaskPushNotificationConfigRequest { tenant, task_id, id }
    ListTaskPushNotificationConfigsRequest = pb::ListTaskPushNotificationConfigsRequest {
        task_id, page_size, page_token, tenant,
    }
    ListTaskPushNotificationConfigsResponse = pb::ListTaskPushNotificationConfigsResponse {
        configs, next_page_token,
    }
}

same_members!(StreamResponse = pb::StreamResponse.payload: stream_response::Payload {
    Task / Task, Message / Message, StatusUpdate / StatusUpdate, ArtifactUpdate / ArtifactUpdate,
});
same_members!(SendMessageResponse = pb::SendMessageResponse.payload: send_message_response::Payload {
    Task / Task, Message / Message,
});

impl Proto<pb::Part> for Part {
    fn to_pb(&self) -> pb::Part {
        use pb::part::Content;
        let content = match &self.content {
            PartContent::Text(text) => Content::Text(text.clone()),
            PartContent::Raw(bytes) => Content::Raw(bytes.clone()),
            PartContent::Url(url) => Content::Url(url.clone()),
            PartContent::Data(value) => Content::Data(value.to_pb()),
        };
        pb::Part {
            content: Some(content),
            metadata: self.metadata.to_pb(),
            filename: self.filename.clone(),
            media_type: self.media_type.clone(),
        }
    }
    fn from_pb(pb: pb::Part, path: &Path<'_>, found: &mut Found) -> Self {
        use pb::part::Content;
        let content = match pb.content {
            Some(Content::Text(text)) => PartContent::Text(text),
            Some(Content::Raw(bytes)) => PartContent::Raw(bytes),
            Some(Content::Url(url)) => PartContent::Url(url),
            Some(Content::Data(value)) => {
                PartContent::Data(Proto::from_pb(value, &path.field("data"), found))
            }
            None => {
                found.report(path, "must have exactly one of text, raw, url, data");
                PartContent::Text(String::new())
            }
        };
        Self {
            content,
            metadata: Proto::from_pb(pb.metadata, &path.field("metadata"), found),
            filename: pb.filename,
            media_type: pb.media_type,
        }
    }
}

//! The objects of 0.3 in its REST binding: ProtoJSON of package `a2a.v1`, which differs from the JSON-RPC objects of the
//! same version and from 1.0 alike. Names of fields are those of the proto file, since some clients send them; the JSON
//! name stands beside each.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::dialect::push::PushNotificationConfig;
use crate::types::declare::{message, oneof};
use crate::types::scalar::proto_enum;
use crate::types::validate::no_rules;
use crate::types::{Metadata, Role};

proto_enum! {
    /// Where a task stands. The numbers are those of 1.0, one name is spelt in another way.
    pub enum TaskState {
        /// Not set.
        #[default]
        Unspecified = 0 | "TASK_STATE_UNSPECIFIED",
        /// Accepted, not yet begun.
        Submitted = 1 | "TASK_STATE_SUBMITTED",
        /// Being worked on.
        Working = 2 | "TASK_STATE_WORKING",
        /// Done.
        Completed = 3 | "TASK_STATE_COMPLETED",
        /// Ended by an error.
        Failed = 4 | "TASK_STATE_FAILED",
        /// Ended on request.
        Cancelled = 5 | "TASK_STATE_CANCELLED",
        /// Waiting for a message of the client.
        InputRequired = 6 | "TASK_STATE_INPUT_REQUIRED",
        /// Not taken on by the agent.
        Rejected = 7 | "TASK_STATE_REJECTED",
        /// Waiting for credentials.
        AuthRequired = 8 | "TASK_STATE_AUTH_REQUIRED",
    }
}

message! {
    /// A file, inline or elsewhere. An empty member beside the other one is as good as none.
    pub struct FilePart {
        /// Where it can be fetched.
        pub file_with_uri: String = "fileWithUri",
        /// Its content.
        pub file_with_bytes: Option<Bytes> = "fileWithBytes",
        /// Its media type.
        pub mime_type: String = "mimeType",
        /// Its name.
        pub name: String = "name",
    }
}

message! {
    /// Structured data.
    pub struct DataPart {
        /// An object.
        pub data: Option<Value> = "data",
    }
}

message! {
    /// One piece of content: exactly one of text, file and data.
    pub struct Part {
        /// A text.
        pub text: Option<String> = "text",
        /// A file.
        pub file: Option<FilePart> = "file",
        /// Structured data.
        pub data: Option<DataPart> = "data",
        /// Free-form data about the part.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// One turn of the conversation.
    pub struct Message {
        /// Unique id, made by the sender.
        pub message_id: String = "messageId" [required],
        /// The conversation that it belongs to.
        pub context_id: String = "contextId",
        /// The task that it belongs to.
        pub task_id: String = "taskId",
        /// Who speaks.
        pub role: Role = "role" [required],
        /// The content, at least one part.
        pub content: Vec<Part> = "content" [required],
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
        /// URIs of the extensions that contributed to the message.
        pub extensions: Vec<String> = "extensions",
    }
}

message! {
    /// Something that a task made.
    pub struct Artifact {
        /// Unique within the task.
        pub artifact_id: String = "artifactId",
        /// A name for people.
        pub name: String = "name",
        /// A description for people.
        pub description: String = "description",
        /// The content.
        pub parts: Vec<Part> = "parts",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
        /// URIs of the extensions that contributed to the artifact.
        pub extensions: Vec<String> = "extensions",
    }
}

message! {
    /// Where a task stands.
    pub struct TaskStatus {
        /// The state.
        pub state: TaskState = "state",
        /// What the agent says about it.
        pub update: Option<Message> = "message",
        /// When it was set.
        pub timestamp: Option<Timestamp> = "timestamp",
    }
}

message! {
    /// A unit of work of an agent.
    pub struct Task {
        /// Unique id, made by the server.
        pub id: String = "id",
        /// The conversation that it belongs to.
        pub context_id: String = "contextId",
        /// Where it stands.
        pub status: TaskStatus = "status" [always],
        /// What it made so far.
        pub artifacts: Vec<Artifact> = "artifacts",
        /// The messages so far, oldest first.
        pub history: Vec<Message> = "history",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// A task has a new status.
    pub struct TaskStatusUpdateEvent {
        /// The task.
        pub task_id: String = "taskId",
        /// Its conversation.
        pub context_id: String = "contextId",
        /// The new status.
        pub status: TaskStatus = "status" [always],
        /// The server closes the stream after this event.
        pub r#final: bool = "final",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// A task has made an artifact, or more of one.
    pub struct TaskArtifactUpdateEvent {
        /// The task.
        pub task_id: String = "taskId",
        /// Its conversation.
        pub context_id: String = "contextId",
        /// The artifact, or the parts to add to it.
        pub artifact: Artifact = "artifact" [always],
        /// Add the parts to the artifact of the same id.
        pub append: bool = "append",
        /// Nothing more comes for this artifact.
        pub last_chunk: bool = "lastChunk",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

oneof! {
    /// What a send answers.
    pub enum SendMessageResponse {
        /// The task.
        Task(Task) = "task" | "task",
        /// A direct answer.
        Message(Message) = "message" | "msg",
    }
}

oneof! {
    /// One event of a stream.
    pub enum StreamResponse {
        /// The task as it stands.
        Task(Task) = "task" | "task",
        /// A direct answer.
        Message(Message) = "message" | "msg",
        /// A new status.
        StatusUpdate(TaskStatusUpdateEvent) = "statusUpdate" | "status_update",
        /// An artifact, or more of one.
        ArtifactUpdate(TaskArtifactUpdateEvent) = "artifactUpdate" | "artifact_update",
    }
}

message! {
    /// How the client wants its message handled.
    pub struct SendMessageConfiguration {
        /// Media types that the client can take.
        pub accepted_output_modes: Vec<String> = "acceptedOutputModes",
        /// Where to push updates of the task.
        pub push_notification: Option<PushNotificationConfig> = "pushNotification",
        /// How many of the newest messages to return with the task.
        pub history_length: Option<i32> = "historyLength",
        /// Answer when the task ends or waits. Proto clients leave it out when it is false.
        pub blocking: bool = "blocking",
    }
}

message! {
    /// Of `message:send` and `message:stream`.
    pub struct SendMessageRequest {
        /// The message.
        pub request: Message = "message" [required],
        /// How to handle it.
        pub configuration: Option<SendMessageConfiguration> = "configuration",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// Where to push updates of a task, under its resource name `tasks/{task}/pushNotificationConfigs/{id}`.
    pub struct TaskPushNotificationConfig {
        /// The resource name.
        pub name: String = "name",
        /// Where to push.
        pub push_notification_config: Option<PushNotificationConfig> = "pushNotificationConfig",
    }
}

message! {
    /// What creates a push configuration. Some clients send the request as a whole (`parent`, `configId`, `config`), some
    /// only its `config`, as the annotation of the proto file has it: so both are members here.
    pub struct CreateTaskPushNotificationConfigRequest {
        /// `tasks/{task}`.
        pub parent: String = "parent",
        /// The id of the configuration.
        pub config_id: String = "configId",
        /// The configuration, in the whole form.
        pub config: Option<TaskPushNotificationConfig> = "config",
        /// The resource name, in the short form.
        pub name: String = "name",
        /// Where to push, in the short form.
        pub push_notification_config: Option<PushNotificationConfig> = "pushNotificationConfig",
    }
}

message! {
    /// The push configurations of a task.
    pub struct ListTaskPushNotificationConfigResponse {
        /// The configurations.
        pub configs: Vec<TaskPushNotificationConfig> = "configs" [always],
        /// Where to go on.
        pub next_page_token: String = "nextPageToken",
    }
}

message! {
    /// One page of a list of tasks. Version 0.3 names the path and no object; this is the one of 1.0.
    pub struct ListTasksResponse {
        /// The tasks.
        pub tasks: Vec<Task> = "tasks" [always],
        /// Where to go on; empty on the last page.
        pub next_page_token: String = "nextPageToken" [always],
        /// The page size that was used.
        pub page_size: i32 = "pageSize" [always],
        /// How many tasks match, over all pages.
        pub total_size: i32 = "totalSize" [always],
    }
}

no_rules!(
    FilePart,
    DataPart,
    Part,
    Message,
    Artifact,
    TaskStatus,
    Task,
    TaskStatusUpdateEvent,
    TaskArtifactUpdateEvent,
    SendMessageConfiguration,
    SendMessageRequest,
    TaskPushNotificationConfig,
    CreateTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigResponse,
    ListTasksResponse,
);

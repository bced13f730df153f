//! The objects of A2A v0.1. They follow the same JSON rules as the canonical objects; states and roles are the words of
//! v0.1.

use serde_json::Value;

use crate::dialect::part::FileContent;
use crate::dialect::push::PushNotificationConfig;
use crate::dialect::words::Time;
use crate::types::Metadata;
use crate::types::declare::message;
use crate::types::validate::no_rules;

message! {
    /// What `tasks/send` and `tasks/sendSubscribe` ask for.
    pub struct SendParams {
        /// The task id, made by the client.
        pub id: String = "id" [required],
        /// Groups tasks of one conversation; made by the client.
        pub session_id: String = "sessionId",
        /// What is to be done.
        pub message: Message = "message" [required],
        /// Where to push updates of the task.
        pub push_notification: Option<PushNotificationConfig> = "pushNotification",
        /// How many of the newest messages to return with the task.
        pub history_length: Option<i32> = "historyLength",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// Names a task: of `tasks/get`, `tasks/cancel` and `tasks/resubscribe`.
    pub struct TaskParams {
        /// The id that the client made.
        pub id: String = "id" [required],
        /// How many of the newest messages to return.
        pub history_length: Option<i32> = "historyLength",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// Of `tasks/pushNotification/set`, and the result of it and of `tasks/pushNotification/get`.
    pub struct TaskPushNotificationConfig {
        /// The id of the task.
        pub id: String = "id" [required],
        /// Where to push.
        pub push_notification_config: Option<PushNotificationConfig> = "pushNotificationConfig" [required],
    }
}

message! {
    /// One turn of the conversation.
    pub struct Message {
        /// `user` or `agent`; absent in a request is `user`, `assistant` is `agent`.
        pub role: String = "role",
        /// The content.
        pub parts: Vec<Part> = "parts" [required],
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// One piece of content.
    pub struct Part {
        /// `text`, `file` or `data`; may be left out in a request, where the content tells.
        pub kind: String = "type",
        /// The text of a text part.
        pub text: Option<String> = "text",
        /// The file of a file part.
        pub file: Option<FileContent> = "file",
        /// The value of a data part.
        pub data: Option<Value> = "data",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// Where a task stands.
    pub struct TaskStatus {
        /// The state in the words of v0.1.
        pub state: String = "state",
        /// What the agent says about it.
        pub message: Option<Message> = "message",
        /// When it was set.
        pub timestamp: Option<Time> = "timestamp",
    }
}

message! {
    /// Something that a task made.
    pub struct Artifact {
        /// A name for people.
        pub name: String = "name",
        /// A description for people.
        pub description: String = "description",
        /// The content.
        pub parts: Vec<Part> = "parts",
        /// Its place among the artifacts of the task, from 0.
        pub index: i32 = "index" [always],
        /// Add the parts to the artifact of the same index.
        pub append: bool = "append",
        /// Nothing more comes for this artifact.
        pub last_chunk: bool = "lastChunk",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// A task.
    pub struct Task {
        /// The id that the client made.
        pub id: String = "id",
        /// The conversation.
        pub session_id: String = "sessionId",
        /// Where it stands.
        pub status: TaskStatus = "status" [always],
        /// What it made.
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
        /// The id that the client made.
        pub id: String = "id",
        /// The new status.
        pub status: TaskStatus = "status" [always],
        /// Nothing more comes.
        pub r#final: bool = "final" [always],
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// A task has made an artifact, or more of one.
    pub struct TaskArtifactUpdateEvent {
        /// The id that the client made.
        pub id: String = "id",
        /// The artifact, or the parts to add to it.
        pub artifact: Artifact = "artifact" [always],
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

no_rules!(
    SendParams,
    TaskParams,
    TaskPushNotificationConfig,
    TaskStatusUpdateEvent,
    TaskArtifactUpdateEvent,
    Message,
    Part,
    TaskStatus,
    Artifact,
    Task
);

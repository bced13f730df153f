//! The objects of A2A 0.3 in its JSON-RPC binding: tasks, messages and events, told apart by their `kind`. They follow the
//! same JSON rules as the canonical objects; states and roles are lower-case words.

use serde_json::Value;

use crate::dialect::part::FileContent;
use crate::dialect::words::Time;
use crate::types::Metadata;
use crate::types::declare::message;
use crate::types::validate::no_rules;

message! {
    /// One piece of content.
    pub struct Part {
        /// `text`, `file` or `data`; where it is missing the content tells.
        pub kind: String = "kind" [always],
        /// The text of a text part.
        pub text: Option<String> = "text",
        /// The file of a file part.
        pub file: Option<FileContent> = "file",
        /// The object of a data part.
        pub data: Option<Value> = "data",
        /// Free-form data about the part.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// One turn of the conversation.
    pub struct Message {
        /// `message`.
        pub kind: String = "kind" [always],
        /// Unique id, made by the sender.
        pub message_id: String = "messageId" [required],
        /// `user` or `agent`.
        pub role: String = "role" [required],
        /// The content, at least one part.
        pub parts: Vec<Part> = "parts" [required always],
        /// The task that it belongs to.
        pub task_id: String = "taskId",
        /// The conversation that it belongs to.
        pub context_id: String = "contextId",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
        /// URIs of the extensions that contributed to the message.
        pub extensions: Vec<String> = "extensions",
        /// Other tasks that the message refers to.
        pub reference_task_ids: Vec<String> = "referenceTaskIds",
    }
}

message! {
    /// Something that a task made.
    pub struct Artifact {
        /// Unique within the task.
        pub artifact_id: String = "artifactId" [required],
        /// A name for people.
        pub name: String = "name",
        /// A description for people.
        pub description: String = "description",
        /// The content.
        pub parts: Vec<Part> = "parts" [always],
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
        /// URIs of the extensions that contributed to the artifact.
        pub extensions: Vec<String> = "extensions",
    }
}

message! {
    /// Where a task stands.
    pub struct TaskStatus {
        /// The state as a word.
        pub state: String = "state" [required],
        /// What the agent says about it.
        pub message: Option<Message> = "message",
        /// When it was set.
        pub timestamp: Option<Time> = "timestamp",
    }
}

message! {
    /// A unit of work of an agent.
    pub struct Task {
        /// `task`.
        pub kind: String = "kind" [always],
        /// Unique id, made by the server.
        pub id: String = "id" [required],
        /// The conversation that it belongs to.
        pub context_id: String = "contextId" [always],
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
        /// `status-update`.
        pub kind: String = "kind" [always],
        /// The task.
        pub task_id: String = "taskId" [required],
        /// Its conversation.
        pub context_id: String = "contextId" [always],
        /// The new status.
        pub status: TaskStatus = "status" [always],
        /// The server closes the stream after this event.
        pub r#final: bool = "final" [always],
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// A task has made an artifact, or more of one.
    pub struct TaskArtifactUpdateEvent {
        /// `artifact-update`.
        pub kind: String = "kind" [always],
        /// The task.
        pub task_id: String = "taskId" [required],
        /// Its conversation.
        pub context_id: String = "contextId" [always],
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

no_rules!(
    Part,
    Message,
    Artifact,
    TaskStatus,
    Task,
    TaskStatusUpdateEvent,
    TaskArtifactUpdateEvent,
);

//! The objects of A2A v0.1 as far as the simple dialect uses them. They follow the same JSON rules as the canonical
//! objects; states and roles are the words of v0.1.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::types::Metadata;
use crate::types::declare::message;
use crate::types::validate::no_rules;

message! {
    /// The body of `POST /tasks/send`.
    pub struct SendParams {
        /// The task id, made by the client.
        pub id: String = "id" [required],
        /// Groups tasks of one conversation; made by the client.
        pub session_id: String = "sessionId",
        /// What is to be done.
        pub message: SimpleMessage = "message" [required],
        /// How many of the newest messages to return with the task.
        pub history_length: Option<i32> = "historyLength",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// One turn of the conversation.
    pub struct SimpleMessage {
        /// `user` or `agent`; absent in a request is `user`, `assistant` is `agent`.
        pub role: String = "role",
        /// The content.
        pub parts: Vec<SimplePart> = "parts" [required],
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// One piece of content.
    pub struct SimplePart {
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
    /// A file, inline or elsewhere.
    pub struct FileContent {
        /// Its name.
        pub name: String = "name",
        /// Its media type.
        pub mime_type: String = "mimeType",
        /// Its content.
        pub bytes: Option<Bytes> = "bytes",
        /// Where it can be fetched.
        pub uri: String = "uri",
    }
}

message! {
    /// Where a task stands.
    pub struct SimpleStatus {
        /// The state in the words of v0.1.
        pub state: String = "state",
        /// What the agent says about it.
        pub message: Option<SimpleMessage> = "message",
        /// When it was set.
        pub timestamp: Option<Timestamp> = "timestamp",
    }
}

message! {
    /// Something that a task made.
    pub struct SimpleArtifact {
        /// A name for people.
        pub name: String = "name",
        /// A description for people.
        pub description: String = "description",
        /// The content.
        pub parts: Vec<SimplePart> = "parts",
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
    pub struct SimpleTask {
        /// The id that the client made.
        pub id: String = "id",
        /// The conversation.
        pub session_id: String = "sessionId",
        /// Where it stands.
        pub status: SimpleStatus = "status" [always],
        /// What it made.
        pub artifacts: Vec<SimpleArtifact> = "artifacts",
        /// The messages so far, oldest first.
        pub history: Vec<SimpleMessage> = "history",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

no_rules!(
    SendParams,
    SimpleMessage,
    SimplePart,
    FileContent,
    SimpleStatus,
    SimpleArtifact,
    SimpleTask
);

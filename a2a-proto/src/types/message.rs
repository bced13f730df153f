//! [`Message`]: one turn of the conversation between a client and an agent (A2A §4.1.4).

use crate::types::declare::message;
use crate::types::validate::no_rules;
use crate::types::{Metadata, Part, Role};

message! {
    /// One turn of the conversation. The sender makes its id.
    pub struct Message {
        /// Unique id, made by the sender.
        pub message_id: String = "messageId" [required],
        /// The conversation that it belongs to; empty in a first message.
        pub context_id: String = "contextId",
        /// The task that it belongs to; empty in a message that begins one.
        pub task_id: String = "taskId",
        /// Who speaks.
        pub role: Role = "role" [required],
        /// The content, at least one part.
        pub parts: Vec<Part> = "parts" [required],
        /// Free-form data; extensions put theirs under their URI.
        pub metadata: Option<Metadata> = "metadata",
        /// URIs of the extensions that contributed to the message.
        pub extensions: Vec<String> = "extensions",
        /// Other tasks that the message refers to.
        pub reference_task_ids: Vec<String> = "referenceTaskIds",
    }
}
no_rules!(Message);

impl Message {
    /// A message of the client.
    pub fn user(message_id: impl Into<String>, parts: Vec<Part>) -> Self {
        Self {
            message_id: message_id.into(),
            role: Role::User,
            parts,
            ..Self::default()
        }
    }

    /// A message of the agent.
    pub fn agent(message_id: impl Into<String>, parts: Vec<Part>) -> Self {
        Self {
            message_id: message_id.into(),
            role: Role::Agent,
            parts,
            ..Self::default()
        }
    }

    /// All text parts, joined by line feeds.
    pub fn text(&self) -> String {
        self.parts
            .iter()
            .filter_map(Part::as_text)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

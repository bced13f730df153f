//! What a stream carries, and what a send answers (A2A §4.2, §3.2.3): objects with exactly one key.

use crate::types::declare::{message, oneof};
use crate::types::validate::no_rules;
use crate::types::{Artifact, Message, Metadata, Task, TaskState, TaskStatus};

message! {
    /// A task has a new status.
    pub struct TaskStatusUpdateEvent {
        /// The task.
        pub task_id: String = "taskId" [required],
        /// Its conversation.
        pub context_id: String = "contextId" [required],
        /// The new status.
        pub status: TaskStatus = "status" [required],
        /// Free-form data; extensions put theirs under their URI.
        pub metadata: Option<Metadata> = "metadata",
        /// How often the task has changed, counted from 1 (1.1 preview); 0 where the server does not say.
        pub generation: i64 = "generation",
    }
}

message! {
    /// A task has made an artifact, or more of one.
    pub struct TaskArtifactUpdateEvent {
        /// The task.
        pub task_id: String = "taskId" [required],
        /// Its conversation.
        pub context_id: String = "contextId" [required],
        /// The artifact, or the parts to add to it.
        pub artifact: Artifact = "artifact" [required],
        /// Add the parts to the artifact of the same id instead of replacing it.
        pub append: bool = "append",
        /// Nothing more comes for this artifact.
        pub last_chunk: bool = "lastChunk",
        /// Free-form data; extensions put theirs under their URI.
        pub metadata: Option<Metadata> = "metadata",
        /// How often the task has changed, counted from 1 (1.1 preview); 0 where the server does not say.
        pub generation: i64 = "generation",
    }
}
no_rules!(TaskStatusUpdateEvent, TaskArtifactUpdateEvent);

oneof! {
    /// One event of a stream.
    pub enum StreamResponse {
        /// The task as it stands.
        Task(Task) = "task" | "task",
        /// A direct answer; it is the only event of its stream.
        Message(Message) = "message" | "message",
        /// A new status.
        StatusUpdate(TaskStatusUpdateEvent) = "statusUpdate" | "status_update",
        /// An artifact, or more of one.
        ArtifactUpdate(TaskArtifactUpdateEvent) = "artifactUpdate" | "artifact_update",
    }
}

oneof! {
    /// What a send answers.
    pub enum SendMessageResponse {
        /// The task that the message began or went on with.
        Task(Task) = "task" | "task",
        /// A direct answer without a task.
        Message(Message) = "message" | "message",
    }
}

impl StreamResponse {
    /// The task that the event belongs to; empty for a direct answer.
    pub fn task_id(&self) -> &str {
        match self {
            Self::Task(task) => &task.id,
            Self::Message(message) => &message.task_id,
            Self::StatusUpdate(update) => &update.task_id,
            Self::ArtifactUpdate(update) => &update.task_id,
        }
    }

    /// The state that the event tells, if it tells one.
    pub fn state(&self) -> Option<TaskState> {
        match self {
            Self::Task(task) => Some(task.status.state),
            Self::StatusUpdate(update) => Some(update.status.state),
            Self::Message(_) | Self::ArtifactUpdate(_) => None,
        }
    }

    /// Tells how often the task has changed (1.1 preview); a direct answer has no task.
    pub fn set_generation(&mut self, generation: i64) {
        match self {
            Self::Task(task) => task.generation = generation,
            Self::Message(_) => {}
            Self::StatusUpdate(update) => update.generation = generation,
            Self::ArtifactUpdate(update) => update.generation = generation,
        }
    }

    /// Whether nothing can come after this event: a terminal state or a direct answer (A2A §3.1.2).
    pub fn ends_stream(&self) -> bool {
        matches!(self, Self::Message(_)) || self.state().is_some_and(TaskState::is_terminal)
    }
}

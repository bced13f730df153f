//! [`Task`], its status, and how a task grows by the events of its stream (A2A §4.1.1, §4.1.2).

use jiff::Timestamp;

use crate::activity;
use crate::types::declare::message;
use crate::types::validate::no_rules;
use crate::types::{
    Artifact, Message, Metadata, StreamResponse, TaskArtifactUpdateEvent, TaskState,
    TaskStatusUpdateEvent,
};

message! {
    /// Where a task stands, since when, and what the agent says about it.
    pub struct TaskStatus {
        /// The state.
        pub state: TaskState = "state" [required],
        /// What the agent says about it.
        pub message: Option<Message> = "message",
        /// When the status was set; millisecond precision on the wire.
        pub timestamp: Option<Timestamp> = "timestamp",
    }
}

message! {
    /// A unit of work of an agent. The server makes its id.
    pub struct Task {
        /// Unique id, made by the server.
        pub id: String = "id" [required],
        /// The conversation that it belongs to.
        pub context_id: String = "contextId",
        /// Where it stands.
        pub status: TaskStatus = "status" [required],
        /// What it made so far.
        pub artifacts: Vec<Artifact> = "artifacts",
        /// The messages so far, oldest first.
        pub history: Vec<Message> = "history",
        /// Free-form data; extensions put theirs under their URI.
        pub metadata: Option<Metadata> = "metadata",
        /// How often the task has changed, counted from 1 (1.1 preview); 0 where the server does not say.
        pub generation: i64 = "generation",
    }
}
no_rules!(TaskStatus, Task);

impl TaskStatus {
    /// A status without a message.
    pub fn new(state: TaskState, timestamp: Timestamp) -> Self {
        Self {
            state,
            message: None,
            timestamp: Some(timestamp),
        }
    }
}

impl Task {
    /// Brings the task up to date with one event of its stream; the cost depends on the event, not on the task.
    ///
    /// A new status pushes the message of the one before it into the history. An activity event
    /// ([`crate::activity`]) only moves state and time: its message and metadata are progress, not conversation.
    /// An artifact with `append` grows the artifact of that id, or creates it; without, it replaces it.
    pub fn apply(&mut self, event: &StreamResponse) {
        self.apply_owned(event.clone());
    }

    /// The same with an event that nobody else needs: its content is moved.
    pub fn apply_owned(&mut self, event: StreamResponse) {
        match event {
            StreamResponse::Task(task) => *self = task,
            StreamResponse::Message(message) => self.history.push(message),
            StreamResponse::StatusUpdate(update) => self.apply_status(update),
            StreamResponse::ArtifactUpdate(update) => self.apply_artifact(update),
        }
    }

    fn apply_status(&mut self, update: TaskStatusUpdateEvent) {
        self.generation = self.generation.max(update.generation);
        if activity::is_activity(&update) {
            self.status.state = update.status.state;
            self.status.timestamp = update.status.timestamp;
            return;
        }
        let before = std::mem::replace(&mut self.status, update.status);
        self.history.extend(before.message);
        merge(&mut self.metadata, update.metadata);
    }

    fn apply_artifact(&mut self, update: TaskArtifactUpdateEvent) {
        self.generation = self.generation.max(update.generation);
        let new = update.artifact;
        match self.artifact(&new.artifact_id) {
            Some(artifact) if update.append => {
                artifact.parts.extend(new.parts);
                merge(&mut artifact.metadata, new.metadata);
            }
            Some(artifact) => *artifact = new,
            None => self.artifacts.push(new),
        }
    }

    /// What [`Task::apply`] does with an artifact event that appends parts and carries nothing else that counts.
    #[cfg(feature = "server")]
    pub(crate) fn append_parts(
        &mut self,
        artifact_id: String,
        parts: impl IntoIterator<Item = crate::types::Part>,
    ) {
        match self.artifact(&artifact_id) {
            Some(artifact) => artifact.parts.extend(parts),
            None => {
                let parts = parts.into_iter().collect();
                self.artifacts.push(Artifact::new(artifact_id, parts));
            }
        }
    }

    fn artifact(&mut self, id: &str) -> Option<&mut Artifact> {
        // From the end: a stream appends to what it made last.
        self.artifacts
            .iter_mut()
            .rev()
            .find(|artifact| artifact.artifact_id == id)
    }
}

fn merge(into: &mut Option<Metadata>, from: Option<Metadata>) {
    if let Some(from) = from {
        into.get_or_insert_default().extend(from);
    }
}

//! Tasks as an answer shows them: with as much history as was asked for, with or without artifacts. Written straight
//! from the stored aggregate, which may be large and is never copied for it.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::types::{Artifact, ListTasksResponse, Message, SendMessageResponse, Task};

/// A task to be shown.
#[derive(Debug, Clone)]
pub(super) struct TaskView {
    pub(super) task: Arc<Task>,
    /// How many of the newest messages; `None` shows all.
    pub(super) history: Option<i32>,
    pub(super) artifacts: bool,
    /// How often the task has changed, if the client is told.
    pub(super) generation: Option<u64>,
}

impl TaskView {
    pub(super) fn shown_history(&self) -> &[Message] {
        let all = self.task.history.as_slice();
        let length = self
            .history
            .map(|length| usize::try_from(length).unwrap_or(0));
        let skip = length.map_or(0, |length| all.len().saturating_sub(length));
        all.get(skip..).unwrap_or_default()
    }

    pub(super) fn shown_artifacts(&self) -> &[Artifact] {
        if self.artifacts {
            &self.task.artifacts
        } else {
            &[]
        }
    }

    /// The task as an object of its own.
    pub(super) fn to_task(&self) -> Task {
        Task {
            id: self.task.id.clone(),
            context_id: self.task.context_id.clone(),
            status: self.task.status.clone(),
            artifacts: self.shown_artifacts().to_vec(),
            history: self.shown_history().to_vec(),
            metadata: self.task.metadata.clone(),
            ..Task::default()
        }
    }
}

impl Serialize for TaskView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.task.id)?;
        if !self.task.context_id.is_empty() {
            map.serialize_entry("contextId", &self.task.context_id)?;
        }
        map.serialize_entry("status", &self.task.status)?;
        if !self.shown_artifacts().is_empty() {
            map.serialize_entry("artifacts", self.shown_artifacts())?;
        }
        if !self.shown_history().is_empty() {
            map.serialize_entry("history", self.shown_history())?;
        }
        if let Some(metadata) = &self.task.metadata {
            map.serialize_entry("metadata", metadata)?;
        }
        if let Some(generation) = self.generation {
            // ProtoJSON writes an int64 as a string.
            map.serialize_entry("generation", &generation.to_string())?;
        }
        map.end()
    }
}

/// A page of tasks to be shown; every member is always there (A2A §3.1.4).
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListView {
    pub(super) tasks: Vec<TaskView>,
    pub(super) next_page_token: String,
    pub(super) page_size: i32,
    pub(super) total_size: i32,
}

/// What a send answers, to be shown.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum SentView {
    /// The task.
    Task(TaskView),
    /// A direct reply.
    Message(Message),
}

impl SentView {
    /// The answer as an object of its own, for dialects that write it in another way.
    pub(super) fn into_response(self) -> SendMessageResponse {
        match self {
            Self::Task(view) => SendMessageResponse::Task(view.to_task()),
            Self::Message(message) => SendMessageResponse::Message(message),
        }
    }
}

impl ListView {
    /// The page as an object of its own.
    pub(super) fn into_response(self) -> ListTasksResponse {
        ListTasksResponse {
            tasks: self.tasks.iter().map(TaskView::to_task).collect(),
            next_page_token: self.next_page_token,
            page_size: self.page_size,
            total_size: self.total_size,
        }
    }
}

//! What a worker's agent is doing, as typed data beside the text: an extension of ours (`urn:flotilla:ext:activity:v1`)
//! in the metadata of status events, and the outcome of a turn (`urn:flotilla:ext:result:v1`) in the metadata of the last
//! one. A client that does not know it still sees the text in `status.message`. Only shapes: who makes these
//! events is the worker's business, who reads them the captain's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::types::{
    AgentExtension, Message, Metadata, TaskState, TaskStatus, TaskStatusUpdateEvent,
};

/// Names the activity extension, and the key of its data in the metadata of a status event.
pub const ACTIVITY_URI: &str = "urn:flotilla:ext:activity:v1";

/// Names the result extension, and the key of its data in the metadata of the last status event and of the task.
pub const RESULT_URI: &str = "urn:flotilla:ext:result:v1";

/// [`TurnResult::stop_reason`] of a turn that failed because the model did not answer, or answered with errors.
pub const MODEL_ERROR: &str = "model_error";

/// One thing that the agent did or said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum Activity {
    /// More of what the agent says.
    Text {
        /// What comes after the text so far.
        delta: String,
        /// Deltas of the same id make one text.
        message_id: String,
    },
    /// More of what the agent thinks.
    Thought {
        /// What comes after the text so far.
        delta: String,
        /// Deltas of the same id make one text.
        message_id: String,
    },
    /// A tool call began, moved on or ended.
    Tool(ToolActivity),
    /// What the turn used so far.
    Usage(Usage),
    /// The agent's own plan, whole.
    Plan {
        /// Its entries in order.
        entries: Vec<PlanEntry>,
    },
    /// A step of a longer piece of work began, moved on or ended.
    Step(StepActivity),
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Begun.
    Running,
    /// Waits for the client.
    Waiting,
    /// Ended well.
    Completed,
    /// Ended without a result.
    Failed,
    /// Never begun, because something before it failed.
    Skipped,
    /// Stopped on request.
    Canceled,
}

/// A step of a longer piece of work, such as one part of a plan. Steps of the same `id` are one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepActivity {
    /// Unique within the task; empty for the work as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Where it stands.
    pub state: StepState,
    /// Which try at it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// How many steps of the work are done.
    #[serde(default)]
    pub done: u32,
    /// How many steps there are.
    #[serde(default)]
    pub total: u32,
}

/// Where a tool call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolState {
    /// Announced; its input may still be incomplete.
    Pending,
    /// Running.
    Running,
    /// Ended well.
    Completed,
    /// Ended with an error.
    Failed,
}

/// A tool call, or what changed about it. Calls of the same `id` are one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolActivity {
    /// Unique within the session.
    pub id: String,
    /// The tool, such as `bash`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A line for people, such as the command.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What kind of thing it does: `read`, `edit`, `execute`, `search`, `fetch`, `think`, `other`, …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tool_kind: String,
    /// Where it stands.
    pub state: ToolState,
    /// Its input, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<serde_json::Value>,
    /// What it printed since the event before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output_delta: String,
    /// Files that it touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<String>,
}

/// Tokens and money, as far as the agent told; all counts are for the turn so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Tokens sent to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens that the model wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Of the output, tokens of thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought_tokens: Option<u64>,
    /// Of the input, tokens read from the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_read_tokens: Option<u64>,
    /// Of the input, tokens written to the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_write_tokens: Option<u64>,
    /// Tokens of the context window in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_used: Option<u64>,
    /// Size of the context window in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_size: Option<u64>,
    /// What it cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// Money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// How much, in units of the currency.
    pub amount: f64,
    /// ISO 4217 code.
    pub currency: String,
}

/// One line of the agent's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanEntry {
    /// What is to be done.
    pub content: String,
    /// `high`, `medium` or `low`; empty when the agent does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub priority: String,
    /// Where it stands.
    pub status: PlanStatus,
}

/// Where a line of a plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Not begun.
    Pending,
    /// Begun.
    InProgress,
    /// Done.
    Completed,
}

/// What a turn came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TurnResult {
    /// The commit that the turn began from, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
    /// The commit that holds what the turn changed; the base commit when it changed nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Why the agent stopped: `end_turn`, `max_steps`, `refusal`, [`MODEL_ERROR`], …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_reason: String,
    /// How many steps the agent took.
    pub steps: u32,
    /// What the turn used.
    pub usage: Usage,
}

impl Activity {
    /// The status event that carries this activity: state WORKING, `message` for people.
    pub fn event(
        &self,
        task_id: impl Into<String>,
        context_id: impl Into<String>,
        message: Message,
        now: Timestamp,
    ) -> TaskStatusUpdateEvent {
        TaskStatusUpdateEvent {
            task_id: task_id.into(),
            context_id: context_id.into(),
            status: TaskStatus {
                state: TaskState::Working,
                message: Some(message),
                timestamp: Some(now),
            },
            metadata: Some(self.to_metadata()),
            ..TaskStatusUpdateEvent::default()
        }
    }

    /// The metadata of a status event that carries this activity.
    pub fn to_metadata(&self) -> Metadata {
        to_metadata(ACTIVITY_URI, self)
    }

    /// The activity of a status event: `None` when it carries none.
    ///
    /// # Errors
    /// When the metadata is there but of another shape.
    pub fn from_event(event: &TaskStatusUpdateEvent) -> Result<Option<Self>, serde_json::Error> {
        from_metadata(ACTIVITY_URI, event.metadata.as_ref())
    }
}

impl TurnResult {
    /// The metadata of the status event that ends the turn.
    pub fn to_metadata(&self) -> Metadata {
        to_metadata(RESULT_URI, self)
    }

    /// The result in the metadata of a status event or of a task: `None` when there is none.
    ///
    /// # Errors
    /// When the metadata is there but of another shape.
    pub fn from_metadata(metadata: Option<&Metadata>) -> Result<Option<Self>, serde_json::Error> {
        from_metadata(RESULT_URI, metadata)
    }
}

fn to_metadata(uri: &str, data: &impl Serialize) -> Metadata {
    // The types above are plain data with string keys, which always become JSON.
    let value = serde_json::to_value(data).unwrap_or_default();
    Metadata::from_iter([(uri.to_owned(), value)])
}

fn from_metadata<'a, T: Deserialize<'a>>(
    uri: &str,
    metadata: Option<&'a Metadata>,
) -> Result<Option<T>, serde_json::Error> {
    metadata
        .and_then(|metadata| metadata.get(uri))
        .map(T::deserialize)
        .transpose()
}

/// Whether the event carries an activity, whatever its shape.
pub fn is_activity(event: &TaskStatusUpdateEvent) -> bool {
    event
        .metadata
        .as_ref()
        .is_some_and(|metadata| metadata.contains_key(ACTIVITY_URI))
}

/// What a card that serves these events declares in `capabilities.extensions`.
pub fn extensions() -> Vec<AgentExtension> {
    let extension = |uri: &str, description: &str| AgentExtension {
        uri: uri.to_owned(),
        description: description.to_owned(),
        ..AgentExtension::default()
    };
    vec![
        extension(
            ACTIVITY_URI,
            "what the agent says, thinks and runs, as typed data in the metadata of status events",
        ),
        extension(
            RESULT_URI,
            "commits, steps and usage of a turn, in the metadata of its last status event",
        ),
    ]
}

#[cfg(test)]
mod tests;

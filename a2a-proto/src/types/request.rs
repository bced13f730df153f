//! Requests of the operations on messages and tasks, and the answer of the list (A2A §3.1, §3.2).

use jiff::Timestamp;

use crate::types::declare::message;
use crate::types::validate::{Found, Path, Rules, Validate, no_rules};
use crate::types::{Message, Metadata, Task, TaskPushNotificationConfig, TaskState};

/// How many tasks one page of a list may hold (A2A §3.1.4).
pub const PAGE_SIZE: std::ops::RangeInclusive<i32> = 1..=100;

message! {
    /// How the client wants its message handled.
    pub struct SendMessageConfiguration {
        /// Media types that the client can take.
        pub accepted_output_modes: Vec<String> = "acceptedOutputModes",
        /// Where to push updates of the task; its task id is left empty.
        pub task_push_notification_config: Option<TaskPushNotificationConfig> = "taskPushNotificationConfig",
        /// How many of the newest messages to return with the task; unset is the server's choice, 0 is none.
        pub history_length: Option<i32> = "historyLength",
        /// Answer at once instead of when the task ends or waits.
        pub return_immediately: bool = "returnImmediately",
        /// Take the message only if the task has changed so often (1.1 preview).
        pub if_generation_match: Option<i64> = "ifGenerationMatch",
    }
}

message! {
    /// Sends a message: begins a task, goes on with one, or asks for a direct answer.
    pub struct SendMessageRequest {
        /// The tenant, exactly as the card's interface names it.
        pub tenant: String = "tenant",
        /// The message.
        pub message: Message = "message" [required],
        /// How to handle it.
        pub configuration: Option<SendMessageConfiguration> = "configuration",
        /// Free-form data; extensions put theirs under their URI.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// Asks for a task.
    pub struct GetTaskRequest {
        /// The tenant.
        pub tenant: String = "tenant",
        /// The task.
        pub id: String = "id" [required],
        /// How many of the newest messages to return; unset is the server's choice, 0 is none.
        pub history_length: Option<i32> = "historyLength",
        /// Answer only when the task has changed more often than this (1.1 preview).
        pub current_generation: Option<i64> = "currentGeneration",
    }
}

message! {
    /// Asks for the tasks that match, newest status first.
    pub struct ListTasksRequest {
        /// The tenant.
        pub tenant: String = "tenant",
        /// Only tasks of this conversation.
        pub context_id: String = "contextId",
        /// Only tasks in this state.
        pub status: TaskState = "status",
        /// At most this many, 1 to 100; unset is 50.
        pub page_size: Option<i32> = "pageSize",
        /// Where to go on: the `nextPageToken` of the page before.
        pub page_token: String = "pageToken",
        /// How many of the newest messages to return with each task.
        pub history_length: Option<i32> = "historyLength",
        /// Only tasks whose status is of this time or later.
        pub status_timestamp_after: Option<Timestamp> = "statusTimestampAfter",
        /// Return the artifacts too.
        pub include_artifacts: Option<bool> = "includeArtifacts",
    }
}

message! {
    /// One page of a list of tasks.
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

message! {
    /// Asks for the end of a task.
    pub struct CancelTaskRequest {
        /// The tenant.
        pub tenant: String = "tenant",
        /// The task.
        pub id: String = "id" [required],
        /// Free-form data, passed on to the agent.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// Attaches to the stream of a task.
    pub struct SubscribeToTaskRequest {
        /// The tenant.
        pub tenant: String = "tenant",
        /// The task.
        pub id: String = "id" [required],
    }
}

message! {
    /// Asks for the card that only known callers see.
    pub struct GetExtendedAgentCardRequest {
        /// The tenant.
        pub tenant: String = "tenant",
    }
}

no_rules!(
    SendMessageRequest,
    ListTasksResponse,
    CancelTaskRequest,
    SubscribeToTaskRequest,
    GetExtendedAgentCardRequest,
);

fn not_negative(name: &str, length: Option<i32>, path: &Path<'_>, found: &mut Found) {
    if length.is_some_and(i32::is_negative) {
        found.push(path.field(name).violation("must not be negative"));
    }
}

impl Rules for SendMessageConfiguration {
    fn rules(&self, path: &Path<'_>, found: &mut Found) {
        not_negative("historyLength", self.history_length, path, found);
    }
}
impl Validate for SendMessageConfiguration {}

impl Rules for GetTaskRequest {
    fn rules(&self, path: &Path<'_>, found: &mut Found) {
        not_negative("historyLength", self.history_length, path, found);
    }
}
impl Validate for GetTaskRequest {}

impl Rules for ListTasksRequest {
    fn rules(&self, path: &Path<'_>, found: &mut Found) {
        if self
            .page_size
            .is_some_and(|size| !PAGE_SIZE.contains(&size))
        {
            let (low, high) = (PAGE_SIZE.start(), PAGE_SIZE.end());
            found.push(
                path.field("pageSize")
                    .violation(format!("must be {low} to {high}")),
            );
        }
        not_negative("historyLength", self.history_length, path, found);
    }
}
impl Validate for ListTasksRequest {}

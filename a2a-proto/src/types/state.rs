//! The two enums of the protocol: the state of a task and the role of a speaker (A2A §4.1.3, §4.1.5).

use crate::types::scalar::proto_enum;

proto_enum! {
    /// Where a task stands.
    pub enum TaskState {
        /// Not set; never a state of a stored task.
        #[default]
        Unspecified = 0 | "TASK_STATE_UNSPECIFIED",
        /// Accepted, not yet begun.
        Submitted = 1 | "TASK_STATE_SUBMITTED",
        /// Being worked on.
        Working = 2 | "TASK_STATE_WORKING",
        /// Done; terminal.
        Completed = 3 | "TASK_STATE_COMPLETED",
        /// Ended by an error; terminal.
        Failed = 4 | "TASK_STATE_FAILED",
        /// Ended on request; terminal.
        Canceled = 5 | "TASK_STATE_CANCELED",
        /// Waiting for a message of the client; interrupted.
        InputRequired = 6 | "TASK_STATE_INPUT_REQUIRED",
        /// Not taken on by the agent; terminal.
        Rejected = 7 | "TASK_STATE_REJECTED",
        /// Waiting for credentials; interrupted.
        AuthRequired = 8 | "TASK_STATE_AUTH_REQUIRED",
    }
}

impl TaskState {
    /// Whether the task has ended for good: no later state is possible.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Canceled | Self::Rejected => true,
            Self::Unspecified
            | Self::Submitted
            | Self::Working
            | Self::InputRequired
            | Self::AuthRequired => false,
        }
    }

    /// Whether the task waits for the client.
    pub fn is_interrupted(self) -> bool {
        matches!(self, Self::InputRequired | Self::AuthRequired)
    }
}

proto_enum! {
    /// Who speaks.
    pub enum Role {
        /// Not set; invalid in a message.
        #[default]
        Unspecified = 0 | "ROLE_UNSPECIFIED",
        /// The client.
        User = 1 | "ROLE_USER",
        /// The agent.
        Agent = 2 | "ROLE_AGENT",
    }
}

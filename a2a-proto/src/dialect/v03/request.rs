//! What the methods of 0.3 take as parameters, and how that becomes a request of 1.0 and back. There is no tenant in 0.3.

use super::convert;
use super::objects::Message;
use crate::dialect::push::PushNotificationConfig;
use crate::error::A2aError;
use crate::types::declare::message;
use crate::types::validate::{Found, Path, no_rules};
use crate::types::{
    self, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    Metadata, SendMessageRequest, SubscribeToTaskRequest, Validate as _,
};

message! {
    /// How the client wants its message handled.
    pub struct MessageSendConfiguration {
        /// Media types that the client can take.
        pub accepted_output_modes: Vec<String> = "acceptedOutputModes",
        /// How many of the newest messages to return with the task.
        pub history_length: Option<i32> = "historyLength",
        /// Where to push updates of the task.
        pub push_notification_config: Option<PushNotificationConfig> = "pushNotificationConfig",
        /// Answer when the task ends or waits; unset means so too.
        pub blocking: Option<bool> = "blocking",
    }
}

message! {
    /// Of `message/send` and `message/stream`.
    pub struct MessageSendParams {
        /// The message.
        pub message: Message = "message" [required],
        /// How to handle it.
        pub configuration: Option<MessageSendConfiguration> = "configuration",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// Names a task: of `tasks/get`, `tasks/cancel`, `tasks/resubscribe` and `tasks/pushNotificationConfig/list`.
    pub struct TaskParams {
        /// The task.
        pub id: String = "id" [required],
        /// How many of the newest messages to return (`tasks/get`).
        pub history_length: Option<i32> = "historyLength",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// Of `tasks/pushNotificationConfig/get` and `tasks/pushNotificationConfig/delete`.
    pub struct PushNotificationConfigParams {
        /// The task.
        pub id: String = "id" [required],
        /// The configuration; to get one it may be left out, which means the first.
        pub push_notification_config_id: String = "pushNotificationConfigId",
        /// Free-form data.
        pub metadata: Option<Metadata> = "metadata",
    }
}

message! {
    /// Of `tasks/pushNotificationConfig/set`, and what it and its kin answer.
    pub struct TaskPushNotificationConfig {
        /// The task.
        pub task_id: String = "taskId" [required],
        /// Where to push.
        pub push_notification_config: Option<PushNotificationConfig> = "pushNotificationConfig" [required],
    }
}

no_rules!(
    MessageSendConfiguration,
    MessageSendParams,
    TaskParams,
    PushNotificationConfigParams,
    TaskPushNotificationConfig,
);

impl MessageSendConfiguration {
    fn into_configuration(self) -> types::SendMessageConfiguration {
        let push = self.push_notification_config;
        types::SendMessageConfiguration {
            accepted_output_modes: self.accepted_output_modes,
            task_push_notification_config: push.map(|config| config.for_task(String::new())),
            history_length: self.history_length,
            return_immediately: self.blocking == Some(false),
            ..types::SendMessageConfiguration::default()
        }
    }
}

impl From<types::SendMessageConfiguration> for MessageSendConfiguration {
    fn from(configuration: types::SendMessageConfiguration) -> Self {
        Self {
            accepted_output_modes: configuration.accepted_output_modes,
            history_length: configuration.history_length,
            push_notification_config: configuration.task_push_notification_config.map(Into::into),
            blocking: Some(!configuration.return_immediately),
        }
    }
}

impl MessageSendParams {
    /// The request of 1.0, after a check.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_request(self) -> Result<SendMessageRequest, A2aError> {
        let mut found = Found::of(&self);
        let message = convert::message_in(self.message, &Path::ROOT.field("message"), &mut found);
        found.checked(())?;
        let request = SendMessageRequest {
            message,
            configuration: self
                .configuration
                .map(MessageSendConfiguration::into_configuration),
            metadata: self.metadata,
            ..SendMessageRequest::default()
        };
        request.validate()?;
        Ok(request)
    }
}

impl From<SendMessageRequest> for MessageSendParams {
    fn from(request: SendMessageRequest) -> Self {
        // A server of 0.3 chooses by itself whether to wait when nobody says; 1.0 always waits then.
        let configuration = request.configuration.unwrap_or_default();
        Self {
            message: request.message.into(),
            configuration: Some(configuration.into()),
            metadata: request.metadata,
        }
    }
}

impl From<TaskParams> for GetTaskRequest {
    fn from(params: TaskParams) -> Self {
        Self {
            id: params.id,
            history_length: params.history_length,
            ..Self::default()
        }
    }
}

impl From<GetTaskRequest> for TaskParams {
    fn from(request: GetTaskRequest) -> Self {
        Self {
            id: request.id,
            history_length: request.history_length,
            metadata: None,
        }
    }
}

impl From<TaskParams> for CancelTaskRequest {
    fn from(params: TaskParams) -> Self {
        Self {
            id: params.id,
            metadata: params.metadata,
            ..Self::default()
        }
    }
}

impl From<CancelTaskRequest> for TaskParams {
    fn from(request: CancelTaskRequest) -> Self {
        Self {
            id: request.id,
            metadata: request.metadata,
            history_length: None,
        }
    }
}

impl From<TaskParams> for SubscribeToTaskRequest {
    fn from(params: TaskParams) -> Self {
        Self {
            id: params.id,
            ..Self::default()
        }
    }
}

impl From<SubscribeToTaskRequest> for TaskParams {
    fn from(request: SubscribeToTaskRequest) -> Self {
        Self {
            id: request.id,
            ..Self::default()
        }
    }
}

impl From<PushNotificationConfigParams> for GetTaskPushNotificationConfigRequest {
    fn from(params: PushNotificationConfigParams) -> Self {
        Self {
            task_id: params.id,
            id: params.push_notification_config_id,
            ..Self::default()
        }
    }
}

impl From<PushNotificationConfigParams> for DeleteTaskPushNotificationConfigRequest {
    fn from(params: PushNotificationConfigParams) -> Self {
        Self {
            task_id: params.id,
            id: params.push_notification_config_id,
            ..Self::default()
        }
    }
}

impl From<GetTaskPushNotificationConfigRequest> for PushNotificationConfigParams {
    fn from(request: GetTaskPushNotificationConfigRequest) -> Self {
        Self {
            id: request.task_id,
            push_notification_config_id: request.id,
            metadata: None,
        }
    }
}

impl From<DeleteTaskPushNotificationConfigRequest> for PushNotificationConfigParams {
    fn from(request: DeleteTaskPushNotificationConfigRequest) -> Self {
        Self {
            id: request.task_id,
            push_notification_config_id: request.id,
            metadata: None,
        }
    }
}

impl From<ListTaskPushNotificationConfigsRequest> for TaskParams {
    fn from(request: ListTaskPushNotificationConfigsRequest) -> Self {
        Self {
            id: request.task_id,
            ..Self::default()
        }
    }
}

impl TaskPushNotificationConfig {
    /// The configuration of 1.0, after a check.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_config(self) -> Result<types::TaskPushNotificationConfig, A2aError> {
        self.validate()?;
        let config = self.push_notification_config.unwrap_or_default();
        Ok(config.for_task(self.task_id))
    }
}

impl From<types::TaskPushNotificationConfig> for TaskPushNotificationConfig {
    fn from(config: types::TaskPushNotificationConfig) -> Self {
        Self {
            task_id: config.task_id.clone(),
            push_notification_config: Some(config.into()),
        }
    }
}

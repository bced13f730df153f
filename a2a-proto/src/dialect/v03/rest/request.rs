//! Requests of 1.0 from those of the REST binding of 0.3 and back.

use super::convert::message_in;
use super::objects::{
    CreateTaskPushNotificationConfigRequest, ListTaskPushNotificationConfigResponse,
    ListTasksResponse, SendMessageConfiguration, SendMessageRequest, TaskPushNotificationConfig,
};
use crate::error::A2aError;
use crate::types::validate::{Found, Path};
use crate::types::{self, Validate as _};

impl SendMessageRequest {
    /// The request of 1.0, after a check. Without a configuration the client waits; with one it waits if it says so,
    /// because a proto client leaves out what is false.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_request(self) -> Result<types::SendMessageRequest, A2aError> {
        let mut found = Found::of(&self);
        let message = message_in(self.request, &Path::ROOT.field("message"), &mut found);
        let request = types::SendMessageRequest {
            message,
            configuration: self
                .configuration
                .map(|it| types::SendMessageConfiguration {
                    accepted_output_modes: it.accepted_output_modes,
                    task_push_notification_config: it
                        .push_notification
                        .map(|config| config.for_task(String::new())),
                    history_length: it.history_length,
                    return_immediately: !it.blocking,
                    ..types::SendMessageConfiguration::default()
                }),
            metadata: self.metadata,
            ..types::SendMessageRequest::default()
        };
        let request = found.checked(request)?;
        request.validate()?;
        Ok(request)
    }
}

impl From<types::SendMessageRequest> for SendMessageRequest {
    fn from(request: types::SendMessageRequest) -> Self {
        let configuration = request.configuration.unwrap_or_default();
        Self {
            request: request.message.into(),
            configuration: Some(SendMessageConfiguration {
                accepted_output_modes: configuration.accepted_output_modes,
                push_notification: configuration.task_push_notification_config.map(Into::into),
                history_length: configuration.history_length,
                blocking: !configuration.return_immediately,
            }),
            metadata: request.metadata,
        }
    }
}

impl CreateTaskPushNotificationConfigRequest {
    /// The configuration of 1.0 for the task in the path, after a check.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_config(
        self,
        task_id: String,
    ) -> Result<types::TaskPushNotificationConfig, A2aError> {
        if !self.parent.is_empty() && self.parent != format!("tasks/{task_id}") {
            return Err(A2aError::invalid_param(
                "parent",
                "the path names another task",
            ));
        }
        let (config, name) = match self.config {
            Some(config) => (config.push_notification_config, config.name),
            None => (self.push_notification_config, self.name),
        };
        let Some(mut config) = config else {
            return Err(A2aError::invalid_param(
                "pushNotificationConfig",
                "is required",
            ));
        };
        config.validate()?;
        // Three places for the same id.
        let named = name.rsplit_once("/pushNotificationConfigs/");
        let in_name = named.map(|(_, id)| id.to_owned()).unwrap_or_default();
        for id in [self.config_id, in_name] {
            if config.id.is_empty() {
                config.id = id;
            }
        }
        Ok(config.for_task(task_id))
    }
}

impl From<types::TaskPushNotificationConfig> for CreateTaskPushNotificationConfigRequest {
    /// The whole form.
    fn from(config: types::TaskPushNotificationConfig) -> Self {
        Self {
            parent: format!("tasks/{}", config.task_id),
            config_id: config.id.clone(),
            config: Some(config.into()),
            ..Self::default()
        }
    }
}

impl From<types::TaskPushNotificationConfig> for TaskPushNotificationConfig {
    fn from(config: types::TaskPushNotificationConfig) -> Self {
        Self {
            name: format!(
                "tasks/{}/pushNotificationConfigs/{}",
                config.task_id, config.id
            ),
            push_notification_config: Some(config.into()),
        }
    }
}

impl TaskPushNotificationConfig {
    /// The configuration of 1.0. The task is in the resource name.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] when the name is not one.
    pub fn into_config(self) -> Result<types::TaskPushNotificationConfig, A2aError> {
        let named = self
            .name
            .strip_prefix("tasks/")
            .and_then(|rest| rest.split_once("/pushNotificationConfigs/"));
        let Some((task_id, id)) = named else {
            return Err(A2aError::invalid_param(
                "name",
                "must be tasks/{task}/pushNotificationConfigs/{id}",
            ));
        };
        let mut config = self.push_notification_config.unwrap_or_default();
        if config.id.is_empty() {
            id.clone_into(&mut config.id);
        }
        Ok(config.for_task(task_id.to_owned()))
    }
}

impl From<types::ListTaskPushNotificationConfigsResponse>
    for ListTaskPushNotificationConfigResponse
{
    fn from(list: types::ListTaskPushNotificationConfigsResponse) -> Self {
        Self {
            configs: list.configs.into_iter().map(Into::into).collect(),
            next_page_token: list.next_page_token,
        }
    }
}

impl ListTaskPushNotificationConfigResponse {
    /// The page of 1.0.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] when a name is not one.
    pub fn into_page(self) -> Result<types::ListTaskPushNotificationConfigsResponse, A2aError> {
        let configs = self.configs.into_iter();
        let configs = configs.map(TaskPushNotificationConfig::into_config);
        Ok(types::ListTaskPushNotificationConfigsResponse {
            configs: configs.collect::<Result<_, _>>()?,
            next_page_token: self.next_page_token,
        })
    }
}

impl ListTasksResponse {
    /// The page of 1.0.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub fn into_page(self) -> Result<types::ListTasksResponse, A2aError> {
        let tasks = self.tasks.into_iter().map(super::Task::into_task);
        Ok(types::ListTasksResponse {
            tasks: tasks.collect::<Result<_, _>>()?,
            next_page_token: self.next_page_token,
            page_size: self.page_size,
            total_size: self.total_size,
        })
    }
}

impl From<types::ListTasksResponse> for ListTasksResponse {
    fn from(page: types::ListTasksResponse) -> Self {
        Self {
            tasks: page.tasks.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
            page_size: page.page_size,
            total_size: page.total_size,
        }
    }
}

//! The operations on push configurations (A2A §3.1.7 to §3.1.10): where the agent posts the updates of a task. The same four
//! calls for every version; what a version cannot say is filled in here.

use serde::de::IgnoredAny;

use super::operation::Operation;
use super::{Client, ClientError};
use crate::clock::{Ids as _, UuidV7};
use crate::types::{
    DeleteTaskPushNotificationConfigRequest, GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest, ListTaskPushNotificationConfigsResponse,
    TaskPushNotificationConfig,
};

impl Client {
    /// Has the updates of the task `config.task_id` posted to `config.url`. With the id of a configuration that is there it
    /// takes its place; without an id the agent makes one, or we do where the agent cannot (0.3).
    ///
    /// # Errors
    /// [`ClientError::Agent`] when the agent refuses, or has no such operation; another one when it cannot be reached.
    pub async fn create_push_config(
        &self,
        mut config: TaskPushNotificationConfig,
    ) -> Result<TaskPushNotificationConfig, ClientError> {
        if config.id.is_empty() && self.inner.interface.clients_name_push_configs() {
            config.id = UuidV7.next();
        }
        let operation = Operation::CreatePush(&config);
        if config.id.is_empty() {
            // A second try might make a second configuration.
            let limit = Some(self.inner.options.call_timeout);
            return self.inner.call(&operation, limit).await;
        }
        self.inner.ask(&operation).await
    }

    /// The configuration `id` of the task `task_id`. Agents of 0.3 over JSON-RPC and of 0.1 take no id for the first one.
    ///
    /// # Errors
    /// [`ClientError::Agent`] when the agent refuses, or has no such operation; another one when it cannot be reached.
    pub async fn get_push_config(
        &self,
        task_id: &str,
        id: &str,
    ) -> Result<TaskPushNotificationConfig, ClientError> {
        let request = GetTaskPushNotificationConfigRequest {
            task_id: task_id.to_owned(),
            id: id.to_owned(),
            ..GetTaskPushNotificationConfigRequest::default()
        };
        self.inner.ask(&Operation::GetPush(&request)).await
    }

    /// One page of a task's configurations. Lists of 0.3 over JSON-RPC have one page.
    ///
    /// # Errors
    /// [`ClientError::Agent`] when the agent refuses, or has no such operation; another one when it cannot be reached.
    pub async fn list_push_configs(
        &self,
        request: &ListTaskPushNotificationConfigsRequest,
    ) -> Result<ListTaskPushNotificationConfigsResponse, ClientError> {
        self.inner.ask(&Operation::ListPush(request)).await
    }

    /// Deletes the configuration `id` of the task `task_id`; one that is not there is deleted already.
    ///
    /// # Errors
    /// [`ClientError::Agent`] when the agent refuses, or has no such operation; another one when it cannot be reached.
    pub async fn delete_push_config(&self, task_id: &str, id: &str) -> Result<(), ClientError> {
        let request = DeleteTaskPushNotificationConfigRequest {
            task_id: task_id.to_owned(),
            id: id.to_owned(),
            ..DeleteTaskPushNotificationConfigRequest::default()
        };
        // Some agents answer `{}`, some `null`, some nothing.
        let _: IgnoredAny = self.inner.ask(&Operation::DeletePush(&request)).await?;
        Ok(())
    }
}

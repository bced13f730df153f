//! Where to push updates of a task, as the versions before 1.0 say it: apart from the task, and with a list of schemes of
//! which 1.0 keeps the first.

use crate::types::declare::message;
use crate::types::validate::no_rules;
use crate::types::{AuthenticationInfo, TaskPushNotificationConfig};

message! {
    /// How the server authenticates itself to the receiver.
    pub struct PushNotificationAuthenticationInfo {
        /// Authentication schemes that the receiver takes, such as `Bearer`.
        pub schemes: Vec<String> = "schemes" [required],
        /// What follows the scheme in the `Authorization` header.
        pub credentials: String = "credentials" [secret],
    }
}

message! {
    /// Where to push updates of a task.
    pub struct PushNotificationConfig {
        /// Unique within the task.
        pub id: String = "id",
        /// Where to post.
        pub url: String = "url" [required],
        /// Sent along, so that the receiver can tell that the notification is for it.
        pub token: String = "token" [secret],
        /// How the server authenticates itself.
        pub authentication: Option<PushNotificationAuthenticationInfo> = "authentication",
    }
}
no_rules!(PushNotificationAuthenticationInfo, PushNotificationConfig);

impl PushNotificationConfig {
    /// The configuration of 1.0 for the task `task_id`; empty where the message will make the task.
    pub(super) fn for_task(self, task_id: String) -> TaskPushNotificationConfig {
        TaskPushNotificationConfig {
            id: self.id,
            task_id,
            url: self.url,
            token: self.token,
            authentication: self.authentication.map(|info| AuthenticationInfo {
                scheme: info.schemes.into_iter().next().unwrap_or_default(),
                credentials: info.credentials,
            }),
            ..TaskPushNotificationConfig::default()
        }
    }
}

impl From<TaskPushNotificationConfig> for PushNotificationConfig {
    fn from(config: TaskPushNotificationConfig) -> Self {
        Self {
            id: config.id,
            url: config.url,
            token: config.token,
            authentication: config
                .authentication
                .map(|info| PushNotificationAuthenticationInfo {
                    schemes: vec![info.scheme],
                    credentials: info.credentials,
                }),
        }
    }
}

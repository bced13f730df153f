//! Push notification configurations (A2A §4.3, §3.1.7–§3.1.10): where a server posts the updates of a task.

use crate::types::declare::message;
use crate::types::validate::no_rules;

message! {
    /// How the server authenticates itself to the receiver.
    pub struct AuthenticationInfo {
        /// An IANA authentication scheme such as `Bearer`; upper and lower case are the same.
        pub scheme: String = "scheme" [required],
        /// What follows the scheme in the `Authorization` header.
        pub credentials: String = "credentials" [secret],
    }
}

message! {
    /// Where to post the updates of a task; also the request that creates it.
    pub struct TaskPushNotificationConfig {
        /// The tenant.
        pub tenant: String = "tenant",
        /// Unique within the task; the server makes one when it is empty.
        pub id: String = "id",
        /// The task.
        pub task_id: String = "taskId",
        /// Where to post.
        pub url: String = "url" [required],
        /// Sent along, so that the receiver can tell that the notification is for it.
        pub token: String = "token" [secret],
        /// How the server authenticates itself.
        pub authentication: Option<AuthenticationInfo> = "authentication",
    }
}

message! {
    /// Asks for one configuration.
    pub struct GetTaskPushNotificationConfigRequest {
        /// The tenant.
        pub tenant: String = "tenant",
        /// The task.
        pub task_id: String = "taskId" [required],
        /// The configuration.
        pub id: String = "id" [required],
    }
}

message! {
    /// Asks to delete one configuration.
    pub struct DeleteTaskPushNotificationConfigRequest {
        /// The tenant.
        pub tenant: String = "tenant",
        /// The task.
        pub task_id: String = "taskId" [required],
        /// The configuration.
        pub id: String = "id" [required],
    }
}

message! {
    /// Asks for the configurations of a task.
    pub struct ListTaskPushNotificationConfigsRequest {
        /// The task.
        pub task_id: String = "taskId" [required],
        /// At most this many; 0 is the server's choice.
        pub page_size: i32 = "pageSize",
        /// Where to go on.
        pub page_token: String = "pageToken",
        /// The tenant.
        pub tenant: String = "tenant",
    }
}

message! {
    /// One page of configurations.
    pub struct ListTaskPushNotificationConfigsResponse {
        /// The configurations.
        pub configs: Vec<TaskPushNotificationConfig> = "configs",
        /// Where to go on; empty on the last page.
        pub next_page_token: String = "nextPageToken",
    }
}

no_rules!(
    AuthenticationInfo,
    TaskPushNotificationConfig,
    GetTaskPushNotificationConfigRequest,
    DeleteTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse,
);

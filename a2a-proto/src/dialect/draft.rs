//! What is left of a draft of 1.0 in the wild: the request that creates a push configuration used to have it in a member of
//! its own, and some clients still send it so. What is said in both places must be the same.

use crate::error::A2aError;
use crate::types::declare::message;
use crate::types::validate::no_rules;
use crate::types::{AuthenticationInfo, TaskPushNotificationConfig};

message! {
    /// Creates a push configuration, in the flat form of 1.0 or with a `config` inside.
    pub struct CreateTaskPushNotificationConfigRequest {
        /// The tenant.
        pub tenant: String = "tenant",
        /// Unique within the task.
        pub id: String = "id",
        /// The task.
        pub task_id: String = "taskId",
        /// Where to post.
        pub url: String = "url",
        /// Sent along.
        pub token: String = "token" [secret],
        /// How the server authenticates itself.
        pub authentication: Option<AuthenticationInfo> = "authentication",
        /// The configuration, in the form of the draft.
        pub config: Option<TaskPushNotificationConfig> = "config",
    }
}
no_rules!(CreateTaskPushNotificationConfigRequest);

impl CreateTaskPushNotificationConfigRequest {
    /// The configuration.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] when two places say different things.
    pub fn into_config(self) -> Result<TaskPushNotificationConfig, A2aError> {
        let flat = TaskPushNotificationConfig {
            tenant: self.tenant,
            id: self.id,
            task_id: self.task_id,
            url: self.url,
            token: self.token,
            authentication: self.authentication,
        };
        let Some(inner) = self.config else {
            return Ok(flat);
        };
        Ok(TaskPushNotificationConfig {
            tenant: one("tenant", flat.tenant, inner.tenant)?,
            id: one("id", flat.id, inner.id)?,
            task_id: one("taskId", flat.task_id, inner.task_id)?,
            url: one("url", flat.url, inner.url)?,
            token: one("token", flat.token, inner.token)?,
            authentication: one("authentication", flat.authentication, inner.authentication)?,
        })
    }
}

/// What one of the two places says, or both.
fn one<T: Default + PartialEq>(field: &str, outer: T, inner: T) -> Result<T, A2aError> {
    if outer == T::default() {
        Ok(inner)
    } else if inner == T::default() || inner == outer {
        Ok(outer)
    } else {
        let text = format!("is not the same as {field}");
        Err(A2aError::invalid_param(format!("config.{field}"), text))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;

    fn read(body: Value) -> Result<TaskPushNotificationConfig, A2aError> {
        let request: CreateTaskPushNotificationConfigRequest =
            serde_json::from_value(body).unwrap();
        request.into_config()
    }

    #[test]
    fn both_forms_are_the_same_configuration() {
        let url = "https://example.com/hook";
        let expected = TaskPushNotificationConfig {
            id: "c".to_owned(),
            task_id: "t".to_owned(),
            url: url.to_owned(),
            ..TaskPushNotificationConfig::default()
        };
        for body in [
            json!({"taskId": "t", "id": "c", "url": url}),
            json!({"taskId": "t", "config": {"id": "c", "url": url}}),
            json!({"task_id": "t", "config": {"id": "c", "url": url, "taskId": "t"}, "url": url}),
            json!({"config": {"id": "c", "url": url, "taskId": "t"}}),
            json!({"taskId": "t", "id": "c", "url": url, "config": null}),
            json!({"taskId": "t", "id": "c", "url": url, "config": {}}),
        ] {
            assert_eq!(read(body.clone()).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn two_different_things_at_once_are_refused_by_name() {
        for (body, field) in [
            (
                json!({"url": "https://a/", "config": {"url": "https://b/"}}),
                "config.url",
            ),
            (json!({"id": "a", "config": {"id": "b"}}), "config.id"),
            (
                json!({"taskId": "a", "config": {"taskId": "b"}}),
                "config.taskId",
            ),
            (
                json!({"authentication": {"scheme": "Basic"}, "config": {"authentication": {"scheme": "Bearer"}}}),
                "config.authentication",
            ),
        ] {
            match read(body) {
                Err(A2aError::InvalidParams { violations }) => {
                    assert_eq!(violations[0].field, field);
                }
                other => panic!("{field}: {other:?}"),
            }
        }
    }
}

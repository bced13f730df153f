//! The push row of our own client: all four operations on a task that waits, then the answer that ends the task, of which
//! the webhook is to be told.

use a2a_proto::client::ClientError;
use a2a_proto::types::{
    ListTaskPushNotificationConfigsRequest, Task, TaskPushNotificationConfig, TaskState,
};

use super::{ASK, Done, Driver, check, done, fresh, request, wants};
use crate::run::TOKEN;

impl Driver {
    pub(super) async fn push(&self, webhook: &str) -> Done {
        let task = self.ask(request(ASK, None, false)).await?;
        wants(&task, TaskState::InputRequired)?;
        let config = |id: &str, url: String| TaskPushNotificationConfig {
            task_id: task.id.clone(),
            id: id.to_owned(),
            url,
            token: TOKEN.to_owned(),
            ..TaskPushNotificationConfig::default()
        };
        let one = config("one", webhook.to_owned());
        let made = self.client.create_push_config(one).await?;
        check(made.url == webhook, || {
            format!("it was made with url {}", made.url)
        })?;
        let got = self.client.get_push_config(&task.id, &made.id).await?;
        check(got.url == webhook, || format!("it has url {}", got.url))?;
        match self.listed(&task).await {
            Ok(ids) => {
                check(ids == [made.id.as_str()], || format!("listed {ids:?}"))?;
                let two = config("two", format!("{webhook}/two"));
                self.client.create_push_config(two).await?;
                self.client.delete_push_config(&task.id, "two").await?;
                let ids = self.listed(&task).await?;
                check(ids == [made.id.as_str()], || format!("then listed {ids:?}"))?;
            }
            // Not every server of 0.3 can list over REST, nor can all clients.
            Err(ClientError::Agent(_)) if self.old && self.rest => {}
            Err(error) => return Err(error.into()),
        }
        let text = format!("write answer.txt {}", fresh("blue"));
        let after = self.ask(request(&text, Some(&task), false)).await?;
        wants(&after, TaskState::Completed)?;
        done(task.id)
    }

    /// The ids of the task's configurations.
    async fn listed(&self, task: &Task) -> Result<Vec<String>, ClientError> {
        let request = ListTaskPushNotificationConfigsRequest {
            task_id: task.id.clone(),
            ..ListTaskPushNotificationConfigsRequest::default()
        };
        let page = self.client.list_push_configs(&request).await?;
        Ok(page.configs.into_iter().map(|config| config.id).collect())
    }
}

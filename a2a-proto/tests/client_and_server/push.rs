//! Push configurations through our client, in every version and binding that has them. That notifications come is tested
//! where they are sent.

use std::sync::Arc;

use a2a_proto::client::{Client, ClientError};
use a2a_proto::error::A2aError;
use a2a_proto::log::MemoryLog;
use a2a_proto::server::AnyCaller;
use a2a_proto::types::{
    AuthenticationInfo, ListTaskPushNotificationConfigsRequest, SendMessageResponse,
    TaskPushNotificationConfig,
};
use pretty_assertions::assert_eq;

use crate::world::{World, message, options};

/// What has all four operations.
const ALL_FOUR: &[&str] = &[
    "JSONRPC",
    "HTTP+JSON",
    "JSONRPC 0.3",
    "HTTP+JSON 0.3",
    #[cfg(feature = "grpc")]
    "GRPC",
    #[cfg(feature = "grpc")]
    "GRPC 0.3",
];

async fn world(binding: &str) -> (World, Client) {
    let world = World::new(MemoryLog::new().unwrap(), binding, Arc::new(AnyCaller), 0).await;
    let client = world.client(options()).await;
    (world, client)
}

/// The id of a task that has ended: it may have configurations too.
async fn task(client: &Client) -> String {
    match client.send(&message("1")).await.unwrap() {
        SendMessageResponse::Task(task) => task.id,
        SendMessageResponse::Message(_) => panic!("a task"),
    }
}

fn config(task_id: &str, id: &str) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        task_id: task_id.to_owned(),
        id: id.to_owned(),
        url: "https://example.com/hook".to_owned(),
        token: "mine".to_owned(),
        authentication: Some(AuthenticationInfo {
            scheme: "Bearer".to_owned(),
            credentials: "s3cret".to_owned(),
        }),
        ..TaskPushNotificationConfig::default()
    }
}

/// As it is shown: without the credentials.
fn shown(mut config: TaskPushNotificationConfig) -> TaskPushNotificationConfig {
    if let Some(authentication) = &mut config.authentication {
        authentication.credentials.clear();
    }
    config
}

fn code<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> Option<i64> {
    answer.unwrap_err().agent_error().map(A2aError::code)
}

async fn list(client: &Client, task_id: &str) -> Vec<TaskPushNotificationConfig> {
    let mut request = ListTaskPushNotificationConfigsRequest {
        task_id: task_id.to_owned(),
        page_size: 1,
        ..ListTaskPushNotificationConfigsRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let page = client.list_push_configs(&request).await.unwrap();
        all.extend(page.configs);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn configurations_are_created_found_listed_and_deleted_in_every_version_and_binding() {
    for binding in ALL_FOUR {
        let (world, client) = world(binding).await;
        let task_id = task(&client).await;
        let first = config(&task_id, "first: ä+1");
        let made = client.create_push_config(first.clone()).await.unwrap();
        assert_eq!(made, shown(first.clone()), "{binding}");
        let named = client
            .create_push_config(config(&task_id, ""))
            .await
            .unwrap();
        assert!(!named.id.is_empty(), "{binding}");
        assert_eq!(named, shown(config(&task_id, &named.id)), "{binding}");

        let got = client.get_push_config(&task_id, &first.id).await.unwrap();
        assert_eq!(got, made, "{binding}");
        let mut listed = list(&client, &task_id).await;
        let mut both = vec![made, named.clone()];
        for configs in [&mut listed, &mut both] {
            configs.sort_by(|a, b| a.id.cmp(&b.id));
        }
        assert_eq!(listed, both, "{binding}");

        // A second time changes nothing.
        for _ in 0..2 {
            let deleted = client.delete_push_config(&task_id, &first.id).await;
            deleted.unwrap_or_else(|error| panic!("{binding}: {error:?}"));
        }
        assert_eq!(list(&client, &task_id).await, [named], "{binding}");
        world.stop().await;
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_told_in_every_version_and_binding() {
    for binding in ALL_FOUR {
        let (world, client) = world(binding).await;
        let task_id = task(&client).await;
        let missing = client.get_push_config(&task_id, "nothing").await;
        assert_eq!(code(missing), Some(-32001), "{binding}");
        let missing = client.create_push_config(config("nothing", "c")).await;
        assert_eq!(code(missing), Some(-32001), "{binding}");
        let private = TaskPushNotificationConfig {
            url: "https://127.0.0.1/hook".to_owned(),
            ..config(&task_id, "c")
        };
        let refused = client.create_push_config(private).await;
        assert_eq!(code(refused), Some(-32602), "{binding}");
        world.stop().await;
    }
}

#[tokio::test]
async fn agents_of_0_1_have_one_configuration_without_a_name() {
    let (world, client) = world("JSONRPC 0.1").await;
    let task_id = task(&client).await;
    let made = client
        .create_push_config(config(&task_id, ""))
        .await
        .unwrap();
    assert_eq!(made, shown(config(&task_id, &made.id)));
    let got = client.get_push_config(&task_id, "").await.unwrap();
    assert_eq!(got, made);
    let request = ListTaskPushNotificationConfigsRequest {
        task_id: task_id.clone(),
        ..ListTaskPushNotificationConfigsRequest::default()
    };
    assert_eq!(code(client.list_push_configs(&request).await), Some(-32004));
    assert_eq!(
        code(client.delete_push_config(&task_id, "c").await),
        Some(-32004)
    );
    world.stop().await;
}

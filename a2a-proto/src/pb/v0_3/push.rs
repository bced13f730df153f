//! Push configurations of A2A 0.3: the configuration is an object inside one that only names it.

use a2a_pb_types::v0_3 as pb;

use super::resource;
use crate::pb::{Found, Proto};
use crate::types::validate::Path;
use crate::types::{
    AuthenticationInfo, DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest, ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse, TaskPushNotificationConfig,
};

/// The request that creates a configuration, which in 1.0 is the configuration itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Create(pub(crate) TaskPushNotificationConfig);

impl Proto<pb::PushNotificationConfig> for TaskPushNotificationConfig {
    fn to_pb(&self) -> pb::PushNotificationConfig {
        pb::PushNotificationConfig {
            id: self.id.clone(),
            url: self.url.clone(),
            token: self.token.clone(),
            authentication: self.authentication.to_pb(),
        }
    }
    fn from_pb(pb: pb::PushNotificationConfig, path: &Path<'_>, found: &mut Found) -> Self {
        Self {
            id: pb.id,
            url: pb.url,
            token: pb.token,
            authentication: Proto::from_pb(pb.authentication, &path.field("authentication"), found),
            ..Self::default()
        }
    }
}

impl Proto<pb::AuthenticationInfo> for AuthenticationInfo {
    fn to_pb(&self) -> pb::AuthenticationInfo {
        let scheme = Some(self.scheme.clone()).filter(|scheme| !scheme.is_empty());
        pb::AuthenticationInfo {
            schemes: Vec::from_iter(scheme),
            credentials: self.credentials.clone(),
        }
    }
    fn from_pb(pb: pb::AuthenticationInfo, _: &Path<'_>, _: &mut Found) -> Self {
        Self {
            // Alternatives: the first is the one that the credentials are for.
            scheme: pb.schemes.into_iter().next().unwrap_or_default(),
            credentials: pb.credentials,
        }
    }
}

impl Proto<pb::TaskPushNotificationConfig> for TaskPushNotificationConfig {
    fn to_pb(&self) -> pb::TaskPushNotificationConfig {
        pb::TaskPushNotificationConfig {
            name: resource::config(&self.task_id, &self.id),
            push_notification_config: Some(self.to_pb()),
        }
    }
    fn from_pb(pb: pb::TaskPushNotificationConfig, path: &Path<'_>, found: &mut Found) -> Self {
        let (task_id, id) = resource::config_ids(&pb.name, &path.field("name"), found);
        let inner = pb.push_notification_config.unwrap_or_default();
        let inner = Self::from_pb(inner, &path.field("pushNotificationConfig"), found);
        Self {
            task_id,
            id: if id.is_empty() { inner.id } else { id },
            ..inner
        }
    }
}

impl Proto<pb::CreateTaskPushNotificationConfigRequest> for Create {
    fn to_pb(&self) -> pb::CreateTaskPushNotificationConfigRequest {
        pb::CreateTaskPushNotificationConfigRequest {
            parent: resource::task(&self.0.task_id),
            config_id: self.0.id.clone(),
            config: Some(self.0.to_pb()),
        }
    }
    fn from_pb(
        pb: pb::CreateTaskPushNotificationConfigRequest,
        path: &Path<'_>,
        found: &mut Found,
    ) -> Self {
        let outer = pb.config.unwrap_or_default();
        let inner = outer.push_notification_config.unwrap_or_default();
        let inner_path = &path.field("config");
        let mut config = TaskPushNotificationConfig::from_pb(inner, inner_path, found);
        // The name inside is the server's to give; what counts is the parent.
        config.task_id = resource::task_id(&pb.parent, &path.field("parent"), found);
        if !pb.config_id.is_empty() {
            config.id = pb.config_id;
        }
        Self(config)
    }
}

impl Proto<pb::GetTaskPushNotificationConfigRequest> for GetTaskPushNotificationConfigRequest {
    fn to_pb(&self) -> pb::GetTaskPushNotificationConfigRequest {
        pb::GetTaskPushNotificationConfigRequest {
            name: resource::config(&self.task_id, &self.id),
        }
    }
    fn from_pb(
        pb: pb::GetTaskPushNotificationConfigRequest,
        path: &Path<'_>,
        found: &mut Found,
    ) -> Self {
        let (task_id, id) = resource::config_ids(&pb.name, &path.field("name"), found);
        Self {
            task_id,
            id,
            ..Self::default()
        }
    }
}

impl Proto<pb::DeleteTaskPushNotificationConfigRequest>
    for DeleteTaskPushNotificationConfigRequest
{
    fn to_pb(&self) -> pb::DeleteTaskPushNotificationConfigRequest {
        pb::DeleteTaskPushNotificationConfigRequest {
            name: resource::config(&self.task_id, &self.id),
        }
    }
    fn from_pb(
        pb: pb::DeleteTaskPushNotificationConfigRequest,
        path: &Path<'_>,
        found: &mut Found,
    ) -> Self {
        let (task_id, id) = resource::config_ids(&pb.name, &path.field("name"), found);
        Self {
            task_id,
            id,
            ..Self::default()
        }
    }
}

impl Proto<pb::ListTaskPushNotificationConfigRequest> for ListTaskPushNotificationConfigsRequest {
    fn to_pb(&self) -> pb::ListTaskPushNotificationConfigRequest {
        pb::ListTaskPushNotificationConfigRequest {
            parent: resource::task(&self.task_id),
            page_size: self.page_size,
            page_token: self.page_token.clone(),
        }
    }
    fn from_pb(
        pb: pb::ListTaskPushNotificationConfigRequest,
        path: &Path<'_>,
        found: &mut Found,
    ) -> Self {
        Self {
            task_id: resource::task_id(&pb.parent, &path.field("parent"), found),
            page_size: pb.page_size,
            page_token: pb.page_token,
            ..Self::default()
        }
    }
}

impl Proto<pb::ListTaskPushNotificationConfigResponse> for ListTaskPushNotificationConfigsResponse {
    fn to_pb(&self) -> pb::ListTaskPushNotificationConfigResponse {
        pb::ListTaskPushNotificationConfigResponse {
            configs: self.configs.to_pb(),
            next_page_token: self.next_page_token.clone(),
        }
    }
    fn from_pb(
        pb: pb::ListTaskPushNotificationConfigResponse,
        path: &Path<'_>,
        found: &mut Found,
    ) -> Self {
        Self {
            configs: Proto::from_pb(pb.configs, &path.field("configs"), found),
            next_page_token: pb.next_page_token,
        }
    }
}

//! The canonical A2A 1.0 objects (package `lf.a2a.v1`), one file per family, complete. They read and write ProtoJSON by
//! themselves; `null` and absent are the same, an empty string is an unset string, an `Option` is used where the protocol
//! tells unset and default apart or where a message is optional. Reading checks shapes only; [`Validate`] checks that
//! what is required is there. Dialects of other versions live in [`crate::dialect`] and convert to and from these.

mod artifact;
mod card;
pub(crate) mod declare;
mod event;
mod message;
mod oauth;
mod part;
pub(crate) mod protojson;
mod push;
mod query;
mod request;
pub(crate) mod scalar;
mod security;
mod state;
mod task;
pub(crate) mod validate;

#[cfg(test)]
pub(crate) mod tests;

pub use artifact::Artifact;
pub use card::{
    AgentCapabilities, AgentCard, AgentCardSignature, AgentExtension, AgentInterface,
    AgentProvider, AgentSkill,
};
pub use event::{
    SendMessageResponse, StreamResponse, TaskArtifactUpdateEvent, TaskStatusUpdateEvent,
};
pub use message::Message;
pub use oauth::{
    AuthorizationCodeOAuthFlow, ClientCredentialsOAuthFlow, DeviceCodeOAuthFlow, ImplicitOAuthFlow,
    OAuthFlows, PasswordOAuthFlow,
};
pub use part::{Part, PartContent};
pub use protojson::from_slice;
pub use push::{
    AuthenticationInfo, DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest, ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse, TaskPushNotificationConfig,
};
pub use query::from_query;
pub use request::{
    CancelTaskRequest, GetExtendedAgentCardRequest, GetTaskRequest, ListTasksRequest,
    ListTasksResponse, PAGE_SIZE, SendMessageConfiguration, SendMessageRequest,
    SubscribeToTaskRequest,
};
pub use security::{
    APIKeySecurityScheme, HTTPAuthSecurityScheme, MutualTlsSecurityScheme, OAuth2SecurityScheme,
    OpenIdConnectSecurityScheme, SecurityRequirement, SecurityScheme, StringList,
};
pub use state::{Role, TaskState};
pub use task::{Task, TaskStatus};
pub use validate::Validate;

/// A free-form JSON object (`google.protobuf.Struct`).
pub type Metadata = serde_json::Map<String, serde_json::Value>;

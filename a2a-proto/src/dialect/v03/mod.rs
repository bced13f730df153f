//! A2A 0.3, and 0.2, whose payloads are the same: `message/send` and its kin over JSON-RPC, and a REST binding below `/v1`
//! with objects of its own ([`rest`]).
//!
//! `objects` has the objects, `request` the parameters, `convert` and `event` the way to and from the canonical ones, `error` what is wrong, `card`
//! and `security` the agent card.

mod card;
mod convert;
mod error;
mod event;
mod objects;
mod request;
pub mod rest;
mod security;

#[cfg(test)]
mod tests;

pub use super::part::FileContent;
pub use super::push::{PushNotificationAuthenticationInfo, PushNotificationConfig};
pub use card::{AgentCapabilities, AgentCard, AgentInterface, AgentSkill};
pub use error::{error, name};
pub use event::{Event, ends_stream};
pub use objects::{
    Artifact, Message, Part, Task, TaskArtifactUpdateEvent, TaskStatus, TaskStatusUpdateEvent,
};
pub use request::{
    MessageSendConfiguration, MessageSendParams, PushNotificationConfigParams, TaskParams,
    TaskPushNotificationConfig,
};
pub use security::{OAuthFlows, SecurityRequirement, SecurityScheme};

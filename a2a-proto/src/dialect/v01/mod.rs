//! A2A 0.1: `tasks/send` and `tasks/sendSubscribe`, where the client makes the id of the task. JSON-RPC only.
//!
//! `objects` has the objects, `convert` the way to and from the canonical ones, `stream` the events, `error` the codes.
//! The [simple](crate::dialect::simple) dialect uses the same objects.

pub(super) mod convert;
mod error;
mod objects;
mod stream;

#[cfg(test)]
mod tests;

pub use super::part::FileContent;
pub use super::push::{PushNotificationAuthenticationInfo, PushNotificationConfig};
pub use convert::{reply_as_task, task};
pub use error::{Refused, error, from_error};
pub use objects::{
    Artifact, Message, Part, SendParams, Task, TaskArtifactUpdateEvent, TaskParams,
    TaskPushNotificationConfig, TaskStatus, TaskStatusUpdateEvent,
};
pub use stream::{Event, EventStream};

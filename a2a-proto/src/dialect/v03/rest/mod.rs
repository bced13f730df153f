//! The REST binding of 0.3, below `/v1`: ProtoJSON of the 0.3 proto, not the `kind` objects of its JSON-RPC binding.
//!
//! `objects` has the objects, `convert` and `request` the way to and from the canonical ones, `error` the bodies.

mod convert;
mod error;
mod objects;
mod request;

pub use error::{body as error_body, from_http};
pub use objects::{
    Artifact, CreateTaskPushNotificationConfigRequest, DataPart, FilePart,
    ListTaskPushNotificationConfigResponse, ListTasksResponse, Message, Part,
    SendMessageConfiguration, SendMessageRequest, SendMessageResponse, StreamResponse, Task,
    TaskArtifactUpdateEvent, TaskPushNotificationConfig, TaskState, TaskStatus,
    TaskStatusUpdateEvent,
};

//! Ways into what is private and reads bytes of strangers, for the fuzz targets in `tests/fuzz` and nobody else: the messages
//! of gRPC, the paths of the HTTP bindings, the addresses of webhooks. Nothing here judges; the properties are there.

use bytes::Bytes;
use http::Method;
use url::Url;

use crate::pb::{self, Proto, v0_3::Create};
use crate::push::AllowList;
use crate::types::{
    AgentCard, AgentInterface, AgentSkill, Artifact, CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse, ListTasksRequest, ListTasksResponse, Message, Part,
    SecurityScheme, SendMessageConfiguration, SendMessageRequest, SendMessageResponse,
    StreamResponse, SubscribeToTaskRequest, Task, TaskArtifactUpdateEvent,
    TaskPushNotificationConfig, TaskStatus, TaskStatusUpdateEvent,
};

/// The message in the body of a gRPC request, if the body is one message of at most `limit` bytes.
pub fn grpc_message(body: &[u8], limit: usize) -> Option<Bytes> {
    crate::server::grpc_message(Bytes::copy_from_slice(body), limit)
}

/// A message of a stranger, read and written again by us, and that once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// After once.
    pub once: Vec<u8>,
    /// After twice; `None` when we do not read what we wrote.
    pub twice: Option<Vec<u8>>,
}

/// How many messages [`passage`] knows.
pub const MESSAGES: usize = PASSAGES.len();

/// Reads `bytes` as the message with this number of either package; `None` when they are no such message.
pub fn passage(number: usize, bytes: &[u8]) -> Option<Passage> {
    PASSAGES.get(number).and_then(|passage| passage(bytes))
}

type Passes = fn(&[u8]) -> Option<Passage>;

const PASSAGES: &[Passes] = {
    use a2a_pb_types::{v0_3, v1_0};
    macro_rules! passages {
        ($($version:ident: $($Name:ident $(as $Pb:ident)?),+;)+) => {
            &[$($( passes::<$Name, passages!(@pb $version $Name $($Pb)?)>, )+)+]
        };
        (@pb $version:ident $Name:ident) => { $version::$Name };
        (@pb $version:ident $Name:ident $Pb:ident) => { $version::$Pb };
    }
    passages! {
        v1_0: Part, Message, Artifact, TaskStatus, Task, TaskStatusUpdateEvent, TaskArtifactUpdateEvent, StreamResponse,
            SendMessageResponse, SendMessageConfiguration, SendMessageRequest, GetTaskRequest, ListTasksRequest,
            ListTasksResponse, CancelTaskRequest, SubscribeToTaskRequest, GetExtendedAgentCardRequest,
            TaskPushNotificationConfig, GetTaskPushNotificationConfigRequest, DeleteTaskPushNotificationConfigRequest,
            ListTaskPushNotificationConfigsRequest, ListTaskPushNotificationConfigsResponse, AgentCard, AgentInterface,
            AgentSkill, SecurityScheme;
        v0_3: Part, Message, Artifact, TaskStatus, Task, TaskStatusUpdateEvent, TaskArtifactUpdateEvent, StreamResponse,
            SendMessageResponse, SendMessageConfiguration, SendMessageRequest, GetTaskRequest, CancelTaskRequest,
            SubscribeToTaskRequest as TaskSubscriptionRequest, TaskPushNotificationConfig,
            Create as CreateTaskPushNotificationConfigRequest, GetTaskPushNotificationConfigRequest,
            DeleteTaskPushNotificationConfigRequest,
            ListTaskPushNotificationConfigsRequest as ListTaskPushNotificationConfigRequest,
            ListTaskPushNotificationConfigsResponse as ListTaskPushNotificationConfigResponse, AgentCard, AgentSkill,
            SecurityScheme;
    }
};

fn passes<T: Proto<P>, P: prost::Message + Default>(bytes: &[u8]) -> Option<Passage> {
    let once = |bytes: &[u8]| {
        let object: T = pb::read(P::decode(bytes).ok()?).ok()?;
        Some(object.to_pb().encode_to_vec())
    };
    let first = once(bytes)?;
    let twice = once(&first);
    Some(Passage { once: first, twice })
}

/// What the server takes a method on a path for, in words; `None` when nothing is served there.
pub fn route(method: &Method, path: &str) -> Option<String> {
    crate::server::route_in_words(method, path)
}

/// Where our client asks for the task `id` over HTTP+JSON; `None` when it does not.
pub fn address_of_task(base: &Url, id: &str) -> Option<Url> {
    crate::client::address_of_task(base, id)
}

/// The address of a webhook that a client may register, with this list of exceptions.
pub fn webhook(text: &str, allow: &AllowList) -> Option<Url> {
    crate::push::webhook(text, allow)
}

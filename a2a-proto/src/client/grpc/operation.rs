//! An operation in the words of both services: the method, its messages, the tenant of the address. What 0.3 does not have
//! is refused before anything is sent.

use std::any::Any;
use std::time::Duration;

use a2a_pb_types::{v0_3, v1_0};
use http::uri::PathAndQuery;
use serde::de::IgnoredAny;
use tonic_prost::ProstCodec;

use super::{Address, Events, broken, client, exchange, failed, for_stream, request, unary};
use crate::client::operation::Operation;
use crate::client::{ClientError, Inner};
use crate::error::A2aError;
use crate::pb::{self, Proto};
use crate::types::{
    AgentCard, ListTaskPushNotificationConfigsResponse, ListTasksResponse, SendMessageResponse,
    Task, TaskPushNotificationConfig,
};
use crate::version::ProtocolVersion;

/// The path of a method.
macro_rules! path {
    (v1_0 $method:literal) => {
        concat!("/lf.a2a.v1.A2AService/", $method)
    };
    (v0_3 $method:literal) => {
        concat!("/a2a.v1.A2AService/", $method)
    };
}

/// The message of a request, with the tenant unless it names one itself.
macro_rules! within {
    ($Pb:ident, $request:expr, $address:expr) => {{
        let mut request: v1_0::$Pb = $request.to_pb();
        if request.tenant.is_empty() {
            request.tenant.clone_from(&$address.tenant);
        }
        request
    }};
}

type Answer = Box<dyn Any + Send>;

/// Calls; the answer is of the one type that the operation has.
pub(super) async fn call(
    inner: &Inner,
    address: &Address,
    operation: &Operation<'_>,
    limit: Option<Duration>,
) -> Result<Answer, ClientError> {
    /// Calls one method of one service.
    macro_rules! call {
        ($version:ident $method:literal, $Pb:ident, $message:expr => $T:ty) => {{
            let answer: $T = unary::<_, $version::$Pb, _>(
                inner, address, path!($version $method), $message, limit,
            )
            .await?;
            Ok(Box::new(answer))
        }};
    }
    match (address.version, operation) {
        (ProtocolVersion::V0_3, Operation::Send(request)) => {
            let message: v0_3::SendMessageRequest = request.to_pb();
            call!(v0_3 "SendMessage", SendMessageResponse, message => SendMessageResponse)
        }
        (ProtocolVersion::V0_3, Operation::Get(request)) => {
            let message: v0_3::GetTaskRequest = request.to_pb();
            call!(v0_3 "GetTask", Task, message => Task)
        }
        (ProtocolVersion::V0_3, Operation::Cancel(request)) => {
            let message: v0_3::CancelTaskRequest = request.to_pb();
            call!(v0_3 "CancelTask", Task, message => Task)
        }
        (ProtocolVersion::V0_3, Operation::ExtendedCard(_)) => {
            call!(v0_3 "GetAgentCard", AgentCard, v0_3::GetAgentCardRequest {} => AgentCard)
        }
        (ProtocolVersion::V0_3, Operation::CreatePush(config)) => {
            let message = pb::v0_3::Create((*config).clone()).to_pb();
            call!(v0_3 "CreateTaskPushNotificationConfig", TaskPushNotificationConfig, message
                => TaskPushNotificationConfig)
        }
        (ProtocolVersion::V0_3, Operation::GetPush(request)) => {
            let message: v0_3::GetTaskPushNotificationConfigRequest = request.to_pb();
            call!(v0_3 "GetTaskPushNotificationConfig", TaskPushNotificationConfig, message
                => TaskPushNotificationConfig)
        }
        (ProtocolVersion::V0_3, Operation::ListPush(request)) => {
            let message: v0_3::ListTaskPushNotificationConfigRequest = request.to_pb();
            call!(v0_3 "ListTaskPushNotificationConfig", ListTaskPushNotificationConfigResponse, message
                => ListTaskPushNotificationConfigsResponse)
        }
        (ProtocolVersion::V0_3, Operation::DeletePush(request)) => {
            let message: v0_3::DeleteTaskPushNotificationConfigRequest = request.to_pb();
            let path = path!(v0_3 "DeleteTaskPushNotificationConfig");
            nothing(inner, address, path, message, limit).await
        }
        (_, Operation::Stream(_) | Operation::Subscribe(_))
        | (ProtocolVersion::V0_3, Operation::List(_)) => Err(not_there(operation)),
        (_, Operation::Send(request)) => {
            let message = within!(SendMessageRequest, request, address);
            call!(v1_0 "SendMessage", SendMessageResponse, message => SendMessageResponse)
        }
        (_, Operation::Get(request)) => {
            let message = within!(GetTaskRequest, request, address);
            call!(v1_0 "GetTask", Task, message => Task)
        }
        (_, Operation::List(request)) => {
            let message = within!(ListTasksRequest, request, address);
            call!(v1_0 "ListTasks", ListTasksResponse, message => ListTasksResponse)
        }
        (_, Operation::Cancel(request)) => {
            let message = within!(CancelTaskRequest, request, address);
            call!(v1_0 "CancelTask", Task, message => Task)
        }
        (_, Operation::CreatePush(config)) => {
            let message = within!(TaskPushNotificationConfig, config, address);
            call!(v1_0 "CreateTaskPushNotificationConfig", TaskPushNotificationConfig, message
                => TaskPushNotificationConfig)
        }
        (_, Operation::GetPush(request)) => {
            let message = within!(GetTaskPushNotificationConfigRequest, request, address);
            call!(v1_0 "GetTaskPushNotificationConfig", TaskPushNotificationConfig, message
                => TaskPushNotificationConfig)
        }
        (_, Operation::ListPush(request)) => {
            let message = within!(ListTaskPushNotificationConfigsRequest, request, address);
            call!(v1_0 "ListTaskPushNotificationConfigs", ListTaskPushNotificationConfigsResponse, message
                => ListTaskPushNotificationConfigsResponse)
        }
        (_, Operation::DeletePush(request)) => {
            let message = within!(DeleteTaskPushNotificationConfigRequest, request, address);
            let path = path!(v1_0 "DeleteTaskPushNotificationConfig");
            nothing(inner, address, path, message, limit).await
        }
        (_, Operation::ExtendedCard(request)) => {
            let message = within!(GetExtendedAgentCardRequest, request, address);
            call!(v1_0 "GetExtendedAgentCard", AgentCard, message => AgentCard)
        }
    }
}

/// Calls a method that answers `google.protobuf.Empty`, which has no fields to read.
async fn nothing<Q: prost::Message + 'static>(
    inner: &Inner,
    address: &Address,
    path: &'static str,
    message: Q,
    limit: Option<Duration>,
) -> Result<Answer, ClientError> {
    let () = exchange(inner, address, path, message, limit).await?;
    Ok(Box::new(IgnoredAny))
}

/// Opens a stream, after the event `after` if there is one.
pub(super) async fn open(
    inner: &Inner,
    address: &Address,
    operation: &Operation<'_>,
    after: Option<u64>,
) -> Result<Events, ClientError> {
    /// Opens the stream of one method of one service.
    macro_rules! open {
        ($version:ident $method:literal, $message:expr => $Events:ident) => {{
            let mut request = request(inner, address, $message)?;
            for_stream(&mut request, inner, after)?;
            let mut client = client(inner, address)?;
            client.ready().await.map_err(broken)?;
            let path = PathAndQuery::from_static(path!($version $method));
            let codec = ProstCodec::<_, $version::StreamResponse>::default();
            let stream = client.server_streaming(request, path, codec).await;
            let stream = stream.map_err(|status| failed(inner, status))?;
            Ok(Events::$Events(Box::new(stream.into_inner())))
        }};
    }
    match (address.version, operation) {
        (ProtocolVersion::V0_3, Operation::Stream(message)) => {
            let message: v0_3::SendMessageRequest = message.to_pb();
            open!(v0_3 "SendStreamingMessage", message => V0_3)
        }
        (ProtocolVersion::V0_3, Operation::Subscribe(request)) => {
            let message: v0_3::TaskSubscriptionRequest = request.to_pb();
            open!(v0_3 "TaskSubscription", message => V0_3)
        }
        (_, Operation::Stream(message)) => {
            let message = within!(SendMessageRequest, message, address);
            open!(v1_0 "SendStreamingMessage", message => V1_0)
        }
        (_, Operation::Subscribe(request)) => {
            let message = within!(SubscribeToTaskRequest, request, address);
            open!(v1_0 "SubscribeToTask", message => V1_0)
        }
        _ => Err(not_there(operation)),
    }
}

fn not_there(operation: &Operation<'_>) -> ClientError {
    A2aError::UnsupportedOperation {
        what: format!("{} over this gRPC interface", operation.method()),
    }
    .into()
}

//! Every operation in every version and binding, with its errors.

use std::sync::Arc;

use a2a_proto::client::{ClientError, EventStream, SIMPLE_BINDING};
use a2a_proto::error::A2aError;
use a2a_proto::log::MemoryLog;
use a2a_proto::server::AnyCaller;
use a2a_proto::types::{
    ListTasksRequest, SendMessageRequest, SendMessageResponse, StreamResponse, Task, TaskState,
};
use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;

use crate::world::{BINDINGS, World, collect, message, options};

#[tokio::test]
async fn older_versions_are_spoken_behind_the_same_calls() {
    for binding in [
        "JSONRPC 0.3",
        "HTTP+JSON 0.3",
        "JSONRPC 0.1",
        SIMPLE_BINDING,
    ] {
        let world = World::new(MemoryLog::new().unwrap(), binding, Arc::new(AnyCaller), 0).await;
        let client = world.client(options()).await;
        let SendMessageResponse::Task(counted) = client.send(&message("3")).await.unwrap() else {
            panic!("a task")
        };
        assert_eq!(counted.status.state, TaskState::Completed, "{binding}");
        assert_eq!(counted.artifacts[0].parts.len(), 3);
        let got = client.get(&counted.id, None).await.unwrap();
        assert_eq!(
            (&got.id, &got.artifacts),
            (&counted.id, &counted.artifacts),
            "{binding}"
        );
        let error = client.get("nothing", None).await.unwrap_err();
        assert_eq!(
            error.agent_error().map(A2aError::code),
            Some(-32001),
            "{binding}: {error:?}"
        );

        let list = client.list(&ListTasksRequest::default()).await;
        match binding {
            "HTTP+JSON 0.3" => assert_eq!(list.unwrap().tasks[0].id, counted.id),
            _ => assert!(matches!(
                list.unwrap_err().agent_error(),
                Some(A2aError::UnsupportedOperation { .. })
            )),
        }
        if binding != SIMPLE_BINDING {
            let mut stream = client.stream(message("wait"));
            let mut waiting = Task::default();
            while waiting.status.state != TaskState::Working {
                let event = stream.next().await.unwrap().unwrap().event;
                event.task_id().clone_into(&mut waiting.id);
                waiting.apply(&event);
            }
            let id = waiting.id;
            let mut second = client.subscribe(&id, None);
            second.next().await.unwrap().unwrap();
            assert_eq!(
                client.cancel(&id).await.unwrap().status.state,
                TaskState::Canceled
            );
            for stream in [stream, second] {
                let last = collect(stream).await.pop().unwrap();
                assert_eq!(last.event.state(), Some(TaskState::Canceled), "{binding}");
            }
            let error = client.cancel(&id).await.unwrap_err();
            assert_eq!(
                error.agent_error().map(A2aError::code),
                Some(-32002),
                "{binding}"
            );
            let error = client
                .send(&SendMessageRequest::default())
                .await
                .unwrap_err();
            assert_eq!(
                error.agent_error().map(A2aError::code),
                Some(-32602),
                "{binding}"
            );
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn every_operation_works_in_every_binding() {
    for binding in BINDINGS {
        let world = World::new(MemoryLog::new().unwrap(), binding, Arc::new(AnyCaller), 0).await;
        let client = world.client(options()).await;
        let SendMessageResponse::Task(counted) = client.send(&message("3")).await.unwrap() else {
            panic!("a task")
        };
        assert_eq!(counted.status.state, TaskState::Completed);
        assert_eq!(client.get(&counted.id, Some(0)).await.unwrap().history, []);

        let mut stream = client.stream(message("wait"));
        let mut waiting = Task::default();
        while waiting.status.state != TaskState::Working {
            waiting.apply(&stream.next().await.unwrap().unwrap().event);
        }
        let mut second = client.subscribe(&waiting.id, None);
        let first = second.next().await.unwrap().unwrap();
        assert!(
            matches!(first.event, StreamResponse::Task(ref task) if task.id == waiting.id),
            "{first:?}"
        );
        let canceled = client.cancel(&waiting.id).await.unwrap();
        assert_eq!(canceled.status.state, TaskState::Canceled);
        for stream in [stream, second] {
            let last = collect(stream).await.pop().unwrap();
            assert_eq!(last.event.state(), Some(TaskState::Canceled), "{binding}");
        }

        let list = client
            .list(&ListTasksRequest {
                page_size: Some(1),
                ..ListTasksRequest::default()
            })
            .await
            .unwrap();
        assert_eq!(
            (list.tasks.len(), list.total_size, list.page_size),
            (1, 2, 1)
        );
        assert!(!list.next_page_token.is_empty());

        for (error, code) in [
            (client.get("nothing", None).await.unwrap_err(), -32001),
            (client.cancel(&counted.id).await.unwrap_err(), -32002),
            (
                client
                    .send(&SendMessageRequest::default())
                    .await
                    .unwrap_err(),
                -32602,
            ),
            (
                collect_error(client.subscribe("nothing", None)).await,
                -32001,
            ),
            (
                collect_error(client.subscribe(&counted.id, None)).await,
                -32004,
            ),
            (
                collect_error(client.subscribe(&counted.id, Some(1_000_000))).await,
                -32602,
            ),
        ] {
            assert_eq!(
                error.agent_error().map(A2aError::code),
                Some(code),
                "{binding}: {error:?}"
            );
        }
        world.stop().await;
    }
}

async fn collect_error(mut stream: EventStream) -> ClientError {
    loop {
        if let Err(error) = stream.next().await.expect("an error before the end") {
            return error;
        }
    }
}

//! One contract for every log, run against each: [`contract`] holds the cases, the macro below runs them over both
//! stores. What only a disk can do (restart, full disk, a killed process) is in `durable`, random histories in `random`.

mod commit;
mod contract;
#[cfg(feature = "sqlite")]
mod durable;
#[cfg(feature = "sqlite")]
mod random;

use std::sync::Arc;
use std::time::Duration;

use super::{Alias, LogTask, LoggedEvent, NewTask, Subscription, TaskLog};
use crate::types::{
    Artifact, Message, Part, StreamResponse, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus,
    TaskStatusUpdateEvent,
};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn new_task(owner: &str, id: &str, context: &str, second: i64) -> NewTask {
    let mut message = Message::user(format!("m-{id}"), vec![Part::text("do it")]);
    message.task_id.push_str(id);
    let task = Task {
        id: id.to_owned(),
        context_id: context.to_owned(),
        status: TaskStatus::new(TaskState::Submitted, at(second)),
        history: vec![message],
        ..Task::default()
    };
    NewTask {
        owner: Arc::from(owner),
        alias: None,
        task,
        push: None,
    }
}

fn alias(id: &str) -> Alias {
    Alias {
        id: id.to_owned(),
        form: "loud".to_owned(),
    }
}

async fn make(log: &impl TaskLog, id: &str) -> LogTask {
    log.create(new_task("ann", id, "ctx", 0)).await.unwrap()
}

fn status(task: &LogTask, state: TaskState, second: i64) -> StreamResponse {
    StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
        task_id: task.id().to_owned(),
        context_id: task.context_id().to_owned(),
        status: TaskStatus::new(state, at(second)),
        ..TaskStatusUpdateEvent::default()
    })
}

fn chunk(task: &LogTask, text: &str) -> StreamResponse {
    StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
        task_id: task.id().to_owned(),
        context_id: task.context_id().to_owned(),
        artifact: Artifact::new("out", vec![Part::text(text)]),
        append: true,
        ..TaskArtifactUpdateEvent::default()
    })
}

/// Everything from `after` to the end of the task, in order; the task must end in time.
async fn drain(mut subscription: Subscription) -> Vec<LoggedEvent> {
    let mut all = Vec::new();
    tokio::time::timeout(DEADLINE, async {
        loop {
            let events = subscription.next().await.unwrap();
            if events.is_empty() {
                return;
            }
            all.extend(events);
        }
    })
    .await
    .expect("the task ends");
    all
}

fn numbers(events: &[LoggedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

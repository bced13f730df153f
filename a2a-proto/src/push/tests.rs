//! Deliveries through real sockets to receivers of our own: what arrives, in which order, and what becomes of what does
//! not. Requests of clients are in the tests of the server.

mod delivery;
mod failure;
mod rebinding;
#[cfg(feature = "sqlite")]
mod restart;
pub(crate) mod webhook;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::webhook::{Answer, DEADLINE, Got, Webhook};
use super::*;
use crate::clock::SystemClock;
use crate::log::{DeadLetter, Expect, LogTask, MemoryLog, NewTask, PushState, StoredPush, TaskLog};
use crate::types::{
    Artifact, AuthenticationInfo, Message, Part, StreamResponse, Task, TaskArtifactUpdateEvent,
    TaskPushNotificationConfig, TaskState, TaskStatus, TaskStatusUpdateEvent,
};
use crate::version::ProtocolVersion;

/// Couriers with short waits, that may post to this machine.
struct Office {
    couriers: Arc<Couriers>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

pub(crate) fn options(keys: Keyring) -> PushOptions {
    PushOptions {
        allow: AllowList::loopback(),
        timeout: Duration::from_millis(400),
        tries: NonZeroU32::new(3).unwrap(),
        first_wait: Duration::from_millis(10),
        longest_wait: Duration::from_millis(50),
        ..PushOptions::new(keys)
    }
}

impl Office {
    fn open(options: PushOptions) -> Self {
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let pusher = Pusher::new(options);
        let clock = Arc::new(SystemClock);
        let couriers = Couriers::new(&pusher, clock, tracker.clone(), shutdown.clone(), false);
        Self {
            couriers: Arc::new(couriers),
            tracker,
            shutdown,
        }
    }

    fn quick() -> Self {
        Self::open(options(Keyring::in_memory()))
    }

    async fn register(&self, task: &LogTask, id: &str, url: &str) {
        self.register_in(task, id, url, ProtocolVersion::V1_0).await;
    }

    async fn register_in(&self, task: &LogTask, id: &str, url: &str, protocol: ProtocolVersion) {
        let config = self.couriers.check(config(id, url), "").unwrap();
        let config = config.of_task(task.id());
        let row = self.couriers.seal(&config, protocol).await.unwrap();
        let store = async { Ok::<_, PushError>(task.put_push(row).await?) };
        let stored = self.couriers.change(task, &id.into(), true, store).await;
        stored.unwrap();
    }

    /// Ends everything at once, as a killed process does.
    async fn close(self) {
        self.shutdown.cancel();
        self.tracker.close();
        let ended = tokio::time::timeout(DEADLINE, self.tracker.wait()).await;
        ended.expect("the couriers stop");
    }
}

fn config(id: &str, url: &str) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        id: id.to_owned(),
        url: url.to_owned(),
        token: "token-secret".to_owned(),
        authentication: Some(AuthenticationInfo {
            scheme: "Bearer".to_owned(),
            credentials: "credentials-secret".to_owned(),
        }),
        ..TaskPushNotificationConfig::default()
    }
}

fn new_task(id: &str) -> NewTask {
    NewTask {
        owner: "ann".into(),
        alias: None,
        task: Task {
            id: id.to_owned(),
            context_id: "ctx".to_owned(),
            status: status(TaskState::Submitted),
            history: vec![Message::user("m", vec![Part::text("do it")])],
            ..Task::default()
        },
        push: None,
    }
}

fn status(state: TaskState) -> TaskStatus {
    TaskStatus::new(state, jiff::Timestamp::UNIX_EPOCH)
}

async fn set(task: &LogTask, state: TaskState) {
    let event = StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
        task_id: task.id().to_owned(),
        context_id: task.context_id().to_owned(),
        status: status(state),
        ..TaskStatusUpdateEvent::default()
    });
    task.append_one(Expect::Open, event).await.unwrap();
}

async fn say(task: &LogTask, text: &str) {
    let event = StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
        task_id: task.id().to_owned(),
        context_id: task.context_id().to_owned(),
        artifact: Artifact::new("out", vec![Part::text(text)]),
        append: true,
        ..TaskArtifactUpdateEvent::default()
    });
    task.enqueue(event).await.unwrap();
}

/// The configuration, once it is as `enough` says.
async fn stored(task: &LogTask, id: &str, enough: impl Fn(&StoredPush) -> bool) -> StoredPush {
    let found = async {
        loop {
            let stored = task.push_config(id).await.unwrap().expect("it is there");
            if enough(&stored) {
                return stored;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(DEADLINE, found).await;
    found.expect("it comes to that")
}

/// Waits until the position of event `seq` is stored: an answer on its way could still be repeated.
async fn until_delivered(task: &LogTask, id: &str, seq: u64) {
    stored(task, id, |stored| stored.delivered >= seq).await;
}

/// The state of a configuration, once it is not open any more.
async fn ended(task: &LogTask, id: &str) -> PushState {
    let ended = stored(task, id, |stored| stored.state != PushState::Open);
    ended.await.state
}

async fn dead(task: &LogTask, id: &str) -> DeadLetter {
    match ended(task, id).await {
        PushState::Suspended(letter) => letter,
        other => panic!("not suspended: {other:?}"),
    }
}

/// The JSON of the events after `after`, as the log has them.
async fn logged(task: &LogTask, after: u64) -> Vec<bytes::Bytes> {
    let events = task.read(after, 100_000).await.unwrap();
    events.into_iter().map(|event| event.json).collect()
}

fn bodies(got: &[Got]) -> Vec<bytes::Bytes> {
    got.iter().map(|got| got.body.clone()).collect()
}

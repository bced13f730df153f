//! What every log promises about push configurations.

use bytes::Bytes;

use super::*;
use crate::log::{DeadLetter, OpenPush, PushRow, PushState, StoredPush};
use crate::version::ProtocolVersion;

fn row(id: &str, sealed: &str) -> PushRow {
    PushRow {
        id: id.into(),
        protocol: ProtocolVersion::V0_3,
        key_id: "key-1".into(),
        sealed: Bytes::copy_from_slice(sealed.as_bytes()),
    }
}

fn stored(id: &str, sealed: &str, delivered: u64, state: PushState) -> StoredPush {
    StoredPush {
        row: row(id, sealed),
        delivered,
        state,
    }
}

fn suspended(seq: u64) -> PushState {
    PushState::Suspended(DeadLetter {
        seq,
        tries: 10,
        at: at(7),
        reason: "the server answered 503".to_owned(),
    })
}

async fn open_ones(log: &impl TaskLog) -> Vec<(String, String)> {
    let named = |open: OpenPush| (open.task.id().to_owned(), open.id.as_ref().to_owned());
    let mut found: Vec<_> = log
        .open_pushes()
        .await
        .unwrap()
        .into_iter()
        .map(named)
        .collect();
    found.sort();
    found
}

pub(super) async fn push_configs_are_kept_replaced_and_deleted<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    let mut new = new_task("ann", "t", "ctx", 0);
    new.push = Some(row("b", "inline"));
    let task = log.create(new).await.unwrap();
    let other = make(&log, "other").await;
    task.append_one(Expect::Open, status(&task, TaskState::Working, 1))
        .await
        .unwrap();
    task.put_push(row("a", "one")).await.unwrap();
    other.put_push(row("a", "elsewhere")).await.unwrap();
    assert_eq!(
        task.push_configs("", 10).await.unwrap(),
        [
            stored("a", "one", 2, PushState::Open),
            stored("b", "inline", 0, PushState::Open)
        ],
        "an inline one misses nothing, a later one begins with what comes"
    );
    assert_eq!(task.push_configs("", 1).await.unwrap().len(), 1);
    assert_eq!(&*task.push_configs("a", 9).await.unwrap()[0].row.id, "b");
    // The one with the same id goes on where the old one stood, and is no longer suspended.
    task.delivered_push(&"b".into(), 1).await.unwrap();
    task.end_push(&"b".into(), suspended(2)).await.unwrap();
    assert_eq!(
        task.push_config("b").await.unwrap(),
        Some(stored("b", "inline", 1, suspended(2)))
    );
    task.put_push(row("b", "again")).await.unwrap();
    assert_eq!(
        task.push_config("b").await.unwrap(),
        Some(stored("b", "again", 1, PushState::Open))
    );
    task.delete_push(&"b".into()).await.unwrap();
    task.delete_push(&"b".into()).await.unwrap();
    assert_eq!(task.push_config("b").await.unwrap(), None);
    assert_eq!(other.push_configs("", 9).await.unwrap().len(), 1);
}

pub(super) async fn push_configs_can_be_made_after_the_end<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    let task = make(&log, "t").await;
    task.append_one(Expect::Open, status(&task, TaskState::Completed, 1))
        .await
        .unwrap();
    task.put_push(row("late", "x")).await.unwrap();
    assert_eq!(
        task.push_config("late").await.unwrap(),
        Some(stored("late", "x", 2, PushState::Open))
    );
    task.end_push(&"late".into(), PushState::Done)
        .await
        .unwrap();
    assert_eq!(open_ones(&log).await, []);
}

pub(super) async fn push_config_is_stored_with_its_event_or_not_at_all<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    let task = make(&log, "t").await;
    let event = status(&task, TaskState::Working, 1);
    let seq = task
        .append_with_push(Expect::Open, event.clone(), row("a", "x"))
        .await
        .unwrap();
    assert_eq!(
        (seq, task.push_config("a").await.unwrap()),
        (2, Some(stored("a", "x", 1, PushState::Open)))
    );
    let refused = task
        .append_with_push(Expect::State(TaskState::Submitted), event, row("b", "y"))
        .await;
    assert!(matches!(refused, Err(LogError::Conflict { .. })));
    assert_eq!(task.push_config("b").await.unwrap(), None);
    // A refused task leaves nothing either.
    let mut again = new_task("bob", "t", "ctx", 0);
    again.push = Some(row("c", "z"));
    assert!(matches!(log.create(again).await, Err(LogError::Duplicate)));
    assert_eq!(open_ones(&log).await, [("t".to_owned(), "a".to_owned())]);
}

pub(super) async fn positions_of_push_configs_never_go_back<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    let mut new = new_task("ann", "t", "ctx", 0);
    new.push = Some(row("a", "x"));
    let task = log.create(new).await.unwrap();
    let (a, b) = ("a".into(), "b".into());
    task.put_push(row("b", "x")).await.unwrap();
    for n in 1..=100 {
        task.append_one(Expect::Open, chunk(&task, "x"))
            .await
            .unwrap();
        task.delivered_push(&a, n).await.unwrap();
        task.delivered_push(&b, 101 - n).await.unwrap();
    }
    // Waits for those before it.
    task.delete_push(&"none".into()).await.unwrap();
    for id in ["a", "b"] {
        let stored = task.push_config(id).await.unwrap().unwrap();
        assert_eq!(stored.delivered, 100, "{id}");
    }
}

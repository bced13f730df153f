//! What the next server does with what the last one left, and what is in the database meanwhile.

use std::collections::BTreeSet;

use super::*;
use crate::log::SqliteLog;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_server_goes_on_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let keys = || Keyring::at(folder.path().join("push.key"));
    let hook = Webhook::good().await;
    {
        let log = SqliteLog::open(&path).unwrap();
        let task = log.create(new_task("t")).await.unwrap();
        let office = Office::open(options(keys()));
        office.register(&task, "c", &hook.url()).await;
        for n in 0..200 {
            say(&task, &n.to_string()).await;
        }
        hook.until_taken(50).await;
        // A receiver that hangs, so that the end comes in the middle of a post.
        hook.answer(Answer::Silence);
        let waiting = |got: &[Got]| got.last().is_some_and(|got| !got.taken);
        hook.until("one hangs", waiting).await;
        for n in 200..300 {
            say(&task, &n.to_string()).await;
        }
        office.close().await;
    }
    hook.answer(Answer::Status(200));
    let log = SqliteLog::open(&path).unwrap();
    let task = log.open("ann", "t").await.unwrap();
    let office = Office::open(options(keys()));
    office
        .couriers
        .resume(log.open_pushes().await.unwrap())
        .await
        .unwrap();
    set(&task, TaskState::Completed).await;
    assert_eq!(ended(&task, "c").await, PushState::Done);
    let (all, taken) = (logged(&task, 1).await, bodies(&hook.taken()));
    // All of them, in order; only what was under way at the end may come twice.
    let mut once = taken.clone();
    once.dedup();
    assert_eq!(once, all);
    assert!(taken.len() <= all.len() + 1, "{}", taken.len());
    assert_eq!(log.open_pushes().await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_not_readable_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("push.key");
    let hook = Webhook::good().await;
    {
        let log = SqliteLog::open(folder.path().join("log.db")).unwrap();
        let task = log.create(new_task("t")).await.unwrap();
        let office = Office::open(options(Keyring::at(&key)));
        office.register(&task, "config-id", &hook.url()).await;
        set(&task, TaskState::Completed).await;
        assert_eq!(ended(&task, "config-id").await, PushState::Done);
        let mut files = BTreeSet::new();
        for entry in folder.path().read_dir().unwrap() {
            let path = entry.unwrap().path();
            let content = std::fs::read(&path).unwrap();
            let holds = |text: &str| content.windows(text.len()).any(|it| it == text.as_bytes());
            for secret in ["url-secret", "token-secret", "credentials-secret", "Bearer"] {
                assert!(!holds(secret), "{secret} in {}", path.display());
            }
            if holds("config-id") {
                files.insert(path.file_name().unwrap().to_owned());
            }
        }
        assert!(!files.is_empty(), "the configuration is in some file");
        office.close().await;
    }
    // Without the key nothing can be sent, and that is told.
    std::fs::remove_file(&key).unwrap();
    let log = SqliteLog::open(folder.path().join("log.db")).unwrap();
    let task = log.open("ann", "t").await.unwrap();
    let stored = task.push_config("config-id").await.unwrap().unwrap();
    let office = Office::open(options(Keyring::at(&key)));
    let error = office.couriers.open("t", &stored.row).await.unwrap_err();
    assert!(matches!(error, PushError::Key(KeyError::Missing { .. })));
    let moved = task.put_push(stored.row).await;
    moved.unwrap();
    office
        .couriers
        .start(&task, &"config-id".into())
        .await
        .unwrap();
    let letter = dead(&task, "config-id").await;
    assert!(letter.reason.contains("is not there"), "{letter:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_configuration_of_another_task_does_not_open() {
    let log = MemoryLog::new().unwrap();
    let office = Office::quick();
    let hook = Webhook::good().await;
    let task = log.create(new_task("t")).await.unwrap();
    let other = log.create(new_task("other")).await.unwrap();
    office.register(&task, "c", &hook.url()).await;
    let stored = task.push_config("c").await.unwrap().unwrap();
    other.put_push(stored.row).await.unwrap();
    office.couriers.start(&other, &"c".into()).await.unwrap();
    assert_eq!(dead(&other, "c").await.reason, "what was sealed is damaged");
}

//! What the next server finds in the log of the last.

use super::*;
use crate::log::{NewTask, SqliteLog};
use crate::types::{Task, TaskState, TaskStatus};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_tasks_are_recovered_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let open = || Arc::new(SqliteLog::open(&path).unwrap());
    let new = NewTask {
        owner: "ann".into(),
        alias: None,
        task: Task {
            id: "t".to_owned(),
            context_id: "c".to_owned(),
            status: TaskStatus::new(TaskState::Working, jiff::Timestamp::UNIX_EPOCH),
            ..Task::default()
        },
        push: None,
    };
    open().create(new).await.unwrap();
    let log = open();
    let server = Server::new(
        Arc::new(TestAgent::default()),
        Arc::clone(&log),
        ServerOptions::new(Arc::new(AnyCaller)),
    );
    let recovered = server.recover().await.unwrap();
    assert_eq!(
        (
            recovered.len(),
            recovered[0].task.id.as_str(),
            &*recovered[0].caller.subject
        ),
        (1, "t", "ann")
    );
    recovered[0]
        .updates
        .status(TaskState::Failed, None)
        .await
        .unwrap();
    assert_eq!(server.recover().await.unwrap().len(), 0);
}

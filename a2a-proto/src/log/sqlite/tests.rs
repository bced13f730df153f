//! Rows that are written later than their tasks, and databases of older versions: whatever happens in between, a log that
//! was killed is equal to one that was not.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use rusqlite::params;

use super::*;
use crate::log::storage::{Change, Prepared, TaskBatch, TaskMeta};
use crate::log::{Alias, Expect};
use crate::types::{
    Artifact, Message, Part, StreamResponse, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus,
    TaskStatusUpdateEvent,
};

const OWNERS: [&str; 2] = ["ann", "bob"];

fn at(second: u32) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000 + i64::from(second)).unwrap()
}

fn new_task(n: u32, client_id: Option<String>) -> NewTask {
    let id = format!("t{n:05}");
    let mut message = Message::user(format!("m{n}"), vec![Part::text("do it")]);
    message.task_id.clone_from(&id);
    NewTask {
        owner: OWNERS[n as usize % 2].into(),
        alias: client_id.map(|id| Alias {
            id,
            form: "loud".to_owned(),
        }),
        task: Task {
            id,
            context_id: format!("c{}", n % 5),
            status: TaskStatus::new(TaskState::Submitted, at(n)),
            history: vec![message],
            ..Task::default()
        },
        push: None,
    }
}

fn status(task: &LogTask, state: TaskState, second: u32) -> StreamResponse {
    StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
        task_id: task.id().to_owned(),
        context_id: task.context_id().to_owned(),
        status: TaskStatus::new(state, at(second)),
        ..TaskStatusUpdateEvent::default()
    })
}

fn chunk(task: &LogTask, text: String) -> StreamResponse {
    StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
        task_id: task.id().to_owned(),
        context_id: task.context_id().to_owned(),
        artifact: Artifact::new("out", vec![Part::text(text)]),
        append: true,
        ..TaskArtifactUpdateEvent::default()
    })
}

/// A log whose thread does nothing by itself, so that only the steps of a test decide when rows are written.
fn open_calm(path: &Path) -> SqliteLog {
    let options = LogOptions {
        linger: Duration::from_secs(3600),
        slow: Duration::MAX,
        hot_tasks: 20,
        ..LogOptions::default()
    };
    SqliteLog::open_with(path, options).unwrap()
}

/// What a process leaves behind that is killed now.
fn killed(path: &Path, copy: &Path) {
    for end in ["", "-wal"] {
        let from = format!("{}{end}", path.display());
        // A log that was just opened may have nothing written ahead.
        if Path::new(&from).exists() {
            std::fs::copy(from, format!("{}{end}", copy.display())).unwrap();
        }
    }
}

/// Everything that can be asked of a log about what was made in it.
async fn all(log: &SqliteLog, made: &[(u32, Option<String>)]) -> Vec<String> {
    let mut said = Vec::new();
    for (n, client_id) in made {
        let new = new_task(*n, client_id.clone());
        let task = log.open(&new.owner, &new.task.id).await.unwrap();
        let events = task.read(0, 10_000).await.unwrap();
        said.push(format!(
            "{:?} {:?} {events:?}",
            task.snapshot(),
            task.alias()
        ));
        if let Some(client_id) = client_id {
            let found = log.alias(&new.owner, client_id).await.unwrap();
            assert_eq!(found.as_deref(), Some(task.id()));
        }
    }
    for owner in OWNERS {
        let by_owner = ListFilter {
            limit: 1000,
            ..ListFilter::of(Some(owner.into()))
        };
        let by_context = ListFilter {
            context_id: Some("c3".to_owned()),
            ..by_owner.clone()
        };
        let by_state = ListFilter {
            state: Some(TaskState::Completed),
            status_after: Some(at(50)),
            ..by_owner.clone()
        };
        for filter in [by_owner, by_context, by_state] {
            let page = log.list(&filter).await.unwrap();
            said.push(format!("{} {:?}", page.total, page.tasks));
        }
    }
    let mut unfinished: Vec<_> = log.unfinished().await.unwrap();
    unfinished.sort_by(|a, b| a.id().cmp(b.id()));
    said.extend(unfinished.iter().map(|task| task.id().to_owned()));
    said
}

#[derive(Debug, Clone)]
enum Step {
    /// So many new tasks; every third has a name of its client's.
    Make(u8),
    /// Events for one of them, and its end.
    Chunks(u8, u8),
    Status(u8, bool),
    /// Has the rows written.
    List,
    Restart,
    /// The process is killed: what it leaves is opened, and compared with what goes on.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..12_u8).prop_map(Step::Make),
        1 => (100..140_u8).prop_map(Step::Make),
        4 => (any::<u8>(), 1..5_u8).prop_map(|(task, count)| Step::Chunks(task, count)),
        6 => (any::<u8>(), any::<bool>()).prop_map(|(task, end)| Step::Status(task, end)),
        1 => Just(Step::List),
        1 => Just(Step::Restart),
        3 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn log_that_was_killed_is_equal_to_one_that_was_not(steps in proptest::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}

async fn play(mut steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut log = open_calm(&path);
    let mut made: Vec<(u32, Option<String>)> = Vec::new();
    let mut second = 0;
    steps.push(Step::Kill);
    for (copies, step) in steps.into_iter().enumerate() {
        second += 1;
        match step {
            Step::Make(count) => {
                for _ in 0..count {
                    let n = u32::try_from(made.len()).unwrap();
                    let client_id = (n % 3 == 0).then(|| format!("mine {n}"));
                    log.create(new_task(n, client_id.clone())).await.unwrap();
                    made.push((n, client_id));
                }
            }
            Step::Chunks(task, count) => {
                if let Some(task) = one(&log, &made, task).await {
                    let chunks = (0..count).map(|n| chunk(&task, format!("{second} {n}")));
                    let stored = task.append(Expect::Open, chunks.collect()).await;
                    assert_eq!(stored.is_ok(), !task.state().is_terminal());
                }
            }
            Step::Status(task, end) => {
                if let Some(task) = one(&log, &made, task).await {
                    let state = if end {
                        TaskState::Completed
                    } else {
                        TaskState::Working
                    };
                    let open = !task.state().is_terminal();
                    let stored = task
                        .append_one(Expect::Open, status(&task, state, second))
                        .await;
                    assert_eq!(stored.is_ok(), open);
                }
            }
            Step::List => {
                log.list(&ListFilter::of(None)).await.unwrap();
            }
            Step::Restart => {
                drop(log);
                log = open_calm(&path);
            }
            Step::Kill => {
                let copy = folder.path().join(format!("{copies}.db"));
                killed(&path, &copy);
                let recovered = open_calm(&copy);
                assert_eq!(all(&recovered, &made).await, all(&log, &made).await);
                // Names and ids are taken there, too.
                if let Some((n, client_id)) = made.last() {
                    let again = recovered.create(new_task(*n, None)).await;
                    assert!(matches!(again, Err(LogError::Duplicate)), "{again:?}");
                    if client_id.is_some() {
                        let mut again = new_task(*n, client_id.clone());
                        again.task.id.push_str("another");
                        let again = recovered.create(again).await;
                        assert!(matches!(again, Err(LogError::Duplicate)), "{again:?}");
                    }
                }
            }
        }
    }
}

async fn one(log: &SqliteLog, made: &[(u32, Option<String>)], pick: u8) -> Option<LogTask> {
    // Mostly one of the newest, whose row is not written yet.
    let last = made.len().checked_sub(1)?;
    let (n, _) = made[last.saturating_sub(usize::from(pick) % 16)];
    let new = new_task(n, None);
    Some(log.open(&new.owner, &new.task.id).await.unwrap())
}

fn count(path: &Path, table: &str) -> i64 {
    let connection = Connection::open(path).unwrap();
    let sql = format!("SELECT count(*) FROM {table}");
    connection.query_row(&sql, (), |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn rows_are_written_for_many_tasks_at_once_or_when_it_is_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = open_calm(&path);
    for n in 0..100 {
        log.create(new_task(n, None)).await.unwrap();
    }
    assert_eq!((count(&path, "tasks"), count(&path, "events")), (0, 100));
    for n in 100..150 {
        log.create(new_task(n, None)).await.unwrap();
    }
    assert_eq!(count(&path, "tasks"), 128);
    drop(log);
    assert_eq!(count(&path, "tasks"), 150);
    // The log's thread, which nothing wakes but what it was left.
    let log = SqliteLog::open(&path).unwrap();
    log.create(new_task(150, None)).await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while count(&path, "tasks") < 151 {
        assert!(
            std::time::Instant::now() < deadline,
            "the row is never written"
        );
        tokio::task::yield_now().await;
    }
}

fn batch(key: TaskKey, create: bool, event: &StreamResponse, first_seq: u64) -> TaskBatch {
    let (state, second) = if create {
        (TaskState::Submitted, 1)
    } else {
        (TaskState::Working, 2)
    };
    let n = u32::try_from(key).unwrap();
    let new = new_task(n, None);
    TaskBatch {
        meta: Arc::new(TaskMeta {
            key,
            id: new.task.id.as_str().into(),
            owner: new.owner,
            context_id: new.task.context_id.as_str().into(),
            alias: None,
        }),
        create,
        first_seq,
        events: vec![Prepared {
            change: Change::of(event.clone()),
            json: Bytes::from(serde_json::to_vec(event).unwrap()),
        }],
        status: Some((state, at(second))),
        push: Vec::new(),
    }
}

fn begin(key: TaskKey) -> TaskBatch {
    let task = new_task(u32::try_from(key).unwrap(), None).task;
    batch(key, true, &StreamResponse::Task(task), 1)
}

/// The ids and states of all rows, which are written if they are not.
fn rows(storage: &SqliteStorage) -> Vec<(String, u64)> {
    let filter = ListFilter {
        limit: 100,
        ..ListFilter::of(None)
    };
    let (lines, _) = storage.list(&filter).unwrap();
    let mut rows: Vec<_> = lines
        .iter()
        .map(|line| (line.id.as_ref().to_owned(), line.seq))
        .collect();
    rows.sort();
    rows
}

#[test]
fn task_that_was_overtaken_is_found_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("log.db"), folder.path().join("copy.db"));
    let storage = SqliteStorage::open(&path).unwrap();
    let store = |tasks| {
        let batch = Batch {
            tasks,
            finals: Vec::new(),
        };
        storage.commit(&batch, Patience::Long).unwrap();
    };
    store(vec![begin(1), begin(4)]);
    assert_eq!(rows(&storage).len(), 2);
    // Made before the fourth, stored after its row; and one that waits for its row.
    store(vec![begin(3), begin(6)]);
    let third = storage.load("t00003").unwrap().unwrap();
    let working = |key| {
        let task = new_task(u32::try_from(key).unwrap(), None).task;
        let update = TaskStatusUpdateEvent {
            task_id: task.id,
            context_id: task.context_id,
            status: TaskStatus::new(TaskState::Working, at(2)),
            ..TaskStatusUpdateEvent::default()
        };
        batch(key, false, &StreamResponse::StatusUpdate(update), 2)
    };
    store(vec![working(3), working(6), begin(5)]);
    killed(&path, &copy);
    let recovered = SqliteStorage::open(&copy).unwrap();
    let expected =
        [1, 3, 4, 5, 6].map(|key| (format!("t{key:05}"), if key % 3 == 0 { 2 } else { 1 }));
    assert_eq!(rows(&recovered), expected);
    assert_eq!(rows(&storage), expected);
    assert_eq!(recovered.last_key, 6);
    let loaded = recovered.load("t00003").unwrap().unwrap();
    assert_eq!((loaded.meta.key, loaded.seq), (3, 2));
    assert_eq!(third.seq, 1);
}

#[test]
fn commit_that_fails_leaves_the_rows_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(&folder.path().join("log.db")).unwrap();
    let store = |tasks| {
        let batch = Batch {
            tasks,
            finals: Vec::new(),
        };
        storage.commit(&batch, Patience::Long)
    };
    store(vec![begin(1)]).unwrap();
    // The second one is refused, so the first one, with the same commit, is not stored either.
    let twice = store(vec![begin(2), begin(1)]);
    assert!(matches!(twice, Err(CommitError::Duplicate(1))));
    assert!(storage.load("t00002").unwrap().is_none());
    assert_eq!(rows(&storage), [("t00001".to_owned(), 1)]);
    store(vec![begin(2)]).unwrap();
    assert_eq!(rows(&storage).len(), 2);
}

/// A database as version 2 wrote it: every task with its row, runs in the older form.
fn database_of_version_2(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA page_size = 2048; PRAGMA journal_mode = WAL;")
        .unwrap();
    for migration in &schema::MIGRATIONS[..2] {
        connection.execute_batch(migration).unwrap();
    }
    connection.pragma_update(None, "user_version", 2).unwrap();
    for key in [1, 2] {
        let mut payload = Vec::new();
        for event in &begin(key).events {
            payload.extend_from_slice(&u32::try_from(event.json.len()).unwrap().to_le_bytes());
            payload.extend_from_slice(&event.json);
        }
        let new = new_task(u32::try_from(key).unwrap(), None);
        connection
            .execute(
                "INSERT INTO events VALUES (?1, ?2)",
                params![payload::row_id(key, 1), payload],
            )
            .unwrap();
        connection
            .execute(
                "INSERT INTO tasks (key, id, owner, context_id, client_id, client_form, state, status_millis, status_seq)
                 VALUES (?1, ?2, ?3, ?4, 'mine' || ?1, 'loud', 1, ?5, 1)",
                params![key, new.task.id, new.owner, new.task.context_id, at(1).as_millisecond()],
            )
            .unwrap();
    }
}

#[tokio::test]
async fn database_of_version_2_is_read_and_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("log.db"), folder.path().join("copy.db"));
    database_of_version_2(&path);
    let log = open_calm(&path);
    let task = log.open("bob", "t00001").await.unwrap();
    assert_eq!(
        log.alias("bob", "mine1").await.unwrap().as_deref(),
        Some("t00001")
    );
    assert_eq!(
        task.append_one(Expect::Open, chunk(&task, "more".to_owned()))
            .await
            .unwrap(),
        2
    );
    log.create(new_task(7, None)).await.unwrap();
    killed(&path, &copy);
    let recovered = open_calm(&copy);
    let made = [1, 2, 7].map(|n| (n, None));
    assert_eq!(all(&recovered, &made).await, all(&log, &made).await);
    let events = recovered
        .open("bob", "t00001")
        .await
        .unwrap()
        .read(0, 10)
        .await
        .unwrap();
    let first = StreamResponse::Task(new_task(1, None).task);
    assert_eq!(events[0].event().unwrap(), first);
    assert_eq!(events[1].event().unwrap(), chunk(&task, "more".to_owned()));
    assert_eq!(
        Connection::open(&path)
            .unwrap()
            .pragma_query_value(None, "user_version", |row| row.get(0)),
        Ok(i64::try_from(schema::MIGRATIONS.len()).unwrap())
    );
}

#[tokio::test]
async fn tasks_without_rows_are_found_after_the_ones_before_them_were_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("log.db"), folder.path().join("copy.db"));
    let log = open_calm(&path);
    for n in [1, 2] {
        let task = log.create(new_task(n, None)).await.unwrap();
        let ended = status(&task, TaskState::Completed, n);
        task.append_one(Expect::Open, ended).await.unwrap();
    }
    let _ = log.list(&ListFilter::of(None)).await.unwrap();
    log.create(new_task(7, None)).await.unwrap();
    assert_eq!(count(&path, "tasks"), 2);
    let mut forgotten = 0;
    while forgotten < 2 {
        forgotten += log.forget_ended(at(5), 10).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!((count(&path, "tasks"), count(&path, "events")), (0, 1));
    killed(&path, &copy);
    let recovered = open_calm(&copy);
    let made = [(7, None)];
    assert_eq!(all(&recovered, &made).await, all(&log, &made).await);
    assert!(recovered.open("bob", "t00001").await.is_err());
    assert!(recovered.create(new_task(8, None)).await.is_ok());
}

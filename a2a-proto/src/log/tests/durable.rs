//! What a log on disk promises beyond the contract: restarts, full disks, killed processes, foreign databases.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::*;
use crate::clock::{Ids as _, SystemClock, UuidV7};
use crate::log::{Expect, ListFilter, LogError, SqliteLog};
use crate::server::Updates;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restart_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let (snapshot, ended) = {
        let log = SqliteLog::open(&path).unwrap();
        let mut new = new_task("ann", "t", "ctx", 0);
        new.alias = Some(alias("mine"));
        let task = log.create(new).await.unwrap();
        task.append(
            Expect::Open,
            (0..100).map(|n| chunk(&task, &n.to_string())).collect(),
        )
        .await
        .unwrap();
        let ended = make(&log, "ended").await;
        let mut events: Vec<_> = (0..300).map(|n| chunk(&ended, &n.to_string())).collect();
        events.push(status(&ended, TaskState::Completed, 5));
        ended.append(Expect::Open, events).await.unwrap();
        // Nobody waits for this one; closing the log stores it.
        task.enqueue(chunk(&task, "last")).await.unwrap();
        drop(log);
        (task.snapshot(), ended.snapshot())
    };
    assert_eq!(snapshot.seq, 102);
    let log = SqliteLog::open(&path).unwrap();
    let task = log.open("ann", "t").await.unwrap();
    assert_eq!(
        (task.snapshot().task, task.snapshot().seq),
        (snapshot.task, 102)
    );
    assert_eq!(task.alias(), Some(&alias("mine")));
    assert_eq!(
        log.alias("ann", "mine").await.unwrap().as_deref(),
        Some("t")
    );
    assert_eq!(
        numbers(&task.read(95, 100).await.unwrap()),
        (96..=102).collect::<Vec<_>>()
    );
    assert_eq!(
        task.append_one(Expect::Open, chunk(&task, "more"))
            .await
            .unwrap(),
        103
    );
    let page = log.list(&ListFilter::of(Some("ann".into()))).await.unwrap();
    assert_eq!(page.tasks[0].task.id, "ended");
    assert_eq!(
        page.tasks[0].task.artifacts,
        [],
        "a list without artifacts does not read them"
    );
    let page = log
        .list(&ListFilter {
            artifacts: true,
            ..ListFilter::of(Some("ann".into()))
        })
        .await
        .unwrap();
    assert_eq!(page.tasks[0].task, ended.task);
    assert_eq!(page.tasks[0].seq, ended.seq);
    assert!(matches!(
        log.create(new_task("ann", "t", "ctx", 0)).await,
        Err(LogError::Duplicate)
    ));
    assert_eq!(log.open("ann", "t").await.unwrap().snapshot().seq, 103);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_thousand_chunks_come_whole_and_are_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = SqliteLog::open(&path).unwrap();
    let task = make(&log, "t").await;
    for n in 0..100_000 {
        task.enqueue(chunk(&task, &format!("{n:064}")))
            .await
            .unwrap();
    }
    task.append_one(Expect::Open, status(&task, TaskState::Completed, 1))
        .await
        .unwrap();
    let events = drain(task.subscribe(0).unwrap()).await;
    assert!(events.iter().map(|event| event.seq).eq(1..=100_002));
    let chunks = &events[1..100_001];
    for (n, event) in chunks.iter().enumerate() {
        assert_eq!(
            event.event().unwrap(),
            chunk(&task, &format!("{n:064}")),
            "{n}"
        );
        assert_eq!(event.json.len(), chunks[0].json.len());
    }
    // Each event once, and what the task came to once: nothing that would grow with every event.
    let sent: usize = events.iter().map(|event| event.json.len()).sum();
    drop((task, log));
    let database = rusqlite::Connection::open(&path).unwrap();
    let number = |sql: &str| {
        let number: i64 = database.query_one(sql, (), |row| row.get(0)).unwrap();
        usize::try_from(number).unwrap()
    };
    // Without the names and ids that all of them begin with.
    let stored = number("SELECT sum(length(payload)) FROM events");
    assert!(stored < sent * 2 / 3, "{stored} of {sent} bytes");
    let ended = number("SELECT length(ended_task) + length(ended_artifacts) FROM tasks");
    assert!((1..sent).contains(&ended), "{ended} of {sent} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_fails_cleanly_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let (log, limit) = SqliteLog::open_small(&folder.path().join("log.db"), 40);
    let task = make(&log, "t").await;
    let big = "x".repeat(20_000);
    let error = loop {
        if let Err(error) = task.append_one(Expect::Open, chunk(&task, &big)).await {
            break error;
        }
        assert!(task.snapshot().seq < 100, "the disk never fills");
    };
    assert!(matches!(error, LogError::Full { .. }), "{error}");
    let before = task.snapshot();
    // An event that nobody waits for waits for space.
    task.enqueue(chunk(&task, &big)).await.unwrap();
    assert!(matches!(task.flush().await, Err(LogError::Full { .. })));
    assert!(matches!(
        log.create(new_task("ann", "u", &big, 0)).await,
        Err(LogError::Full { .. })
    ));
    assert!(matches!(
        log.open("ann", "u").await,
        Err(LogError::NotFound { .. })
    ));
    assert_eq!(task.snapshot().seq, before.seq);
    limit(1_000_000);
    assert_eq!(
        task.append_one(Expect::Open, chunk(&task, &big))
            .await
            .unwrap(),
        before.seq + 2
    );
    log.create(new_task("ann", "u", "ctx", 0)).await.unwrap();
    let all = task.read(0, 1000).await.unwrap();
    assert_eq!(numbers(&all), (1..=before.seq + 2).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turn_that_meets_a_full_disk_goes_on_when_there_is_space() {
    const CHUNKS: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let (log, limit) = SqliteLog::open_small(&folder.path().join("log.db"), 60);
    let task = make(&log, "t").await;
    let updates = Updates::new(task.clone(), Arc::new(SystemClock), Arc::new(UuidV7));
    let turn = async {
        for n in 0..CHUNKS {
            let chunk = Artifact::new("out", vec![Part::text("x".repeat(2000))]);
            updates
                .artifact(chunk, n > 0, n + 1 == CHUNKS)
                .await
                .unwrap();
        }
        updates.status(TaskState::Completed, None).await.unwrap()
    };
    let space = async {
        while !matches!(task.flush().await, Err(LogError::Full { .. })) {
            tokio::task::yield_now().await;
        }
        limit(1_000_000);
        task.snapshot().seq
    };
    let reader = drain(task.subscribe(0).unwrap());
    let all = async { tokio::join!(turn, space, reader) };
    let (last, met, events) = tokio::time::timeout(DEADLINE, all).await.expect("an end");
    assert!(
        met < last,
        "the disk was full in the middle: {met} of {last}"
    );
    assert_eq!(last, CHUNKS + 2);
    assert_eq!(numbers(&events), (1..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn second_process_and_newer_format_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = SqliteLog::open(&path).unwrap();
    assert!(matches!(
        SqliteLog::open(&path),
        Err(LogError::InUse { .. })
    ));
    drop(log);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = SqliteLog::open(&path).unwrap_err();
    assert!(
        matches!(error, LogError::Newer { found: 99, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("start the newer program"),
        "{error}"
    );
}

#[tokio::test]
async fn database_is_private_and_a_file_that_is_none_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = SqliteLog::open(&path).unwrap();
    make(&log, "t").await;
    for name in ["log.db", "log.db-wal", "log.db.lock"] {
        let mode = std::fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
    let other = folder.path().join("other.db");
    std::fs::write(
        &other,
        "not a database at all, but long enough to be looked at".repeat(100),
    )
    .unwrap();
    assert!(matches!(
        SqliteLog::open(&other),
        Err(LogError::Store { .. })
    ));
    assert!(matches!(
        SqliteLog::open(folder.path().join("no/such/log.db")),
        Err(LogError::Store { .. })
    ));
}

/// Names the database for the child process of the test below.
const CHILD: &str = "A2A_LOG_TEST_CHILD";

/// Not a test of its own: what the killed process runs. It appends for ever and says what was acknowledged.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test that starts itself has only the environment to say so"
)]
fn child_that_appends_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let log = SqliteLog::open(path).unwrap();
        let tasks = futures_util::future::join_all(["a", "b", "c"].map(|id| async {
            match log.open("ann", id).await {
                Ok(task) => task,
                Err(_) => make(&log, id).await,
            }
        }))
        .await;
        let append = tasks.iter().map(|task| async move {
            loop {
                for _ in 0..3 {
                    task.enqueue(chunk(task, "queued")).await.unwrap();
                }
                let seq = task
                    .append_one(Expect::Open, status(task, TaskState::Working, 1))
                    .await
                    .unwrap();
                println!("acknowledged {} {seq}", task.id());
            }
        });
        let make = async {
            loop {
                let id = UuidV7.next();
                let mut new = new_task("ann", &id, "made", 2);
                new.alias = Some(alias(&format!("mine {id}")));
                log.create(new).await.unwrap();
                println!("acknowledged {id} 1");
            }
        };
        futures_util::future::join(futures_util::future::join_all(append), make).await;
    });
}

#[tokio::test]
async fn killed_process_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    // Lines after which the child is killed: a fixed seed of a small generator.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..5 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let lines = 20 + state % 400;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "log::tests::durable::child_that_appends_until_it_is_killed",
                "--nocapture",
            ])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut acknowledged = std::collections::HashMap::new();
        let mut seen = 0;
        for line in output.lines().map_while(Result::ok) {
            // The harness prints in front of the first line.
            if let Some((_, line)) = line.split_once("acknowledged ") {
                let (id, seq) = line.split_once(' ').unwrap();
                acknowledged.insert(id.to_owned(), seq.parse::<u64>().unwrap());
                seen += 1;
            }
            if seen == lines {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(
            seen >= lines,
            "the child ended by itself after {seen} lines"
        );
        let log = SqliteLog::open(&path).unwrap();
        let filter = ListFilter {
            context_id: Some("made".to_owned()),
            limit: usize::MAX - 1,
            ..ListFilter::of(Some("ann".into()))
        };
        let listed = log.list(&filter).await.unwrap().tasks;
        let listed: std::collections::HashSet<_> =
            listed.iter().map(|found| &found.task.id).collect();
        for (id, seq) in acknowledged {
            let task = log.open("ann", &id).await.unwrap();
            if task.context_id() == "made" {
                assert!(
                    listed.contains(&id),
                    "{id} was acknowledged and is not listed"
                );
                let called = log.alias("ann", &format!("mine {id}")).await.unwrap();
                assert_eq!(called.as_ref(), Some(&id));
            }
            let last = task.snapshot().seq;
            assert!(
                last >= seq,
                "{id}: {seq} was acknowledged, {last} is the last one there"
            );
            let mut events = Vec::new();
            while let Some(more) =
                Some(task.read(events.len() as u64, 1000).await.unwrap()).filter(|m| !m.is_empty())
            {
                events.extend(more);
            }
            assert_eq!(numbers(&events), (1..=last).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_long_ago_is_forgotten_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(folder.path().join("log.db")).unwrap();
    let open = make(&log, "open").await;
    let held = make(&log, "held").await;
    for (id, second) in [("old", 5), ("older", 4), ("new", 50), ("held", 5)] {
        let task = match id {
            "held" => held.clone(),
            _ => make(&log, id).await,
        };
        let event = status(&task, TaskState::Completed, second);
        task.append_one(Expect::Open, event).await.unwrap();
    }
    let before = at(10);
    // A commit that has just been made may still hold what it wrote.
    let forgets = async |limit| {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            match log.forget_ended(before, limit).await.unwrap() {
                0 => assert!(std::time::Instant::now() < deadline, "nothing can go"),
                some => return some,
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(forgets(1).await, 1);
    let gone = log.open("ann", "older").await.unwrap_err();
    assert!(matches!(gone, LogError::NotFound { .. }), "{gone}");
    assert_eq!(forgets(100).await, 1);
    assert_eq!(log.forget_ended(before, 100).await.unwrap(), 0);
    drop(held);
    assert_eq!(forgets(100).await, 1);
    let left = log.list(&ListFilter::of(Some("ann".into()))).await.unwrap();
    let mut left: Vec<_> = left.tasks.iter().map(|line| line.task.id.clone()).collect();
    left.sort();
    assert_eq!(left, ["new", "open"]);
    assert!(!open.state().is_terminal());
}

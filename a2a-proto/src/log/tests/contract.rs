//! What every log promises; about lists in `list`.

mod list;
mod push;

use std::sync::Arc;

use self::list::{list_filters, list_is_newest_first_and_paged_without_repeats};
use self::push::{
    positions_of_push_configs_never_go_back, push_config_is_stored_with_its_event_or_not_at_all,
    push_configs_are_kept_replaced_and_deleted, push_configs_can_be_made_after_the_end,
};
use super::*;
use crate::log::{Expect, ListFilter, LogError, LogOptions, MemoryLog};

macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(|options| MemoryLog::with_options(options).unwrap(), MemoryLog::hot_tasks).await;
            })+
        }
        #[cfg(feature = "sqlite")]
        mod sqlite {
            use crate::log::SqliteLog;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let folder = tempfile::tempdir().unwrap();
                let open = |options| SqliteLog::open_with(folder.path().join("log.db"), options).unwrap();
                super::$case(open, SqliteLog::hot_tasks).await;
            })+
        }
    };
}

contract!(
    long_ended_task_comes_back_with_everything,
    events_are_numbered_from_one_without_gaps,
    first_terminal_state_wins,
    expectation_of_a_state_is_checked,
    events_after_a_terminal_one_are_refused_whole,
    somebody_elses_task_is_not_found,
    ids_are_taken_once,
    reader_that_falls_behind_reads_everything,
    every_subscriber_sees_the_same,
    subscriber_begins_where_it_wants,
    list_is_newest_first_and_paged_without_repeats,
    list_filters,
    idle_tasks_are_evicted_and_come_back_whole,
    producers_wait_for_room,
    unfinished_tasks_are_found,
    aggregate_equals_replay,
    create_of_a_taken_id_does_not_hurt_others,
    push_configs_are_kept_replaced_and_deleted,
    push_configs_can_be_made_after_the_end,
    push_config_is_stored_with_its_event_or_not_at_all,
    positions_of_push_configs_never_go_back,
);

async fn events_are_numbered_from_one_without_gaps<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    let task = make(&log, "t").await;
    let seq = task
        .append(
            Expect::Open,
            vec![status(&task, TaskState::Working, 1), chunk(&task, "a")],
        )
        .await
        .unwrap();
    assert_eq!(seq, 3);
    task.enqueue(chunk(&task, "b")).await.unwrap();
    let end = task
        .append(Expect::Open, vec![status(&task, TaskState::Completed, 2)])
        .await
        .unwrap();
    assert_eq!(end, 5);
    let events = task.read(0, 100).await.unwrap();
    assert_eq!(numbers(&events), [1, 2, 3, 4, 5]);
    assert_eq!(events[3].event().unwrap(), chunk(&task, "b"));
    assert_eq!(numbers(&task.read(2, 2).await.unwrap()), [3, 4]);
    assert_eq!(task.read(5, 2).await.unwrap(), []);
    assert!(matches!(
        task.read(6, 2).await,
        Err(LogError::BeyondEnd { after: 6, last: 5 })
    ));
    let snapshot = log.open("ann", "t").await.unwrap().snapshot();
    assert_eq!(snapshot.seq, 5);
    assert_eq!(
        snapshot.task.artifacts[0].parts,
        [Part::text("a"), Part::text("b")]
    );
    assert_eq!(task.watch().borrow().state, TaskState::Completed);
}

async fn first_terminal_state_wins<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    for round in 0..50 {
        let task = make(&log, &format!("t{round}")).await;
        let race = [TaskState::Completed, TaskState::Canceled, TaskState::Failed]
            .map(|state| task.append_one(Expect::Open, status(&task, state, 1)));
        let results = futures_util::future::join_all(race).await;
        let won: Vec<_> = results.iter().filter(|result| result.is_ok()).collect();
        assert_eq!(won.len(), 1, "{results:?}");
        let state = task.state();
        assert!(
            results
                .iter()
                .filter_map(|result| result.as_ref().err())
                .all(|error| matches!(error, LogError::Conflict { actual } if *actual == state))
        );
        assert!(matches!(
            task.enqueue(chunk(&task, "late")).await,
            Err(LogError::Conflict { .. })
        ));
        assert_eq!(task.snapshot().seq, 2);
        task.flush().await.unwrap();
    }
}

async fn expectation_of_a_state_is_checked<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    let task = make(&log, "t").await;
    let wrong = task
        .append_one(Expect::State(TaskState::Working), chunk(&task, "x"))
        .await;
    assert!(matches!(
        wrong,
        Err(LogError::Conflict {
            actual: TaskState::Submitted
        })
    ));
    task.append_one(
        Expect::State(TaskState::Submitted),
        status(&task, TaskState::Working, 1),
    )
    .await
    .unwrap();
    task.append_one(Expect::State(TaskState::Working), chunk(&task, "x"))
        .await
        .unwrap();
    assert_eq!(task.snapshot().seq, 3);
    let passed = task.append_one(Expect::After(2), chunk(&task, "x")).await;
    assert!(matches!(passed, Err(LogError::Passed { last: 3 })));
    // Of two at once that both expect the same, one is first.
    let (one, other) = tokio::join!(
        task.append_one(Expect::After(3), chunk(&task, "x")),
        task.append_one(Expect::After(3), chunk(&task, "y")),
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert_eq!(task.snapshot().seq, 4);
    task.append_one(Expect::After(4), status(&task, TaskState::Completed, 2))
        .await
        .unwrap();
    let ended = task.append_one(Expect::After(5), chunk(&task, "x")).await;
    assert!(matches!(ended, Err(LogError::Conflict { .. })));
}

async fn events_after_a_terminal_one_are_refused_whole<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    let task = make(&log, "t").await;
    let events = vec![
        chunk(&task, "a"),
        status(&task, TaskState::Completed, 1),
        chunk(&task, "b"),
    ];
    assert!(matches!(
        task.append(Expect::Open, events).await,
        Err(LogError::Refused { .. })
    ));
    assert_eq!(
        (task.snapshot().seq, task.state()),
        (1, TaskState::Submitted)
    );
}

async fn somebody_elses_task_is_not_found<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    let mut new = new_task("ann", "t", "ctx", 0);
    new.alias = Some(alias("mine"));
    log.create(new).await.unwrap();
    assert!(log.open("ann", "t").await.is_ok());
    for (owner, id) in [("bob", "t"), ("ann", "u"), ("", "t")] {
        assert!(matches!(
            log.open(owner, id).await,
            Err(LogError::NotFound { .. })
        ));
    }
    assert_eq!(
        log.list(&ListFilter::of(Some("bob".into())))
            .await
            .unwrap()
            .total,
        0
    );
    assert_eq!(log.alias("bob", "mine").await.unwrap(), None);
    assert_eq!(
        log.alias("ann", "mine").await.unwrap().as_deref(),
        Some("t")
    );
}

async fn ids_are_taken_once<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    let with = |owner: &str, id: &str, client_id: &str| {
        let mut new = new_task(owner, id, "ctx", 0);
        new.alias = Some(alias(client_id));
        log.create(new)
    };
    with("ann", "t1", "mine").await.unwrap();
    assert!(matches!(
        with("ann", "t1", "other").await,
        Err(LogError::Duplicate)
    ));
    assert!(matches!(
        with("ann", "t2", "mine").await,
        Err(LogError::Duplicate)
    ));
    assert!(matches!(
        log.open("ann", "t2").await,
        Err(LogError::NotFound { .. })
    ));
    // Another caller may choose the same id.
    with("bob", "t3", "mine").await.unwrap();
    assert_eq!(
        log.alias("bob", "mine").await.unwrap().as_deref(),
        Some("t3")
    );
    // At the same time, too.
    let race = futures_util::future::join_all(
        (0..8).map(|n| with("ann", ["a", "b", "c", "d", "e", "f", "g", "h"][n], "raced")),
    )
    .await;
    assert_eq!(race.iter().filter(|made| made.is_ok()).count(), 1);
}

async fn create_of_a_taken_id_does_not_hurt_others<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions {
        hot_tasks: 1,
        ..LogOptions::default()
    });
    drop(make(&log, "taken").await);
    drop(make(&log, "evicts").await);
    let made = futures_util::future::join_all(
        ["x", "taken", "y"].map(|id| log.create(new_task("ann", id, "ctx", 0))),
    )
    .await;
    assert!(made[0].is_ok() && made[2].is_ok());
    assert!(matches!(made[1], Err(LogError::Duplicate)));
    assert_eq!(log.open("ann", "taken").await.unwrap().snapshot().seq, 1);
}

async fn reader_that_falls_behind_reads_everything<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions {
        tail_events: 8,
        ..LogOptions::default()
    });
    let task = make(&log, "t").await;
    let mut slow = task.subscribe(0).unwrap();
    let mut got = slow.next().await.unwrap();
    for n in 0..1000 {
        task.enqueue(chunk(&task, &n.to_string())).await.unwrap();
    }
    task.flush().await.unwrap();
    got.extend(slow.next().await.unwrap());
    task.append_one(Expect::Open, status(&task, TaskState::Completed, 1))
        .await
        .unwrap();
    got.extend(drain(slow).await);
    assert_eq!(numbers(&got), (1..=1002).collect::<Vec<_>>());
    assert_eq!(got[1000].event().unwrap(), chunk(&task, "999"));
}

async fn every_subscriber_sees_the_same<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions {
        tail_events: 16,
        ..LogOptions::default()
    });
    let task = make(&log, "t").await;
    let readers: Vec<_> = (0..6).map(|_| drain(task.subscribe(0).unwrap())).collect();
    let write = async {
        for n in 0..500 {
            task.enqueue(chunk(&task, &n.to_string())).await.unwrap();
            if n % 50 == 0 {
                task.append_one(Expect::Open, status(&task, TaskState::Working, n))
                    .await
                    .unwrap();
            }
        }
        task.append_one(Expect::Open, status(&task, TaskState::Completed, 600))
            .await
            .unwrap();
    };
    let (transcripts, ()) =
        futures_util::future::join(futures_util::future::join_all(readers), write).await;
    assert_eq!(transcripts[0].len(), 512);
    assert!(
        transcripts
            .iter()
            .all(|transcript| *transcript == transcripts[0])
    );
    assert_eq!(transcripts[0], task.read(0, 1000).await.unwrap());
}

async fn subscriber_begins_where_it_wants<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions {
        tail_events: 2,
        ..LogOptions::default()
    });
    let task = make(&log, "t").await;
    let events = (0..5).map(|n| chunk(&task, &n.to_string())).collect();
    task.append(Expect::Open, events).await.unwrap();
    task.append_one(Expect::Open, status(&task, TaskState::Completed, 1))
        .await
        .unwrap();
    for after in 0..=7 {
        let events = drain(task.subscribe(after).unwrap()).await;
        assert_eq!(numbers(&events), (after + 1..=7).collect::<Vec<_>>());
    }
    assert!(matches!(task.subscribe(8), Err(LogError::BeyondEnd { .. })));
}

async fn idle_tasks_are_evicted_and_come_back_whole<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions {
        hot_tasks: 4,
        ..LogOptions::default()
    });
    let mut expected = Vec::new();
    for n in 0..20 {
        let task = make(&log, &format!("t{n}")).await;
        task.append(Expect::Open, vec![chunk(&task, "a"), chunk(&task, "b")])
            .await
            .unwrap();
        if n % 2 == 0 {
            task.append_one(Expect::Open, status(&task, TaskState::Completed, 1))
                .await
                .unwrap();
        }
        expected.push(task.snapshot());
    }
    assert!(hot(&log) <= 5, "{} tasks are hot", hot(&log));
    for (n, snapshot) in expected.iter().enumerate() {
        let task = log.open("ann", &format!("t{n}")).await.unwrap();
        let again = task.snapshot();
        assert_eq!((&again.task, again.seq), (&snapshot.task, snapshot.seq));
        if n % 2 == 1 {
            assert_eq!(
                task.append_one(Expect::Open, chunk(&task, "c"))
                    .await
                    .unwrap(),
                snapshot.seq + 1
            );
            assert_eq!(numbers(&task.read(1, 9).await.unwrap()), [2, 3, 4]);
        } else {
            assert_eq!(numbers(&drain(task.subscribe(1).unwrap()).await), [2, 3, 4]);
        }
    }
    // A task in use stays, whatever the bound says.
    let held: Vec<_> = futures_util::future::join_all(
        (0..8).map(|n| make(&log, ["a", "b", "c", "d", "e", "f", "g", "h"][n])),
    )
    .await;
    assert!(hot(&log) >= held.len());
}

async fn producers_wait_for_room<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions {
        pending_events: 2,
        ..LogOptions::default()
    });
    let task = make(&log, "t").await;
    let write = futures_util::future::join_all((0..200).map(|n| {
        let event = chunk(&task, &n.to_string());
        let task = &task;
        async move { task.enqueue(event).await.unwrap() }
    }));
    tokio::time::timeout(DEADLINE, write)
        .await
        .expect("everybody gets a turn");
    task.flush().await.unwrap();
    assert_eq!(task.snapshot().seq, 201);
}

async fn unfinished_tasks_are_found<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions {
        hot_tasks: 1,
        ..LogOptions::default()
    });
    for (owner, id, end) in [("ann", "a", true), ("ann", "b", false), ("bob", "c", false)] {
        let task = log.create(new_task(owner, id, "ctx", 0)).await.unwrap();
        if end {
            task.append_one(Expect::Open, status(&task, TaskState::Failed, 1))
                .await
                .unwrap();
        }
    }
    let mut found: Vec<_> = log
        .unfinished()
        .await
        .unwrap()
        .iter()
        .map(|task| task.id().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, ["b", "c"]);
}

async fn aggregate_equals_replay<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    let task = make(&log, "t").await;
    let early = task.snapshot();
    for n in 0..20 {
        task.append(
            Expect::Open,
            vec![chunk(&task, "x"), status(&task, TaskState::Working, n)],
        )
        .await
        .unwrap();
    }
    let mut replayed = Task::default();
    for event in task.read(0, 100).await.unwrap() {
        replayed.apply(&event.event().unwrap());
    }
    assert_eq!(*task.snapshot().task, replayed);
    // A snapshot is a moment, not a view.
    assert_eq!(early.task.artifacts, []);
    assert_eq!(Arc::strong_count(&early.task), 1);
}

async fn long_ended_task_comes_back_with_everything<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions {
        hot_tasks: 1,
        ..LogOptions::default()
    });
    let mut expected = Vec::new();
    for (id, count) in [("short", 10), ("long", 2000)] {
        let task = make(&log, id).await;
        for n in 0..count {
            task.enqueue(chunk(&task, &n.to_string())).await.unwrap();
        }
        task.append_one(Expect::Open, status(&task, TaskState::Completed, 1))
            .await
            .unwrap();
        expected.push(task.snapshot());
    }
    for n in 0..8 {
        make(&log, &format!("other{n}")).await;
    }
    assert!(hot(&log) < 10, "{} tasks are hot", hot(&log));
    for snapshot in expected {
        let again = log.open("ann", &snapshot.task.id).await.unwrap().snapshot();
        assert_eq!((&again.task, again.seq), (&snapshot.task, snapshot.seq));
        let lean = ListFilter {
            state: Some(TaskState::Completed),
            ..ListFilter::of(Some("ann".into()))
        };
        let page = log
            .list(&ListFilter {
                artifacts: true,
                ..lean
            })
            .await
            .unwrap();
        assert!(
            page.tasks
                .iter()
                .any(|listed| { listed.task == snapshot.task && listed.seq == snapshot.seq })
        );
    }
}

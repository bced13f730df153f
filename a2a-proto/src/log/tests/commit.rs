//! Who commits: the thread that waits, the log's own, and what becomes of everybody when the store is busy, full, slow
//! or panics, or the one who waits goes away. The store here does as it is told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread::ThreadId;

use bytes::Bytes;
use futures_util::FutureExt as _;

use super::*;
use crate::log::engine::Engine;
use crate::log::shared::lock;
use crate::log::storage::{
    Batch, CommitError, Pace, Patience, Storage, StoredLine, StoredTask, TaskKey,
};
use crate::log::{Expect, ListFilter, LogError, LogOptions, StoredPush};

/// What the store does with the next commit.
#[derive(Clone)]
enum Act {
    Busy,
    /// It waits until the gate is open, and panics.
    Panic(Arc<Gate>),
    Slow,
    /// It waits until the gate is open.
    Gate(Arc<Gate>),
}

#[derive(Default)]
struct Gate {
    /// Somebody waits; it is open.
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = lock(&self.state);
        state.0 = true;
        self.changed.notify_all();
        while !state.1 {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn until_somebody_waits(&self) {
        let mut state = lock(&self.state);
        while !state.0 {
            let waited = self.changed.wait_timeout(state, DEADLINE).unwrap();
            assert!(!waited.1.timed_out(), "nobody came");
            state = waited.0;
        }
    }

    fn open(&self) {
        lock(&self.state).1 = true;
        self.changed.notify_all();
    }
}

#[derive(Default)]
struct Told {
    next: Mutex<Vec<Act>>,
    full: AtomicBool,
    /// Every commit that was tried.
    tried: Mutex<Vec<(ThreadId, Patience)>>,
    stored: Mutex<HashMap<TaskKey, Vec<Bytes>>>,
}

impl Told {
    fn next(&self, acts: impl IntoIterator<Item = Act>) {
        lock(&self.next).extend(acts);
    }

    fn last(&self) -> (ThreadId, Patience) {
        *lock(&self.tried).last().unwrap()
    }

    fn tried(&self) -> usize {
        lock(&self.tried).len()
    }
}

impl Storage for Told {
    fn commit(&self, batch: &Batch, patience: Patience) -> Result<Pace, CommitError> {
        lock(&self.tried).push((std::thread::current().id(), patience));
        let act = {
            let mut next = lock(&self.next);
            (!next.is_empty()).then(|| next.remove(0))
        };
        let mut pace = Pace::Quick;
        match act {
            Some(Act::Busy) if patience == Patience::Short => return Err(CommitError::Busy),
            Some(Act::Panic(gate)) => {
                gate.pass();
                panic!("as told");
            }
            Some(Act::Slow) => pace = Pace::Slow,
            Some(Act::Gate(gate)) => gate.pass(),
            Some(Act::Busy) | None => {}
        }
        if self.full.load(Ordering::SeqCst) {
            let place = "here".to_owned();
            return Err(CommitError::Failed(LogError::Full { place }));
        }
        let mut stored = lock(&self.stored);
        for task in &batch.tasks {
            let events = stored.entry(task.meta.key).or_default();
            if !task.events.is_empty() {
                assert_eq!(events.len() as u64 + 1, task.first_seq);
            }
            events.extend(task.events.iter().map(|event| event.json.clone()));
        }
        Ok(pace)
    }

    fn load(&self, _id: &str) -> Result<Option<StoredTask>, LogError> {
        Ok(None)
    }

    fn read(&self, key: TaskKey, after: u64, limit: usize) -> Result<Vec<LoggedEvent>, LogError> {
        let stored = lock(&self.stored);
        let events = (1..).zip(stored.get(&key).into_iter().flatten());
        let events = events.map(|(seq, json)| LoggedEvent {
            seq,
            json: json.clone(),
        });
        Ok(events
            .filter(|event| event.seq > after)
            .take(limit)
            .collect())
    }

    fn list(&self, _filter: &ListFilter) -> Result<(Vec<StoredLine>, u64), LogError> {
        Ok((Vec::new(), 0))
    }

    fn alias(&self, _owner: &str, _client_id: &str) -> Result<Option<String>, LogError> {
        Ok(None)
    }

    fn push_config(&self, _key: TaskKey, _id: &str) -> Result<Option<StoredPush>, LogError> {
        Ok(None)
    }

    fn push_configs(
        &self,
        _key: TaskKey,
        _after: &str,
        _limit: usize,
    ) -> Result<Vec<StoredPush>, LogError> {
        Ok(Vec::new())
    }

    fn open_pushes(&self) -> Result<Vec<(String, Arc<str>)>, LogError> {
        Ok(Vec::new())
    }
}

fn open(options: LogOptions) -> (Arc<Told>, Engine) {
    let store = Arc::new(Told::default());
    let engine = Engine::start(Arc::clone(&store) as Arc<dyn Storage>, options, 0).unwrap();
    (store, engine)
}

/// As [`open`], but only the store says what is slow, and the log's thread comes only when it is called: so a busy
/// machine decides nothing.
fn open_calm() -> (Arc<Told>, Engine) {
    open(LogOptions {
        linger: Duration::from_secs(3600),
        slow: Duration::MAX,
        ..LogOptions::default()
    })
}

async fn task(engine: &Engine, id: &str) -> LogTask {
    engine.create(new_task("ann", id, "ctx", 0)).await.unwrap()
}

async fn append(task: &LogTask, text: &str) -> Result<u64, LogError> {
    let append = task.append_one(Expect::Open, chunk(task, text));
    tokio::time::timeout(DEADLINE, append)
        .await
        .expect("an answer")
}

/// What an append comes to on this thread alone; one that would have to wait for another is given up.
fn at_once(task: &LogTask, text: &str) -> Option<Result<u64, LogError>> {
    let mut append = std::pin::pin!(task.append_one(Expect::Open, chunk(task, text)));
    // First it lets others add to its commit.
    (&mut append)
        .now_or_never()
        .or_else(|| append.now_or_never())
}

/// The texts of the task's chunks.
async fn texts(task: &LogTask) -> Vec<String> {
    let events = task.read(0, usize::MAX).await.unwrap();
    let text = |event: &LoggedEvent| match event.event().unwrap() {
        StreamResponse::ArtifactUpdate(update) => {
            update.artifact.parts[0].as_bare_text().map(str::to_owned)
        }
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

fn here() -> ThreadId {
    std::thread::current().id()
}

#[tokio::test]
async fn whoever_waits_commits() {
    let (store, engine) = open_calm();
    let task = task(&engine, "t").await;
    assert_eq!(store.last(), (here(), Patience::Short));
    task.enqueue(chunk(&task, "a")).await.unwrap();
    // What was queued before it is in the same commit.
    let tried = store.tried();
    assert_eq!(at_once(&task, "b").expect("done at once").unwrap(), 3);
    assert_eq!(store.tried(), tried + 1);
    assert_eq!(texts(&task).await, ["a", "b"]);
}

#[tokio::test]
async fn who_is_ready_at_the_same_time_shares_a_commit() {
    let (store, engine) = open_calm();
    let (one, other) = (task(&engine, "one").await, task(&engine, "other").await);
    let tried = store.tried();
    let (a, b) = tokio::join!(append(&one, "a"), append(&other, "b"));
    assert_eq!((a.unwrap(), b.unwrap()), (2, 2));
    assert_eq!(store.tried(), tried + 1);
}

#[tokio::test]
async fn pledge_that_is_dropped_falls_to_the_logs_thread() {
    let (store, engine) = open(LogOptions::default());
    let task = task(&engine, "t").await;
    let mut watch = task.watch();
    assert!(
        task.append_one(Expect::Open, chunk(&task, "a"))
            .now_or_never()
            .is_none()
    );
    let stored = watch.wait_for(|now| now.seq == 2);
    tokio::time::timeout(DEADLINE, stored)
        .await
        .expect("it is stored")
        .unwrap();
    assert_ne!(store.last().0, here());
}

#[tokio::test]
async fn what_nobody_waits_for_is_stored_by_the_logs_thread() {
    let (store, engine) = open(LogOptions::default());
    let task = task(&engine, "t").await;
    task.enqueue(chunk(&task, "a")).await.unwrap();
    let mut watch = task.watch();
    let stored = watch.wait_for(|now| now.seq == 2);
    tokio::time::timeout(DEADLINE, stored)
        .await
        .expect("it is stored")
        .unwrap();
    assert_ne!(store.last().0, here());
}

#[tokio::test]
async fn busy_store_is_waited_for_on_the_logs_thread() {
    let (store, engine) = open_calm();
    let task = task(&engine, "t").await;
    store.next([Act::Busy]);
    assert_eq!(append(&task, "a").await.unwrap(), 2);
    let (thread, patience) = store.last();
    assert!(thread != here() && patience == Patience::Long);
    assert_eq!(append(&task, "b").await.unwrap(), 3);
    assert_eq!(texts(&task).await, ["a", "b"]);
}

#[tokio::test]
async fn slow_store_is_left_to_the_logs_thread_until_it_is_quick() {
    let (store, engine) = open_calm();
    let task = task(&engine, "t").await;
    store.next([Act::Slow, Act::Slow]);
    append(&task, "here").await.unwrap();
    assert_eq!(store.last().0, here());
    append(&task, "there").await.unwrap();
    assert_ne!(store.last().0, here());
    append(&task, "there, and quick").await.unwrap();
    assert_ne!(store.last().0, here());
    // The role is given back right after the answer.
    tokio::time::timeout(DEADLINE, async {
        loop {
            append(&task, "again").await.unwrap();
            if store.last().0 == here() {
                return;
            }
        }
    })
    .await
    .expect("a quick store is used from here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appender_that_goes_away_leaves_its_event() {
    let (store, engine) = open_calm();
    let (one, other) = (task(&engine, "one").await, task(&engine, "other").await);
    let gate = Arc::new(Gate::default());
    store.next([Act::Gate(Arc::clone(&gate))]);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| at_once(&one, "a").expect("done here").unwrap());
        gate.until_somebody_waits();
        // Queued behind the commit that is under way, and then forgotten by who waited for it.
        assert!(at_once(&other, "b").is_none());
        gate.open();
        assert_eq!(first.join().unwrap(), 2);
    });
    assert_eq!(append(&other, "c").await.unwrap(), 3);
    assert_eq!(texts(&other).await, ["b", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panic_in_a_commit_closes_the_log_for_everybody() {
    for on_the_logs_thread in [false, true] {
        let options = LogOptions {
            pending_events: 2,
            ..LogOptions::default()
        };
        let (store, engine) = open(options);
        let (one, other) = (task(&engine, "one").await, task(&engine, "other").await);
        let gate = Arc::new(Gate::default());
        if on_the_logs_thread {
            store.next([Act::Slow]);
        }
        append(&one, "before").await.unwrap();
        // Gate and panic are one commit: after one that took long the next is made by the log's thread.
        store.next([Act::Panic(Arc::clone(&gate))]);
        let committing = {
            let one = one.clone();
            std::thread::spawn(move || at_once(&one, "a"))
        };
        gate.until_somebody_waits();
        // One waits for its event, one for room.
        other.enqueue(chunk(&other, "x")).await.unwrap();
        let mut waits = std::pin::pin!(append(&other, "y"));
        assert!((&mut waits).now_or_never().is_none());
        let mut room = std::pin::pin!(other.enqueue(chunk(&other, "z")));
        assert!((&mut room).now_or_never().is_none());
        gate.open();
        let both = async { (waits.await, room.await) };
        let both = tokio::time::timeout(DEADLINE, both).await.expect("an end");
        assert!(
            matches!(both, (Err(LogError::Closed), Err(LogError::Closed))),
            "{both:?}"
        );
        // The panic is its own, unless the log's thread made the commit: as told, or because this machine is slow.
        let its_own = store.last().0 == committing.thread().id();
        assert!(!(its_own && on_the_logs_thread));
        assert_eq!(committing.join().is_err(), its_own);
        assert!(matches!(append(&one, "b").await, Err(LogError::Closed)));
        // Readers still read.
        assert!(!texts(&one).await.is_empty());
        drop(engine);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_store_holds_producers_back_and_loses_nothing() {
    let options = LogOptions {
        pending_events: 4,
        ..LogOptions::default()
    };
    let (store, engine) = open(options);
    let task = task(&engine, "t").await;
    store.full.store(true, Ordering::SeqCst);
    let all: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let mut producer = {
        let (task, all) = (task.clone(), all.clone());
        tokio::task::JoinSet::from_iter([async move {
            for text in &all {
                task.enqueue(chunk(&task, text)).await.unwrap();
            }
        }])
    };
    // Whoever waits is told, and so is whoever makes a task.
    let refused = append(&task, "refused").await;
    assert!(matches!(refused, Err(LogError::Full { .. })), "{refused:?}");
    assert!(engine.create(new_task("ann", "u", "ctx", 0)).await.is_err());
    // It is tried again by itself, and the queue does not grow.
    let tried = store.tried();
    tokio::time::timeout(DEADLINE, async {
        while store.tried() < tried + 3 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is tried again");
    assert_eq!(task.snapshot().seq, 1);
    assert!(
        producer.join_next().now_or_never().is_none(),
        "the producer waits"
    );
    store.full.store(false, Ordering::SeqCst);
    tokio::time::timeout(DEADLINE, producer.join_next())
        .await
        .expect("room")
        .unwrap()
        .unwrap();
    task.flush().await.unwrap();
    assert_eq!(texts(&task).await, all);
}

#[tokio::test]
async fn log_that_is_closed_while_full_ends() {
    let (store, engine) = open(LogOptions::default());
    let task = task(&engine, "t").await;
    store.full.store(true, Ordering::SeqCst);
    task.enqueue(chunk(&task, "lost with the process"))
        .await
        .unwrap();
    assert!(matches!(task.flush().await, Err(LogError::Full { .. })));
    drop(engine);
    // The loss is told once.
    assert!(matches!(
        append(&task, "late").await,
        Err(LogError::Full { .. })
    ));
    assert!(matches!(
        append(&task, "later").await,
        Err(LogError::Closed)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_threads_and_a_moody_store_keep_every_task_in_order() {
    const THREADS: usize = 6;
    const EACH: usize = 400;
    let options = LogOptions {
        pending_events: 8,
        ..LogOptions::default()
    };
    let (store, engine) = open(options);
    let (shared, own) = (task(&engine, "shared").await, task(&engine, "own").await);
    let mood = [Act::Busy, Act::Slow];
    store.next(mood.into_iter().cycle().take(200));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (shared, own, store) = (&shared, &own, &store);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    for n in 0..EACH {
                        let text = format!("{thread} {n}");
                        if thread == 0 {
                            own.enqueue(chunk(own, &text)).await.unwrap();
                        } else if n % 3 == 0 {
                            append(shared, &text).await.unwrap();
                        } else {
                            shared.enqueue(chunk(shared, &text)).await.unwrap();
                        }
                        if n % 50 == thread {
                            // Waits for nothing and comes back for nothing.
                            let _ = shared.flush().now_or_never();
                            store.next([Act::Busy]);
                        }
                    }
                });
            });
        }
    });
    shared.flush().await.unwrap();
    own.flush().await.unwrap();
    let count = |texts: &[String], thread: usize| {
        let prefix = format!("{thread} ");
        let numbers: Vec<usize> = texts
            .iter()
            .filter_map(|text| text.strip_prefix(&prefix)?.parse().ok())
            .collect();
        assert!(
            numbers.iter().copied().eq(0..EACH),
            "thread {thread}: {numbers:?}"
        );
    };
    count(&texts(&own).await, 0);
    let texts = texts(&shared).await;
    (1..THREADS).for_each(|thread| count(&texts, thread));
    assert_eq!(texts.len(), (THREADS - 1) * EACH);
}

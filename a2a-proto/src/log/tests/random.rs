//! Random histories: appends of every kind, readers of random speed, restarts. Whatever happens, the transcript of
//! every reader is the log.

use proptest::prelude::*;

use super::*;
use crate::log::{Expect, LogOptions, SqliteLog};

#[derive(Debug, Clone)]
enum Step {
    Enqueue(usize, u8),
    Append(usize, u8),
    Status(usize),
    /// A reader begins at a fraction of what is there.
    Join(usize, u8),
    /// A reader takes one batch.
    Read(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2_usize, 1..40_u8).prop_map(|(task, count)| Step::Enqueue(task, count)),
        4 => (0..2_usize, 1..10_u8).prop_map(|(task, count)| Step::Append(task, count)),
        3 => (0..2_usize).prop_map(Step::Status),
        3 => (0..2_usize, any::<u8>()).prop_map(|(task, at)| Step::Join(task, at)),
        6 => (0..8_usize).prop_map(Step::Read),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn transcript_of_every_reader_is_the_log(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}

async fn play(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let options = LogOptions {
        tail_events: 7,
        pending_events: 5,
        hot_tasks: 1,
        ..LogOptions::default()
    };
    let open = || SqliteLog::open_with(&path, options.clone()).unwrap();
    let mut log = open();
    let ids = ["a", "b"];
    let mut sent = [1_u64, 1];
    for id in ids {
        make(&log, id).await;
    }
    // Each reader: its task, where it began, what it got.
    let mut readers: Vec<(usize, u64, Vec<LoggedEvent>)> = Vec::new();
    for step in steps {
        match step {
            Step::Enqueue(at, count) => {
                let task = log.open("ann", ids[at]).await.unwrap();
                for _ in 0..count {
                    sent[at] += 1;
                    task.enqueue(chunk(&task, &sent[at].to_string()))
                        .await
                        .unwrap();
                }
            }
            Step::Append(at, count) => {
                let task = log.open("ann", ids[at]).await.unwrap();
                let events = (0..count)
                    .map(|n| chunk(&task, &(sent[at] + 1 + u64::from(n)).to_string()))
                    .collect();
                sent[at] += u64::from(count);
                assert_eq!(task.append(Expect::Open, events).await.unwrap(), sent[at]);
            }
            Step::Status(at) => {
                let task = log.open("ann", ids[at]).await.unwrap();
                sent[at] += 1;
                assert_eq!(
                    task.append_one(Expect::Open, status(&task, TaskState::Working, 1))
                        .await
                        .unwrap(),
                    sent[at]
                );
            }
            Step::Join(at, fraction) => {
                let last = log.open("ann", ids[at]).await.unwrap().snapshot().seq;
                readers.push((at, last * u64::from(fraction) / 255, Vec::new()));
            }
            Step::Read(reader) => {
                let count = readers.len().max(1);
                if let Some((at, after, got)) = readers.get_mut(reader % count) {
                    let task = log.open("ann", ids[*at]).await.unwrap();
                    let mut subscription = task.subscribe(*after + got.len() as u64).unwrap();
                    got.extend(subscription.ready().await.unwrap());
                }
            }
            Step::Restart => {
                drop(log);
                log = open();
            }
        }
    }
    for (at, id) in ids.into_iter().enumerate() {
        let task = log.open("ann", id).await.unwrap();
        task.append_one(Expect::Open, status(&task, TaskState::Completed, 2))
            .await
            .unwrap();
        assert_eq!(task.snapshot().seq, sent[at] + 1);
    }
    for (at, after, mut got) in readers {
        let task = log.open("ann", ids[at]).await.unwrap();
        got.extend(drain(task.subscribe(after + got.len() as u64).unwrap()).await);
        let all = drain(task.subscribe(0).unwrap()).await;
        assert_eq!(numbers(&all), (1..=sent[at] + 1).collect::<Vec<_>>());
        assert_eq!(got, all[usize::try_from(after).unwrap()..]);
    }
}

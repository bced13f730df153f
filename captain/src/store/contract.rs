//! The promises of a [`Store`], run against each of its implementations.

use std::borrow::Cow;
use std::sync::Arc;

use captain_core::JobId;
use jiff::Timestamp;

use super::{
    Append, Class, Entry, Filter, Head, MAX_READ, MemoryStore, SqliteStore, Store, StoreError,
    Which,
};

pub(crate) fn job(n: u32) -> JobId {
    JobId::parse(format!("00000000-0000-7000-8000-{n:012}")).unwrap()
}

pub(super) fn head(job: JobId, last_seq: u64) -> Head {
    Head {
        job,
        owner: "ann".to_owned(),
        goal: "build".to_owned(),
        state: "running".to_owned(),
        terminal: false,
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::from_nanosecond(1_234_567_891).unwrap(),
        last_seq,
    }
}

/// Entries `expected + 1 ..= last`; every third is output.
pub(crate) fn part(job: JobId, expected: u64, last: u64) -> Append {
    let entry = |seq: u64| {
        let class = if seq.is_multiple_of(3) {
            Class::Output
        } else {
            Class::State
        };
        Arc::new(Entry {
            seq,
            class,
            name: Cow::Borrowed("agent.text"),
            json: format!("{{\"seq\":{seq}}}").into(),
        })
    };
    Append {
        expected,
        head: head(job, last),
        entries: (expected + 1..=last).map(entry).collect(),
    }
}

async fn seqs(store: &dyn Store, job: &JobId, after: u64, limit: usize, which: Which) -> Vec<u64> {
    store
        .read(job, after, limit, which)
        .await
        .unwrap()
        .iter()
        .map(|entry| entry.seq)
        .collect()
}

async fn what_was_appended_is_read_back(store: &dyn Store) {
    let batch = vec![part(job(1), 0, 7), part(job(2), 0, 1)];
    let written = batch[0].entries.clone();
    store.append(batch).await.unwrap();
    store.append(vec![part(job(1), 7, 8)]).await.unwrap();
    let read = store.read(&job(1), 0, 7, Which::All).await.unwrap();
    assert_eq!(read, written);
    assert_eq!(seqs(store, &job(1), 5, 100, Which::All).await, [6, 7, 8]);
    assert_eq!(
        seqs(store, &job(1), 1, 3, Which::WithoutOutput).await,
        [2, 4, 5]
    );
    assert!(seqs(store, &job(1), 8, 100, Which::All).await.is_empty());
    assert!(
        seqs(store, &job(1), u64::MAX, 100, Which::All)
            .await
            .is_empty()
    );
    assert!(seqs(store, &job(9), 0, 100, Which::All).await.is_empty());
    assert_eq!(store.head(&job(1)).await.unwrap(), Some(head(job(1), 8)));
    assert_eq!(store.head(&job(9)).await.unwrap(), None);
}

async fn a_batch_that_does_not_fit_changes_nothing(store: &dyn Store) {
    store.append(vec![part(job(1), 0, 2)]).await.unwrap();
    for bad in [
        part(job(1), 0, 1),
        part(job(1), 1, 3),
        part(job(1), 3, 4),
        part(job(3), 5, 6),
    ] {
        let expected = bad.expected;
        let error = store
            .append(vec![part(job(2), 0, 1), bad])
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::Conflict { expected: at, .. } if at == expected),
            "{error}"
        );
    }
    assert_eq!(seqs(store, &job(1), 0, 10, Which::All).await, [1, 2]);
    assert_eq!(store.head(&job(2)).await.unwrap(), None);
}

async fn lists_are_filtered_and_paged(store: &dyn Store) {
    for n in 1..=5 {
        let mut one = part(job(n), 0, 1);
        if n == 2 {
            one.head.owner = "bob".to_owned();
        }
        if n == 4 {
            (one.head.terminal, one.head.state) = (true, "failed".to_owned());
        }
        store.append(vec![one]).await.unwrap();
    }
    let cases = [
        (Filter::default(), vec![5, 4, 3, 2, 1]),
        (
            Filter {
                limit: 2,
                ..Filter::default()
            },
            vec![5, 4],
        ),
        (
            Filter {
                before: Some(job(4)),
                limit: 2,
                ..Filter::default()
            },
            vec![3, 2],
        ),
        (
            Filter {
                owner: Some("bob".to_owned()),
                ..Filter::default()
            },
            vec![2],
        ),
        (
            Filter {
                unfinished: true,
                ..Filter::default()
            },
            vec![5, 3, 2, 1],
        ),
        (
            Filter {
                state: Some("failed".to_owned()),
                ..Filter::default()
            },
            vec![4],
        ),
    ];
    for (filter, expect) in cases {
        let found: Vec<JobId> = store
            .list(&filter)
            .await
            .unwrap()
            .into_iter()
            .map(|head| head.job)
            .collect();
        assert_eq!(
            found,
            expect.into_iter().map(job).collect::<Vec<_>>(),
            "{filter:?}"
        );
    }
}

async fn only_ended_jobs_are_forgotten_the_oldest_first(store: &dyn Store) {
    // Whatever the clock has done meanwhile: job 2 has not ended, job 5 changed after the border.
    for (n, updated) in [(1, 40), (2, 1), (3, 20), (4, 30), (5, 90)] {
        let mut one = part(job(n), 0, 4);
        one.head.terminal = n != 2;
        one.head.updated = Timestamp::from_second(updated).unwrap();
        store.append(vec![one]).await.unwrap();
    }
    let before = Timestamp::from_second(90).unwrap();
    assert_eq!(store.prune(before, 2).await.unwrap(), [job(3), job(4)]);
    assert_eq!(store.prune(before, 100).await.unwrap(), [job(1)]);
    assert!(store.prune(before, 100).await.unwrap().is_empty());
    let left = store.list(&Filter::default()).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|head| head.job).collect();
    assert_eq!(left, [job(5), job(2)]);
    assert!(seqs(store, &job(3), 0, 10, Which::All).await.is_empty());
    assert_eq!(store.head(&job(3)).await.unwrap(), None);
    assert_eq!(seqs(store, &job(2), 0, 10, Which::All).await, [1, 2, 3, 4]);
}

async fn reads_are_bounded(store: &dyn Store) {
    store.append(vec![part(job(1), 0, 3000)]).await.unwrap();
    assert_eq!(
        seqs(store, &job(1), 0, usize::MAX, Which::All).await.len(),
        MAX_READ
    );
}

macro_rules! contract {
    ($($fact:ident),*) => {
        mod memory {
            $(#[tokio::test]
            async fn $fact() {
                super::$fact(&super::MemoryStore::new()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $fact() {
                let folder = tempfile::tempdir().unwrap();
                super::$fact(&super::SqliteStore::open(&folder.path().join("captain.db")).unwrap()).await;
            })*
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            /// One server for all facts, with a database for each: starting one takes longer than all of them.
            #[tokio::test]
            async fn keeps_all_the_promises() {
                use super::super::postgres::test_support::Captains;
                let captains = Captains::start().await;
                $(
                    let database = captains.database(stringify!($fact));
                    let captain = database.captain("one").await;
                    super::$fact(&*captain.store).await;
                )*
            }
        }
    };
}

contract!(
    what_was_appended_is_read_back,
    a_batch_that_does_not_fit_changes_nothing,
    lists_are_filtered_and_paged,
    only_ended_jobs_are_forgotten_the_oldest_first,
    reads_are_bounded
);

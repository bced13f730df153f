//! What a list promises, whatever the store.

use super::*;

pub(super) async fn list_is_newest_first_and_paged_without_repeats<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions {
        hot_tasks: 3,
        ..LogOptions::default()
    });
    // Equal times, so that only the id can tell where a page ends.
    for n in 0..10_i64 {
        let task = log
            .create(new_task("ann", &format!("t{n}"), "ctx", n / 4))
            .await
            .unwrap();
        if n % 2 == 0 {
            task.append_one(Expect::Open, status(&task, TaskState::Completed, n / 4))
                .await
                .unwrap();
        }
    }
    let mut filter = ListFilter {
        limit: 3,
        ..ListFilter::of(Some("ann".into()))
    };
    let mut seen = Vec::new();
    loop {
        let page = log.list(&filter).await.unwrap();
        assert_eq!(page.total, 10);
        seen.extend(page.tasks.iter().map(|listed| listed.task.id.clone()));
        let Some(next) = page.next else { break };
        filter.after = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(
        seen,
        ["t9", "t8", "t7", "t6", "t5", "t4", "t3", "t2", "t1", "t0"]
    );
    let exact = log
        .list(&ListFilter {
            limit: 10,
            ..ListFilter::of(Some("ann".into()))
        })
        .await
        .unwrap();
    assert!(exact.next.is_none());
}

pub(super) async fn list_filters<L: TaskLog>(
    open: impl Fn(LogOptions) -> L,
    _hot: impl Fn(&L) -> usize,
) {
    let log = open(LogOptions::default());
    for (id, context, second) in [("a", "one", 1), ("b", "one", 2), ("c", "two", 3)] {
        let task = log
            .create(new_task("ann", id, context, second))
            .await
            .unwrap();
        task.append_one(Expect::Open, chunk(&task, "x"))
            .await
            .unwrap();
    }
    let b = log.open("ann", "b").await.unwrap();
    b.append_one(Expect::Open, status(&b, TaskState::Completed, 9))
        .await
        .unwrap();
    let all = ListFilter::of(Some("ann".into()));
    let check = async |filter: ListFilter, expect: &[&str]| {
        let page = log.list(&filter).await.unwrap();
        assert_eq!(
            page.tasks
                .iter()
                .map(|listed| listed.task.id.as_str())
                .collect::<Vec<_>>(),
            expect,
            "{filter:?}"
        );
        assert_eq!(page.total, expect.len() as u64);
    };
    check(all.clone(), &["b", "c", "a"]).await;
    check(
        ListFilter {
            context_id: Some("one".into()),
            ..all.clone()
        },
        &["b", "a"],
    )
    .await;
    check(
        ListFilter {
            state: Some(TaskState::Submitted),
            ..all.clone()
        },
        &["c", "a"],
    )
    .await;
    check(
        ListFilter {
            status_after: Some(at(3)),
            ..all.clone()
        },
        &["b", "c"],
    )
    .await;
    for (nanos, expect) in [(0, &["b", "c"][..]), (-1, &["b", "c"]), (1, &["b"])] {
        let status_after = at(3).checked_add(jiff::SignedDuration::from_nanos(nanos));
        let status_after = Some(status_after.unwrap());
        check(
            ListFilter {
                status_after,
                ..all.clone()
            },
            expect,
        )
        .await;
    }
    check(
        ListFilter {
            unfinished: true,
            ..all.clone()
        },
        &["c", "a"],
    )
    .await;
    check(
        ListFilter {
            context_id: Some("none".into()),
            ..all
        },
        &[],
    )
    .await;
}

//! What only the file can do: survive, be refused, be full, grow without growing dearer.

use std::path::PathBuf;

use rusqlite::{StatementStatus, params};
use tempfile::TempDir;

use super::super::contract::{job, part};
use super::{SqliteStore, Store, StoreError, Which, schema};

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("captain.db");
    (folder, path)
}

#[tokio::test]
async fn a_log_outlives_its_store() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    store.append(vec![part(job(1), 0, 3)]).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(
        store.read(&job(1), 0, 10, Which::All).await.unwrap().len(),
        3
    );
    store.append(vec![part(job(1), 3, 4)]).await.unwrap();
}

#[tokio::test]
async fn a_second_store_on_one_file_is_refused_under_whatever_name() {
    let (folder, path) = place();
    let one = SqliteStore::open(&path).unwrap();
    let other_name = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &other_name).unwrap();
    for name in [&path, &other_name] {
        let error = SqliteStore::open(name).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        assert!(error.to_string().contains("another captain"), "{error}");
    }
    one.append(vec![part(job(1), 0, 3)]).await.unwrap();
    drop(one);
    SqliteStore::open(&other_name).unwrap();
}

#[tokio::test]
async fn a_write_from_elsewhere_is_found_out() {
    let (_folder, path) = place();
    let one = SqliteStore::open(&path).unwrap();
    let two = SqliteStore::start(&path, schema::open(&path).unwrap()).unwrap();
    one.append(vec![part(job(1), 0, 3)]).await.unwrap();
    two.append(vec![part(job(1), 3, 4)]).await.unwrap();
    let error = one.append(vec![part(job(1), 3, 4)]).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is a second captain using this database?"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_forgotten_goes_from_the_disk() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    for n in 1..=40 {
        let mut one = part(job(n), 0, 500);
        one.head.terminal = true;
        store.append(vec![one]).await.unwrap();
    }
    let reader = schema::open_to_read(&path).unwrap();
    let pages = || -> i64 {
        reader
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap()
    };
    let before = pages();
    let mut forgotten = 0;
    loop {
        let gone = store.prune(jiff::Timestamp::MAX, usize::MAX).await.unwrap();
        if gone.is_empty() {
            break;
        }
        forgotten += gone.len();
    }
    assert_eq!(forgotten, 40);
    assert!(
        pages() * 4 < before,
        "{} of {before} pages are left",
        pages()
    );
}

#[test]
fn a_newer_database_is_left_alone() {
    let (_folder, path) = place();
    schema::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::TooNew {
                found: 99,
                known: 2,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("has format 99, this program knows up to 2"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let (_folder, path) = place();
    std::fs::write(
        &path,
        "no database at all, but long enough to be looked at".repeat(20),
    )
    .unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot open the database {}", path.display())
    );
}

#[tokio::test]
async fn a_full_database_says_so_and_goes_on_later() {
    let (_folder, path) = place();
    let connection = schema::open(&path).unwrap();
    connection
        .pragma_update(None, "max_page_count", 12)
        .unwrap();
    let store = SqliteStore::start(&path, connection).unwrap();
    store.append(vec![part(job(1), 0, 1)]).await.unwrap();
    let error = store.append(vec![part(job(1), 1, 5000)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    store.append(vec![part(job(1), 1, 2)]).await.unwrap();
    assert_eq!(
        store.read(&job(1), 0, 10, Which::All).await.unwrap().len(),
        2
    );
}

#[tokio::test]
async fn a_batch_among_many_that_conflicts_fails_alone() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let batches = (1..=20).map(|n| store.append(vec![part(job(n), u64::from(n % 2), 3)]));
    let results = futures_util::future::join_all(batches).await;
    for (n, result) in (1..=20).zip(results) {
        assert_eq!(result.is_ok(), n % 2 == 0, "{n}");
    }
}

#[test]
fn the_rows_written_for_a_batch_do_not_grow_with_the_log() {
    let (_folder, path) = place();
    let mut connection = schema::open(&path).unwrap();
    for batch in 0..1000 {
        let before = connection.total_changes();
        let batch = part(job(1), batch * 100, batch * 100 + 100);
        let results = super::commit(&mut connection, &[vec![batch]]);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        // Its hundred entries and the head.
        assert_eq!(connection.total_changes() - before, 101);
    }
    // Nor do the steps of SQLite's machine to read at any place of it.
    for sql in [super::READ_ALL, super::READ_WITHOUT_OUTPUT] {
        let mut statement = connection.prepare(sql).unwrap();
        let mut steps = |after: u64| {
            let (job, after_row) = (job(1), super::signed(after));
            let rows = statement.query_map(params![job.as_str(), after_row, 5], super::entry);
            let read: Vec<_> = rows.unwrap().map(|entry| entry.unwrap().seq).collect();
            assert!(read.len() == 5 && read[0] > after, "{read:?}");
            statement.reset_status(StatementStatus::VmStep)
        };
        assert_eq!(steps(0), steps(99_900), "{sql}");
    }
}

#[tokio::test]
async fn a_long_log_is_read_whole() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    store.append(vec![part(job(1), 0, 25_000)]).await.unwrap();
    let mut next = 1;
    loop {
        let entries = store
            .read(&job(1), next - 1, 999, Which::All)
            .await
            .unwrap();
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            assert_eq!(entry.seq, next);
            next += 1;
        }
    }
    assert_eq!(next, 25_001);
}

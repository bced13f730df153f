//! Files that are sound, damaged in many places, half written, or none at all.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use captain_core::{JobEvent, JobId, JobSpec};
use tempfile::TempDir;

use super::*;
use crate::store::contract::job;
use crate::store::{Append, Entry, Filter, Head, SqliteStore, Store as _, Which};

fn spec(goal: &str) -> JobSpec {
    let spec = serde_json::json!({
        "goal": goal, "owner": "ann", "plan": {"from": "planner", "name": "outline"},
    });
    serde_json::from_value(spec).unwrap()
}

/// The log of a real job: it is submitted, and then told things.
fn log(id: &JobId, words: usize) -> Append {
    let at = jiff::Timestamp::from_second(1).unwrap();
    let submitted = JobEvent::JobSubmitted {
        spec: spec("build"),
    };
    let (mut state, _) = captain_core::Job::create(id.clone(), at, &submitted).unwrap();
    let mut events = vec![submitted];
    for n in 1..=words {
        let event = JobEvent::MessageReceived {
            message: u32::try_from(n).unwrap(),
            from: "ann".to_owned(),
            text: "x".repeat(900),
            id: None,
            subtask: None,
        };
        if state.apply(at, &event).is_err() {
            break;
        }
        events.push(event);
    }
    let entries: Vec<_> = (1..)
        .zip(events)
        .map(|(seq, event)| {
            let envelope = captain_core::Envelope {
                v: captain_core::event::EVENT_VERSION,
                seq,
                at,
                job: id.clone(),
                cursor: None,
                event,
            };
            std::sync::Arc::new(Entry::encode(&envelope).unwrap())
        })
        .collect();
    Append {
        expected: 0,
        head: Head::of(&state, entries.len() as u64),
        entries,
    }
}

/// A database with `jobs` jobs, closed.
async fn database(jobs: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("captain.sqlite");
    let store = SqliteStore::open(&path).unwrap();
    for n in 1..=jobs {
        store.append(vec![log(&job(n), 20)]).await.unwrap();
    }
    drop(store);
    // Everything in one file, as after an orderly end.
    let connection = Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "wal_checkpoint", "TRUNCATE")
        .ok();
    drop(connection);
    (folder, path)
}

#[tokio::test]
async fn a_copy_is_made_beside_a_store_that_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("captain.sqlite");
    let store = SqliteStore::open(&path).unwrap();
    store.append(vec![log(&job(1), 3)]).await.unwrap();
    let to = folder.path().join("copy.sqlite");
    let copied = copy(&path, &to).unwrap();
    assert!(
        copied.problems.is_empty() && copied.version == 2,
        "{copied:?}"
    );
    store.append(vec![log(&job(2), 3)]).await.unwrap();
    // It replaces nothing, and leaves nothing when it fails.
    let error = copy(&path, &to).unwrap_err();
    assert!(matches!(error, FileError::Write { .. }), "{error:?}");
    assert!(!folder.path().join("copy.sqlite.part").exists());
    let copy = SqliteStore::open(&to).unwrap();
    assert_eq!(copy.list(&Filter::default()).await.unwrap().len(), 1);
    let read = copy.read(&job(1), 0, 100, Which::All).await.unwrap();
    assert_eq!(read, store.read(&job(1), 0, 100, Which::All).await.unwrap());
}

#[tokio::test]
async fn whatever_page_is_damaged_the_rest_is_saved_and_the_file_left_alone() {
    let (folder, path) = database(12).await;
    let sound = fs::read(&path).unwrap();
    let page = 4096;
    let pages = sound.len() / page;
    assert!(pages > 20, "{pages}");
    let original = SqliteStore::open(&path).unwrap();
    let mut saved_somewhere = 0;
    for (round, damaged) in (1..pages).enumerate() {
        let bad = folder.path().join(format!("bad-{round}.sqlite"));
        let mut file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&bad)
            .unwrap();
        file.write_all(&sound).unwrap();
        file.seek(SeekFrom::Start((damaged * page) as u64)).unwrap();
        file.write_all(&vec![0xa5; page]).unwrap();
        let to = folder.path().join(format!("saved-{round}.sqlite"));
        match salvage(&bad, &to) {
            Ok(saved) => {
                let all = saved.whole + saved.cut.len() + saved.lost.len();
                assert!(all <= 12, "{saved:?}");
                let store = SqliteStore::open(&to).unwrap();
                let heads = store.list(&Filter::default()).await.unwrap();
                assert_eq!(heads.len(), saved.whole + saved.cut.len(), "page {damaged}");
                for head in heads {
                    // What was saved is what was there, byte by byte.
                    let read = store.read(&head.job, 0, 100, Which::All).await.unwrap();
                    let was = original.read(&head.job, 0, 100, Which::All).await.unwrap();
                    assert_eq!(read[..], was[..read.len()], "page {damaged}");
                    assert_eq!(head.last_seq, read.len() as u64);
                }
                saved_somewhere += saved.whole;
            }
            Err(error) => assert!(!to.exists(), "{error}"),
        }
        let mut after = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut after).unwrap();
        assert_eq!(after.len(), sound.len(), "the damaged file was touched");
        assert_eq!(after[..damaged * page], sound[..damaged * page]);
    }
    // A damaged page costs what is on it and little more.
    assert!(
        saved_somewhere > 12 * (pages - 1) / 2,
        "{saved_somewhere} in {pages} rounds"
    );
}

#[tokio::test]
async fn half_a_file_and_no_database_are_told_apart() {
    let (folder, path) = database(6).await;
    let sound = fs::read(&path).unwrap();
    assert_eq!(examine(&path).unwrap().problems, Vec::<String>::new());
    let half = folder.path().join("half.sqlite");
    fs::write(&half, &sound[..sound.len() / 2]).unwrap();
    let found = examine(&half);
    assert!(found.as_ref().is_err() || !found.unwrap().problems.is_empty());
    let refused = SqliteStore::open(&half);
    if let Ok(store) = refused {
        // It can be opened; what is not there is an error and not an empty answer.
        assert!(store.read(&job(6), 0, 100, Which::All).await.is_err());
    }
    let text = folder.path().join("text.sqlite");
    fs::write(
        &text,
        "no database at all, but long enough to be looked at".repeat(50),
    )
    .unwrap();
    let error = examine(&text).unwrap_err();
    assert!(matches!(error, FileError::Open { .. }), "{error:?}");
    let error = salvage(&text, &folder.path().join("new.sqlite")).unwrap_err();
    assert!(
        daemon::cli::chain(&error).contains("not a database"),
        "{error:?}"
    );
}

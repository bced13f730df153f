//! What goes and what stays: by age, by state, with a clock that jumps.

use std::fs::File;
use std::sync::Mutex;
use std::time::SystemTime;

use super::*;
use crate::store::contract::{job, part};
use crate::store::{Filter, MemoryStore};

/// A clock that is set by hand.
#[derive(Debug, Default)]
struct Hand(Mutex<Timestamp>);

impl Hand {
    fn set(&self, second: i64) {
        *self.0.lock().unwrap() = Timestamp::from_second(second).unwrap();
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

async fn left(store: &dyn Store) -> Vec<JobId> {
    let heads = store.list(&Filter::default()).await.unwrap();
    heads.into_iter().map(|head| head.job).collect()
}

#[tokio::test]
async fn what_is_old_goes_with_its_folder_and_a_running_job_stays() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = folder.path().join("jobs");
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let clock = Arc::new(Hand::default());
    let tasks = Arc::new(SqliteLog::open(folder.path().join("tasks.db")).unwrap());
    let janitor = Janitor::new(
        Arc::clone(&store),
        tasks,
        jobs.clone(),
        Arc::clone(&clock) as _,
    );
    assert_eq!(
        janitor.prune(Duration::ZERO).await.unwrap(),
        Forgotten::default()
    );
    for (n, terminal, updated) in [(1, true, 100), (2, false, 1), (3, true, 900)] {
        let mut one = part(job(n), 0, 2);
        one.head.terminal = terminal;
        one.head.updated = Timestamp::from_second(updated).unwrap();
        store.append(vec![one]).await.unwrap();
        std::fs::create_dir_all(jobs.join(job(n).as_str()).join("files")).unwrap();
    }
    // A folder that a captain left when it died, one that may belong to a job in a moment, and one that is none of ours.
    for (name, age) in [
        (job(8).to_string(), 7200),
        (job(9).to_string(), 0),
        ("notes".to_owned(), 7200),
    ] {
        let path = jobs.join(&name);
        std::fs::create_dir(&path).unwrap();
        let touched = SystemTime::UNIX_EPOCH + Duration::from_secs(100_000 - age);
        File::open(&path).unwrap().set_modified(touched).unwrap();
    }
    // The clock is behind everything: nothing is old.
    clock.set(50);
    let age = Duration::from_secs(500);
    assert_eq!(janitor.prune(age).await.unwrap(), Forgotten::default());
    assert_eq!(left(&*store).await, [job(3), job(2), job(1)]);
    clock.set(1000);
    assert_eq!(janitor.prune(age).await.unwrap().jobs, 1);
    assert_eq!(left(&*store).await, [job(3), job(2)]);
    clock.set(100_000);
    let forgotten = janitor.prune(age).await.unwrap();
    assert_eq!((forgotten.jobs, forgotten.folders), (1, 1));
    assert_eq!(left(&*store).await, [job(2)]);
    let mut folders: Vec<_> = std::fs::read_dir(&jobs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(
        folders,
        [job(2).to_string(), job(9).to_string(), "notes".to_owned()]
    );
}

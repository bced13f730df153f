//! What every backend must do, as one suite that runs against each of them. A backend's own tests check only what is
//! special to it.

use std::path::Path;
use std::time::Duration;

use captain_core::plan::SubtaskLimits;
use captain_core::{Attempt, JobId, SubtaskId, WorkerId};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::time::timeout;

use super::{StandAlone, StandAloneCard};
use crate::engine::ports::{Labels, LaunchSpec, Observation, Observed};

/// Long enough for a slow machine; a test that waits this long has failed.
const DEADLINE: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(5);

/// A worker of attempt `attempt` with its workspace below `dir`.
pub(crate) fn spec(dir: &Path, attempt: u32) -> LaunchSpec {
    let labels = Labels {
        job: JobId::parse("0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01").unwrap(),
        subtask: SubtaskId::parse("api").unwrap(),
        attempt: Attempt(attempt),
    };
    let workspace = dir.join(format!("workspace-{attempt}"));
    std::fs::create_dir_all(&workspace).unwrap();
    LaunchSpec {
        worker: labels.worker(),
        labels,
        workspace,
        skill: None,
        hosts: Vec::new(),
        limits: SubtaskLimits::default(),
        agent: serde_json::Value::Null,
    }
}

/// Runs the whole suite.
pub(crate) async fn check(backend: &impl StandAlone, dir: &Path) {
    absent_worker_is_stopped(backend).await;
    launch_is_idempotent_and_listed(backend, dir).await;
    stop_ends_and_is_told(backend, dir).await;
    worker_can_be_started_again(backend, dir).await;
    stand_alone_worker_has_no_labels(backend).await;
    assert_eq!(
        running(backend).await,
        Vec::<WorkerId>::new(),
        "nothing is left"
    );
}

async fn absent_worker_is_stopped(backend: &impl StandAlone) {
    let absent = WorkerId::parse("never-started").unwrap();
    backend.stop(&absent, GRACE).await.unwrap();
    backend.stop(&absent, GRACE).await.unwrap();
}

async fn launch_is_idempotent_and_listed(backend: &impl StandAlone, dir: &Path) {
    let spec = spec(dir, 1);
    let (first, second) = tokio::join!(backend.launch(&spec), backend.launch(&spec));
    let instance = first.unwrap();
    assert_eq!(second.unwrap(), instance, "the same worker is the answer");
    assert_eq!(backend.launch(&spec).await.unwrap(), instance);
    let expected = Observation {
        worker: spec.worker.clone(),
        labels: Some(spec.labels.clone()),
        state: Observed::Running {
            endpoint: instance.endpoint,
        },
    };
    assert_eq!(backend.list().await.unwrap(), [expected]);
    backend.stop(&spec.worker, GRACE).await.unwrap();
}

async fn stop_ends_and_is_told(backend: &impl StandAlone, dir: &Path) {
    let spec = spec(dir, 2);
    let mut changes = backend.watch();
    backend.launch(&spec).await.unwrap();
    next(&mut changes, &spec.worker, |state| {
        matches!(state, Observed::Running { .. })
    })
    .await;
    backend.stop(&spec.worker, GRACE).await.unwrap();
    assert_eq!(running(backend).await, Vec::<WorkerId>::new());
    next(&mut changes, &spec.worker, |state| {
        matches!(state, Observed::Exited { .. })
    })
    .await;
    backend.stop(&spec.worker, GRACE).await.unwrap();
}

async fn worker_can_be_started_again(backend: &impl StandAlone, dir: &Path) {
    let spec = spec(dir, 3);
    backend.launch(&spec).await.unwrap();
    backend.stop(&spec.worker, GRACE).await.unwrap();
    backend.launch(&spec).await.unwrap();
    assert_eq!(running(backend).await, std::slice::from_ref(&spec.worker));
    backend.stop(&spec.worker, GRACE).await.unwrap();
}

async fn stand_alone_worker_has_no_labels(backend: &impl StandAlone) {
    let card = StandAloneCard {
        worker: WorkerId::parse("by-hand").unwrap(),
        card: serde_json::Map::new(),
    };
    let instance = backend.launch_card(&card).await.unwrap();
    assert_eq!(backend.launch_card(&card).await.unwrap(), instance);
    let listed = backend.list().await.unwrap();
    let seen = listed.iter().find(|seen| seen.worker == card.worker);
    assert_eq!(seen.unwrap().labels, None);
    backend.stop(&card.worker, GRACE).await.unwrap();
}

async fn running(backend: &impl StandAlone) -> Vec<WorkerId> {
    let all = backend.list().await.unwrap();
    all.into_iter()
        .filter(|seen| !matches!(seen.state, Observed::Exited { .. }))
        .map(|seen| seen.worker)
        .collect()
}

/// The next change of `worker` that is wanted.
pub(crate) async fn next(
    changes: &mut BoxStream<'static, Observation>,
    worker: &WorkerId,
    wanted: impl Fn(&Observed) -> bool,
) -> Observed {
    timeout(DEADLINE, async {
        loop {
            let seen = changes.next().await.expect("the stream goes on");
            if seen.worker == *worker && wanted(&seen.state) {
                return seen.state;
            }
        }
    })
    .await
    .expect("the change is told in time")
}

#[tokio::test]
async fn fake_backend_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    check(&super::fake::FakeBackend::default(), dir.path()).await;
}

#[tokio::test]
async fn fake_backend_plays_what_it_was_told() {
    use super::fake::FakeBackend;
    use crate::engine::ports::{Backend as _, BackendError};

    let dir = tempfile::tempdir().unwrap();
    let (backend, spec) = (FakeBackend::default(), spec(dir.path(), 1));
    backend.fail_next(BackendError::Failed {
        message: "no room".to_owned(),
        source: None,
    });
    backend.next_endpoint("http://127.0.0.1:9");
    let error = backend.launch(&spec).await.unwrap_err();
    assert_eq!(error.to_string(), "no room");
    let instance = backend.launch(&spec).await.unwrap();
    assert_eq!(instance.endpoint, "http://127.0.0.1:9");
    assert_eq!(backend.launched(), std::slice::from_ref(&spec));
    backend.kill(&spec.worker, "out of memory");
    assert!(!backend.is_running(&spec.worker));
}

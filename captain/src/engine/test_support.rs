//! A small world for the engine: workers that play scripts, a backend that keeps them, a repository that is a list.
//! All of it works as the real things do, only without processes, sockets and files. Workers live in the [`World`], not
//! in the captain: they go on when the engine stops, and remember what they did.

mod ports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use captain_core::job::{Approval, JobLimits, PlanSource};
use captain_core::{
    Conflict, JobEvent, JobId, JobSpec, JobState, Outcome, PlanSpec, SubtaskId, SubtaskSpec,
    WorkerId,
};
use daemon::tasks::Tasks;
use futures_util::stream::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::ports::{BackendError, Labels, Observation, Observed};
use super::{Handle, Options, Ports};
use crate::store::{Entry, MemoryStore, Store};

/// The longest wait for anything in a test. Most of it passes at once, where the clock is paused: pauses of a provider and
/// waits for another attempt are minutes.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a worker does, one thing after the other.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Say(&'static str),
    /// Says so many short texts.
    Chatter(u64),
    Tool(&'static str),
    Artifact(&'static str),
    /// Asks, and waits until it is told something.
    Ask(&'static str),
    /// Goes on after a question.
    Answered,
    /// Waits until the test lets the subtask go on.
    Hold,
    End(Outcome),
    /// Its stream ends without a last word.
    Vanish,
}

/// What the world knows.
#[derive(Debug, Default)]
struct State {
    scripts: BTreeMap<String, Vec<Step>>,
    plans: BTreeMap<String, PlanSpec>,
    workers: BTreeMap<WorkerId, Option<Labels>>,
    watchers: Vec<mpsc::UnboundedSender<Observation>>,
    refused: BTreeMap<String, BackendError>,
    conflicts: BTreeMap<String, Conflict>,
    /// Whether workers cannot be stopped.
    unstoppable: bool,
    /// What was asked of the world, in order.
    calls: Vec<String>,
}

/// The world. Cloning it gives another view of the same one.
#[derive(Clone)]
pub(super) struct World {
    state: Arc<Mutex<State>>,
    released: Arc<watch::Sender<BTreeSet<String>>>,
    pub(super) store: Arc<Flaky>,
    start: tokio::time::Instant,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_store(Arc::new(MemoryStore::new()))
    }

    pub(super) fn with_store(store: Arc<dyn Store>) -> Self {
        Self {
            state: Arc::default(),
            released: Arc::new(watch::Sender::new(BTreeSet::new())),
            store: Arc::new(Flaky {
                store,
                full: Mutex::default(),
            }),
            start: tokio::time::Instant::now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What the worker of `subtask` does; of its second attempt with `subtask/2`.
    pub(super) fn script(&self, subtask: &str, steps: &[Step]) {
        self.state()
            .scripts
            .insert(subtask.to_owned(), steps.to_vec());
    }

    pub(super) fn plan(&self, planner: &str, plan: PlanSpec) {
        self.state().plans.insert(planner.to_owned(), plan);
    }

    /// The next launch for `subtask` fails so.
    pub(super) fn refuse(&self, subtask: &str, error: BackendError) {
        self.state().refused.insert(subtask.to_owned(), error);
    }

    /// What `subtask` starts from conflicts; with `result` what the job ends with.
    pub(super) fn conflict(&self, subtask: &str, conflict: Conflict) {
        self.state().conflicts.insert(subtask.to_owned(), conflict);
    }

    pub(super) fn set_unstoppable(&self, unstoppable: bool) {
        self.state().unstoppable = unstoppable;
    }

    pub(super) fn release(&self, subtask: &str) {
        self.released.send_modify(|released| {
            released.insert(subtask.to_owned());
        });
    }

    pub(super) fn add_worker(&self, worker: WorkerId, labels: Option<Labels>) {
        self.state().workers.insert(worker, labels);
    }

    /// Ends a worker's process, and tells the watchers.
    pub(super) fn kill(&self, worker: &WorkerId) {
        let mut state = self.state();
        let labels = state.workers.remove(worker).expect("no such worker");
        let seen = Observation {
            worker: worker.clone(),
            labels,
            state: Observed::Exited {
                message: "killed by signal 9".to_owned(),
            },
        };
        state
            .watchers
            .retain(|watcher| watcher.send(seen.clone()).is_ok());
    }

    pub(super) fn workers(&self) -> Vec<WorkerId> {
        self.state().workers.keys().cloned().collect()
    }

    pub(super) fn calls(&self, kind: &str) -> Vec<String> {
        let state = self.state();
        state
            .calls
            .iter()
            .filter_map(|call| call.strip_prefix(kind)?.strip_prefix(' '))
            .map(str::to_owned)
            .collect()
    }

    fn call(&self, call: String) {
        self.state().calls.push(call);
    }

    fn ports(&self) -> Ports {
        Ports {
            planner: Arc::new(self.clone()),
            backend: Arc::new(self.clone()),
            link: Arc::new(self.clone()),
            workspace: Arc::new(self.clone()),
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            clock: Arc::new(self.clone()),
            ids: Arc::new(self.clone()),
            dice: Arc::new(self.clone()),
        }
    }

    /// A captain in this world; further ones find what the earlier ones left.
    pub(super) async fn captain(&self) -> Captain {
        self.captain_with(|_| {}).await
    }

    pub(super) async fn captain_with(&self, change: impl FnOnce(&mut Options)) -> Captain {
        let tasks = Tasks::new(CancellationToken::new());
        let mut options = Options::new(PathBuf::from("/nowhere"));
        change(&mut options);
        let handle = super::start(options, self.ports(), &tasks, &CancellationToken::new())
            .await
            .unwrap();
        Captain { handle, tasks }
    }

    fn steps(&self, labels: &Labels) -> Vec<Step> {
        let state = self.state();
        let exact = state
            .scripts
            .get(&format!("{}/{}", labels.subtask, labels.attempt));
        let steps = exact.or_else(|| state.scripts.get(labels.subtask.as_str()));
        steps
            .cloned()
            .unwrap_or_else(|| vec![Step::End(Outcome::Completed)])
    }

    fn is_alive(&self, worker: &WorkerId) -> bool {
        self.state().workers.contains_key(worker)
    }
}

/// An engine under test.
#[derive(Debug)]
pub(super) struct Captain {
    pub(super) handle: Handle,
    tasks: Tasks,
}

impl Captain {
    /// Stops it and makes sure that nothing of it goes on.
    pub(super) async fn stop(self) {
        self.handle.stop().await;
        tokio::time::timeout(PATIENCE, self.tasks.wait())
            .await
            .expect("tasks that do not end");
        assert_eq!(self.tasks.failed(), None);
    }

    pub(super) async fn submit(&self, plan: &str) -> JobId {
        self.handle.submit(job(plan)).await.unwrap()
    }

    /// All events of a job from its first to its last.
    pub(super) async fn events(&self, job: &JobId) -> Vec<JobEvent> {
        let entries = self.handle.subscribe(job, 0).await.unwrap();
        let all = async {
            let entries: Vec<Arc<Entry>> = entries.map(Result::unwrap).collect().await;
            for (n, entry) in (1..).zip(&entries) {
                assert_eq!(entry.seq, n);
            }
            entries
                .iter()
                .map(|entry| entry.decode().unwrap().event)
                .collect()
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .expect("a job that does not end")
    }

    /// Waits until a job's event of that name has been published.
    pub(super) async fn until(&self, job: &JobId, name: &str, subtask: &str) {
        let mut entries = self.handle.subscribe(job, 0).await.unwrap();
        let wait = async {
            while let Some(entry) = entries.next().await {
                let event = entry.unwrap().decode().unwrap().event;
                if event.name() == name
                    && event.attempt().is_none_or(|(of, _)| of.as_str() == subtask)
                {
                    return;
                }
            }
            panic!("the job ended without {name}");
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("an event that does not come");
    }

    pub(super) async fn state(&self, job: &JobId) -> JobState {
        self.handle.get(job).await.unwrap().job.state().clone()
    }
}

/// A job from a plan as a line: `a b:a c:a,b`.
pub(crate) fn job(plan: &str) -> JobSpec {
    JobSpec {
        goal: "build it".to_owned(),
        plan: PlanSource::Given { plan: spec(plan) },
        repo: None,
        base: None,
        limits: JobLimits::default(),
        approval: Approval::Auto,
        agent: serde_json::Value::Null,
        owner: "ann".to_owned(),
    }
}

pub(crate) fn spec(plan: &str) -> PlanSpec {
    let one = |word: &str| {
        let (id, needs) = word.split_once(':').unwrap_or((word, ""));
        SubtaskSpec {
            id: id.to_owned(),
            prompt: format!("do {id}"),
            depends_on: needs
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            ..SubtaskSpec::default()
        }
    };
    PlanSpec {
        subtasks: plan.split_whitespace().map(one).collect(),
    }
}

pub(super) fn names(events: &[JobEvent]) -> Vec<&'static str> {
    events.iter().map(JobEvent::name).collect()
}

/// An event in one short line: its name, its attempt, what was said.
pub(super) fn line(event: &JobEvent) -> String {
    let mut line = event.name().to_owned();
    if let Some((subtask, attempt)) = event.attempt() {
        line += &format!(" {subtask}/{attempt}");
    }
    match event {
        JobEvent::SubtaskStarted { subtask, attempt } => line += &format!(" {subtask}/{attempt}"),
        JobEvent::AgentText { text, .. } => line += &format!(" {text:?}"),
        JobEvent::AttemptEnded { outcome, .. } => line += &format!(" ({outcome})"),
        JobEvent::JobFailed { message, .. } => line += &format!(" ({message})"),
        _ => {}
    }
    line
}

pub(super) fn conflict(files: &[&str], subtasks: &[&str]) -> Conflict {
    Conflict {
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        subtasks: subtasks
            .iter()
            .map(|id| SubtaskId::parse(*id).unwrap())
            .collect(),
    }
}

/// A store that can be out of room for a while.
pub(super) struct Flaky {
    store: Arc<dyn Store>,
    full: Mutex<u32>,
}

impl Flaky {
    /// The next so many appends fail.
    pub(super) fn fill(&self, times: u32) {
        *self.full.lock().unwrap() = times;
    }
}

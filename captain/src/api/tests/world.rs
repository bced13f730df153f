//! A captain without processes: real engine, real repositories, played workers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::client::{HttpOptions, http_client};
use a2a_proto::clock::{Ids as _, SystemClock, UuidV7};
use a2a_proto::log::{MemoryLog, SqliteLog};
use a2a_proto::server::{Authenticator, BearerToken, Caller, Server, ServerOptions};
use captain_core::job::WorkerTask;
use captain_core::{JobEvent, Outcome};
use daemon::tasks::Tasks;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, iter, pending};
use futures_util::{FutureExt as _, StreamExt as _};
use reqwest::{Method, RequestBuilder, Response};
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::agent::{AgentOptions, CaptainAgent, Identity};
use crate::api::{ApiState, router};
use crate::auth::WorkerTokens;
use crate::backend::fake::FakeBackend;
use crate::engine::ports::{Assignment, Link, LinkError, Note, Report, SystemDice};
use crate::engine::{Handle, Options, Ports, start};
use crate::planner::Planners;
use crate::store::MemoryStore;
use crate::upkeep::Janitor;
use crate::workspace::{Git, ImportLimits, Workspaces};
use daemon::serve::serve;

pub(crate) const TOKEN: &str = "a token that nobody guesses";
/// Long enough for a slow machine; a test that waits this long has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Plays workers: the prompt says what happens. `hang` never ends, `ask` asks and is done when it is told something,
/// everything else is done at once.
#[derive(Default)]
struct PlayedLink {
    told: Arc<watch::Sender<BTreeSet<String>>>,
}

impl Link for PlayedLink {
    fn follow(&self, assignment: Assignment) -> BoxStream<'static, Report> {
        let (subtask, attempt) = (assignment.labels.subtask.clone(), assignment.labels.attempt);
        let task = WorkerTask {
            task: "t1".to_owned(),
            context: assignment.context().to_owned(),
        };
        let mut events = vec![
            JobEvent::WorkerReady {
                subtask: subtask.clone(),
                attempt,
            },
            JobEvent::WorkerAccepted {
                subtask: subtask.clone(),
                attempt,
                task,
            },
            JobEvent::AgentText {
                subtask: subtask.clone(),
                attempt,
                text: assignment.prompt.clone(),
            },
        ];
        // What an earlier captain has recorded is not told again.
        let seen = usize::try_from(assignment.cursor.unwrap_or(0)).unwrap();
        let says = assignment.prompt.lines().next().unwrap_or_default();
        let (hangs, asks) = (says == "hang", says == "ask");
        if asks {
            events.push(JobEvent::InputRequired {
                subtask: subtask.clone(),
                attempt,
                question: "which colour?".to_owned(),
            });
            let end = [
                JobEvent::InputResolved {
                    subtask: subtask.clone(),
                    attempt,
                },
                JobEvent::AttemptEnded {
                    subtask,
                    attempt,
                    outcome: Outcome::Completed,
                },
            ];
            let mut told = self.told.subscribe();
            let worker = assignment.worker.to_string();
            let answered = async move {
                let _ = told.wait_for(|told| told.contains(&worker)).await;
                iter(end)
            };
            let events = iter(events).chain(answered.into_stream().flatten());
            return events
                .enumerate()
                .skip(seen)
                .map(|(at, event)| Report {
                    cursor: Some(at as u64 + 1),
                    events: vec![event],
                })
                .boxed();
        }
        if !hangs {
            events.push(JobEvent::AttemptEnded {
                subtask,
                attempt,
                outcome: Outcome::Completed,
            });
        }
        let reports = events
            .into_iter()
            .enumerate()
            .skip(seen)
            .map(|(at, event)| Report {
                cursor: Some(at as u64 + 1),
                events: vec![event],
            });
        let reports: Vec<Report> = reports.collect();
        if hangs {
            iter(reports).chain(pending()).boxed()
        } else {
            iter(reports).boxed()
        }
    }

    fn cancel<'a>(&'a self, _assignment: &'a Assignment) -> BoxFuture<'a, Result<(), LinkError>> {
        Box::pin(async { Ok(()) })
    }

    fn tell<'a>(
        &'a self,
        assignment: &'a Assignment,
        _note: &'a Note,
    ) -> BoxFuture<'a, Result<(), LinkError>> {
        self.told.send_modify(|told| {
            told.insert(assignment.worker.to_string());
        });
        Box::pin(async { Ok(()) })
    }
}

/// What outlives a captain: its files, its logs, its workers.
pub(crate) struct Ground {
    dir: TempDir,
    store: Arc<MemoryStore>,
    pub(crate) log: Arc<MemoryLog>,
    backend: FakeBackend,
    link: Arc<PlayedLink>,
}

pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) backend: FakeBackend,
    pub(crate) engine: Handle,
    pub(crate) stop: CancellationToken,
    pub(crate) ground: Arc<Ground>,
    tasks: Tasks,
    client: reqwest::Client,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) async fn world() -> World {
    world_with(|_| {}).await
}

pub(crate) async fn world_with(change: impl FnOnce(&mut ApiState)) -> World {
    let ground = Ground {
        dir: tempfile::tempdir().unwrap(),
        store: Arc::new(MemoryStore::new()),
        log: Arc::new(MemoryLog::new().unwrap()),
        backend: FakeBackend::default(),
        link: Arc::default(),
    };
    world_on(Arc::new(ground), change).await
}

/// A captain that finds what an earlier one left.
pub(crate) async fn world_on(ground: Arc<Ground>, change: impl FnOnce(&mut ApiState)) -> World {
    let stop = CancellationToken::new();
    let tasks = Tasks::new(stop.clone());
    let jobs = ground.dir.path().join("jobs");
    let git = Git::new(std::env::var_os("PATH").unwrap());
    let workspaces = Workspaces::new(git, jobs.clone(), ImportLimits::default(), false);
    let backend = ground.backend.clone();
    let ports = Ports {
        planner: Arc::new(Planners),
        backend: Arc::new(backend.clone()),
        link: Arc::clone(&ground.link) as _,
        workspace: Arc::new(workspaces.clone()),
        store: Arc::clone(&ground.store) as _,
        clock: Arc::new(SystemClock),
        ids: Arc::new(UuidV7),
        dice: Arc::new(SystemDice),
    };
    let engine = start(Options::new(jobs), ports, &tasks, &stop)
        .await
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let auth: Arc<dyn Authenticator> = Arc::new(BearerToken::new(
        SecretString::from(TOKEN),
        Caller::new("user"),
    ));
    let agent = Arc::new(CaptainAgent::new(AgentOptions {
        identity: Identity {
            url: url.clone(),
            authentication: true,
            extended: None,
        },
        engine: engine.clone(),
        workspaces: workspaces.clone(),
        repo_roots: Arc::from([]),
        log: Arc::clone(&ground.log),
        tracker: tasks.tracker().clone(),
        shutdown: stop.clone(),
    }));
    let server = Server::new(
        Arc::clone(&agent),
        Arc::clone(&ground.log),
        ServerOptions {
            tracker: tasks.tracker().clone(),
            shutdown: stop.clone(),
            ..ServerOptions::new(Arc::clone(&auth))
        },
    );
    agent
        .recover(server.recover().await.unwrap())
        .await
        .unwrap();
    let folder = ground.dir.path();
    let mut state = ApiState {
        engine: engine.clone(),
        janitor: Janitor::new(
            Arc::clone(&ground.store) as _,
            // The tasks are in memory here; nothing of them is forgotten.
            Arc::new(SqliteLog::open(folder.join(UuidV7.next())).unwrap()),
            folder.join("jobs"),
            Arc::new(SystemClock),
        ),
        tracker: tasks.tracker().clone(),
        tasks: agent,
        backend: Arc::new(backend.clone()),
        workspaces,
        tokens: WorkerTokens::load(folder, Arc::new(SystemClock), Arc::new(UuidV7)).unwrap(),
        auth,
        repo_roots: Arc::from([]),
        streams: Arc::new(Semaphore::new(16)),
        worker_grace: Duration::from_secs(1),
        max_body_bytes: 64 * 1024,
        stop: stop.clone(),
    };
    change(&mut state);
    let tracker = tasks.tracker();
    tracker.spawn(serve(
        listener,
        router(state).merge(server.router()),
        64,
        tracker.clone(),
        stop.clone(),
    ));
    World {
        url,
        backend,
        engine,
        stop,
        ground,
        tasks,
        client: http_client(&HttpOptions::default()).unwrap(),
    }
}

impl World {
    /// Ends this captain and starts another one on what it left.
    pub(crate) async fn restart(self) -> Self {
        let ground = Arc::clone(&self.ground);
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.tasks.wait())
            .await
            .expect("tasks that do not end");
        world_on(ground, |_| {}).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path)
            .bearer_auth(TOKEN)
            .timeout(DEADLINE)
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        json(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        json(
            self.request(Method::POST, path)
                .json(body)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// Submits a job of one subtask with this prompt, and gives its id.
    pub(crate) async fn submit(&self, prompt: &str) -> String {
        let (status, job) = self
            .post("/jobs", &serde_json::json!({"goal": prompt}))
            .await;
        assert_eq!(status, 201, "{job}");
        job["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the job's first subtask is in `state`.
    pub(crate) async fn reaches_subtask(&self, job: &str, state: &str) {
        let path = format!("/jobs/{job}");
        tokio::time::timeout(DEADLINE, async {
            while self.get(&path).await.1["subtasks"][0]["state"] != state {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the state is reached in time");
    }

    /// Waits until the job is in `state`.
    pub(crate) async fn reaches(&self, job: &str, state: &str) -> Value {
        let path = format!("/jobs/{job}");
        tokio::time::timeout(DEADLINE, async {
            loop {
                let (_, job) = self.get(&path).await;
                if job["state"] == state {
                    return job;
                }
                assert!(job["terminal"] == false, "{job}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the state is reached in time")
    }
}

pub(crate) async fn json(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

//! A captain with its workers: `captain serve`, and the command line beside it.
//!
//! Here because most tests want the whole cluster. Kills the captain and every worker when dropped, and checks that they
//! are gone; a worker is found by the temporary folder on its command line, which no other process has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use daemon::{process::ProcessIdentity, state::Endpoint};
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    http::{self, Api},
    model::{self, Model},
    process::{Finished, Running, command, run, set_argument},
    programs,
    sse::Frames,
    tree,
    wait::{JOB, SOON, until, until_true},
};

/// What a captain is made of before it is started.
#[derive(Debug)]
pub struct CaptainBuilder {
    folder: TempDir,
    args: Vec<String>,
}

impl Default for CaptainBuilder {
    fn default() -> Self {
        Self {
            folder: tempfile::tempdir().expect("there is room for a temporary folder"),
            args: vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()],
        }
    }
}

impl CaptainBuilder {
    /// A captain whose workers run the real opencode, asking `model`.
    #[must_use]
    pub fn opencode(model: &Model) -> Self {
        let builder = Self::default();
        let key = builder.folder.path().join("key");
        daemon::state::write_private(&key, model::KEY.as_bytes())
            .expect("the temporary folder is writable");
        let key = key.display().to_string();
        let agent = programs::opencode().display().to_string();
        builder
            .arg("--agent-bin", &agent)
            .arg("--api-provider", "custom")
            .arg("--model", "rehearsal")
            .arg("--base-url", model.url())
            .arg("--api-key-file", &key)
    }

    /// A captain whose workers have no agent: the message itself says what happens, one directive a line (driver `scripted`).
    #[must_use]
    pub fn scripted() -> Self {
        Self::default().arg("--driver", "scripted")
    }

    /// Adds an argument without a value.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.args.push(name.to_owned());
        self
    }

    /// Sets an argument of `captain serve`.
    #[must_use]
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        set_argument(&mut self.args, name, value);
        self
    }

    /// The temporary folder of this captain.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The command that starts this captain.
    #[must_use]
    pub fn command(&self) -> Command {
        serve(&self.folder, &self.args)
    }

    /// Runs the captain, which must end by itself: for everything that must not start.
    pub async fn fails(self) -> Finished {
        run(self.command(), SOON).await
    }

    /// Starts the captain and waits until it is ready.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn start(self) -> Captain {
        let mut captain = Captain {
            process: Running::start(self.command(), "captain", self.folder.path()),
            folder: self.folder,
            args: self.args,
            api: Api::new("", None),
        };
        captain.ready().await;
        captain
    }
}

fn state(folder: &TempDir) -> PathBuf {
    folder.path().join("state")
}

fn serve(folder: &TempDir, args: &[String]) -> Command {
    let mut command = command(&programs::captain(), folder.path());
    command
        .args(["serve", "--state-dir"])
        .arg(state(folder))
        .arg("--worker-bin")
        .arg(programs::worker())
        .args(args);
    command
}

/// A running captain.
#[derive(Debug)]
pub struct Captain {
    /// The captain's process.
    pub process: Running,
    folder: TempDir,
    args: Vec<String>,
    api: Api,
}

impl Captain {
    /// Its HTTP interface, with the user's token.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The temporary folder with everything of this captain.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its state folder.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        state(&self.folder)
    }

    /// A command line `captain ARGS` beside this captain.
    #[must_use]
    pub fn cli(&self, args: &[&str]) -> Command {
        let mut command = command(&programs::captain(), self.folder.path());
        command.args(args).arg("--state-dir").arg(self.state_dir());
        command
    }

    /// Submits a job and returns its id.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn submit(&self, job: &Value) -> String {
        let answer = self.api.post_raw("/jobs", job).await;
        let job = http::json(answer, StatusCode::CREATED).await;
        job["id"].as_str().expect("a job has an id").to_owned()
    }

    /// Submits a job with the plan of one subtask `task`.
    pub async fn submit_prompt(&self, prompt: &str) -> String {
        let plan =
            json!({"subtasks": [{"id": "task", "prompt": prompt, "limits": {"attempts": 1}}]});
        self.submit(&json!({"goal": prompt, "plan": plan})).await
    }

    /// The job as it is now.
    pub async fn job(&self, id: &str) -> Value {
        self.api.get(&format!("/jobs/{id}")).await
    }

    /// Waits until `fact` holds of the job, which must not end before.
    ///
    /// # Panics
    /// When the job ends, or nothing happens for long.
    pub async fn until(&self, id: &str, what: &str, fact: impl Fn(&Value) -> bool) -> Value {
        let job = until(
            what,
            JOB,
            || self.job(id),
            |job| fact(job) || job["terminal"] == true,
        )
        .await;
        assert!(fact(&job), "the job ended before {what}: {job:#}");
        job
    }

    /// Waits until there is a process with `marker` on its command line, which the job is to start.
    ///
    /// # Panics
    /// When the job ends before.
    pub async fn until_process(&self, id: &str, marker: &str) {
        self.until(id, &format!("a process with {marker}"), |_| {
            !tree::with_marker(marker).is_empty()
        })
        .await;
    }

    /// Waits until the job has ended, and returns it.
    pub async fn wait_for_end(&self, id: &str, deadline: Duration) -> Value {
        let ended = |job: &Value| {
            matches!(
                job["state"].as_str(),
                Some("completed" | "failed" | "cancelled")
            )
        };
        until("the job to end", deadline, || self.job(id), ended).await
    }

    /// Waits until the job has ended, which must be in `state`.
    ///
    /// # Panics
    /// When it ends otherwise.
    pub async fn ends(&self, id: &str, state: &str, deadline: Duration) -> Value {
        let job = self.wait_for_end(id, deadline).await;
        assert_eq!(job["state"], state, "{job:#}\n{}", self.process.log());
        job
    }

    /// The job's events, strictly after `after`, or all of them.
    pub async fn events(&self, id: &str, after: Option<u64>) -> Frames {
        let request = self.api.request(Method::GET, &format!("/jobs/{id}/events"));
        let request = request.header("Accept", "text/event-stream");
        let request = match after {
            Some(after) => request.header("Last-Event-ID", after),
            None => request,
        };
        Frames::new(http::answer(request).await)
    }

    /// The bytes of one result file.
    ///
    /// # Panics
    /// When there is no such file.
    pub async fn file(&self, id: &str, path: &str) -> Vec<u8> {
        let answer = self
            .api
            .get_raw(&format!("/jobs/{id}/artifacts/files/{path}"))
            .await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.bytes().await.expect("the file is whole").to_vec()
    }

    /// `kill -9` of the captain alone; its workers live on.
    pub fn kill_hard(&mut self) {
        self.process.kill_hard();
    }

    /// Starts it again on the same state.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn restart(&mut self) {
        // What the dead captain left would be taken for the new one's.
        let _ = fs::remove_file(state(&self.folder).join("endpoint.json"));
        self.process = Running::start(
            serve(&self.folder, &self.args),
            "captain",
            self.folder.path(),
        );
        self.ready().await;
    }

    /// The supervisors of all workers of this captain.
    #[must_use]
    pub fn workers(&self) -> Vec<ProcessIdentity> {
        let marker = self.folder.path().display().to_string();
        tree::with_marker(&marker)
            .into_iter()
            .filter(|p| {
                p.pid != self.process.pid() && tree::command_line(p.pid).contains("worker serve")
            })
            .collect()
    }

    async fn ready(&mut self) {
        let state = state(&self.folder);
        let process = &mut self.process;
        until_true("the captain's endpoint file", SOON, || {
            assert_eq!(
                process.ended(),
                None,
                "the captain ended:\n{}",
                process.log()
            );
            state.join("endpoint.json").exists()
        })
        .await;
        let endpoint = Endpoint::read(&state)
            .expect("the endpoint file is readable")
            .expect("and there");
        let token =
            daemon::state::read_secret(&state.join("token")).expect("the captain wrote its token");
        self.api = Api::new(&endpoint.url, Some(token.trim()));
    }
}

impl Drop for Captain {
    fn drop(&mut self) {
        self.process.kill_hard();
        let marker = self.folder.path().display().to_string();
        let start = Instant::now();
        loop {
            let left = tree::with_marker(&marker);
            if left.is_empty() {
                break;
            }
            for process in &left {
                let _ = process.signal(Signal::KILL);
            }
            if start.elapsed() > SOON {
                eprintln!("processes of {marker} cannot be killed: {left:?}");
                break;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

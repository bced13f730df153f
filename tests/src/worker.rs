//! A worker by hand: `worker serve --card FILE`, without a captain.
//!
//! Here because anybody may use a worker directly, and most of what can go wrong with an agent is easiest seen without a
//! captain in between. Kills the worker and what it started when dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use a2a_proto::{
    auth::{Claims, Signer},
    clock::{Clock, SystemClock},
};
use daemon::state::Endpoint;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use reqwest::Method;

use crate::{
    http::{self, Api},
    model::{self, Model},
    process::{Finished, Running, command, run, set_argument},
    programs,
    sse::{Frame, Frames},
    tree,
    wait::{JOB, SOON, until_true},
};

/// What a worker is made of before it is started.
#[derive(Debug)]
pub struct WorkerBuilder {
    folder: TempDir,
    card: Value,
    args: Vec<String>,
}

impl Default for WorkerBuilder {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        let workspace = folder.path().join("workspace");
        fs::create_dir(&workspace).expect("the temporary folder is writable");
        let card = json!({"agent_id": "e2e", "workspace": workspace});
        Self {
            folder,
            card,
            args: vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()],
        }
    }
}

impl WorkerBuilder {
    /// A worker whose agent is the real opencode, asking `model`.
    #[must_use]
    pub fn opencode(model: &Model) -> Self {
        let agent = programs::opencode().display().to_string();
        let mut builder = Self::default().arg("--agent-bin", &agent);
        let key = builder.folder.path().join("key");
        daemon::state::write_private(&key, model::KEY.as_bytes())
            .expect("the temporary folder is writable");
        builder.card["api_provider"] = "custom".into();
        builder.card["base_url"] = model.url().into();
        builder.card["model"] = "rehearsal".into();
        builder.card["api_key_file"] = key.display().to_string().into();
        builder
    }

    /// A worker without an agent: the message itself says what happens, one directive a line (driver `scripted`).
    #[must_use]
    pub fn scripted() -> Self {
        Self::default().arg("--driver", "scripted")
    }

    /// Sets a member of the card.
    #[must_use]
    pub fn card(mut self, key: &str, value: Value) -> Self {
        self.card[key] = value;
        self
    }

    /// Adds an argument without a value.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.args.push(name.to_owned());
        self
    }

    /// Sets an argument of `worker serve`.
    #[must_use]
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        set_argument(&mut self.args, name, value);
        self
    }

    /// The temporary folder, for files that the card names.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The agent's folder, as it is unless the card says otherwise.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    /// Its state folder.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        state(&self.folder)
    }

    /// The command that starts this worker.
    #[must_use]
    pub fn command(&self) -> Command {
        let card = self.folder.path().join("card.json");
        fs::write(&card, self.card.to_string()).expect("the temporary folder is writable");
        serve(&self.folder, &self.args)
    }

    /// Runs the worker, which must end by itself: for everything that must not start.
    pub async fn fails(self) -> Finished {
        run(self.command(), SOON).await
    }

    /// Starts the worker and waits until it is ready.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn start(self) -> Worker {
        let command = self.command();
        self.start_as(command).await
    }

    /// The same, with a command made of [`WorkerBuilder::command`].
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn start_as(self, command: Command) -> Worker {
        let process = Running::start(command, "worker", self.folder.path());
        let mut worker = Worker {
            process,
            folder: self.folder,
            args: self.args,
            api: Api::new("", None),
        };
        worker.ready().await;
        worker
    }
}

/// The command that serves the card in the folder.
fn serve(folder: &TempDir, args: &[String]) -> Command {
    let mut command = command(&programs::worker(), folder.path());
    command
        .args(["serve", "--card"])
        .arg(folder.path().join("card.json"))
        .arg("--state-dir")
        .arg(state(folder))
        .args(args);
    command
}

/// Where `worker list` would look for it, below a root of its own.
fn state(folder: &TempDir) -> PathBuf {
    folder.path().join("workers/e2e")
}

/// The status of the last `task.status` event.
#[must_use]
pub fn status(frames: &[Frame]) -> &str {
    let last = frames.iter().rev().find(|f| f.event == "task.status");
    last.and_then(|f| f.data["status"].as_str())
        .unwrap_or_default()
}

/// Everything the agent said, in one text.
#[must_use]
pub fn said(frames: &[Frame]) -> String {
    let messages = frames.iter().filter(|f| f.event == "task.message");
    let parts = messages.flat_map(|f| f.data["parts"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str()).collect()
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    /// The supervisor process.
    pub process: Running,
    folder: TempDir,
    args: Vec<String>,
    api: Api,
}

impl Worker {
    /// Starts the worker again after its end, with everything as it was.
    pub async fn restart(&mut self) {
        // What the dead worker left would be taken for the new one's.
        let _ = fs::remove_file(state(&self.folder).join("endpoint.json"));
        let command = serve(&self.folder, &self.args);
        self.process = Running::start(command, "worker", self.folder.path());
        self.ready().await;
    }

    async fn ready(&mut self) {
        let state = state(&self.folder);
        let process = &mut self.process;
        until_true("the worker's endpoint file", SOON, || {
            assert_eq!(
                process.ended(),
                None,
                "the worker ended:\n{}",
                process.log()
            );
            state.join("endpoint.json").exists()
        })
        .await;
        let endpoint = Endpoint::read(&state)
            .expect("the endpoint file is readable")
            .expect("and there");
        self.api = Api::new(&endpoint.url, None);
        if !self.args.iter().any(|a| a == "--no-auth") {
            self.api = self.api.with_token(Some(&self.token(&[]).await));
        }
    }

    /// Its HTTP interface, with a token.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The agent's folder.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    /// The temporary folder with everything of this worker.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends `text` as task `id` in the simple dialect and returns every event up to the end.
    pub async fn turn(&self, id: &str, text: &str) -> Vec<Frame> {
        self.send(id, text).await.rest(JOB).await
    }

    /// Sends `text` as task `id` in the simple dialect.
    pub async fn send(&self, id: &str, text: &str) -> Frames {
        let body = json!({"id": id, "message": {"role": "user", "parts": [{"text": text}]}});
        let request = self.api.request(Method::POST, "/tasks/send").json(&body);
        Frames::new(http::answer(request.header("Accept", "text/event-stream")).await)
    }

    /// A token minted by `worker token`.
    pub async fn token(&self, args: &[&str]) -> String {
        let mut mint = command(&programs::worker(), self.folder.path());
        mint.arg("token")
            .arg("--card")
            .arg(self.folder.path().join("card.json"))
            .arg("--state-dir")
            .arg(state(&self.folder))
            .args(args);
        run(mint, Duration::from_secs(10))
            .await
            .exits(0)
            .stdout
            .trim()
            .to_owned()
    }

    /// A token signed with the worker's own key, for whatever `aud` says, whose time is over after `seconds` (or was).
    ///
    /// # Panics
    /// When the worker has no key of its own.
    #[must_use]
    pub fn forge(&self, aud: &str, seconds: i64) -> String {
        let pem = daemon::state::read_secret(&state(&self.folder).join("key.pem"));
        let signer = Signer::from_pem(&pem.expect("the worker has a key")).expect("and it is one");
        let now = SystemClock.now().as_second();
        let claims = Claims {
            iss: "worker:e2e".to_owned(),
            sub: "local".to_owned(),
            aud: aud.to_owned(),
            exp: now + seconds,
            iat: now - 7200,
            nbf: now - 7200,
            jti: "forged".to_owned(),
            scope: String::new(),
        };
        let token = signer.sign(&claims).expect("a key signs");
        token.expose_secret().to_owned()
    }

    /// Every process that this worker started and that is still there, the supervisor included.
    #[must_use]
    pub fn processes(&self) -> Vec<daemon::process::ProcessIdentity> {
        tree::descendants(self.process.pid())
    }
}

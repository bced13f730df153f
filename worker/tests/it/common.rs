//! A real `worker serve` process for tests: its own folders, port 0, and a plain HTTP client that knows no A2A.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take before a test gives up on it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Folders for one worker.
pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) card: Value,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("w")).unwrap();
        let card = json!({ "agent_id": "test-1", "workspace": base.join("w") });
        Self { folder, card }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.path("w")
    }

    /// `worker COMMAND …` with this home's card and state folder.
    pub(crate) fn command(&self, name: &str) -> Command {
        let card = self.path("card.json");
        std::fs::write(&card, self.card.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command
            .arg(name)
            .arg("--card")
            .arg(card)
            .arg("--state-dir")
            .arg(self.path("state"));
        // Agent programs are looked for from here.
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
        command
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Worker {
        let mut command = self.command("serve");
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        Worker::start(command)
    }

    pub(crate) fn scripted(&self) -> Worker {
        self.serve(&["--driver", "scripted", "--no-auth"])
    }
}

/// A running worker. Dropping it kills it.
pub(crate) struct Worker {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) token: Option<String>,
}

impl Worker {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            let mut errors = String::new();
            child
                .stderr
                .as_mut()
                .unwrap()
                .read_to_string(&mut errors)
                .unwrap();
            panic!("the worker did not start: {line}{errors}");
        };
        // A full pipe would stop the worker.
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::stderr()));
        Self {
            url: url.to_owned(),
            child,
            token: None,
        }
    }

    pub(crate) fn client() -> reqwest::Client {
        a2a_proto::client::http_client(&a2a_proto::client::HttpOptions {
            timeout: Some(DEADLINE),
            ..Default::default()
        })
        .unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.url)
        };
        let request = Self::client()
            .request(method.parse().unwrap(), url)
            .header("A2A-Version", "1.0");
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.request("GET", path)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Sends a message and reads its whole stream.
    pub(crate) async fn stream(&self, message: Value) -> Vec<Value> {
        self.stream_for("", message).await
    }

    /// The same on behalf of a tenant.
    pub(crate) async fn stream_for(&self, tenant: &str, message: Value) -> Vec<Value> {
        let answer = self
            .request("POST", "/message:stream")
            .json(&json!({ "message": message, "tenant": tenant }))
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
        text.lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    /// Sends a message without waiting for its end; the task's id.
    pub(crate) async fn begin(&self, message: Value) -> String {
        let body = json!({ "message": message, "configuration": { "returnImmediately": true } });
        let answer: Value = self
            .request("POST", "/message:send")
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        answer["task"]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }

    pub(crate) async fn task(&self, id: &str) -> Value {
        self.get(&format!("/tasks/{id}")).await
    }

    /// Waits until the task is in the state.
    pub(crate) async fn wait_for(&self, id: &str, state: &str) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let task = self.task(id).await;
            if task["status"]["state"] == state {
                return task;
            }
            assert!(Instant::now() < deadline, "{id} is not {state} but {task}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the process's end; its exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the worker does not end");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A user's message with one text.
pub(crate) fn message(text: &str) -> Value {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    json!({ "messageId": format!("m{number}"), "role": "ROLE_USER", "parts": [{ "text": text }] })
}

/// A message that goes on with a task or context.
pub(crate) fn follow_up(text: &str, field: &str, id: &Value) -> Value {
    let mut message = message(text);
    message[field] = id.clone();
    message
}

/// All activity of a kind in a stream.
pub(crate) fn activity<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .map(|event| &event["statusUpdate"]["metadata"]["urn:flotilla:ext:activity:v1"])
        .filter(|activity| activity["kind"] == kind)
        .collect()
}

/// What the agent said, in one piece.
pub(crate) fn text(events: &[Value]) -> String {
    activity(events, "text")
        .iter()
        .map(|activity| activity["delta"].as_str().unwrap())
        .collect()
}

/// What its tools printed, in one piece.
pub(crate) fn output(events: &[Value]) -> String {
    activity(events, "tool")
        .iter()
        .filter_map(|activity| activity["outputDelta"].as_str())
        .collect()
}

/// The artifacts of a stream by id.
pub(crate) fn artifacts(events: &[Value]) -> std::collections::BTreeMap<String, Value> {
    let artifacts = events
        .iter()
        .map(|event| &event["artifactUpdate"]["artifact"])
        .filter(|artifact| !artifact.is_null());
    artifacts
        .map(|artifact| {
            (
                artifact["artifactId"].as_str().unwrap().to_owned(),
                artifact.clone(),
            )
        })
        .collect()
}

/// The last status of a stream.
pub(crate) fn last_status(events: &[Value]) -> &Value {
    &events
        .iter()
        .rev()
        .find(|event| !event["statusUpdate"].is_null())
        .expect("a status")["statusUpdate"]
}

/// The processes of this machine with `marker` in their command line.
pub(crate) fn processes(marker: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(marker))
        .collect()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

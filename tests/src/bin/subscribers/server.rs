//! The server under measure, in a process of its own: the protocol's server over a log on disk, on the connection loop
//! that the binaries use. Its agent waits for a second message, so that everybody can subscribe before anything happens.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use a2a_proto::{
    client::{HttpOptions, http_client},
    log::SqliteLog,
    server::{Agent, AgentError, AnyCaller, CancelTarget, Server, ServerOptions, Turn, Updates},
    types::{AgentCapabilities, AgentCard, Artifact, Part, TaskState},
};
use serde_json::{Value, json};

use crate::{Failure, reader::Reader};

/// More connections than anybody asks for here.
const CONNECTIONS: usize = 65_536;
/// The content of every chunk.
const CHUNK: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A running server, killed when dropped.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Process {
    pub(crate) fn start() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self {
            child,
            address: line.trim().parse()?,
            http: http_client(&HttpOptions::default())?,
            _folder: folder,
        })
    }

    /// Makes the task that everybody subscribes to; answers its id.
    pub(crate) async fn begin(&self) -> Result<String, Failure> {
        let task = self.send("begin", json!({})).await?;
        let id = task["task"]["id"].as_str().ok_or("no task")?;
        Ok(id.to_owned())
    }

    /// Lets the agent write so many chunks.
    pub(crate) async fn feed(&self, task: &str, chunks: u64) -> Result<(), Failure> {
        self.send(&format!("chunks {chunks}"), json!({ "taskId": task }))
            .await
            .map(drop)
    }

    async fn send(&self, text: &str, more: Value) -> Result<Value, Failure> {
        let mut message = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]});
        if let (Some(message), Value::Object(more)) = (message.as_object_mut(), more) {
            message.extend(more);
        }
        let at_once = text.starts_with("chunks");
        let body = json!({"message": message, "configuration": {"returnImmediately": at_once}});
        let url = format!("http://{}/message:send", self.address);
        let answer = self.http.post(url).json(&body).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    pub(crate) async fn subscribe(&self, task: &str) -> Result<Reader, Failure> {
        Reader::open(self.address, &format!("/tasks/{task}:subscribe")).await
    }

    /// The process, for its memory.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the server in this process, until it is killed.
pub(crate) fn serve(folder: Option<&str>) -> Result<(), Failure> {
    let folder = folder.ok_or("no folder")?;
    crate::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let log = SqliteLog::open(format!("{folder}/log.db"))?;
        let options = ServerOptions {
            max_streams: CONNECTIONS,
            ..ServerOptions::new(Arc::new(AnyCaller))
        };
        let (tracker, stop) = (options.tracker.clone(), options.shutdown.clone());
        let router = Server::new(Arc::new(Feeder), Arc::new(log), options).router();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", listener.local_addr()?)?;
        out.flush()?;
        daemon::serve::serve(listener, router, CONNECTIONS, tracker, stop).await?;
        Ok(())
    })
}

/// Waits for a second message, and writes as many chunks as that says.
struct Feeder;

impl Agent for Feeder {
    fn card(&self) -> AgentCard {
        AgentCard {
            name: "feeder".to_owned(),
            version: "1".to_owned(),
            capabilities: AgentCapabilities {
                streaming: Some(true),
                ..AgentCapabilities::default()
            },
            ..AgentCard::default()
        }
    }

    async fn execute(&self, turn: Turn, updates: Updates) -> Result<(), AgentError> {
        let failed = |error| AgentError::because("cannot update", error);
        let text = turn.message.text();
        let Some(chunks) = text.strip_prefix("chunks ") else {
            let waits = updates.status(TaskState::InputRequired, None).await;
            return waits.map(drop).map_err(failed);
        };
        let chunks: u64 = chunks
            .parse()
            .map_err(|error| AgentError::because("not a number", error))?;
        for n in 0..chunks {
            let chunk = Artifact::new("out", vec![Part::text(CHUNK)]);
            let written = updates.artifact(chunk, n > 0, n + 1 == chunks).await;
            written.map_err(failed)?;
        }
        let done = updates.status(TaskState::Completed, None).await;
        done.map(drop).map_err(failed)
    }

    async fn cancel(&self, _target: &CancelTarget) -> Result<(), AgentError> {
        Ok(())
    }
}

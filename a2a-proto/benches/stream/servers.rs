//! The two servers, each in a process of its own: the echo agent behind our server with its log on disk, and a handler
//! that only writes. Both take the same request and write the same bytes.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use a2a_proto::log::SqliteLog;
use a2a_proto::server::{
    Agent, AgentError, AnyCaller, CancelTarget, Durability, Server, ServerOptions, StatusUpdate,
    Turn, UpdateError, Updates,
};
use a2a_proto::types::{
    AgentCapabilities, AgentCard, Artifact, Part, StreamResponse, Task, TaskArtifactUpdateEvent,
    TaskState, TaskStatus, TaskStatusUpdateEvent,
};
use axum::body::Bytes;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use futures_util::stream;

use crate::Result;

/// The content of every chunk.
const CHUNK: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Bare,
    Ours,
}

impl Kind {
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "serve-bare" => Some(Self::Bare),
            "serve-ours" => Some(Self::Ours),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bare => "serve-bare",
            Self::Ours => "serve-ours",
        }
    }
}

/// A server of one kind, killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Process {
    pub(crate) fn start(kind: Kind) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(kind.name())
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self {
            child,
            address: line.trim().parse()?,
            _folder: folder,
        })
    }

    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(self.child.id())
    }

    pub(crate) fn rss_kib(&self) -> Result<u32> {
        rss_kib(self.child.id())
    }
}

/// CPU time of all threads of a process since its start, proc(5); it depends less on what else the machine does than rates do.
pub(crate) fn cpu_seconds(process: u32) -> Result<f64> {
    /// `sysconf(_SC_CLK_TCK)` is 100 on every Linux.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let fields = fields.split_whitespace().skip(11).take(2);
    let ticks: Vec<u32> = fields
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    Ok(ticks.into_iter().map(f64::from).sum::<f64>() / TICKS)
}

/// Resident memory of a process, proc(5).
pub(crate) fn rss_kib(process: u32) -> Result<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a server in this process, for ever.
pub(crate) fn serve(kind: Kind, folder: Option<&str>) -> Result<()> {
    let folder = folder.ok_or("no folder")?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(async {
            let router = match kind {
                Kind::Bare => axum::Router::new().fallback(bare),
                Kind::Ours => {
                    let log = SqliteLog::open(format!("{folder}/log.db"))?;
                    let server = Server::new(
                        Arc::new(Echo),
                        Arc::new(log),
                        ServerOptions::new(Arc::new(AnyCaller)),
                    );
                    server.router()
                }
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let mut out = std::io::stdout();
            writeln!(out, "{}", listener.local_addr()?)?;
            out.flush()?;
            // Else Nagle's algorithm and delayed acknowledgements add 40 ms to the end of every answer.
            let listener = listener.tap_io(|socket| {
                // It is an optimisation; without it things only take longer.
                let _ = socket.set_nodelay(true);
            });
            axum::serve(listener, router).await?;
            Ok(())
        })
}

/// Answers with as many chunks as the message says.
struct Echo;

impl Agent for Echo {
    fn card(&self) -> AgentCard {
        AgentCard {
            name: "echo".to_owned(),
            description: "answers with chunks".to_owned(),
            version: "1".to_owned(),
            capabilities: AgentCapabilities {
                streaming: Some(true),
                ..AgentCapabilities::default()
            },
            ..AgentCard::default()
        }
    }

    async fn execute(&self, turn: Turn, updates: Updates) -> std::result::Result<(), AgentError> {
        let failed = |error: UpdateError| {
            // A run that fails should say why; nobody else here would.
            let _ = writeln!(std::io::stderr(), "cannot update: {error:?}");
            AgentError::because("cannot update", error)
        };
        let working = StatusUpdate {
            state: TaskState::Working,
            message: None,
            metadata: None,
        };
        updates
            .status_with(working, Durability::Soon)
            .await
            .map_err(failed)?;
        let count = chunks(&turn.message.text());
        drop(turn);
        for n in 0..count {
            updates
                .artifact(chunk(), n > 0, n + 1 == count)
                .await
                .map_err(failed)?;
        }
        updates
            .status(TaskState::Completed, None)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn cancel(&self, _target: &CancelTarget) -> std::result::Result<(), AgentError> {
        Ok(())
    }
}

fn chunks(text: &str) -> u64 {
    text.strip_prefix("chunks ")
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}

fn chunk() -> Artifact {
    Artifact::new("out", vec![Part::text(CHUNK)])
}

/// Stores nothing, remembers nothing, writes the same bytes: the events are text that is ready, but for their number.
async fn bare(body: Bytes) -> Response {
    let body = String::from_utf8_lossy(&body);
    let count = body
        .split_once("chunks ")
        .and_then(|(_, rest)| rest.split_once('"')?.0.parse::<u64>().ok());
    let count = count.unwrap_or(0);
    let [first, working, one, done] = texts();
    if body.contains("\"SendMessage\"") {
        let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, finished());
        return ([("content-type", "application/json")], answer).into_response();
    }
    let last = count + 3;
    let events = (1..=last).map(move |seq| {
        let text = match seq {
            1 => &first,
            2 => &working,
            seq if seq == last => &done,
            _ => &one,
        };
        Ok::<_, Infallible>(Event::default().id(seq.to_string()).data(&**text))
    });
    Sse::new(stream::iter(events)).into_response()
}

fn ids() -> (String, String) {
    let id = "01234567-89ab-7def-8123-456789abcdef".to_owned();
    (id.clone(), id)
}

fn task(state: TaskState) -> Task {
    let (id, context_id) = ids();
    let mut message = a2a_proto::types::Message::user("m", vec![Part::text("chunks 200")]);
    message.task_id.clone_from(&id);
    message.context_id.clone_from(&context_id);
    Task {
        id,
        context_id,
        status: status(state),
        history: vec![message],
        ..Task::default()
    }
}

fn status(state: TaskState) -> TaskStatus {
    TaskStatus::new(state, jiff::Timestamp::UNIX_EPOCH)
}

/// The events, as our server writes them.
fn texts() -> [Arc<str>; 4] {
    static TEXTS: std::sync::OnceLock<[Arc<str>; 4]> = std::sync::OnceLock::new();
    let make = || {
        let (task_id, context_id) = ids();
        let update = |state| {
            StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
                task_id: task_id.clone(),
                context_id: context_id.clone(),
                status: status(state),
                ..TaskStatusUpdateEvent::default()
            })
        };
        let one = StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
            task_id: task_id.clone(),
            context_id: context_id.clone(),
            artifact: chunk(),
            append: true,
            ..TaskArtifactUpdateEvent::default()
        });
        [
            StreamResponse::Task(task(TaskState::Submitted)),
            update(TaskState::Working),
            one,
            update(TaskState::Completed),
        ]
        .map(|event| {
            let json = serde_json::to_string(&event).unwrap_or_default();
            Arc::from(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{json}}}"#))
        })
    };
    TEXTS.get_or_init(make).clone()
}

/// What a unary send answers, as our server writes it.
fn finished() -> &'static str {
    static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    TEXT.get_or_init(|| {
        let mut task = task(TaskState::Completed);
        task.artifacts.push(chunk());
        serde_json::to_string(&a2a_proto::types::SendMessageResponse::Task(task))
            .unwrap_or_default()
    })
}

//! Programs of the agent: how one is started in the sandbox, and how it and everything that it started is ended.
//!
//! The only place that uses the sandbox crate's launcher. What an agent may see is put together here from the card: the
//! workspace, its own home, the program, and the gateway.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};
use worker_sandbox::{
    GatewayBridge, Home, Limits, ReadOnlyBind, Running, Sandbox, SandboxError, SandboxPolicy,
    StdioSpec,
};

use crate::card::AgentIdCard;

/// Where the gateway is inside the sandbox.
pub(crate) const GATEWAY_PORT: u16 = 18_080;

/// What an agent believes to be its key.
const PLACEHOLDER_KEY: &str = "added-by-the-gateway";

/// The end of a program's error output that is kept to explain its end.
const MAX_SAID: usize = 2 * 1024;

/// Why a program did not start in the sandbox.
#[derive(Debug, Error)]
pub(crate) enum ProcessError {
    /// The sandbox refused or failed.
    #[error("the sandbox did not start")]
    Sandbox(#[source] SandboxError),
}

/// A program to start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Launch {
    /// Program, by its path inside, and arguments.
    pub(crate) argv: Vec<String>,
    /// Variables besides those that every program of the agent has.
    pub(crate) env: BTreeMap<String, String>,
    /// What it needs besides the system and the workspace.
    pub(crate) read_only: Vec<ReadOnlyBind>,
    /// Whether its home is kept between starts.
    pub(crate) persistent_home: bool,
}

impl Launch {
    /// The agent that the card names. It finds the model by the variables that are customary for its provider's clients.
    pub(crate) fn of_card(card: &AgentIdCard) -> Self {
        let model = format!("http://127.0.0.1:{GATEWAY_PORT}");
        let env = [
            ("ANTHROPIC_BASE_URL", model.clone()),
            ("ANTHROPIC_API_KEY", PLACEHOLDER_KEY.to_owned()),
            ("OPENAI_BASE_URL", format!("{model}/v1")),
            ("OPENAI_API_KEY", PLACEHOLDER_KEY.to_owned()),
            // Claude Code's own switch for everything that it sends elsewhere.
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
        ];
        let folders = card.agent.read_only.iter().cloned();
        let program = card.agent.command.first().map(PathBuf::from);
        // Programs of the system are there already.
        let program = program.filter(|path| {
            !["/usr", "/bin", "/sbin", "/nix/store"]
                .iter()
                .any(|tree| path.starts_with(tree))
        });
        let bind = |path: PathBuf| ReadOnlyBind {
            source: path.clone(),
            target: path,
            reason: "named by the agent ID card".to_owned(),
        };
        Self {
            argv: card.agent.command.clone(),
            env: env
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            read_only: folders.chain(program).map(bind).collect(),
            persistent_home: true,
        }
    }
}

/// Starts programs in the sandbox of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    sandbox: Sandbox,
    template: SandboxPolicy,
    home: PathBuf,
    tracker: TaskTracker,
}

impl Launcher {
    /// Programs get the card's workspace, limits and environment, and the gateway behind `socket`. `home` is the folder that
    /// the agent may keep files in.
    pub(crate) fn new(
        sandbox: Sandbox,
        card: &AgentIdCard,
        home: PathBuf,
        socket: &Path,
        tracker: TaskTracker,
    ) -> Self {
        let limits = &card.resource_limits;
        let mut template = SandboxPolicy::new(&card.agent_id, &card.workspace, Vec::new());
        template.limits = Limits {
            memory_mb: limits.memory_mb,
            cpu_shares: limits.cpu_shares,
            max_processes: limits.max_processes,
            max_open_files: limits.max_open_files,
        };
        template.gateway = Some(GatewayBridge {
            socket: socket.to_owned(),
            port: GATEWAY_PORT,
        });
        template
            .env
            .insert("AGENT_ID".to_owned(), card.agent_id.clone());
        // Agents speak with their own servers on the loopback address; those are not the proxy's.
        for name in ["NO_PROXY", "no_proxy"] {
            template
                .env
                .insert(name.to_owned(), "127.0.0.1,localhost,::1".to_owned());
        }
        if !card.allowed_hosts.is_empty() {
            for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
                template
                    .env
                    .insert(name.to_owned(), format!("http://127.0.0.1:{GATEWAY_PORT}"));
            }
        }
        template.env.extend(card.environment.clone());
        Self {
            sandbox,
            template,
            home,
            tracker,
        }
    }

    /// Starts a program with the given streams.
    pub(crate) async fn start_with(
        &self,
        launch: Launch,
        stdio: StdioSpec,
    ) -> Result<Running, SandboxError> {
        let mut policy = self.template.clone();
        policy.argv = launch.argv;
        policy.env.extend(launch.env);
        policy.read_only.extend(launch.read_only);
        if launch.persistent_home {
            policy.home = Home::Persistent(self.home.clone());
        }
        self.sandbox.start(policy, stdio).await
    }

    /// Starts a program with pipes for its three streams.
    pub(crate) async fn start(&self, launch: Launch) -> Result<Process, ProcessError> {
        let mut running = self
            .start_with(launch, StdioSpec::piped())
            .await
            .map_err(ProcessError::Sandbox)?;
        let said = Said::default();
        if let Some(stderr) = running.stderr.take() {
            self.tracker.spawn(said.clone().listen(stderr));
        }
        Ok(Process { running, said })
    }
}

/// A program that runs in the sandbox. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    running: Running,
    said: Said,
}

impl Process {
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.running.stdin.take()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.running.stdout.take()
    }

    /// Waits for its end; true if it ended well.
    pub(crate) async fn wait(&mut self) -> bool {
        self.running.wait().await.success()
    }

    pub(crate) fn into_handle(self) -> ProcessHandle {
        ProcessHandle {
            what: What::Sandbox(Box::new(self.running)),
            said: self.said,
        }
    }
}

/// What a session consists of, to be ended. Dropping it ends it too, without waiting.
#[derive(Debug)]
pub(crate) struct ProcessHandle {
    what: What,
    said: Said,
}

#[derive(Debug)]
enum What {
    Sandbox(Box<Running>),
    Task {
        stop: CancellationToken,
        done: JoinHandle<()>,
    },
}

impl ProcessHandle {
    /// A session that is a task of this process.
    pub(crate) fn of_task(stop: CancellationToken, done: JoinHandle<()>) -> Self {
        Self {
            what: What::Task { stop, done },
            said: Said::default(),
        }
    }

    pub(crate) fn said(&self) -> &Said {
        &self.said
    }

    /// Ends it with everything that it started, and waits until nothing of it is left.
    pub(crate) async fn kill(self) {
        match self.what {
            What::Sandbox(mut running) => match running.kill().await {
                Ok(exit) => debug!(?exit, "the agent's sandbox is gone"),
                Err(error) => error!(
                    error = daemon::cli::chain(&error),
                    "the agent's sandbox does not end"
                ),
            },
            What::Task { stop, done } => {
                stop.cancel();
                // A task that panicked has ended too.
                let _ = done.await;
            }
        }
    }
}

/// The end of what a program wrote to its error output.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    tail: Arc<Mutex<VecDeque<u8>>>,
}

impl Said {
    /// The last lines as an addition to an error message; empty when there are none.
    pub(crate) fn as_hint(&self) -> String {
        let bytes: Vec<u8> = self
            .tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .collect();
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        if text.is_empty() {
            String::new()
        } else {
            format!("; its last words: {text}")
        }
    }

    /// Reads to the end, so that a talkative program never waits for a reader.
    async fn listen(self, mut stderr: ChildStderr) {
        let mut piece = vec![0; MAX_SAID];
        while let Ok(count @ 1..) = stderr.read(&mut piece).await {
            let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend(&piece[..count]);
            let surplus = tail.len().saturating_sub(MAX_SAID);
            tail.drain(..surplus);
        }
    }
}

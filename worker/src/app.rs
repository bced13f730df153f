//! The parts of a running worker, put together: gateway, driver, sessions, server. Reads as the list of what runs.
//!
//! Takes the bound listener from outside; [`crate::cli`] decides about everything that can be wrong before that.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::clock::{Clock, Ids, UuidV7};
use a2a_proto::log::{LogError, SqliteLog};
use a2a_proto::push::{AllowList, Keyring, PushOptions, Pusher};
use a2a_proto::server::{Authenticator, Server, ServerOptions, UpdateError, require_caller};
use a2a_proto::types::{Part, TaskState};
use axum::middleware;
use daemon::a2a::A2aSettings;
use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::lifecycle::Lifecycle;
use daemon::listen::Authentication;
use daemon::serve::serve_with;
use daemon::state::Endpoint;
use daemon::tasks::TaskKind;
use daemon::tls::Tls;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use worker_sandbox::Sandbox;

use crate::agent::{Identity, Worker};
use crate::card::AgentIdCard;
use crate::cli::DriverName;
use crate::driver::probe::Probe;
use crate::driver::process::{GATEWAY_PORT, Launch, Launcher};
use crate::driver::{Driver, acp, opencode, scripted};
use crate::gateway::{Gateway, GatewayOptions, HostPattern};
use crate::session::{SessionOptions, Sessions};
use crate::state::{StateDir, StateDirError};
use crate::workspace::{Workspace, download};

/// Connections of callers. A worker has one captain and now and then a person.
const MAX_CONNECTIONS: usize = 1024;

/// How long parts may take to end, in each of the two phases of a stop.
const GRACE: Duration = Duration::from_secs(8);

/// What the command line has found and checked.
pub(crate) struct Parts {
    pub(crate) card: AgentIdCard,
    pub(crate) program: Option<PathBuf>,
    pub(crate) key: Option<SecretString>,
    pub(crate) state: StateDir,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) auth: Arc<dyn Authenticator>,
    pub(crate) authentication: Authentication,
    pub(crate) a2a: A2aSettings,
    pub(crate) driver: DriverName,
    pub(crate) sandbox: Sandbox,
    pub(crate) probe: Probe,
    pub(crate) log: Arc<SqliteLog>,
    pub(crate) url: String,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) warm: bool,
    pub(crate) push_allow: AllowList,
}

/// Serves until a signal or the card's time to live ends it. `ready` is called when callers are served.
pub(crate) async fn serve(
    parts: Parts,
    listener: TcpListener,
    ready: impl FnOnce(),
) -> Result<Exit, Failure> {
    let lifecycle = Lifecycle::new();
    let tracker = lifecycle.tasks().tracker();
    let state = &parts.state;
    let card = &parts.card;

    // The agents' way out is closed after the agents, and in the hard phase in any case.
    let gateway_stop = lifecycle.hard().child_token();
    let gateway = start_gateway(
        card,
        parts.key.clone(),
        state,
        &parts.clock,
        tracker,
        gateway_stop.clone(),
    )?;
    let workspace = Arc::new(Workspace::new(&card.workspace, state.path()));
    let driver = make_driver(&parts, &lifecycle)?;
    let sessions = Arc::new(Sessions::new(SessionOptions {
        driver,
        workspace: Arc::clone(&workspace),
        meter: Arc::clone(gateway.meter()),
        limits: card.watchdog.clone(),
        clock: Arc::clone(&parts.clock),
        book: state.file("sessions.json"),
        stop: lifecycle.soft().clone(),
    }));

    let identity = Identity {
        agent_id: card.agent_id.clone(),
        url: parts.url.clone(),
        authentication: parts.authentication == Authentication::Required,
        extended: parts.a2a.extended.clone(),
    };
    let pusher = Pusher::new(PushOptions {
        allow: parts.push_allow.clone(),
        ..PushOptions::new(Keyring::at(state.file("push.key")))
    });
    let options = ServerOptions {
        clock: Arc::clone(&parts.clock),
        tracker: tracker.clone(),
        shutdown: lifecycle.soft().clone(),
        push: Some(pusher),
        ..ServerOptions::new(Arc::clone(&parts.auth))
    };
    let server = Server::new(
        Arc::new(Worker::new(identity, Arc::clone(&sessions))),
        Arc::clone(&parts.log),
        parts.a2a.apply(options),
    );
    fail_interrupted(&server)
        .await
        .map_err(|error| Failure::from_error(Exit::Io, &error))?;
    server
        .resume_push()
        .await
        .map_err(|error| Failure::from_error(Exit::Io, &error))?;
    let downloads = download::router(workspace).layer(middleware::from_fn_with_state(
        Arc::clone(&parts.auth),
        require_caller,
    ));
    let router = downloads.merge(server.router());

    // All that can be prepared is; nobody is answered before it is known that the sandbox works here.
    if let Err(failure) = parts.probe.finish() {
        gateway_stop.cancel();
        lifecycle.soft().cancel();
        // The failure that began it is what the caller must hear.
        let _ = lifecycle.run_to_stop(GRACE).await;
        return Err(failure);
    }
    let serving = serve_with(
        listener,
        parts.tls.clone(),
        router,
        MAX_CONNECTIONS,
        tracker.clone(),
        lifecycle.soft().clone(),
    );
    lifecycle
        .tasks()
        .spawn(TaskKind::Essential, "http", serving);
    Endpoint::announce(state.path(), &parts.url, env!("CARGO_PKG_VERSION"))
        .map_err(|error| Failure::from_error(Exit::Io, &error))?;
    ready();
    info!(url = parts.url, agent_id = card.agent_id, "serving");

    if parts.warm {
        let sessions = Arc::clone(&sessions);
        lifecycle
            .tasks()
            .spawn(TaskKind::Supporting, "warm-up", async move {
                sessions.warm_up().await;
                Ok::<(), std::convert::Infallible>(())
            });
    }
    if card.ttl_seconds > 0 {
        let soft = lifecycle.soft().clone();
        let ttl = Duration::from_secs(card.ttl_seconds);
        lifecycle
            .tasks()
            .spawn(TaskKind::Supporting, "time-to-live", async move {
                tokio::select! {
                    () = soft.cancelled() => {}
                    () = tokio::time::sleep(ttl) => {
                        info!(seconds = ttl.as_secs(), "the card's time to live is over");
                        soft.cancel();
                    }
                }
                Ok::<(), std::convert::Infallible>(())
            });
    }
    // The agents end when the stop begins; the requests that wait for them can then be answered.
    let (soft, ending) = (lifecycle.soft().clone(), Arc::clone(&sessions));
    lifecycle
        .tasks()
        .spawn(TaskKind::Supporting, "agents", async move {
            soft.cancelled().await;
            ending.shut_down().await;
            gateway_stop.cancel();
            Ok::<(), std::convert::Infallible>(())
        });

    let exit = lifecycle
        .run_to_stop(GRACE)
        .await
        .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
    sessions.shut_down().await;
    if let Err(error) = Endpoint::withdraw(state.path()) {
        warn!(
            error = daemon::cli::chain(&error),
            "the endpoint file cannot be removed"
        );
    }
    info!("stopped");
    Ok(exit)
}

/// The agent's way out, as the card says.
pub(crate) fn start_gateway(
    card: &AgentIdCard,
    key: Option<SecretString>,
    state: &StateDir,
    clock: &Arc<dyn Clock>,
    tracker: &TaskTracker,
    stop: CancellationToken,
) -> Result<Gateway, Failure> {
    let address = |text: &str| {
        text.parse::<url::Url>()
            .map_err(|error| Failure::from_error(Exit::BadInput, &error))
    };
    let options = GatewayOptions {
        socket: gateway_socket(state),
        audit_file: state.file("audit.jsonl"),
        provider: card.api_provider,
        base_url: card.base_url().map(address).transpose()?,
        key,
        proxy: card.proxy.as_deref().map(address).transpose()?,
        // The card was read with the same parser.
        allowed_hosts: card
            .allowed_hosts
            .iter()
            .filter_map(|pattern| HostPattern::parse(pattern).ok())
            .collect(),
    };
    Gateway::start(options, Arc::clone(clock), tracker, stop).map_err(|error| {
        Failure::from_error(Exit::Io, &error)
            .with_hint("check the free space and the owner of the state folder")
    })
}

fn make_driver(parts: &Parts, lifecycle: &Lifecycle) -> Result<Arc<dyn Driver>, Failure> {
    let tracker = lifecycle.tasks().tracker().clone();
    let home = parts
        .state
        .folder("home")
        .map_err(StateDirError::into_failure)?;
    let socket = gateway_socket(&parts.state);
    let launcher = Arc::new(Launcher::new(
        parts.sandbox.clone(),
        &parts.card,
        home,
        &socket,
        tracker.clone(),
    ));
    let launch = match (parts.driver, &parts.program) {
        (DriverName::Scripted, _) => {
            return Ok(Arc::new(scripted::Scripted::new(launcher, tracker)));
        }
        (DriverName::Acp, Some(program)) => {
            let settings = parts
                .state
                .folder("agent")
                .map_err(StateDirError::into_failure)?;
            let password = UuidV7.next();
            opencode::prepare(&parts.card, program, &settings, GATEWAY_PORT, &password)
                .map_err(|error| Failure::from_error(Exit::Io, &error))?
        }
        (DriverName::Acp, None) => Launch::of_card(&parts.card),
    };
    Ok(Arc::new(acp::Acp::new(launcher, launch, tracker)))
}

/// Tasks that were being worked on when the worker last ended cannot go on: their agent is gone. A task that waits for an
/// answer can, with a new agent that continues the session.
async fn fail_interrupted(server: &Server<Worker, SqliteLog>) -> Result<(), LogError> {
    for recovered in server.recover().await? {
        if recovered.task.status.state.is_interrupted() {
            continue;
        }
        let text = "the worker was restarted while the agent was working on this task";
        let message = recovered.updates.agent_message(vec![Part::text(text)]);
        match recovered
            .updates
            .status(TaskState::Failed, Some(message))
            .await
        {
            Ok(_) | Err(UpdateError::Terminal { .. }) => info!(
                task = recovered.task.id,
                "a task of an earlier run has failed"
            ),
            Err(error) => warn!(
                task = recovered.task.id,
                error = daemon::cli::chain(&error),
                "a task of an earlier run cannot be ended"
            ),
        }
    }
    Ok(())
}

/// The log of tasks. It is opened before the port is bound: a full disk must be known by then.
pub(crate) fn open_log(state: &StateDir) -> Result<Arc<SqliteLog>, Failure> {
    SqliteLog::open(state.file("tasks.db"))
        .map(Arc::new)
        .map_err(|error| {
            Failure::from_error(Exit::Io, &error)
                .with_hint("check the free space and the owner of the state folder")
        })
}

/// The unix socket of the gateway.
pub(crate) fn gateway_socket(state: &StateDir) -> PathBuf {
    state.file("gateway.sock")
}

/// The agent's program where opencode is the agent.
pub(crate) fn find_agent(
    driver: DriverName,
    card: &AgentIdCard,
    named: Option<&Path>,
    path: Option<&OsStr>,
) -> Result<Option<PathBuf>, Failure> {
    match (driver, card.agent.command.first()) {
        (DriverName::Scripted, _) => Ok(None),
        (DriverName::Acp, Some(program)) if Path::new(program).is_file() => Ok(None),
        (DriverName::Acp, Some(program)) => Err(Failure::new(
            Exit::Unavailable,
            format!("the agent program {program} is not there"),
        )
        .with_hint("install it, or correct agent.command in the agent ID card")),
        (DriverName::Acp, None) => opencode::find(named, path).map(Some).map_err(|error| {
            Failure::from_error(Exit::Unavailable, &error)
                .with_hint("run `make setup`, or give the program's path with --agent-bin")
        }),
    }
}

/// Reads the provider's key. It must be usable as a header's value.
pub(crate) fn read_key(file: &Path) -> Result<SecretString, Failure> {
    let wrong = |why: String| {
        Failure::new(
            Exit::BadInput,
            format!("cannot use the key in {}: {why}", file.display()),
        )
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let key = text.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(
            "it is empty or holds spaces or control characters".to_owned(),
        ));
    }
    Ok(SecretString::from(key))
}

/// Makes the workspace if it is missing, private to this user.
pub(crate) fn make_workspace(workspace: &Path) -> Result<(), Failure> {
    daemon::state::create_private_dir(workspace).map_err(|error| {
        Failure::from_error(Exit::Io, &error)
            .with_hint("create the workspace yourself, or choose another in the agent ID card")
    })
}

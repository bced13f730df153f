//! The captain as a list of its parts, in the order in which they start: state folder, identities, database, git,
//! workers, engine, API. `captain serve` runs it until a signal; `captain run` runs it for one job. Only when everything
//! before has worked does anybody hear of it.

mod store;

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::clock::{Clock, Ids, SystemClock, UuidV7};
use a2a_proto::log::SqliteLog;
use a2a_proto::push::{AllowList, Keyring, PushOptions, Pusher};
use a2a_proto::server::{AnyCaller, Authenticator, BearerToken, Caller, Server, ServerOptions};
use daemon::listen::Authentication;
use daemon::serve::serve_with;
use daemon::state::{Endpoint, StateError, create_private_dir, default_root, write_private};
use daemon::tasks::{TaskKind, Tasks};
use daemon::tls::{self, Tls};
use rustix::fs::{FlockOperation, flock};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::store::DATABASE_FILE;

use crate::agent::{AgentOptions, CaptainAgent, Identity, SharedLog};
use crate::api::{ApiState, router};
use crate::auth::{TOKEN_FILE, WorkerTokens, user_token};
use crate::backend::local::{LocalBackend, LocalOptions, find_worker};
use crate::config::{AgentConfig, Config};
use crate::engine::ports::SystemDice;
use crate::engine::{self, Handle, Options, Ports};
use crate::error::StartError;
use crate::link::WorkerLink;
use crate::planner::Planners;
use crate::upkeep::Janitor;
use crate::workspace::{Git, ImportLimits, Workspaces};

/// The one user of a captain with one token.
const USER: &str = "user";
/// The provider key of the captain's environment, kept for the workers' supervisors.
const PROVIDER_KEY_FILE: &str = "provider-key";
/// The log of the A2A tasks, in the state folder.
pub(crate) const TASKS_FILE: &str = "tasks.sqlite";
/// What push configurations are sealed with, in the state folder; made with the first of them.
const PUSH_KEY_FILE: &str = "push.key";
/// How long stopping a job may take before its client is told that it did not: longer than stopping every worker takes.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long answers that are being given may take when the captain stops; event streams end at once.
const DRAIN: Duration = Duration::from_secs(5);
/// Connections beside the event streams: for calls.
const SPARE_CONNECTIONS: usize = 256;
/// Held by the captain that uses the state folder.
const LOCK_FILE: &str = "lock";

/// A captain that runs.
#[derive(Debug)]
pub struct Captain {
    /// Where it listens, for example `http://127.0.0.1:8000`.
    pub url: String,
    /// What its callers must send; none when it answers everybody.
    pub token: Option<SecretString>,
    /// Its state folder.
    pub dir: PathBuf,
    /// Its engine.
    pub engine: Handle,
    /// The state folder is ours until this is dropped.
    _lock: File,
}

/// Starts a captain that listens on `listener`. It runs as tasks of `tasks` until `stop` is cancelled; its workers live
/// on and are found again at the next start.
///
/// # Errors
/// [`StartError`] says what is missing; nothing is left running then.
pub async fn start(
    config: &Config,
    listener: TcpListener,
    tasks: &Tasks,
    stop: &CancellationToken,
) -> Result<Captain, StartError> {
    // Files that are wrong stop the start before anything runs.
    let a2a = {
        let (args, authentication) = (config.a2a.clone(), config.authentication());
        tokio::task::spawn_blocking(move || args.settle(authentication)).await??
    };
    let address = listener.local_addr().map_err(StartError::Address)?;
    let tls = {
        let (certificate, key) = (config.tls_cert.clone(), config.tls_key.clone());
        let open = move || Tls::open(certificate.as_deref(), key.as_deref());
        tokio::task::spawn_blocking(open).await??
    };
    let url = url_of(tls::scheme(tls.as_ref()), address);
    let files = {
        let config = config.clone();
        tokio::task::spawn_blocking(move || open(&config)).await??
    };
    let Files {
        dir,
        shared,
        workers_dir,
        lock,
        token,
        tokens,
        agent,
    } = files;
    let store = store::open(config, &dir, &tokens, tasks.tracker(), stop).await?;
    let task_log = {
        let path = dir.join(TASKS_FILE);
        Arc::new(tokio::task::spawn_blocking(move || SqliteLog::open(path)).await??)
    };

    let git = Git::new(std::env::var_os("PATH").unwrap_or_default());
    let keep = config.retention.keep_workers;
    let jobs = shared.join("jobs");
    let workspaces = Workspaces::new(git, jobs.clone(), ImportLimits::default(), keep);
    let backend = Arc::new(LocalBackend::new(LocalOptions {
        workers_dir,
        workspaces_dir: dir.join("workspaces"),
        worker_bin: find_worker(config.worker_bin.as_deref())
            .map_err(|problem| StartError::NoWorker { problem })?,
        trust: serde_json::to_vec(&tokens.jwks()).map_err(StartError::Keys)?,
        agent,
        max_workers: config.limits.max_workers.get(),
        start_timeout: config.limits.worker_start(),
        keep_folders: keep,
        tracker: tasks.tracker().clone(),
    })?);
    let link = Arc::new(WorkerLink::new(tokens.clone())?);

    let options = Options {
        max_workers: config.limits.max_workers.get(),
        max_parallel: u32::try_from(config.limits.parallel.get()).unwrap_or(u32::MAX),
        stop_grace: config.limits.worker_grace(),
        provider: config.agent.provider_name(),
        ..Options::new(jobs)
    };
    let ports = Ports {
        planner: Arc::new(Planners),
        backend: Arc::clone(&backend) as _,
        link,
        workspace: Arc::new(workspaces.clone()),
        store: Arc::clone(&store),
        clock: Arc::new(SystemClock),
        ids: Arc::new(UuidV7),
        dice: Arc::new(SystemDice),
    };
    // Answers that are being given come first, the engine that gives them goes after them.
    let after_drain = CancellationToken::new();
    let connections = TaskTracker::new();
    let (drained, stopped) = (connections.clone(), stop.clone());
    let guard = after_drain.clone().drop_guard();
    tasks.spawn(TaskKind::Supporting, "drain", async move {
        let _stops_the_engine = guard;
        stopped.cancelled().await;
        drained.close();
        tokio::time::timeout(DRAIN, drained.wait()).await
    });
    let engine = engine::start(options, ports, tasks, &after_drain).await?;

    let several = store.cluster().is_some();
    let janitor = Janitor::new(
        store,
        Arc::clone(&task_log),
        shared.join("jobs"),
        Arc::new(SystemClock),
    );
    let auth = authenticator(config, &token);
    let repo_roots: Arc<[PathBuf]> = config.repo_roots.clone().into();
    let identity = Identity {
        url: url.clone(),
        authentication: config.authentication() == Authentication::Required,
        extended: a2a.extended.clone(),
    };
    let agent = Arc::new(CaptainAgent::new(AgentOptions {
        identity,
        engine: engine.clone(),
        workspaces: workspaces.clone(),
        repo_roots: Arc::clone(&repo_roots),
        log: Arc::clone(&task_log),
        tracker: tasks.tracker().clone(),
        shutdown: stop.clone(),
    }));
    let pusher = Pusher::new(PushOptions {
        allow: AllowList::new(config.push_allow.iter().cloned()),
        ..PushOptions::new(Keyring::at(shared.join(PUSH_KEY_FILE)))
    });
    let makes_tasks = several.then(|| Arc::clone(&agent));
    let server = Server::new(
        Arc::clone(&agent),
        Arc::new(SharedLog::new(task_log, makes_tasks)),
        a2a.apply(ServerOptions {
            tracker: tasks.tracker().clone(),
            shutdown: stop.clone(),
            max_body_bytes: config.limits.max_body_bytes.get(),
            max_streams: config.limits.max_streams.get(),
            cancel_timeout: CANCEL_TIMEOUT,
            push: Some(pusher),
            ..ServerOptions::new(Arc::clone(&auth))
        }),
    );
    let left = server.recover().await?;
    agent
        .recover(left)
        .await
        .map_err(|error| StartError::Adopt(error.into()))?;
    server.resume_push().await?;

    if let Some(age) = config.retention.jobs {
        let pruning = janitor.clone().run(age, stop.clone());
        tasks.spawn(TaskKind::Supporting, "retention", async move {
            pruning.await;
            Ok::<(), std::convert::Infallible>(())
        });
    }

    let api = router(ApiState {
        engine: engine.clone(),
        janitor,
        tracker: tasks.tracker().clone(),
        tasks: agent,
        backend,
        workspaces,
        tokens,
        auth,
        repo_roots,
        streams: Arc::new(Semaphore::new(config.limits.max_streams.get())),
        worker_grace: config.limits.worker_grace(),
        max_body_bytes: config.limits.max_body_bytes.get(),
        stop: stop.clone(),
    });
    let max_connections = config.limits.max_streams.get() + SPARE_CONNECTIONS;
    let serving = serve_with(
        listener,
        tls,
        // What REST does not take is the protocol's.
        api.merge(server.router()),
        max_connections,
        connections,
        stop.clone(),
    );
    tasks.spawn(TaskKind::Essential, "api", serving);

    let version = env!("CARGO_PKG_VERSION");
    Endpoint::announce(&dir, &url, version)?;
    let (announced, stopped) = (dir.clone(), stop.clone());
    tasks.spawn(TaskKind::Supporting, "endpoint", async move {
        stopped.cancelled().await;
        Endpoint::withdraw(&announced)
    });
    tracing::info!(%url, dir = %dir.display(), version, "captain is ready");
    let token = match config.authentication() {
        Authentication::Required => Some(token),
        Authentication::Off => None,
    };
    Ok(Captain {
        url,
        token,
        dir,
        engine,
        _lock: lock,
    })
}

/// What is read from and written to the state folder before anything runs.
struct Files {
    dir: PathBuf,
    /// What all captains of one database share; else the same folder.
    shared: PathBuf,
    workers_dir: PathBuf,
    lock: File,
    token: SecretString,
    tokens: WorkerTokens,
    agent: AgentConfig,
}

/// Blocks.
fn open(config: &Config) -> Result<Files, StartError> {
    let dir = private_dir(config.captain_dir()?)?;
    let shared = match &config.store.shared_dir {
        Some(shared) => private_dir(shared.clone())?,
        None => dir.clone(),
    };
    // The user's common folder of workers, unless this captain keeps to itself. What is shared between machines has a
    // folder for each: a process of another machine can neither be watched nor stopped from here.
    let workers_dir = private_dir(match (&config.store.shared_dir, &config.state_dir) {
        (Some(_), _) => shared.join("workers").join(store::host()),
        (None, Some(_)) => dir.join("workers"),
        (None, None) => default_root()?.join("workers"),
    })?;
    let lock = lock(&dir)?;
    private_file(&dir, TASKS_FILE)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(UuidV7);
    let (token, tokens) = {
        // Captains that start at the same time make one identity and not two.
        let _alone = store::wait_for_turn(&shared)?;
        (
            user_token(&shared)?,
            WorkerTokens::load(&shared, clock, ids)?,
        )
    };
    if shared != dir {
        // Where the command line looks for it.
        write_private(&dir.join(TOKEN_FILE), token.expose_secret().as_bytes())?;
    }
    Ok(Files {
        token,
        tokens,
        agent: agent(config, &dir)?,
        dir,
        shared,
        workers_dir,
        lock,
    })
}

/// Makes a folder and gives its path in full: paths below it go to other programs, which run in other folders.
fn private_dir(path: PathBuf) -> Result<PathBuf, StateError> {
    create_private_dir(&path)?;
    path.canonicalize()
        .map_err(|source| StateError::CreateDir { path, source })
}

/// Makes a folder, and keeps others from using it while the file is open.
pub(crate) fn lock_folder(path: &Path) -> Result<(PathBuf, File), StartError> {
    let folder = private_dir(path.to_owned())?;
    let lock = lock(&folder)?;
    Ok((folder, lock))
}

/// A lock of the kernel's: it goes with the process, however that ends.
fn lock(dir: &Path) -> Result<File, StartError> {
    let failed = |source| StartError::Lock {
        path: dir.to_owned(),
        source,
    };
    let file = private_file(dir, LOCK_FILE)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StartError::InUse {
            path: dir.to_owned(),
        }),
        Err(error) => Err(failed(error.into())),
    }
}

/// Opens a file that only its owner may read, and makes it where it is not there. A database passes its mode on to the
/// files that it makes beside it.
fn private_file(dir: &Path, name: &str) -> Result<File, StartError> {
    let path = dir.join(name);
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|source| StateError::Write { path, source }.into())
}

/// The agents' settings. A key of the captain's environment goes into a file for the supervisors: it must never be in
/// the environment or on the command line of a worker.
fn agent(config: &Config, dir: &Path) -> Result<AgentConfig, StartError> {
    let mut agent = config.agent.clone();
    if let Some(key) = &config.provider_key {
        let path = dir.join(PROVIDER_KEY_FILE);
        write_private(&path, key.expose_secret().as_bytes())?;
        agent.api_key_file = Some(path);
    }
    Ok(agent)
}

fn authenticator(config: &Config, token: &SecretString) -> Arc<dyn Authenticator> {
    match config.authentication() {
        Authentication::Required => Arc::new(BearerToken::new(token.clone(), Caller::new(USER))),
        Authentication::Off => Arc::new(AnyCaller),
    }
}

/// Where processes of this machine reach the captain: an address for "everywhere" is not one to connect to.
fn url_of(scheme: &str, address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests;

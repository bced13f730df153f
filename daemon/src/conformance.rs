//! The process around [`a2a_proto::conformance`]: both binaries serve that agent instead of their own with
//! `serve --conformance[=PROFILE]`, on the same connections, bindings and log as always, without a card file, a key or an
//! agent program. Here because it is the same for both; what the agent does is not decided here.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::card;
use a2a_proto::clock::SystemClock;
use a2a_proto::conformance::{Conformance, Profile};
use a2a_proto::log::{LogError, SqliteLog};
use a2a_proto::push::{AllowList, Keyring, PushOptions, Pusher};
use a2a_proto::server::{AnyCaller, Authenticator, Server, ServerOptions, UpdateError};
use a2a_proto::types::{AgentCard, Part, TaskState};
use clap::Args;
use tempfile::TempDir;

use crate::a2a::A2aSettings;
use crate::cli::Failure;
use crate::exit::Exit;
use crate::lifecycle::Lifecycle;
use crate::listen::{self, Authentication, ListenError};
use crate::serve::serve as serve_connections;
use crate::state::Endpoint;
use crate::tasks::TaskKind;

/// Connections at once. Kits open many and close few.
const MAX_CONNECTIONS: usize = 1024;
/// How long parts may take to end. Nothing here holds anything that takes longer.
const GRACE: Duration = Duration::from_secs(5);

/// What both command lines have in common.
#[derive(Debug, Clone, Default, Args)]
pub struct ConformanceArgs {
    /// Serve the agent that conformance kits ask for instead of a real one, without authentication and on a loopback
    /// address: streaming-push, minimal, required-extension or extended-card
    #[arg(
        long,
        value_name = "PROFILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "streaming-push"
    )]
    pub conformance: Option<Profile>,
}

/// What is served, and where.
pub struct ConformanceOptions {
    /// What the agent can do.
    pub profile: Profile,
    /// The switches of the server.
    pub a2a: A2aSettings,
    /// Name, version and security schemes; everything else is filled in.
    pub card: AgentCard,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where callers come, if not to the address that is listened on; without a slash at its end.
    pub public_url: Option<String>,
    /// Whom to answer; without one, everybody on a loopback address.
    pub auth: Option<Arc<dyn Authenticator>>,
    /// Where the log is kept, a folder that nobody else uses; without one, in a temporary folder.
    pub state_dir: Option<PathBuf>,
}

impl ConformanceOptions {
    fn authentication(&self) -> Authentication {
        match self.auth {
            Some(_) => Authentication::Required,
            None => Authentication::Off,
        }
    }
}

/// Serves until a signal.
///
/// # Errors
/// When the address cannot be had or the log not be opened.
pub async fn serve(options: ConformanceOptions) -> Result<Exit, Failure> {
    let authentication = options.authentication();
    let profile = options.profile;
    let listener = listen::bind(options.listen, authentication)
        .await
        .map_err(|error| listen_failure(&error))?;
    let bound = listener.local_addr().map_err(|error| internal(&error))?;
    let url = options.public_url.unwrap_or_else(|| reachable(bound));
    let mut temporary: Option<TempDir> = None;
    let folder = match options.state_dir {
        Some(folder) => folder,
        None => temporary.insert(temporary_folder()?).path().to_owned(),
    };
    let log = SqliteLog::open(folder.join("tasks.db")).map_err(|error| io(&error))?;

    let lifecycle = Lifecycle::new();
    let tracker = lifecycle.tasks().tracker().clone();
    let card = AgentCard {
        supported_interfaces: card::interfaces(&url, card::GRPC),
        ..options.card
    };
    let server_options = options.a2a.apply(ServerOptions {
        clock: Arc::new(SystemClock),
        tracker: tracker.clone(),
        shutdown: lifecycle.soft().clone(),
        push: Some(pusher(&folder)),
        ..ServerOptions::new(options.auth.unwrap_or_else(|| Arc::new(AnyCaller)))
    });
    let server = Server::new(
        Arc::new(Conformance::new(profile, card)),
        Arc::new(log),
        server_options,
    );
    fail_interrupted(&server)
        .await
        .map_err(|error| io(&error))?;
    server.resume_push().await.map_err(|error| io(&error))?;
    let serving = serve_connections(
        listener,
        server.router(),
        MAX_CONNECTIONS,
        tracker,
        lifecycle.soft().clone(),
    );
    lifecycle
        .tasks()
        .spawn(TaskKind::Essential, "http", serving);
    Endpoint::announce(&folder, &url, env!("CARGO_PKG_VERSION")).map_err(|error| io(&error))?;
    announce(&url, profile, authentication);

    let exit = lifecycle
        .run_to_stop(GRACE)
        .await
        .map_err(|error| internal(&error))?;
    if let Err(error) = Endpoint::withdraw(&folder) {
        tracing::warn!(
            error = crate::cli::chain(&error),
            "the endpoint file cannot be removed"
        );
    }
    // The log is closed with the server, before its folder goes.
    drop(server);
    drop(temporary);
    Ok(exit)
}

/// Kits wait for deliveries on the machine that they run on.
fn pusher(folder: &Path) -> Pusher {
    Pusher::new(PushOptions {
        allow: AllowList::loopback(),
        ..PushOptions::new(Keyring::at(folder.join("push.key")))
    })
}

/// An address for "everywhere" is not one to connect to.
fn reachable(bound: SocketAddr) -> String {
    if bound.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", bound.port())
    } else {
        format!("http://{bound}")
    }
}

fn temporary_folder() -> Result<TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("flotilla-conformance-")
        .tempdir()
        .map_err(|error| io(&error))
}

/// Timers do not survive a restart, so neither do the tasks that wait for them.
async fn fail_interrupted(server: &Server<Conformance, SqliteLog>) -> Result<(), LogError> {
    for recovered in server.recover().await? {
        if recovered.task.status.state.is_interrupted() {
            continue;
        }
        let text = Part::text("the server was restarted while the task was running");
        let message = recovered.updates.agent_message(vec![text]);
        let failed = recovered.updates.status(TaskState::Failed, Some(message));
        match failed.await {
            Ok(_) | Err(UpdateError::Terminal { .. }) => {}
            Err(error) => tracing::warn!(
                task = recovered.task.id,
                error = crate::cli::chain(&error),
                "a task of an earlier run cannot be ended"
            ),
        }
    }
    Ok(())
}

/// Two lines for people and scripts. With standard output closed there is nobody to tell.
fn announce(url: &str, profile: Profile, authentication: Authentication) {
    let callers = match authentication {
        Authentication::Required => "callers need a token",
        Authentication::Off => "no authentication: everybody on this machine may call",
    };
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "listening on {url}");
    let _ = writeln!(out, "conformance profile {profile}; {callers}");
}

fn listen_failure(error: &ListenError) -> Failure {
    let exit = match error {
        ListenError::PublicWithoutAuthentication { .. } => Exit::Usage,
        ListenError::Occupied { .. } | ListenError::Bind { .. } => Exit::Unavailable,
    };
    Failure::from_error(exit, error)
}

fn io(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::from_error(Exit::Io, error)
        .with_hint("check the free space, or choose another folder with --state-dir")
}

fn internal(error: &std::io::Error) -> Failure {
    Failure::from_error(Exit::Internal, error)
}

impl std::fmt::Debug for ConformanceOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConformanceOptions")
            .field("profile", &self.profile)
            .field("listen", &self.listen)
            .field("authentication", &self.authentication())
            .finish_non_exhaustive()
    }
}

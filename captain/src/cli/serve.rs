//! `captain serve`: a captain until a signal. And the captain that `captain run` starts for one job.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use a2a_proto::conformance::Profile;
use a2a_proto::types::AgentCard;
use daemon::cli::Failure;
use daemon::conformance::{self, ConformanceOptions};
use daemon::exit::Exit;
use daemon::lifecycle::Lifecycle;
use daemon::listen::Authentication;
use daemon::tasks::TaskKind;
use daemon::telemetry;
use url::Url;

use super::args::{Cli, ServeArgs};
use super::client::Client;
use super::connect;
use crate::app::{self, Captain};
use crate::config::Config;
use crate::error::StartError;

/// How long running requests may take after the signal; event streams end at once.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a captain until a signal.
pub(crate) async fn serve(cli: &Cli, args: &ServeArgs) -> Result<Exit, Failure> {
    log(cli, "info")?;
    let config = Config::load(&args.config)
        .map_err(StartError::from)
        .map_err(failure)?;
    if let Some(profile) = args.conformance.conformance {
        return conform(&config, profile).await;
    }
    let lifecycle = Lifecycle::new();
    let captain = start(&config, config.listen, &lifecycle).await?;
    daemon::notify::ready();
    let engine = captain.engine.clone();
    let watchdog = daemon::notify::watchdog(
        move || {
            let engine = engine.clone();
            async move { engine.turns().await }
        },
        lifecycle.soft().clone(),
    );
    lifecycle
        .tasks()
        .spawn(TaskKind::Supporting, "watchdog", async move {
            watchdog.await;
            Ok::<(), std::convert::Infallible>(())
        });
    stopped(&lifecycle).await
}

/// Serves the agent that conformance kits ask for: without workers, jobs or a token.
async fn conform(config: &Config, profile: Profile) -> Result<Exit, Failure> {
    let locked = config.state_dir.as_deref().map(app::lock_folder);
    let locked = locked.transpose().map_err(failure)?;
    conformance::serve(ConformanceOptions {
        profile,
        a2a: config.a2a.settle(Authentication::Off)?,
        card: AgentCard {
            name: "captain".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..AgentCard::default()
        },
        listen: config.listen,
        public_url: None,
        auth: None,
        state_dir: locked.as_ref().map(|(folder, _)| folder.clone()),
    })
    .await
}

/// A captain inside this process.
pub(crate) struct Embedded {
    pub(crate) client: Client,
    lifecycle: Lifecycle,
    /// The state folder is ours while this lives.
    _captain: Captain,
}

impl Embedded {
    /// Starts one on a free port of this machine.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        // Nobody but this process calls it, on a loopback address.
        let config = &Config {
            tls_cert: None,
            tls_key: None,
            ..config.clone()
        };
        let lifecycle = Lifecycle::new();
        let captain = start(
            config,
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            &lifecycle,
        )
        .await?;
        let url = Url::parse(&captain.url)
            .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
        let client = connect::client(url, captain.token.clone())?;
        Ok(Self {
            client,
            lifecycle,
            _captain: captain,
        })
    }

    /// Stops it. Workers of jobs that are not over live on; the next captain finds them.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.lifecycle.soft().cancel();
        stopped(&self.lifecycle).await.map(drop)
    }
}

/// Starts logging.
pub(crate) fn log(cli: &Cli, default: &str) -> Result<(), Failure> {
    telemetry::init(&cli.log, default).map_err(|problem| Failure::new(Exit::Usage, problem))
}

async fn start(
    config: &Config,
    address: SocketAddr,
    lifecycle: &Lifecycle,
) -> Result<Captain, Failure> {
    let listener = daemon::listen::bind(address, config.authentication()).await;
    let listener = listener.map_err(StartError::from).map_err(failure)?;
    let started = app::start(config, listener, lifecycle.tasks(), lifecycle.soft()).await;
    started.map_err(failure)
}

async fn stopped(lifecycle: &Lifecycle) -> Result<Exit, Failure> {
    let exit = lifecycle.run_to_stop(GRACE).await;
    exit.map_err(|error| Failure::new(Exit::Internal, format!("cannot wait for signals: {error}")))
}

/// A failure to start.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn failure(error: StartError) -> Failure {
    let failure = Failure::from_error(error.exit(), &error);
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

//! `worker serve`: everything is checked before the port is bound, and nothing slow happens before the card is served.
//!
//! The order matters: words (arguments, card), files (workspace, key, state folder), programs (bubblewrap, agent), then the port,
//! then the parts behind it. A failure at any point leaves nothing running, since nothing has been started yet.

use std::ffi::OsString;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::auth::{Jwks, JwtVerifier};
use a2a_proto::clock::{Clock, SystemClock};
use a2a_proto::conformance::Profile;
use a2a_proto::push::{AllowList, Allowed};
use a2a_proto::server::{AnyCaller, Authenticator};
use a2a_proto::types::AgentCard;
use clap::{Args, ValueEnum};
use daemon::a2a::A2aArgs;
use daemon::cli::Failure;
use daemon::conformance::{self, ConformanceArgs, ConformanceOptions};
use daemon::exit::Exit;
use daemon::listen::{self, Authentication, ListenError};
use daemon::tls::{self, Tls};

use crate::app::{self, Parts};
use crate::card::{AgentIdCard, CardProblems, CheckOptions, check};
use crate::driver::probe::Probe;
use crate::state::{StateDir, StateDirError};

/// The port where neither the command line nor the card names one.
const DEFAULT_PORT: u16 = 8080;

/// The `agent_id` of a worker without a card.
const CONFORMANCE: &str = "conformance";

/// Which driver speaks with the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DriverName {
    /// Any agent that speaks the Agent Client Protocol; opencode unless the card names another
    Acp,
    /// No agent: the message itself says what happens; for tests
    Scripted,
}

/// Arguments of `worker serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The agent ID card, JSON or TOML
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "conformance",
        conflicts_with = "conformance"
    )]
    card: Option<PathBuf>,
    #[command(flatten)]
    conformance: ConformanceArgs,
    #[command(flatten)]
    a2a: A2aArgs,
    /// Where to listen; default 127.0.0.1 and the card's a2a_port, else 8080
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Which driver speaks with the agent
    #[arg(long, value_enum, default_value = "acp")]
    driver: DriverName,
    /// The public keys whose tokens are accepted (JWK set); default: the worker's own key, see `worker token`
    #[arg(long, value_name = "FILE", conflicts_with = "no_auth")]
    trust: Option<PathBuf>,
    /// Accept every call; only on a loopback address
    #[arg(long)]
    no_auth: bool,
    /// Where the worker keeps its files; default ~/.local/state/flotilla/workers/<agent_id>
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The folder that the card's workspace must be in
    #[arg(long, value_name = "DIR", env = "FLOTILLA_WORKSPACE_ROOT")]
    workspace_root: Option<PathBuf>,
    /// The opencode program
    #[arg(long, value_name = "FILE", env = "FLOTILLA_OPENCODE")]
    agent_bin: Option<PathBuf>,
    /// Start the agent when the server is ready and not at the first message
    #[arg(long)]
    warm: bool,
    /// Where callers reach this worker, if not at the address it listens on
    #[arg(long, value_name = "URL")]
    public_url: Option<url::Url>,
    /// A receiver of push notifications that is allowed though it is not public or speaks plain http: a host name,
    /// *.suffix, an address, a network or `loopback`; may be given several times; added to the card's push_allow
    #[arg(long, value_name = "RECEIVER", value_delimiter = ',')]
    push_allow: Vec<Allowed>,
    /// The TLS certificate chain to serve with, PEM; read again when the file changes
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        conflicts_with = "conformance"
    )]
    tls_cert: Option<PathBuf>,
    /// The private key of the TLS certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where programs are looked for
    #[arg(env = "PATH", long = "path", hide = true)]
    path: Option<OsString>,
}

impl Serve {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        if let Some(profile) = self.conformance.conformance {
            return self.conform(profile);
        }
        // The command line makes sure that there is one of the two.
        let file = self.card.clone().unwrap_or_default();
        let card = AgentIdCard::read(&file).map_err(|problems| bad_card(&problems))?;
        let options = CheckOptions {
            workspace_root: self.workspace_root.clone(),
            needs_model: self.driver == DriverName::Acp && card.agent.command.is_empty(),
        };
        check(&card, &options).map_err(|problems| {
            bad_card(&CardProblems {
                file: Some(file),
                ..problems
            })
        })?;
        let push_allow = card.push_allow().chain(self.push_allow.clone());
        let push_allow: Vec<Allowed> = push_allow.collect();
        let address = self.address(card.a2a_port);
        let authentication = if self.no_auth {
            Authentication::Off
        } else {
            Authentication::Required
        };
        listen::check(address, authentication).map_err(|error| listen_failure(&error))?;
        let a2a = self.a2a.settle(authentication)?;
        let tls = Tls::open(self.tls_cert.as_deref(), self.tls_key.as_deref())
            .map_err(|error| Failure::from_error(Exit::BadInput, &error))?;
        let probe = Probe::begin()?;
        let program = app::find_agent(
            self.driver,
            &card,
            self.agent_bin.as_deref(),
            self.path.as_deref(),
        )?;
        let key = card
            .api_key_file
            .as_deref()
            .map(app::read_key)
            .transpose()?;
        let state = StateDir::of(&card.agent_id, self.state_dir.as_deref())
            .map_err(StateDirError::into_failure)?;
        let lock = state.lock().map_err(StateDirError::into_failure)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let auth = self.authenticator(&card.agent_id, &state, Arc::clone(&clock))?;
        app::make_workspace(&card.workspace)?;

        let log = app::open_log(&state)?;
        let runtime = runtime()?;
        let exit = runtime.block_on(async {
            let listener = listen::bind(address, authentication)
                .await
                .map_err(|error| listen_failure(&error))?;
            let bound = listener
                .local_addr()
                .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
            let url = self.url(bound, tls::scheme(tls.as_ref()));
            let parts = Parts {
                card,
                program,
                key,
                state,
                clock,
                auth,
                authentication,
                a2a,
                driver: self.driver,
                sandbox: probe.sandbox()?,
                probe,
                log,
                url: url.clone(),
                tls,
                warm: self.warm,
                push_allow: AllowList::new(push_allow),
            };
            app::serve(parts, listener, || announce(&url)).await
        });
        // Threads that wait for a blocking call do not hold the end up.
        runtime.shutdown_timeout(Duration::from_secs(1));
        drop(lock);
        exit
    }

    /// Serves the agent that conformance kits ask for. With `--trust`, callers need tokens for `worker:conformance`.
    fn conform(&self, profile: Profile) -> Result<Exit, Failure> {
        let locked = self
            .state_dir
            .as_deref()
            .map(|given| {
                let state = StateDir::of(CONFORMANCE, Some(given))?;
                let lock = state.lock()?;
                Ok((state, lock))
            })
            .transpose()
            .map_err(StateDirError::into_failure)?;
        let mut card = AgentCard {
            name: "worker".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..AgentCard::default()
        };
        let auth = match &self.trust {
            Some(file) => {
                crate::agent::require_token(&mut card);
                Some(verifier(
                    &trusted(file)?,
                    CONFORMANCE,
                    Arc::new(SystemClock),
                ))
            }
            None => None,
        };
        let authentication = match auth {
            Some(_) => Authentication::Required,
            None => Authentication::Off,
        };
        let options = ConformanceOptions {
            profile,
            a2a: self.a2a.settle(authentication)?,
            card,
            listen: self.address(None),
            public_url: self.public_url.as_ref().map(without_slash),
            auth,
            state_dir: locked.as_ref().map(|(state, _)| state.path().to_owned()),
        };
        let runtime = runtime()?;
        let exit = runtime.block_on(conformance::serve(options));
        runtime.shutdown_timeout(Duration::from_secs(1));
        exit
    }

    fn address(&self, card: Option<u16>) -> SocketAddr {
        let default = || SocketAddr::from((Ipv4Addr::LOCALHOST, card.unwrap_or(DEFAULT_PORT)));
        self.listen.unwrap_or_else(default)
    }

    fn url(&self, bound: SocketAddr, scheme: &str) -> String {
        match &self.public_url {
            Some(url) => without_slash(url),
            // Nobody can call an unspecified address; from here the loopback one leads to the same place.
            None if bound.ip().is_unspecified() => {
                format!("{scheme}://127.0.0.1:{}", bound.port())
            }
            None => format!("{scheme}://{bound}"),
        }
    }

    fn authenticator(
        &self,
        agent_id: &str,
        state: &StateDir,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn Authenticator>, Failure> {
        if self.no_auth {
            return Ok(Arc::new(AnyCaller));
        }
        let keys: Jwks = match &self.trust {
            Some(file) => trusted(file)?,
            None => state.signer().map_err(StateDirError::into_failure)?.jwks(),
        };
        Ok(verifier(&keys, agent_id, clock))
    }
}

/// The keys of `--trust`.
fn trusted(file: &Path) -> Result<Jwks, Failure> {
    let wrong = |why: String| {
        Failure::new(
            Exit::BadInput,
            format!("cannot use the trusted keys {}: {why}", file.display()),
        )
        .with_hint("give --trust a JWK set such as the captain writes")
    };
    let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let keys: Jwks = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if keys.keys.is_empty() {
        return Err(wrong("it holds no key".to_owned()));
    }
    Ok(keys)
}

fn verifier(keys: &Jwks, agent_id: &str, clock: Arc<dyn Clock>) -> Arc<dyn Authenticator> {
    Arc::new(JwtVerifier::new(keys, format!("worker:{agent_id}"), clock))
}

fn without_slash(url: &url::Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        // The supervisor moves bytes; more threads would only cost memory.
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Internal, &error))
}

pub(super) fn bad_card(problems: &CardProblems) -> Failure {
    Failure::new(Exit::BadInput, problems.to_string())
        .with_hint("`worker schema` prints what a card may hold")
}

fn listen_failure(error: &ListenError) -> Failure {
    let exit = match error {
        ListenError::PublicWithoutAuthentication { .. } => Exit::Usage,
        ListenError::Occupied { .. } | ListenError::Bind { .. } => Exit::Unavailable,
    };
    Failure::from_error(exit, error)
}

/// One line for people and scripts that wait for the worker.
fn announce(url: &str) {
    // With standard output closed there is nobody to tell.
    let _ = writeln!(std::io::stdout().lock(), "listening on {url}");
}

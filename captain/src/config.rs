//! The captain's configuration: one typed tree, and the layers that fill it.
//!
//! Defaults, then the TOML file, then the environment, then flags (the last two are one clap struct). Everything is
//! validated here, before a port is bound or a file is written, so that a wrong setting stops the start with the name
//! of the setting in the message. This file decides nothing at run time and opens nothing but the configuration file.

mod store;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use a2a_proto::push::Allowed;
use clap::Args;
use daemon::a2a::A2aArgs;
use daemon::listen::Authentication;
use daemon::state::{StateError, default_root};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

pub use self::store::{RetentionConfig, StoreArgs, StoreConfig, parse_age};

/// The captain's default port (decision 5 of the ports table in the README).
pub const DEFAULT_PORT: u16 = 8000;
/// A configuration file is read whole; more than this is not a configuration file.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;
/// A provider key is one line; more than this is the wrong file.
const MAX_KEY_BYTES: u64 = 16 * 1024;

/// Everything the captain can be told, after all layers are merged.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the API listens. A public address needs authentication.
    pub listen: SocketAddr,
    /// The TLS certificate chain to serve with, PEM; read again when the file changes. `None` serves without TLS.
    pub tls_cert: Option<PathBuf>,
    /// The private key of the TLS certificate, PEM.
    pub tls_key: Option<PathBuf>,
    /// Where tokens, keys, the database and the jobs live; `None` is the user's state folder.
    pub state_dir: Option<PathBuf>,
    /// The worker program; `None` looks next to the captain's own executable, then in `PATH`.
    pub worker_bin: Option<PathBuf>,
    /// Answer everybody; allowed on loopback only.
    pub no_auth: bool,
    /// Folders a job's `repo` must lie in; empty allows every folder that the captain may read.
    pub repo_roots: Vec<PathBuf>,
    /// Receivers of push notifications that are allowed though they are not on the public internet or speak plain http:
    /// host names, `*.suffix`, addresses, networks, or `loopback`; empty allows `https` to public addresses only.
    pub push_allow: Vec<Allowed>,
    /// What runs inside a worker.
    pub agent: AgentConfig,
    /// How the captain serves A2A.
    pub a2a: A2aArgs,
    /// Where the jobs' logs are kept.
    pub store: StoreConfig,
    /// Bounds on what the captain takes on.
    pub limits: LimitConfig,
    /// What is kept after a job's end.
    pub retention: RetentionConfig,
    /// The provider key from the captain's own environment; never read from the file.
    #[serde(skip)]
    pub provider_key: Option<SecretString>,
}

/// What runs inside a worker, and which model it talks to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// The driver the worker uses: `acp` or `scripted`; `None` is the worker's default.
    pub driver: Option<String>,
    /// The agent program that the driver starts, an absolute path.
    pub agent_bin: Option<PathBuf>,
    /// The model provider: `anthropic`, `openai`, `ollama` or `custom`.
    pub api_provider: Option<String>,
    /// The model's name at that provider.
    pub model: Option<String>,
    /// Another address of the provider's API.
    pub base_url: Option<String>,
    /// The file with the provider's key; the worker's supervisor reads it, the agent never sees it.
    pub api_key_file: Option<PathBuf>,
    /// Host names every worker may reach through its gateway.
    pub allowed_hosts: Vec<String>,
}

impl AgentConfig {
    /// What people call the model's provider: its address where that is not the usual one.
    pub fn provider_name(&self) -> String {
        let named = self.base_url.as_ref().or(self.api_provider.as_ref());
        named.map_or_else(|| "the model".to_owned(), Clone::clone)
    }
}

/// Bounds on what the captain takes on.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitConfig {
    /// Workers alive at once, over all jobs.
    pub max_workers: NonZeroUsize,
    /// Subtasks of one job that run at once, when the job does not say.
    pub parallel: NonZeroUsize,
    /// Bytes of one request body.
    pub max_body_bytes: NonZeroUsize,
    /// Event streams open at once.
    pub max_streams: NonZeroUsize,
    /// Seconds a worker may take until its card answers.
    pub worker_start_seconds: u64,
    /// Seconds a worker gets between the polite signal and the kill.
    pub worker_grace_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            tls_cert: None,
            tls_key: None,
            state_dir: None,
            worker_bin: None,
            no_auth: false,
            repo_roots: Vec::new(),
            push_allow: Vec::new(),
            agent: AgentConfig::default(),
            a2a: A2aArgs::default(),
            store: StoreConfig::default(),
            limits: LimitConfig::default(),
            retention: RetentionConfig::default(),
            provider_key: None,
        }
    }
}

impl Default for LimitConfig {
    fn default() -> Self {
        const fn at_least_one(value: usize) -> NonZeroUsize {
            match NonZeroUsize::new(value) {
                Some(value) => value,
                None => NonZeroUsize::MIN,
            }
        }
        Self {
            max_workers: at_least_one(16),
            parallel: at_least_one(4),
            max_body_bytes: at_least_one(8 * 1024 * 1024),
            max_streams: at_least_one(4096),
            worker_start_seconds: 30,
            worker_grace_seconds: 10,
        }
    }
}

/// The environment and flag layer. Every field is optional: what is not given leaves the lower layers as they are.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// A TOML file with settings; flags and the environment win over it
    #[arg(long, value_name = "FILE", env = "CAPTAIN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR:PORT", env = "CAPTAIN_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// TLS certificate chain to serve with, PEM; read again when the file changes
    #[arg(long, value_name = "FILE", env = "CAPTAIN_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the TLS certificate, PEM
    #[arg(long, value_name = "FILE", env = "CAPTAIN_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// Folder for the database, keys and jobs [default: the user's state folder, flotilla/captain]
    #[arg(long, value_name = "DIR", env = "CAPTAIN_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// The worker program [default: next to this program, then PATH]
    #[arg(long, value_name = "FILE", env = "CAPTAIN_WORKER_BIN")]
    pub worker_bin: Option<PathBuf>,
    /// Answer without asking for a token (loopback only)
    #[arg(long, env = "CAPTAIN_NO_AUTH")]
    pub no_auth: bool,
    /// Folder that a job's repository must lie in; may be given several times
    #[arg(
        long = "repo-root",
        value_name = "DIR",
        env = "CAPTAIN_REPO_ROOTS",
        value_delimiter = ':'
    )]
    pub repo_roots: Vec<PathBuf>,
    /// A receiver of push notifications that is allowed though it is not public or speaks plain http: a host name,
    /// *.suffix, an address, a network or `loopback`; may be given several times
    #[arg(
        long = "push-allow",
        value_name = "RECEIVER",
        env = "CAPTAIN_PUSH_ALLOW",
        value_delimiter = ','
    )]
    pub push_allow: Vec<Allowed>,
    /// How workers drive their agent: acp or scripted
    #[arg(long, value_name = "NAME", env = "CAPTAIN_DRIVER")]
    pub driver: Option<String>,
    /// The agent program that workers start
    #[arg(long, value_name = "FILE", env = "CAPTAIN_AGENT_BIN")]
    pub agent_bin: Option<PathBuf>,
    /// Model provider: anthropic, openai, ollama or custom
    #[arg(long, value_name = "NAME", env = "CAPTAIN_API_PROVIDER")]
    pub api_provider: Option<String>,
    /// Model name at the provider
    #[arg(long, value_name = "NAME", env = "CAPTAIN_MODEL")]
    pub model: Option<String>,
    /// Another address of the provider's API
    #[arg(long, value_name = "URL", env = "CAPTAIN_BASE_URL")]
    pub base_url: Option<String>,
    /// File with the provider's key; without it ANTHROPIC_API_KEY or OPENAI_API_KEY of this environment is used
    #[arg(long, value_name = "FILE", env = "CAPTAIN_API_KEY_FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Workers alive at once
    #[arg(long, value_name = "N", env = "CAPTAIN_MAX_WORKERS")]
    pub max_workers: Option<NonZeroUsize>,
    /// Subtasks of one job at once
    #[arg(long = "max-parallel", value_name = "N", env = "CAPTAIN_MAX_PARALLEL")]
    pub max_parallel: Option<NonZeroUsize>,
    /// Keep the workers' folders after a job's end
    #[arg(long, env = "CAPTAIN_KEEP_WORKERS")]
    pub keep_workers: bool,
    /// Forget jobs so long after their end, such as 30d [default: never]
    #[arg(long, value_name = "AGE", env = "CAPTAIN_KEEP_JOBS", value_parser = parse_age)]
    pub keep_jobs: Option<Duration>,
    /// Where the jobs are kept.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How the captain serves A2A.
    #[command(flatten)]
    pub a2a: A2aArgs,
    /// Read from the environment only; here so that one place reads the environment.
    #[arg(long, hide = true, hide_env_values = true, env = "ANTHROPIC_API_KEY", value_parser = secret)]
    anthropic_api_key: Option<SecretString>,
    /// Read from the environment only; here so that one place reads the environment.
    #[arg(long, hide = true, hide_env_values = true, env = "OPENAI_API_KEY", value_parser = secret)]
    openai_api_key: Option<SecretString>,
}

/// Infallible, but clap asks for a function with a `Result`.
#[expect(clippy::unnecessary_wraps, reason = "clap's value parser signature")]
fn secret(value: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(value))
}

/// Why the configuration cannot be used. Every variant names the setting.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file given with `--config` cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than a configuration can be.
    #[error("the file {} has more than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// The file is not TOML or names an unknown setting.
    #[error("cannot understand the configuration file {}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
    /// A setting has a value that cannot work.
    #[error("setting {setting}: {problem}")]
    Invalid {
        /// The setting's name as in the file.
        setting: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
}

impl Config {
    /// Merges all layers and validates the result.
    ///
    /// # Errors
    /// [`ConfigError`] names the file or the setting.
    pub fn load(args: &ConfigArgs) -> Result<Self, ConfigError> {
        let mut config = match &args.config {
            Some(path) => Self::from_file(path)?,
            None => Self::default(),
        };
        config.overlay(args);
        config.validate()?;
        Ok(config)
    }

    fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = read_bounded(path, MAX_CONFIG_BYTES)?;
        toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source,
        })
    }

    fn overlay(&mut self, args: &ConfigArgs) {
        fn set<T: Clone>(target: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                target.clone_from(value);
            }
        }
        fn set_some<T: Clone>(target: &mut Option<T>, value: Option<&T>) {
            if let Some(value) = value {
                *target = Some(value.clone());
            }
        }
        set(&mut self.listen, args.listen.as_ref());
        set_some(&mut self.tls_cert, args.tls_cert.as_ref());
        set_some(&mut self.tls_key, args.tls_key.as_ref());
        set_some(&mut self.state_dir, args.state_dir.as_ref());
        set_some(&mut self.worker_bin, args.worker_bin.as_ref());
        self.no_auth |= args.no_auth;
        if !args.repo_roots.is_empty() {
            self.repo_roots.clone_from(&args.repo_roots);
        }
        if !args.push_allow.is_empty() {
            self.push_allow.clone_from(&args.push_allow);
        }
        set_some(&mut self.agent.driver, args.driver.as_ref());
        set_some(&mut self.agent.agent_bin, args.agent_bin.as_ref());
        set_some(&mut self.agent.api_provider, args.api_provider.as_ref());
        set_some(&mut self.agent.model, args.model.as_ref());
        set_some(&mut self.agent.base_url, args.base_url.as_ref());
        set_some(&mut self.agent.api_key_file, args.api_key_file.as_ref());
        set(&mut self.limits.max_workers, args.max_workers.as_ref());
        set(&mut self.limits.parallel, args.max_parallel.as_ref());
        self.a2a.overlay(&args.a2a);
        self.store.overlay(&args.store);
        set_some(&mut self.retention.jobs, args.keep_jobs.as_ref());
        self.retention.keep_workers |= args.keep_workers;
        self.take_environment_key(args);
    }

    /// A key in the captain's own environment is used when no key file is named. Without a named provider the key
    /// decides the provider; with one, only the key of that provider counts.
    fn take_environment_key(&mut self, args: &ConfigArgs) {
        if self.agent.api_key_file.is_some() {
            return;
        }
        let (provider, key) = match (
            self.agent.api_provider.as_deref(),
            &args.anthropic_api_key,
            &args.openai_api_key,
        ) {
            (None | Some("anthropic"), Some(key), _) => ("anthropic", key),
            (None | Some("openai"), _, Some(key)) => ("openai", key),
            _ => return,
        };
        self.agent.api_provider = Some(provider.to_owned());
        self.provider_key = Some(key.clone());
    }

    fn validate(&mut self) -> Result<(), ConfigError> {
        self.store.validate()?;
        daemon::listen::check(self.listen, self.authentication())
            .map_err(|error| invalid("listen", error.to_string()))?;
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            let problem = "tls_cert and tls_key are given together: name both files or none";
            return Err(invalid("tls_cert", problem));
        }
        for (setting, path) in [
            ("agent.agent_bin", self.agent.agent_bin.as_ref()),
            ("agent.api_key_file", self.agent.api_key_file.as_ref()),
            ("worker_bin", self.worker_bin.as_ref()),
        ] {
            let Some(path) = path else { continue };
            if !path.is_absolute() {
                return Err(invalid(
                    setting,
                    format!("{} must be an absolute path", path.display()),
                ));
            }
            if !path.is_file() {
                return Err(invalid(
                    setting,
                    format!("there is no file {}", path.display()),
                ));
            }
        }
        if let Some(path) = &self.agent.api_key_file
            && read_bounded(path, MAX_KEY_BYTES)?.trim().is_empty()
        {
            return Err(invalid(
                "agent.api_key_file",
                format!("the file {} is empty", path.display()),
            ));
        }
        for root in &mut self.repo_roots {
            *root = root
                .canonicalize()
                .map_err(|error| invalid("repo_roots", format!("{}: {error}", root.display())))?;
        }
        if let Some(provider) = &self.agent.api_provider
            && !["anthropic", "openai", "ollama", "custom"].contains(&provider.as_str())
        {
            return Err(invalid(
                "agent.api_provider",
                format!("{provider:?} is none of anthropic, openai, ollama, custom"),
            ));
        }
        if let Some(text) = &self.agent.base_url {
            let usable = Url::parse(text)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
            if !usable {
                return Err(invalid(
                    "agent.base_url",
                    format!("{text:?} must begin with http:// or https:// and name a host"),
                ));
            }
        }
        if self.limits.worker_start_seconds == 0 {
            return Err(invalid("limits.worker_start_seconds", "must be at least 1"));
        }
        Ok(())
    }
}

impl Config {
    /// The folder for the database, keys and jobs.
    ///
    /// # Errors
    /// When none is named and the environment names no home folder.
    pub fn captain_dir(&self) -> Result<PathBuf, StateError> {
        match &self.state_dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(default_root()?.join("captain")),
        }
    }

    /// Whether callers must prove who they are.
    pub fn authentication(&self) -> Authentication {
        if self.no_auth {
            Authentication::Off
        } else {
            Authentication::Required
        }
    }
}

impl LimitConfig {
    /// The time a worker may take until its card answers.
    pub fn worker_start(&self) -> Duration {
        Duration::from_secs(self.worker_start_seconds)
    }

    /// The time between the polite signal and the kill.
    pub fn worker_grace(&self) -> Duration {
        Duration::from_secs(self.worker_grace_seconds)
    }
}

fn invalid(setting: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Invalid {
        setting,
        problem: problem.into(),
    }
}

fn read_bounded(path: &Path, limit: u64) -> Result<String, ConfigError> {
    use std::io::Read as _;
    let failed = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(limit + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > limit {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(text)
}

#[cfg(test)]
mod tests;

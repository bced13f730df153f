//! The agent ID card: the JSON (or TOML) file that gives a worker its identity and its limits.
//!
//! The type here is the source of the committed JSON Schema (`worker/agent-id-card.schema.json`). A card is read in two
//! steps: [`read`](AgentIdCard::read) checks the text alone and reports every problem at once; [`check()`] looks at the file system
//! (workspace, key file). Neither starts anything, and neither may create the workspace: that is the caller's decision.

mod check;
mod parse;
mod problem;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use a2a_proto::push::Allowed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use check::{CheckOptions, check};
pub use problem::{CardProblems, Problem};

/// The largest card file that is read, in bytes. A card is a page of text; more is a mistake.
pub const MAX_CARD_BYTES: u64 = 256 * 1024;

/// Identity and limits of one worker.
///
/// The fields down to `environment` are those of the original agent ID card; the rest are ours and all optional.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Flotilla agent ID card")]
pub struct AgentIdCard {
    /// The schema this file follows; read by editors only.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Unique identifier of this agent: small letters, digits and `-`.
    #[schemars(regex(pattern = r"^[a-z0-9-]+$"), length(min = 1, max = 63))]
    pub agent_id: String,
    /// Absolute path of the agent's working folder. It is made if it is missing; no part of the path may be a symbolic link.
    #[schemars(regex(pattern = r"^/"))]
    pub workspace: PathBuf,
    /// Who serves the model.
    #[serde(default)]
    pub api_provider: Provider,
    /// File that holds the provider's key, readable by its owner only. The key stays outside the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// An HTTP proxy that the worker's own gateway goes through to reach the provider and the allowed hosts.
    /// Default: none, since the gateway is itself the agent's proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "uri"))]
    pub proxy: Option<String>,
    /// What the agent and everything it starts may use.
    #[serde(default)]
    pub resource_limits: ResourceLimits,
    /// Hosts that the agent may connect to through the gateway: `name`, `name:port` or `*.suffix`, with ports 80 and 443
    /// where none is named. Default: none. The model provider need not be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_hosts: Vec<String>,
    /// The worker ends itself after this many seconds; 0 means no limit.
    #[serde(default)]
    pub ttl_seconds: u64,
    /// Additional environment variables for the agent. Names that change how programs are loaded are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Port of the A2A endpoint on the loopback address. Default: 8080. `--listen` on the command line wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a2a_port: Option<u16>,
    /// The model's name as the provider knows it. Needed with `ollama` and `custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Base URL of the provider's API, with its version part, such as `http://127.0.0.1:11434/v1`. Needed with `custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "uri"))]
    pub base_url: Option<String>,
    /// Which agent runs in the sandbox. Default: opencode.
    #[serde(default, skip_serializing_if = "AgentCommand::is_default")]
    pub agent: AgentCommand,
    /// When the worker gives up on a turn.
    #[serde(default)]
    pub watchdog: Watchdog,
    /// Receivers of push notifications that are allowed though they are not on the public internet or speak plain http:
    /// host names, `*.suffix`, addresses, networks such as `10.1.0.0/16`, or `loopback`. Default: none; `https` to public
    /// addresses is always allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub push_allow: Vec<String>,
}

/// Who serves the model, and so in which dialect the gateway speaks to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Anthropic's Messages API.
    #[default]
    Anthropic,
    /// OpenAI's Responses and Chat Completions APIs.
    Openai,
    /// A local Ollama server, through its OpenAI-compatible API.
    Ollama,
    /// Any other server that speaks OpenAI's Chat Completions API.
    Custom,
}

impl Provider {
    /// Where the provider's API is unless the card says otherwise; `custom` has no default.
    pub fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::Anthropic => Some("https://api.anthropic.com/v1"),
            Self::Openai => Some("https://api.openai.com/v1"),
            Self::Ollama => Some("http://127.0.0.1:11434/v1"),
            Self::Custom => None,
        }
    }

    /// The model used unless the card names one; local servers have no common default.
    pub fn default_model(self) -> Option<&'static str> {
        match self {
            Self::Anthropic => Some("claude-sonnet-4-5"),
            Self::Openai => Some("gpt-5"),
            Self::Ollama | Self::Custom => None,
        }
    }

    /// True where every request needs a key.
    pub fn needs_key(self) -> bool {
        matches!(self, Self::Anthropic | Self::Openai)
    }
}

/// What the agent and everything it starts may use together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceLimits {
    /// Memory in MiB. At least 64.
    #[schemars(range(min = 64))]
    pub memory_mb: u64,
    /// Relative CPU weight, 2 to 262144; 1024 is one ordinary share.
    #[schemars(range(min = 2, max = 262_144))]
    pub cpu_shares: u64,
    /// Processes and threads. The default is 512 and not the 50 of the original card: a coding agent alone has 25 threads, and
    /// the compilers and test runners that it starts need more than the rest.
    #[schemars(range(min = 16))]
    pub max_processes: u64,
    /// Open files of each process. At least 64.
    #[schemars(range(min = 64))]
    pub max_open_files: u64,
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self {
            memory_mb: 4096,
            cpu_shares: 1024,
            max_processes: 512,
            max_open_files: 1024,
        }
    }
}

/// Which agent program runs in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentCommand {
    /// A program (absolute path) and its arguments that speak the Agent Client Protocol on standard input and output.
    /// Empty: opencode, as found by `--agent-bin`, in `PATH`, or in the project's `.opencode` folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Folders outside the system's own that the program needs; bound read-only at the same place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_only: Vec<PathBuf>,
}

impl AgentCommand {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// When the worker gives up on a turn. Each limit stops the agent and fails the task with a message that names the limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Watchdog {
    /// Model calls in one turn. An agent whose model stream ends without a reason calls the model again for ever.
    #[schemars(range(min = 1))]
    pub max_steps: u64,
    /// Seconds without any sign of life from the agent or the model.
    #[schemars(range(min = 1))]
    pub silence_seconds: u64,
    /// Seconds for one turn.
    #[schemars(range(min = 1))]
    pub turn_seconds: u64,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            max_steps: 200,
            silence_seconds: 600,
            turn_seconds: 3600,
        }
    }
}

impl AgentIdCard {
    /// Reads a card file: TOML when its name ends in `.toml`, else JSON. Checks the text only.
    ///
    /// # Errors
    /// Every problem found in the file, or the one reason why it could not be read.
    pub fn read(path: &Path) -> Result<Self, CardProblems> {
        let whole_file = |what: String, remedy: &str| {
            CardProblems::of_file(path, vec![Problem::new("", what, remedy)])
        };
        let metadata = std::fs::metadata(path).map_err(|error| {
            whole_file(
                format!("cannot be read: {error}"),
                "give --card the path of an agent ID card that you may read",
            )
        })?;
        if !metadata.is_file() || metadata.len() > MAX_CARD_BYTES {
            return Err(whole_file(
                "is not a regular file of at most 256 KiB".to_owned(),
                "give --card the path of an agent ID card",
            ));
        }
        let text = std::fs::read_to_string(path).map_err(|error| {
            whole_file(
                format!("cannot be read: {error}"),
                "save the card as UTF-8 text",
            )
        })?;
        let toml = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        parse::parse(&text, toml).map_err(|problems| CardProblems::of_file(path, problems))
    }

    /// The receivers of `push_allow`.
    pub fn push_allow(&self) -> impl Iterator<Item = Allowed> {
        // The card was read with the same parser.
        self.push_allow
            .iter()
            .filter_map(|entry| entry.parse().ok())
    }

    /// The model that the agent is told to use.
    pub fn model(&self) -> Option<&str> {
        self.model
            .as_deref()
            .or_else(|| self.api_provider.default_model())
    }

    /// Where the gateway sends model requests.
    pub fn base_url(&self) -> Option<&str> {
        self.base_url
            .as_deref()
            .or_else(|| self.api_provider.default_base_url())
    }

    /// The card's JSON Schema, as committed in `worker/agent-id-card.schema.json`.
    pub fn json_schema() -> String {
        let mut text =
            serde_json::to_string_pretty(&schemars::schema_for!(Self)).unwrap_or_default();
        text.push('\n');
        text
    }
}

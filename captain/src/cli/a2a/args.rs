//! What can be typed after `captain a2a`, and the help for it.

use std::path::PathBuf;

use a2a_proto::types::TaskState;
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use secrecy::SecretString;
use url::Url;

use crate::cli::args::secret;

/// What to do with an A2A agent.
#[derive(Debug, Subcommand)]
pub(crate) enum A2aCommand {
    /// Show an agent's card: what it can do and how it is called
    Card {
        #[command(flatten)]
        agent: AgentArgs,
        /// The card that the agent shows to known callers
        #[arg(long)]
        extended: bool,
    },
    /// Send a message, wait for the answer and show it
    #[command(after_help = "\
Examples:
  captain a2a send http://127.0.0.1:8000 \"Write a README\"
  captain a2a send URL --file plan.toml --return-immediately
  captain a2a send URL --data '{\"goal\": \"Build it\", \"repo\": \"/srv/shop\"}'
  captain a2a send URL --task TASK \"Use PostgreSQL\"")]
    Send {
        #[command(flatten)]
        agent: AgentArgs,
        #[command(flatten)]
        message: MessageArgs,
        /// Do not wait for the end: show the task as it begins
        #[arg(long)]
        return_immediately: bool,
    },
    /// Send a message and show what happens as it happens
    #[command(after_help = "\
A broken connection is taken up again where it broke. Ctrl-C leaves; the task goes on.

Examples:
  captain a2a stream http://127.0.0.1:8000 \"Fix the login\"
  captain a2a stream URL \"Build it\" --json | jq .")]
    Stream {
        #[command(flatten)]
        agent: AgentArgs,
        #[command(flatten)]
        message: MessageArgs,
    },
    /// Show where a task stands
    Get {
        #[command(flatten)]
        agent: AgentArgs,
        /// The task's id
        task: String,
        #[command(flatten)]
        history: HistoryArgs,
    },
    /// List the tasks that the agent has for you, newest first
    List {
        #[command(flatten)]
        agent: AgentArgs,
        /// Only tasks of this context
        #[arg(long, value_name = "ID")]
        context: Option<String>,
        /// Only tasks in this state
        #[arg(long, value_name = "STATE")]
        state: Option<State>,
        /// List at most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Cancel a task and wait until it has stopped
    Cancel {
        #[command(flatten)]
        agent: AgentArgs,
        /// The task's id
        task: String,
    },
    /// Follow a task that exists
    #[command(after_help = "\
Examples:
  captain a2a subscribe URL TASK
  captain a2a subscribe URL TASK --after 120 --json")]
    Subscribe {
        #[command(flatten)]
        agent: AgentArgs,
        /// The task's id
        task: String,
        /// Begin strictly after this event; without it the task as it stands comes first
        #[arg(long, value_name = "N")]
        after: Option<u64>,
    },
    /// Have the updates of a task posted to a webhook
    Push {
        #[command(subcommand)]
        command: PushCommand,
    },
}

/// What to do with the webhooks of a task.
#[derive(Debug, Subcommand)]
pub(crate) enum PushCommand {
    /// Have the updates of a task posted to an address
    #[command(after_help = "\
The agent decides where it posts to; most refuse addresses that are not public.

Examples:
  captain a2a push set URL TASK https://hooks.example.com/a2a
  captain a2a push set URL TASK https://hooks.example.com/a2a --id ci --credentials-file token.txt")]
    Set(PushSetArgs),
    /// Show one configuration
    #[command(after_help = "\
Example:
  captain a2a push get URL TASK ci --json")]
    Get {
        #[command(flatten)]
        agent: AgentArgs,
        /// The task's id
        task: String,
        /// The configuration's id
        #[arg(value_name = "ID")]
        config: String,
    },
    /// List where the updates of a task are posted
    #[command(after_help = "\
Example:
  captain a2a push list URL TASK")]
    List {
        #[command(flatten)]
        agent: AgentArgs,
        /// The task's id
        task: String,
    },
    /// Stop posting to one address
    #[command(after_help = "\
Example:
  captain a2a push delete URL TASK ci")]
    Delete {
        #[command(flatten)]
        agent: AgentArgs,
        /// The task's id
        task: String,
        /// The configuration's id; one that is not there is deleted already
        #[arg(value_name = "ID")]
        config: String,
    },
}

/// Where to post, and how to prove who posts.
#[derive(Debug, Args)]
pub(crate) struct PushSetArgs {
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
    /// The task's id
    pub(crate) task: String,
    /// Where to post
    #[arg(value_name = "WEBHOOK")]
    pub(crate) webhook: Url,
    /// The configuration's id; one that is there is replaced [default: a new one]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// The file with a token that is sent along, so that the receiver can tell that the notification is for it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) hook_token_file: Option<PathBuf>,
    /// The file with the credentials by which the agent shows who it is
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) credentials_file: Option<PathBuf>,
    /// What kind of credentials these are
    #[arg(
        long,
        value_name = "NAME",
        default_value = "Bearer",
        requires = "credentials_file"
    )]
    pub(crate) scheme: String,
}

/// Which agent, and how to talk to it.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The agent's address; its card is below it
    #[arg(value_name = "URL")]
    pub(crate) url: Url,
    /// The bearer token; better given in A2A_TOKEN or a file, since other users see command lines
    #[arg(long, value_name = "TOKEN", env = "A2A_TOKEN", hide_env_values = true, value_parser = secret)]
    pub(crate) token: Option<SecretString>,
    /// The file with the bearer token
    #[arg(long, value_name = "FILE", env = "A2A_TOKEN_FILE", conflicts_with = "token", value_hint = ValueHint::FilePath)]
    pub(crate) token_file: Option<PathBuf>,
    /// Only this binding of those that the card offers [default: the first that we speak]
    #[arg(long, value_name = "NAME")]
    pub(crate) binding: Option<Binding>,
    /// Only this version of the protocol, such as 1.0 or 0.3
    #[arg(long, value_name = "VERSION")]
    pub(crate) protocol: Option<String>,
    /// The state folder of this machine's captain, whose token is used for it when no other is given
    #[arg(long, value_name = "DIR", env = "CAPTAIN_STATE_DIR", value_hint = ValueHint::DirPath, hide = true)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Activate this extension; may be given several times
    #[arg(long = "extension", value_name = "URI")]
    pub(crate) extensions: Vec<String>,
}

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Binding {
    /// JSON-RPC 2.0 over HTTP
    #[value(name = "jsonrpc")]
    JsonRpc,
    /// REST
    #[value(name = "http+json", alias = "rest")]
    HttpJson,
    /// gRPC
    Grpc,
}

impl Binding {
    /// Its name in cards (A2A §5.8).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::JsonRpc => "JSONRPC",
            Self::HttpJson => "HTTP+JSON",
            Self::Grpc => "GRPC",
        }
    }
}

/// What to say.
#[derive(Debug, Args)]
pub(crate) struct MessageArgs {
    /// The text; `-` reads it from standard input
    #[arg(required_unless_present_any = ["file", "data"])]
    pub(crate) text: Option<String>,
    /// Send this file along; may be given several times
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Vec<PathBuf>,
    /// Send this JSON along as data, or @FILE with it; may be given several times
    #[arg(long, value_name = "JSON")]
    pub(crate) data: Vec<String>,
    /// Go on in this context
    #[arg(long, value_name = "ID")]
    pub(crate) context: Option<String>,
    /// Go on with this task: answer its question, or add something
    #[arg(long, value_name = "ID")]
    pub(crate) task: Option<String>,
    /// Metadata of the message, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    #[command(flatten)]
    pub(crate) history: HistoryArgs,
}

/// How much of the conversation to show.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct HistoryArgs {
    /// How many of the newest messages the agent should return with the task
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) history: Option<i32>,
}

/// The states by which a list can be filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Taken and not begun
    Submitted,
    /// At work
    Working,
    /// Done
    Completed,
    /// Ended without a result
    Failed,
    /// Stopped on request
    Canceled,
    /// Waits for an answer
    InputRequired,
    /// Not taken
    Rejected,
    /// Waits for credentials
    AuthRequired,
}

impl From<State> for TaskState {
    fn from(state: State) -> Self {
        match state {
            State::Submitted => Self::Submitted,
            State::Working => Self::Working,
            State::Completed => Self::Completed,
            State::Failed => Self::Failed,
            State::Canceled => Self::Canceled,
            State::InputRequired => Self::InputRequired,
            State::Rejected => Self::Rejected,
            State::AuthRequired => Self::AuthRequired,
        }
    }
}

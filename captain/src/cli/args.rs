//! The command line as types: what can be typed, and the help for it. What the commands do is in their own files.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use daemon::conformance::ConformanceArgs;
use daemon::telemetry::LogArgs;
use secrecy::SecretString;
use url::Url;

use crate::config::ConfigArgs;

/// Runs fleets of coding agents: takes a job, splits it into subtasks, gives each to a sandboxed worker, merges the
/// results.
#[derive(Debug, Parser)]
#[command(
    name = "captain",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(after_help = "\
Examples:
  captain run \"Add a --json flag to the list command, with tests\" --repo . --out result
  captain run -f plan.toml --out result       a plan of several subtasks
  captain serve                               a captain for everybody on this machine
  captain watch JOB                           look at a job that runs there

Exit codes:
  0 done                        69 something needed is not there
  1 the job failed              70 a defect of this program
  2 wrong usage                 74 disk trouble
  64 wrong input or settings    77 not permitted
                                130 interrupted")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Write JSON instead of text, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Write nothing but results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a captain until it is stopped
    #[command(after_help = "\
Examples:
  captain serve
  captain serve --listen 127.0.0.1:9000 --max-workers 4
  captain serve --config /etc/flotilla/captain.toml")]
    Serve(Box<ServeArgs>),
    /// Run one job and show what happens, until it ends
    #[command(after_help = "\
A running captain is used if there is one; else one is started for the time of the job.
The first Ctrl-C cancels the job and waits for its end, the second leaves.

Examples:
  captain run \"Write a README for this project\" --repo . --out result
  captain run -f plan.toml --out result
  captain run -f plan.md --repo ~/src/shop --base main
  captain run -f plan.toml --json | jq -r .event.type")]
    Run(Box<RunArgs>),
    /// Hand a job to a running captain and print its id
    #[command(after_help = "\
Examples:
  captain submit -f plan.toml
  captain watch $(captain submit \"Fix the flaky login test\" --repo ~/src/shop)")]
    Submit(Box<SubmitArgs>),
    /// Show what happens in a job, from its start or from an event on
    #[command(after_help = "\
Examples:
  captain watch 0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01
  captain watch JOB --after 120 --json")]
    Watch(WatchArgs),
    /// List the captain's jobs, newest first
    Jobs(JobsArgs),
    /// Tell the agents of a running job something, such as the answer to a question
    #[command(after_help = "\
Without --subtask it is the answer to the oldest open question; if nobody asks, it is for all agents of the job, also
those that start later.

Examples:
  captain reply JOB \"Use PostgreSQL\"
  captain reply JOB --subtask api \"The port is 8080\"")]
    Reply(ReplyArgs),
    /// Cancel a job and everything that runs for it
    Cancel(CancelArgs),
    /// List or fetch what a job made
    #[command(after_help = "\
Examples:
  captain artifacts JOB                       the list of changed files
  captain artifacts JOB --get src/main.rs     one file, on standard output
  captain artifacts JOB --patch | git apply
  captain artifacts JOB --tar -o result.tar.gz
  captain artifacts JOB --out result          all files, into a folder")]
    Artifacts(ArtifactsArgs),
    /// Start workers by hand, talk to them, stop them
    #[command(subcommand)]
    Workers(WorkersCommand),
    /// Talk to any A2A agent: a captain, a worker, somebody else's
    #[command(subcommand)]
    A2a(super::a2a::args::A2aCommand),
    /// Sign agent cards, verify them, make keys for that
    #[command(subcommand)]
    Card(super::card::CardCommand),
    /// Print the token for calls to the captain, or to one worker
    #[command(after_help = "\
Examples:
  curl -H \"Authorization: Bearer $(captain token)\" http://127.0.0.1:8000/jobs
  captain token --worker dev")]
    Token(TokenArgs),
    /// Forget jobs that ended long ago, with their logs and files
    #[command(after_help = "\
Running jobs are never touched. A captain that is started with --keep-jobs does it by itself.

Examples:
  captain prune --older-than 30d
  captain prune --older-than 12h --json")]
    Prune(super::prune::PruneArgs),
    /// Copy the databases of a captain, also of one that runs
    #[command(after_help = "\
The copy is as the databases were at one moment, and is checked. To go back to it, stop the captain and put its files in
place of those in the state folder. Repositories and keys are files: copy the state folder's rest with any tool. Jobs in
PostgreSQL are copied with pg_dump.

Example:
  captain backup /var/backups/flotilla/$(date +%F)")]
    Backup(super::backup::BackupArgs),
    /// Find out what a captain lacks on this machine, and save what a damaged database still holds
    #[command(after_help = "\
Takes the same settings as `captain serve`, so that it looks where that would. The exit code is 0 when nothing is wrong.
With --repair, what can be read of a damaged database is written into a new file; the old one is left as it is.

Examples:
  captain doctor
  captain doctor --config /etc/flotilla/captain.toml
  captain doctor --repair saved.sqlite")]
    Doctor(Box<super::doctor::DoctorArgs>),
    /// Print a completion script
    #[command(after_help = "\
Example:
  captain completions bash > ~/.local/share/bash-completion/completions/captain")]
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Write the man pages into a folder
    Man {
        /// The folder; it is made if missing
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) conformance: ConformanceArgs,
}

/// What is to be done.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// What is to be reached: a paragraph, or a Markdown list with one item for each subtask
    #[arg(required_unless_present = "file", value_name = "GOAL")]
    pub(crate) goal: Option<String>,
    /// A plan: TOML or JSON with subtasks, or a Markdown list; `-` reads Markdown from standard input
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// The git repository to start from; it is only read [default: an empty one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) repo: Option<PathBuf>,
    /// The branch, tag or commit of the repository to start from [default: what is checked out]
    #[arg(long, value_name = "REVISION", requires = "repo")]
    pub(crate) base: Option<String>,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) time_limit: Option<u64>,
}

/// Where results go.
#[derive(Debug, Args)]
pub(crate) struct OutArgs {
    /// Write the merged files into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
    /// Also write into a folder that holds other files, and replace those that were changed
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
    #[command(
        flatten,
        next_help_heading = "For the captain that is started if none runs"
    )]
    pub(crate) config: ConfigArgs,
}

/// Another captain than this machine's own.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RemoteArgs {
    /// The captain's address [default: the one that runs on this machine]
    #[arg(long, value_name = "URL", env = "CAPTAIN_URL")]
    pub(crate) url: Option<Url>,
    /// The captain's token; better given in CAPTAIN_TOKEN, since other users see command lines
    #[arg(long, value_name = "TOKEN", env = "CAPTAIN_TOKEN", hide_env_values = true, value_parser = secret)]
    pub(crate) token: Option<SecretString>,
}

/// Which captain to ask.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CaptainArgs {
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
    /// The state folder of this machine's captain [default: the user's state folder, flotilla/captain]
    #[arg(long, value_name = "DIR", env = "CAPTAIN_STATE_DIR", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    #[command(flatten)]
    pub(crate) captain: CaptainArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The job's id
    pub(crate) job: String,
    /// Begin after this event
    #[arg(long, value_name = "N")]
    pub(crate) after: Option<u64>,
    #[command(flatten)]
    pub(crate) captain: CaptainArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReplyArgs {
    /// The job's id
    pub(crate) job: String,
    /// What to tell; `-` reads it from standard input
    pub(crate) text: String,
    /// Only for this subtask
    #[arg(long, value_name = "ID")]
    pub(crate) subtask: Option<String>,
    #[command(flatten)]
    pub(crate) captain: CaptainArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// List at most so many
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) captain: CaptainArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The job's id
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) captain: CaptainArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ArtifactsArgs {
    /// The job's id
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) what: WhatArgs,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "out", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    #[command(flatten)]
    pub(crate) captain: CaptainArgs,
}

/// Which form of the result.
#[derive(Debug, Args)]
#[group(multiple = false, conflicts_with = "out")]
pub(crate) struct WhatArgs {
    /// One file
    #[arg(long, value_name = "PATH")]
    pub(crate) get: Option<String>,
    /// All files as a gzipped tar archive
    #[arg(long)]
    pub(crate) tar: bool,
    /// The changes as a patch
    #[arg(long)]
    pub(crate) patch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// For calls to this worker instead
    #[arg(long, value_name = "ID")]
    pub(crate) worker: Option<String>,
    #[command(flatten)]
    pub(crate) captain: CaptainArgs,
}

/// What to do with workers.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// List the workers
    List {
        #[command(flatten)]
        captain: CaptainArgs,
    },
    /// Start a worker and print its address
    #[command(after_help = "\
Examples:
  captain workers spawn dev
  captain workers spawn agent-id-card.json")]
    Spawn {
        /// An id for it, or the file of an agent ID card
        #[arg(value_name = "ID|CARD")]
        worker: String,
        #[command(flatten)]
        captain: CaptainArgs,
    },
    /// Send a message to a worker and show what it answers
    #[command(after_help = "\
Example:
  captain workers send dev \"Write hello.py and run it\"")]
    Send {
        /// The worker's id
        worker: String,
        /// The message; `-` reads it from standard input
        message: String,
        /// Go on with this context, so that the agent remembers what was said there
        #[arg(long, value_name = "ID")]
        context: Option<String>,
        #[command(flatten)]
        captain: CaptainArgs,
    },
    /// Show where a worker's task stands
    Status {
        /// The worker's id
        worker: String,
        /// The task's id
        task: String,
        #[command(flatten)]
        captain: CaptainArgs,
    },
    /// Stop a worker and everything that it started
    Terminate {
        /// The worker's id
        worker: String,
        #[command(flatten)]
        captain: CaptainArgs,
    },
}

/// Infallible, but clap asks for a function with a `Result`.
#[expect(clippy::unnecessary_wraps, reason = "clap's value parser signature")]
pub(crate) fn secret(value: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(value))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_goal_or_a_file_is_needed_and_only_one_form_of_the_result() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(drop);
        for good in [
            "captain run goal",
            "captain run -f plan.toml --out o --force",
            "captain run goal -f plan.toml --repo . --base main --json",
            "captain workers spawn dev",
            "captain artifacts j --get a/b -o f",
            "captain a2a send http://h/ hello --binding rest --protocol 0.3",
            "captain a2a stream http://h/ --file f --data {} --task t",
            "captain a2a list http://h/ --state input-required --limit 5",
            "captain a2a push set http://h/ t https://x/ --id c --hook-token-file f",
            "captain a2a push set http://h/ t https://x/ --credentials-file f --scheme Basic",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "captain run",
            "captain run goal --base main",
            "captain run goal --force",
            "captain run goal --time-limit 0",
            "captain artifacts j --tar --patch",
            "captain artifacts j --tar -o f --out d",
            "captain artifacts j --get p --out d",
            "captain watch",
            "captain a2a send http://h/",
            "captain a2a get http://h/",
            "captain a2a list http://h/ --state sleeping",
            "captain a2a send http://h/ x --token t --token-file f",
            "captain a2a push set http://h/ t",
            "captain a2a push set http://h/ t https://x/ --scheme Basic",
            "captain a2a push delete http://h/ t",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_is_never_printed() {
        let line = ["captain", "jobs", "--token", "s3cret"];
        let cli = Cli::try_parse_from(line).unwrap();
        assert!(!format!("{cli:?}").contains("s3cret"));
    }
}

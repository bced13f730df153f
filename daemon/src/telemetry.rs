//! Diagnostics: `tracing` to standard error, as text for people or as JSON lines for machines. Product events (what a
//! job did) are not diagnostics and never pass through here. Secrets have a type that cannot be printed, so no filter
//! is needed for them.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text per event, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// The log options that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct LogArgs {
    /// What to log, for example `info` or `warn,captain=debug`
    #[arg(
        long,
        global = true,
        env = "FLOTILLA_LOG",
        value_name = "FILTER",
        hide_env_values = true
    )]
    pub log: Option<String>,

    /// How log lines look
    #[arg(
        long,
        global = true,
        env = "FLOTILLA_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,
}

/// Starts logging to standard error. `default_filter` holds when the user gave none.
///
/// # Errors
///
/// Returns what is wrong with the user's filter. A second call in one process changes nothing.
pub fn init(args: &LogArgs, default_filter: &str) -> Result<(), String> {
    let text = args.log.as_deref().unwrap_or(default_filter);
    let filter = EnvFilter::builder().parse(text).map_err(|error| {
        format!("log filter {text:?}: {error}; try `info` or `warn,captain=debug`")
    })?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A test that runs a command in its own process may have a subscriber already; the first one stays.
    let _already_set = match args.log_format {
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

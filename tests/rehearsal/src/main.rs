//! The `rehearsal` program: serves scenario files as a model on loopback.
//!
//! Here for the demo and for people who want to try an agent without a provider. Only reads its command line, binds, and
//! hands over to the library.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use rehearsal::{Library, Options, Rehearsal};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A scripted OpenAI-compatible model: plays tool calls from scenario files.
#[derive(Debug, Parser)]
#[command(name = "rehearsal", version)]
struct Args {
    /// A scenario file, or a folder with scenario files.
    #[arg(long, default_value_os_t = rehearsal::shipped_scenarios())]
    scenarios: PathBuf,
    /// Where to listen. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Refuse requests that do not carry this key as bearer token.
    #[arg(long, env = "REHEARSAL_KEY", hide_env_values = true)]
    require_key: Option<String>,
    /// Milliseconds between two chunks, instead of what the scenarios say.
    #[arg(long)]
    pace_ms: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "rehearsal: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let library = Library::load(&args.scenarios)?;
    let options = Options {
        require_key: args.require_key,
        pace_ms: args.pace_ms,
        ..Options::default()
    };
    let listener = TcpListener::bind(args.listen).await?;
    let mut stdout = io::stdout();
    writeln!(
        stdout,
        "rehearsal model on http://{}/v1",
        listener.local_addr()?
    )?;
    stdout.flush()?;
    let stop = CancellationToken::new();
    let model = Rehearsal::new(library, options, stop.clone());
    tokio::select! {
        served = model.serve(listener) => served?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            stop.cancel();
        }
    }
    Ok(())
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

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
use daemon::{
    cli::{Failure, finish},
    exit::Exit,
};
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
    finish(run(Args::parse()).await).into()
}

async fn run(args: Args) -> Result<Exit, Failure> {
    let library = Library::load(&args.scenarios)
        .map_err(|error| Failure::from_error(Exit::BadInput, &error))?;
    let options = Options {
        require_key: args.require_key,
        pace_ms: args.pace_ms,
        ..Options::default()
    };
    let unavailable = |error: io::Error| {
        let message = format!("cannot listen on {}: {error}", args.listen);
        Failure::new(Exit::Unavailable, message).with_hint("choose another port with --listen")
    };
    let listener = TcpListener::bind(args.listen).await.map_err(unavailable)?;
    let address = listener.local_addr().map_err(unavailable)?;
    announce(address).map_err(|error| Failure::from_error(Exit::Io, &error))?;
    let stop = CancellationToken::new();
    let model = Rehearsal::new(library, options, stop.clone());
    tokio::select! {
        served = model.serve(listener) => {
            served.map_err(|error| Failure::from_error(Exit::Io, &error))?;
        }
        _ = tokio::signal::ctrl_c() => stop.cancel(),
    }
    Ok(Exit::Ok)
}

/// Says where the model is; scripts read this line.
fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "rehearsal model on http://{address}/v1")?;
    stdout.flush()
}

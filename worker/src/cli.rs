//! The `worker` command line: what the commands are and how they end. Each command is a file of its own.
//!
//! Output goes through writers, so that a closed pipe is not a panic. Errors are told once, on one screen, with the exit
//! code that is documented in `docs/errors.md`.

mod doctor;
mod launch;
mod list;
mod schema;
mod serve;
mod stop;
mod token;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use daemon::cli::{Failure, finish};
use daemon::exit::Exit;
use daemon::telemetry::{self, LogArgs};

pub(crate) use serve::DriverName;

/// Wraps one coding agent in a sandbox and serves it over A2A.
#[derive(Debug, Parser)]
#[command(name = "worker", version, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve an agent over A2A
    Serve(serve::Serve),
    /// Run any command in the sandbox of an agent ID card
    Launch(launch::Launch),
    /// List the workers that run on this machine
    List(list::List),
    /// End a worker and everything that its agent started
    Stop(stop::Stop),
    /// Say whether agents can run on this machine, and what is missing
    Doctor(doctor::Doctor),
    /// Print a bearer token for a worker that makes its own keys
    Token(token::Token),
    /// Print the JSON Schema of agent ID cards
    Schema,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    // Inside the sandbox this program is PID 1: no logging, no threads, no command line of its own.
    let mut raw = std::env::args_os().skip(1);
    if raw.next().is_some_and(|first| first == "sandbox-init") {
        return worker_sandbox::init::main(raw);
    }
    ExitCode::from(run(std::env::args_os()))
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // With standard output closed there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
        }
    };
    if let Err(message) = telemetry::init(&arguments.log, "info") {
        return finish(Err(Failure::new(Exit::Usage, message)));
    }
    let mut out = std::io::stdout().lock();
    finish(match arguments.command {
        Command::Serve(serve) => {
            // The server prints when it is ready, from another thread.
            drop(out);
            serve.run()
        }
        Command::Launch(launch) => {
            // The command's output goes past us.
            drop(out);
            launch.run()
        }
        Command::List(list) => list.run(&mut out),
        Command::Stop(stop) => stop.run(&mut out),
        Command::Doctor(doctor) => doctor.run(&mut out),
        Command::Token(token) => token.run(&mut out),
        Command::Schema => schema::run(&mut out),
    })
}

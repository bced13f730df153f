//! The command line: what was typed goes to the command's file, what comes back is an exit code. The commands talk to a
//! captain over its REST API like any other client.

mod a2a;
mod answer;
mod args;
mod artifacts;
mod backup;
mod board;
pub(crate) mod card;
mod client;
mod connect;
mod doctor;
mod follow;
mod job;
mod jobs;
mod lines;
mod out;
mod output;
mod prune;
mod run;
mod serve;
mod text;
mod token;
mod uncommitted;
mod view;
mod wire;
mod workers;

use clap::{CommandFactory, Parser};
use daemon::cli::Failure;
use daemon::exit::Exit;

use args::{Cli, Command};

/// Runs the program with the process's arguments.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come as errors too; with standard output closed there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
        }
    };
    match dispatch(&cli) {
        Err(failure) if failure.exit() == output::READER_LEFT => output::READER_LEFT,
        result => daemon::cli::finish(result),
    }
}

fn dispatch(cli: &Cli) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            daemon::cli::completions(Cli::command(), *shell, &mut script);
            output::bytes(&script)?;
            Ok(Exit::Ok)
        }
        Command::Backup(args) => backup::run(cli, args),
        Command::Man { folder } => {
            let written = daemon::cli::man_pages(Cli::command(), folder);
            written.map_err(|error| output::failed(&folder.display().to_string(), &error))?;
            Ok(Exit::Ok)
        }
        _ => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build();
            let runtime = runtime
                .map_err(|error| Failure::new(Exit::Internal, format!("cannot start: {error}")))?;
            runtime.block_on(ask(cli))
        }
    }
}

async fn ask(cli: &Cli) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Serve(args) => serve::serve(cli, args).await,
        Command::Run(args) => run::run(cli, args).await,
        Command::Submit(args) => jobs::submit(cli, args).await,
        Command::Watch(args) => jobs::watch(cli, args).await,
        Command::Jobs(args) => jobs::list(cli, args).await,
        Command::Reply(args) => jobs::reply(cli, args).await,
        Command::Cancel(args) => jobs::cancel(cli, args).await,
        Command::Artifacts(args) => artifacts::run(cli, args).await,
        Command::Workers(command) => workers::run(cli, command).await,
        Command::A2a(command) => a2a::run(cli, command).await,
        Command::Card(command) => card::run(cli, command).await,
        Command::Token(args) => token::run(args).await,
        Command::Prune(args) => prune::run(cli, args).await,
        Command::Doctor(args) => doctor::run(cli, args).await,
        Command::Backup(_) | Command::Completions { .. } | Command::Man { .. } => Ok(Exit::Ok),
    }
}

//! `captain prune`: forget jobs that ended long ago. A running captain does it itself when it is asked; without one the
//! database is opened here, which the lock on the state folder keeps anybody else from meanwhile.

use std::sync::Arc;
use std::time::Duration;

use a2a_proto::clock::SystemClock;
use a2a_proto::log::SqliteLog;
use clap::Args;
use daemon::cli::Failure;
use daemon::exit::Exit;

use super::args::{CaptainArgs, Cli};
use super::{connect, output, serve};
use crate::api::upkeep::Prune;
use crate::app::{DATABASE_FILE, TASKS_FILE, lock_folder};
use crate::config::parse_age;
use crate::error::StartError;
use crate::store::SqliteStore;
use crate::upkeep::{Forgotten, Janitor};

/// Arguments of `captain prune`.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Forget jobs that ended longer ago than this: 30d, 12h, 90m
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    older_than: Duration,
    #[command(flatten)]
    captain: CaptainArgs,
}

/// Forgets, and says how much.
pub(crate) async fn run(cli: &Cli, args: &PruneArgs) -> Result<Exit, Failure> {
    let folder = connect::state_dir(args.captain.state_dir.as_deref())?;
    let forgotten = match connect::find(&args.captain.remote, &folder)? {
        Some(client) => {
            let request = Prune {
                older_than_seconds: args.older_than.as_secs(),
            };
            client.post(&["prune"], &request).await?
        }
        None => alone(&folder, args.older_than).await?,
    };
    if cli.json {
        let json = serde_json::to_string(&forgotten);
        output::line(&json.map_err(|error| Failure::from_error(Exit::Internal, &error))?)?;
    } else if !cli.quiet {
        let Forgotten {
            jobs,
            tasks,
            folders,
        } = forgotten;
        output::line(&format!(
            "forgot {jobs} jobs, {tasks} tasks and {folders} folders of jobs that were gone"
        ))?;
    }
    Ok(Exit::Ok)
}

/// Without a captain.
async fn alone(folder: &std::path::Path, age: Duration) -> Result<Forgotten, Failure> {
    if !folder.join(DATABASE_FILE).exists() {
        let message = format!(
            "no captain is running, and there is no database in {}",
            folder.display()
        );
        return Err(Failure::new(Exit::Unavailable, message)
            .with_hint("name the captain with --url or its folder with --state-dir"));
    }
    let (folder, _lock) = lock_folder(folder).map_err(serve::failure)?;
    let store = SqliteStore::open(&folder.join(DATABASE_FILE))
        .map_err(StartError::from)
        .map_err(serve::failure)?;
    let tasks = SqliteLog::open(folder.join(TASKS_FILE))
        .map_err(StartError::from)
        .map_err(serve::failure)?;
    let janitor = Janitor::new(
        Arc::new(store),
        Arc::new(tasks),
        folder.join("jobs"),
        Arc::new(SystemClock),
    );
    let pruned = janitor.prune(age).await;
    pruned.map_err(|error| Failure::from_error(Exit::Io, &error))
}

//! `captain backup`: a copy of the databases as they are at one moment, while the captain goes on. SQLite makes it from a
//! reader's view, so that nobody waits; the copy is opened and checked before it gets its name.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::state::create_private_dir;

use super::args::Cli;
use super::{connect, output};
use crate::app::{DATABASE_FILE, TASKS_FILE};
use crate::store::files;

/// Arguments of `captain backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The folder to write the copy into; it must be new or empty
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
    /// The state folder of the captain [default: the user's state folder, flotilla/captain]
    #[arg(long, value_name = "DIR", env = "CAPTAIN_STATE_DIR", value_hint = ValueHint::DirPath)]
    state_dir: Option<PathBuf>,
}

/// Copies, checks, and says what was written.
pub(crate) fn run(cli: &Cli, args: &BackupArgs) -> Result<Exit, Failure> {
    let from = connect::state_dir(args.state_dir.as_deref())?;
    if !from.join(DATABASE_FILE).exists() {
        let message = format!("there is no database in {}", from.display());
        return Err(Failure::new(Exit::Unavailable, message).with_hint(
            "name the captain's folder with --state-dir; jobs in PostgreSQL are copied with pg_dump",
        ));
    }
    let to = empty_folder(&args.folder)?;
    // The tasks first: what they miss of the jobs then, the captain tells them again.
    for name in [TASKS_FILE, DATABASE_FILE] {
        if !from.join(name).exists() {
            continue;
        }
        let copied = files::copy(&from.join(name), &to.join(name))
            .map_err(|error| Failure::from_error(Exit::Io, &error))?;
        let path = to.join(name).display().to_string();
        if cli.json {
            output::line(
                &serde_json::json!({"file": path, "bytes": copied.bytes, "format": copied.version})
                    .to_string(),
            )?;
        } else if !cli.quiet {
            output::line(&format!("{path}  {} bytes, checked", copied.bytes))?;
        }
    }
    Ok(Exit::Ok)
}

fn empty_folder(path: &Path) -> Result<PathBuf, Failure> {
    create_private_dir(path).map_err(|error| Failure::from_error(Exit::Io, &error))?;
    let mut entries = fs::read_dir(path).map_err(|error| {
        Failure::new(Exit::Io, format!("cannot read {}: {error}", path.display()))
    })?;
    if entries.next().is_some() {
        let message = format!("{} is not empty", path.display());
        return Err(Failure::new(Exit::BadInput, message)
            .with_hint("a copy goes into a folder of its own, so that it never replaces another"));
    }
    Ok(path.to_owned())
}

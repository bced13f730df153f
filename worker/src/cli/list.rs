//! `worker list`: the workers of this user that run on this machine, servers and launches. It reads state folders only and asks
//! nobody: a worker that hangs is listed too.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::process::ProcessIdentity;
use daemon::state::{self, Endpoint};
use serde::Serialize;

use super::launch::Record;

/// Arguments of `worker list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Machine-readable: one JSON array
    #[arg(long)]
    json: bool,
    /// The folder that holds the workers' state folders; default ~/.local/state/flotilla/workers
    #[arg(long, value_name = "DIR")]
    state_root: Option<PathBuf>,
}

/// A worker that runs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Found {
    pub(super) agent_id: String,
    #[serde(flatten)]
    pub(super) process: ProcessIdentity,
    #[serde(flatten)]
    what: What,
}

/// What it does.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum What {
    Serve { url: String, version: String },
    Launch { program: String },
}

impl List {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let root = self.state_root.clone().map_or_else(default_root, Ok)?;
        let workers = running(&root)?;
        let written = if self.json {
            serde_json::to_writer(&mut *out, &workers)
                .map_err(std::io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            table(&workers, out)
        };
        written.map_err(|error| Failure::from_error(Exit::Io, &error))?;
        Ok(Exit::Ok)
    }
}

/// Where workers keep their state folders unless told otherwise.
pub(super) fn default_root() -> Result<PathBuf, Failure> {
    let root = state::default_root().map_err(|error| Failure::from_error(Exit::Usage, &error))?;
    Ok(root.join("workers"))
}

/// The worker that runs in this state folder. The name is the folder's.
pub(super) fn running_in(folder: &Path) -> Result<Option<Found>, Failure> {
    let agent_id = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let endpoint = Endpoint::find(folder).map_err(|error| Failure::from_error(Exit::Io, &error))?;
    let server = endpoint.map(|endpoint| {
        (
            endpoint.process,
            What::Serve {
                url: endpoint.url,
                version: endpoint.version,
            },
        )
    });
    let launch = || {
        Record::find(folder).map(|record| {
            (
                record.process,
                What::Launch {
                    program: record.program,
                },
            )
        })
    };
    Ok(server.or_else(launch).map(|(process, what)| Found {
        agent_id,
        process,
        what,
    }))
}

fn running(root: &Path) -> Result<Vec<Found>, Failure> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::from_error(Exit::Io, &error)),
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        // A damaged folder must not hide the others.
        if let Ok(Some(worker)) = running_in(&entry.path()) {
            found.push(worker);
        }
    }
    found.sort_by(|a, b| a.agent_id.cmp(&b.agent_id));
    Ok(found)
}

fn table(workers: &[Found], out: &mut dyn Write) -> std::io::Result<()> {
    if workers.is_empty() {
        return writeln!(out, "no worker is running");
    }
    let width = workers
        .iter()
        .map(|worker| worker.agent_id.len())
        .max()
        .unwrap_or(0)
        .max("AGENT".len());
    writeln!(out, "{:width$}  {:>7}  WHAT", "AGENT", "PID")?;
    for worker in workers {
        let what = match &worker.what {
            What::Serve { url, .. } => url.clone(),
            What::Launch { program } => format!("launch {program}"),
        };
        writeln!(
            out,
            "{:width$}  {:>7}  {what}",
            worker.agent_id, worker.process.pid
        )?;
    }
    Ok(())
}

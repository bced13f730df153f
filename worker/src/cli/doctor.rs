//! `worker doctor`: can agents run on this machine, and how well are they locked in? A table for people, JSON for scripts. The
//! answers come from a real sandbox that is started for the purpose.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use daemon::cli::Failure;
use daemon::exit::Exit;
use serde::Serialize;
use worker_sandbox::doctor::{self, Examination, Row, Status};

use crate::driver::opencode;

/// Arguments of `worker doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Machine-readable: one JSON object
    #[arg(long)]
    json: bool,
    /// The opencode program
    #[arg(long, value_name = "FILE", env = "FLOTILLA_OPENCODE")]
    agent_bin: Option<PathBuf>,
    /// Where programs are looked for
    #[arg(env = "PATH", long = "path", hide = true)]
    path: Option<OsString>,
}

#[derive(Serialize)]
struct Report<'a> {
    usable: bool,
    rows: &'a [Row],
}

impl Doctor {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let workspace =
            std::env::temp_dir().join(format!("flotilla-doctor-{}", std::process::id()));
        daemon::state::create_private_dir(&workspace)
            .map_err(|error| Failure::from_error(Exit::Io, &error))?;
        let workspace = workspace
            .canonicalize()
            .map_err(|error| Failure::from_error(Exit::Io, &error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
        let examination = Examination {
            workspace: workspace.clone(),
            ..Examination::default()
        };
        let mut rows = runtime.block_on(doctor::examine(&examination));
        // Empty, unless the trial failed in a way that is told in its row.
        let _left_behind = std::fs::remove_dir_all(&workspace);
        rows.push(self.agent());

        let usable = doctor::usable(&rows);
        let written = if self.json {
            let report = Report {
                usable,
                rows: &rows,
            };
            serde_json::to_writer(&mut *out, &report)
                .map_err(std::io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            table(&rows, out)
        };
        written.map_err(|error| Failure::from_error(Exit::Io, &error))?;
        Ok(if usable { Exit::Ok } else { Exit::Unavailable })
    }

    /// opencode; a card may name another agent, so its absence is not the end.
    fn agent(&self) -> Row {
        match opencode::find(self.agent_bin.as_deref(), self.path.as_deref()) {
            Ok(path) => Row::new("opencode", Status::Ok, path.display().to_string(), ""),
            Err(error) => Row::new(
                "opencode",
                Status::Degraded,
                error.to_string(),
                "run `make setup`, give its path with --agent-bin, or name another agent in the agent ID card",
            ),
        }
    }
}

fn table(rows: &[Row], out: &mut dyn Write) -> std::io::Result<()> {
    let width = rows.iter().map(|row| row.layer.len()).max().unwrap_or(0);
    for row in rows {
        let status = match row.status {
            Status::Ok => "ok",
            Status::Degraded => "degraded",
            Status::Missing => "MISSING",
        };
        writeln!(out, "{:width$}  {status:8}  {}", row.layer, row.detail)?;
        if !row.remedy.is_empty() {
            writeln!(out, "{:width$}  {:8}  -> {}", "", "", row.remedy)?;
        }
    }
    Ok(())
}

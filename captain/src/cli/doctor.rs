//! `captain doctor`: can a captain work here, with these settings? One line for each thing that it needs, on one screen;
//! JSON for scripts. It changes nothing; `--repair` writes a new file and leaves the old one as it is.

mod checks;

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use daemon::cli::Failure;
use daemon::exit::Exit;
use serde::Serialize;

use super::args::Cli;
use super::output;
use crate::app::DATABASE_FILE;
use crate::config::{Config, ConfigArgs};
use crate::store::files::{self, Saved};

/// Jobs that are named one by one after a repair.
const NAMED: usize = 20;

/// Arguments of `captain doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Write what can be saved of the jobs' database into this new file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    repair: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// As it should be.
    Ok,
    /// A captain works all the same.
    Note,
    /// A captain does not work so.
    Bad,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    name: String,
    status: Status,
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
}

impl Row {
    fn new(name: &str, status: Status, found: impl Into<String>, advice: &str) -> Self {
        Self {
            name: name.to_owned(),
            status,
            found: found.into(),
            advice: advice.to_owned(),
        }
    }

    fn ok(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, found, "")
    }
}

/// Looks everything over, or repairs.
pub(crate) async fn run(cli: &Cli, args: &DoctorArgs) -> Result<Exit, Failure> {
    let (config, wrong) = match Config::load(&args.config) {
        Ok(config) => (config, None),
        // What does not depend on the settings can still be looked at.
        Err(error) => {
            let mut config = Config::default();
            config.state_dir.clone_from(&args.config.state_dir);
            (config, Some(daemon::cli::chain(&error)))
        }
    };
    if let Some(to) = &args.repair {
        let dir = config.captain_dir();
        let dir = dir.map_err(|error| Failure::from_error(Exit::Usage, &error))?;
        let (from, to) = (dir.join(DATABASE_FILE), to.clone());
        let work = move || files::salvage(&from, &to).map(|saved| (from, to, saved));
        let done = tokio::task::spawn_blocking(work).await;
        let (from, to, saved) = done
            .map_err(|error| Failure::from_error(Exit::Internal, &error))?
            .map_err(|error| {
                Failure::from_error(Exit::Io, &error).with_hint(
                    "nothing was changed; the last copy made by `captain backup` is the way back",
                )
            })?;
        return told(cli, &from, &to, &saved);
    }
    let mut rows = vec![match wrong {
        None => Row::ok("settings", "can be used"),
        Some(problem) => Row::new("settings", Status::Bad, problem, ""),
    }];
    rows.extend(checks::all(&config).await);
    let usable = rows.iter().all(|row| row.status != Status::Bad);
    if cli.json {
        let report = serde_json::json!({"usable": usable, "rows": rows});
        output::line(&report.to_string())?;
    } else {
        output::bytes(table(&rows).as_bytes())?;
    }
    Ok(if usable { Exit::Ok } else { Exit::Unavailable })
}

fn table(rows: &[Row]) -> String {
    let status = |status| match status {
        Status::Ok => "ok",
        Status::Note => "note",
        Status::Bad => "BAD",
    };
    let cells = rows.iter().map(|row| {
        let mut found = super::text::clean(&row.found);
        if !row.advice.is_empty() {
            found.push_str(": ");
            found.push_str(&row.advice);
        }
        vec![row.name.clone(), status(row.status).to_owned(), found]
    });
    output::table(&cells.collect::<Vec<_>>())
}

/// What a repair came to, and what to do next.
fn told(cli: &Cli, from: &Path, to: &Path, saved: &Saved) -> Result<Exit, Failure> {
    let Saved { whole, cut, lost } = saved;
    if cli.json {
        let cut: Vec<_> = cut
            .iter()
            .map(|(job, kept, had)| serde_json::json!({"job": job, "kept": kept, "had": had}))
            .collect();
        let lost: Vec<_> = lost
            .iter()
            .map(|(job, reason)| serde_json::json!({"job": job, "reason": reason}))
            .collect();
        let report = serde_json::json!({"file": to, "whole": whole, "cut": cut, "lost": lost});
        output::line(&report.to_string())?;
    } else {
        output::line(&format!(
            "{}: {whole} jobs whole, {} cut short, {} lost",
            to.display(),
            cut.len(),
            lost.len()
        ))?;
        for (job, kept, had) in cut.iter().take(NAMED) {
            output::line(&format!(
                "  cut   {job}  its first {kept} of {had} events; it goes on from there"
            ))?;
        }
        for (job, reason) in lost.iter().take(NAMED) {
            output::line(&format!("  lost  {job}  {reason}"))?;
        }
        if cut.len().max(lost.len()) > NAMED {
            output::line("  and more; --json names all")?;
        }
        if !cli.quiet {
            output::note(&format!(
                "{} was left as it is. To use what was saved: stop the captain, move that file and the two beside it \
                 (-wal, -shm) away, and put {} in its place",
                from.display(),
                to.display()
            ));
        }
    }
    Ok(if lost.is_empty() && cut.is_empty() {
        Exit::Ok
    } else {
        Exit::WorkFailed
    })
}

//! `make interop`: the official A2A SDKs, unchanged, as clients against our worker and captain and as servers under our client.
//!
//! Runs the programs of `tests/interop` (set up by its `setup.sh`) in every combination of binding and version that the SDK
//! has, says on standard error how each went, and writes `docs/interop.md`. With `drive URL BINDING VERSION WEBHOOK` it is
//! itself the driver around our own client. A failure of an opponent is a line of the table and not of the run; with
//! `--strict` an operation that the table of the last run had as ok and that fails now is.

mod drive;
mod hooks;
mod program;
mod run;
mod sdk;
mod table;

use std::{error::Error, io::Write, path::PathBuf, process::ExitCode};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// What was asked for on the command line.
#[derive(Debug, Default)]
struct Args {
    only: Vec<String>,
    also: Vec<PathBuf>,
    json: Option<PathBuf>,
    markdown: Option<PathBuf>,
    strict: bool,
}

const USAGE: &str = "usage: interop [--only LANGUAGE]… [--also FILE]… [--json FILE] [--markdown FILE] [--strict]\n       interop drive URL BINDING VERSION WEBHOOK";

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let done = if args.next_if(|word| word == "drive").is_some() {
        drive::main(&args.collect::<Vec<_>>()).await
    } else {
        whole(args).await
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // With standard error closed there is nobody to tell.
            let _ = writeln!(
                std::io::stderr(),
                "interop: {}",
                daemon::cli::chain(error.as_ref())
            );
            ExitCode::FAILURE
        }
    }
}

async fn whole(words: impl Iterator<Item = String>) -> Result<ExitCode, Failure> {
    let args = parse(words)?;
    let mut report = run::all(&args.only).await?;
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    // What other runs measured, for a table of all of them.
    for path in &args.also {
        let other: run::Report = serde_json::from_slice(&std::fs::read(path)?)?;
        report.cells.extend(other.cells);
        report.took += other.took;
    }
    let text = table::markdown(&report);
    let mut worse = Vec::new();
    if let Some(path) = &args.markdown {
        if args.strict {
            worse = table::worse(&std::fs::read_to_string(path)?, &report);
        } else {
            std::fs::write(path, &text)?;
        }
    }
    let mut out = std::io::stdout();
    writeln!(out, "{}", table::summary(&report))?;
    for line in &worse {
        writeln!(out, "was ok in the table and is not now: {line}")?;
    }
    Ok(if worse.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, Failure> {
    let mut args = Args::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(USAGE);
        match word.as_str() {
            "--only" => args.only.push(value()?),
            "--also" => args.also.push(value()?.into()),
            "--json" => args.json = Some(value()?.into()),
            "--markdown" => args.markdown = Some(value()?.into()),
            "--strict" => args.strict = true,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(args)
}

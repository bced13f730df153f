//! From what was typed to the request: reads the plan's file, finds mistakes in it before anybody is asked, makes the
//! repository's path absolute.

use std::io::Read;
use std::path::{Path, PathBuf};

use captain_core::PlanSpec;
use captain_core::job::JobLimits;
use captain_core::plan::{Bounds, Plan};
use daemon::cli::Failure;
use daemon::exit::Exit;

use super::args::{Cli, JobArgs};
use super::wire::NewJob;
use super::{output, uncommitted};
use crate::planner::MAX_TEXT_BYTES;
use crate::planner::fixed::{self, Format};
use crate::planner::outline;

/// How a file of a plan is read.
enum Kind {
    Fixed(Format),
    Outline,
}

/// The request for what was typed. `local` says that the captain sees the same files as we do.
pub(crate) fn request(args: &JobArgs, local: bool) -> Result<NewJob, Failure> {
    let (goal, plan, mut limits) = match &args.file {
        None => {
            let text = args.goal.clone().unwrap_or_default();
            let outline = outline::parse(&text)
                .map_err(|error| Failure::from_error(Exit::BadInput, &error))?;
            (outline.goal, outline.plan, JobLimits::default())
        }
        Some(file) => read_plan(file, args.goal.as_deref())?,
    };
    let name = args
        .file
        .as_ref()
        .map_or_else(|| "the goal".to_owned(), |file| file.display().to_string());
    let plan = Plan::validate(plan, &Bounds::default()).map_err(|errors| {
        let problems: String = errors
            .lines()
            .iter()
            .map(|line| format!("\n  - {line}"))
            .collect();
        Failure::new(
            Exit::BadInput,
            format!("{name} is not a valid plan:{problems}"),
        )
    })?;
    if let Some(seconds) = args.time_limit {
        limits.time_seconds = Some(seconds);
    }
    let repo = args
        .repo
        .as_deref()
        .map(|path| repository(path, local))
        .transpose()?;
    Ok(NewJob {
        goal: Some(goal),
        plan: Some(plan.spec().clone()),
        repo,
        base: args.base.clone(),
        limits,
    })
}

/// Tells what the job will not see of a repository on this machine. With another base than what is checked out, the
/// work tree says nothing about it.
pub(crate) async fn warn(cli: &Cli, args: &JobArgs, local: bool) {
    let Some(repo) = args
        .repo
        .as_deref()
        .filter(|_| local && args.base.is_none() && !cli.quiet)
    else {
        return;
    };
    if let Some(note) = uncommitted::note(repo).await {
        output::note(&note);
    }
}

fn read_plan(file: &Path, goal: Option<&str>) -> Result<(String, PlanSpec, JobLimits), Failure> {
    let name = file.display().to_string();
    let text = read(file)?;
    let bad = |message: String| Failure::new(Exit::BadInput, message);
    match kind(file)? {
        Kind::Fixed(format) => {
            let parsed =
                fixed::parse(&name, &text, format).map_err(|error| bad(error.to_string()))?;
            let limits = parsed.limits;
            let goal = goal
                .map(str::to_owned)
                .or_else(|| parsed.goal.clone())
                .unwrap_or_else(|| title(file));
            Ok((goal, parsed.into_plan(), limits))
        }
        Kind::Outline => {
            let parsed = outline::parse(&text).map_err(|error| bad(format!("{name}: {error}")))?;
            Ok((
                goal.map_or(parsed.goal, str::to_owned),
                parsed.plan,
                JobLimits::default(),
            ))
        }
    }
}

fn kind(file: &Path) -> Result<Kind, Failure> {
    let extension = file
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("toml") => Ok(Kind::Fixed(Format::Toml)),
        Some("json") => Ok(Kind::Fixed(Format::Json)),
        Some("md" | "markdown" | "txt") => Ok(Kind::Outline),
        None if file == Path::new("-") => Ok(Kind::Outline),
        Some(_) | None => {
            let message = format!("cannot tell what kind of plan {} is", file.display());
            Err(Failure::new(Exit::Usage, message).with_hint("name it .toml, .json or .md"))
        }
    }
}

/// A goal for a plan that does not tell one: `user-api.toml` is called `user api`.
fn title(file: &Path) -> String {
    let stem = file
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    stem.replace(['-', '_'], " ")
}

/// The whole text of a file, or of standard input for `-`.
pub(crate) fn read(file: &Path) -> Result<String, Failure> {
    let bad = |problem: String| {
        Failure::new(
            Exit::BadInput,
            format!("cannot read {}: {problem}", file.display()),
        )
    };
    let mut bytes = Vec::new();
    let limit = MAX_TEXT_BYTES as u64 + 1;
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| bad(error.to_string()))?;
    if bytes.len() > MAX_TEXT_BYTES {
        return Err(bad(format!(
            "it has more than {} MiB",
            MAX_TEXT_BYTES >> 20
        )));
    }
    String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8 text".to_owned()))
}

fn repository(path: &Path, local: bool) -> Result<String, Failure> {
    let path = if local {
        std::fs::canonicalize(path).map_err(|error| {
            let message = format!("cannot use the repository {}: {error}", path.display());
            Failure::new(Exit::BadInput, message)
        })?
    } else {
        PathBuf::from(path)
    };
    path.into_os_string().into_string().map_err(|path| {
        Failure::new(
            Exit::BadInput,
            format!("the path {} is not UTF-8", path.display()),
        )
    })
}

#[cfg(test)]
mod tests;

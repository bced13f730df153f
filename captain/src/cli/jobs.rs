//! `captain submit`, `watch`, `jobs` and `cancel`: a captain's jobs from outside.

use a2a_proto::clock::{Clock, SystemClock};
use daemon::cli::Failure;
use daemon::exit::Exit;

use super::args::{CancelArgs, Cli, JobsArgs, SubmitArgs, WatchArgs};
use super::follow::{Interrupt, follow, judge};
use super::text::{clean, cut};
use super::view::View;
use super::wire::{JobPage, JobSummary};
use super::{connect, follow as following, job, output};

/// Widest column of goals.
const GOAL_WIDTH: usize = 60;

/// Hands a job in and prints its id.
pub(crate) async fn submit(cli: &Cli, args: &SubmitArgs) -> Result<Exit, Failure> {
    let request = job::request(&args.job, args.captain.remote.url.is_none())?;
    let client = connect::captain(&args.captain)?;
    if cli.json {
        let answer: serde_json::Value = client.post(&["jobs"], &request).await?;
        output::line(&answer.to_string())?;
    } else {
        let answer: JobSummary = client.post(&["jobs"], &request).await?;
        output::line(&answer.id)?;
    }
    Ok(Exit::Ok)
}

/// Shows a job's events to its end.
pub(crate) async fn watch(cli: &Cli, args: &WatchArgs) -> Result<Exit, Failure> {
    let client = connect::captain(&args.captain)?;
    // A tree needs the whole story.
    let mut view = match args.after {
        Some(_) if !cli.json && !cli.quiet => View::Lines(super::lines::Lines::default()),
        _ => View::choose(cli.json, cli.quiet),
    };
    judge(follow(&client, &args.job, args.after, &mut view, Interrupt::Leaves).await?)
}

/// Lists jobs.
pub(crate) async fn list(cli: &Cli, args: &JobsArgs) -> Result<Exit, Failure> {
    let client = connect::captain(&args.captain)?;
    if cli.json {
        let page: serde_json::Value = client.get(&["jobs"]).await?;
        let jobs = page
            .get("jobs")
            .and_then(serde_json::Value::as_array)
            .cloned()
            .unwrap_or_default();
        for job in jobs {
            output::line(&job.to_string())?;
        }
        return Ok(Exit::Ok);
    }
    let page: JobPage = client.get(&["jobs"]).await?;
    let now = SystemClock.now();
    let rows: Vec<Vec<String>> = page
        .jobs
        .iter()
        .map(|job| {
            let age = age(now.as_second() - job.created.as_second());
            let goal = job
                .goal
                .lines()
                .map(clean)
                .find(|line| !line.is_empty())
                .unwrap_or_default();
            vec![
                job.id.clone(),
                clean(&job.state),
                age,
                cut(&goal, GOAL_WIDTH),
            ]
        })
        .collect();
    output::bytes(output::table(&rows).as_bytes())?;
    if rows.is_empty() && !cli.quiet {
        output::note("no jobs yet; start one with `captain run` or `captain submit`");
    }
    Ok(Exit::Ok)
}

/// Cancels a job.
pub(crate) async fn cancel(cli: &Cli, args: &CancelArgs) -> Result<Exit, Failure> {
    let client = connect::captain(&args.captain)?;
    let answer = following::cancel(&client, &args.job).await?;
    if cli.json {
        output::line(&answer.to_string())?;
    } else if !cli.quiet {
        let state = answer
            .get("state")
            .and_then(serde_json::Value::as_str)
            .unwrap_or("cancelling");
        output::line(&clean(state))?;
    }
    Ok(Exit::Ok)
}

/// How long ago something was, in its largest unit.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..60 => format!("{seconds}s ago"),
        seconds @ 60..3600 => format!("{}m ago", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h ago", seconds / 3600),
        seconds => format!("{}d ago", seconds / 86_400),
    }
}

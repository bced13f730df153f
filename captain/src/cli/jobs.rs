//! `captain submit`, `watch`, `jobs`, `reply` and `cancel`: a captain's jobs from outside.

use a2a_proto::clock::{Clock, SystemClock};
use daemon::cli::Failure;
use daemon::exit::Exit;

use super::args::{CancelArgs, Cli, JobsArgs, ReplyArgs, SubmitArgs, WatchArgs};
use super::follow::{Interrupt, follow, judge};
use super::text::{clean, cut};
use super::view::View;
use super::wire::{JobPage, JobSummary};
use super::{connect, follow as following, job, output};

/// Jobs that are asked for at a time; the captain gives no more.
const PAGE: usize = 200;
/// Widest column of goals.
const GOAL_WIDTH: usize = 60;

/// Hands a job in and prints its id.
pub(crate) async fn submit(cli: &Cli, args: &SubmitArgs) -> Result<Exit, Failure> {
    let local = args.captain.remote.url.is_none();
    let request = job::request(&args.job, local)?;
    job::warn(cli, &args.job, local).await;
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

/// Lists jobs, page by page.
pub(crate) async fn list(cli: &Cli, args: &JobsArgs) -> Result<Exit, Failure> {
    let client = connect::captain(&args.captain)?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut jobs: Vec<serde_json::Value> = Vec::new();
    let mut more = true;
    let mut cursor: Option<String> = None;
    while more && jobs.len() < limit {
        let size = (limit - jobs.len()).min(PAGE).to_string();
        let mut query = vec![("limit", size.as_str())];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: JobPage = client.get_with(&["jobs"], &query).await?;
        jobs.extend(page.jobs);
        more = page.next.is_some();
        cursor = page.next;
    }
    if cli.json {
        for job in jobs {
            output::line(&job.to_string())?;
        }
        return Ok(Exit::Ok);
    }
    let now = SystemClock.now();
    let rows: Vec<Vec<String>> = jobs
        .into_iter()
        .map(|job| Ok(row(&JobSummary::read(job)?, now.as_second())))
        .collect::<Result<_, Failure>>()?;
    output::bytes(output::table(&rows).as_bytes())?;
    if rows.is_empty() && !cli.quiet {
        output::note("no jobs yet; start one with `captain run` or `captain submit`");
    } else if more && !cli.quiet {
        output::note(&format!(
            "these are the newest {limit}; --limit N lists more"
        ));
    }
    Ok(Exit::Ok)
}

fn row(job: &JobSummary, now: i64) -> Vec<String> {
    let goal = job
        .goal
        .lines()
        .map(clean)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    vec![
        job.id.clone(),
        clean(&job.state),
        age(now - job.created.as_second()),
        cut(&goal, GOAL_WIDTH),
    ]
}

/// Tells a job's agents something.
pub(crate) async fn reply(cli: &Cli, args: &ReplyArgs) -> Result<Exit, Failure> {
    let text = if args.text == "-" {
        job::read(std::path::Path::new("-"))?
    } else {
        args.text.clone()
    };
    let mut body = serde_json::json!({ "text": text });
    if let Some(subtask) = &args.subtask {
        body["subtask"] = subtask.as_str().into();
    }
    let client = connect::captain(&args.captain)?;
    let answer: serde_json::Value = client.post(&["jobs", &args.job, "reply"], &body).await?;
    if cli.json {
        output::line(&answer.to_string())?;
    } else if !cli.quiet {
        output::line("taken")?;
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

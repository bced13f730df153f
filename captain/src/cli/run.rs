//! `captain run`: one job from the first word to the files. Uses the captain that runs on this machine, else starts one
//! in this process for the time of the job.

use daemon::cli::Failure;
use daemon::exit::Exit;

use super::args::{Cli, RunArgs};
use super::board::Phase;
use super::client::Client;
use super::follow::{Ending, Interrupt, follow, judge};
use super::serve::{Embedded, failure, log};
use super::view::View;
use super::wire::JobSummary;
use super::{artifacts, connect, job};
use crate::config::Config;
use crate::error::StartError;

/// Runs the command.
pub(crate) async fn run(cli: &Cli, args: &RunArgs) -> Result<Exit, Failure> {
    // The events tell what goes wrong; log lines between them would only tell it twice.
    log(cli, "off")?;
    let request = job::request(&args.job, args.remote.url.is_none())?;
    if let Some(folder) = &args.out.out {
        // Better now than after the work.
        super::out::ready(folder, args.out.force)?;
    }
    job::warn(cli, &args.job, args.remote.url.is_none()).await;
    let config = Config::load(&args.config)
        .map_err(StartError::from)
        .map_err(failure)?;
    let folder = config
        .captain_dir()
        .map_err(|error| connect::state_failure(&error))?;
    if let Some(client) = connect::find(&args.remote, &folder)? {
        return one_job(cli, args, &client, &request).await;
    }
    let embedded = Embedded::start(&config).await?;
    let result = one_job(cli, args, &embedded.client, &request).await;
    let stopped = embedded.stop().await;
    let exit = result?;
    stopped.map(|()| exit)
}

async fn one_job(
    cli: &Cli,
    args: &RunArgs,
    client: &Client,
    request: &super::wire::NewJob,
) -> Result<Exit, Failure> {
    let JobSummary { id, .. } = client.post(&["jobs"], request).await?;
    let mut view = View::choose(cli.json, cli.quiet);
    let ending = follow(client, &id, None, &mut view, Interrupt::Cancels).await?;
    match &ending {
        Ending::Over(board) if matches!(board.phase, Phase::Done { .. }) => {
            if args.out.out.is_some() {
                artifacts::write_out(client, &id, &args.out, cli.quiet || cli.json).await?;
            } else if !cli.json {
                view.note(&format!(
                    "the result: captain artifacts {id} [--out DIR | --patch | --tar]"
                ));
            }
        }
        Ending::Left => view.note(&format!(
            "job {id} goes on where a captain runs; see it with: captain watch {id}"
        )),
        Ending::Over(_) | Ending::Cancelled => {}
    }
    judge(ending)
}

//! Following a job to its end: events come in, the view shows them, Ctrl-C goes out.

use std::time::Duration;

use a2a_proto::clock::{Clock, SystemClock};
use daemon::cli::Failure;
use daemon::exit::Exit;
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::board::{Board, Phase};
use super::client::Client;
use super::view::View;

/// How often the tree is drawn: often enough to look alive, seldom enough to cost nothing.
const FRAME: Duration = Duration::from_millis(100);

/// What Ctrl-C means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Cancel the job, wait for its end; a second one leaves.
    Cancels,
    /// Stop looking; the job goes on.
    Leaves,
}

/// How following ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With the job.
    Over(Board),
    /// The user cancelled the job and it ended.
    Cancelled,
    /// The user left.
    Left,
}

/// Shows the events of `job` after number `after` until its end.
pub(crate) async fn follow(
    client: &Client,
    job: &str,
    after: Option<u64>,
    view: &mut View,
    interrupt: Interrupt,
) -> Result<Ending, Failure> {
    let mut stop = Stop::install()?;
    let mut board = Board::new();
    let mut events = std::pin::pin!(client.events(job, after));
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cancelled = false;
    while !board.is_over() {
        tokio::select! {
            told = events.next() => match told {
                Some(told) => {
                    let told = told?;
                    view.event(&told)?;
                    if let Some(envelope) = &told.envelope {
                        board.apply(envelope);
                    }
                }
                None => break,
            },
            _ = frames.tick(), if view.is_live() => view.draw(&board, SystemClock.now())?,
            () = stop.asked() => {
                if interrupt == Interrupt::Leaves || cancelled {
                    return Ok(Ending::Left);
                }
                cancelled = true;
                view.note("cancelling the job; Ctrl-C again leaves without waiting");
                cancel(client, job).await?;
            }
        }
    }
    view.draw(&board, SystemClock.now())?;
    Ok(if cancelled && board.phase == Phase::Cancelled {
        Ending::Cancelled
    } else {
        Ending::Over(board)
    })
}

/// Asks the captain to cancel a job.
pub(crate) async fn cancel(client: &Client, job: &str) -> Result<serde_json::Value, Failure> {
    Ok(client
        .post(&["jobs", job, "cancel"], &serde_json::json!({}))
        .await?)
}

/// The exit code that a job's end stands for.
pub(crate) fn judge(ending: Ending) -> Result<Exit, Failure> {
    match ending {
        Ending::Left | Ending::Cancelled => Ok(Exit::Interrupted),
        Ending::Over(board) => match board.phase {
            Phase::Done { .. } => Ok(Exit::Ok),
            Phase::Failed { message } => Err(Failure::new(
                Exit::WorkFailed,
                format!("the job failed: {message}"),
            )),
            Phase::Cancelled => Err(Failure::new(Exit::WorkFailed, "the job was cancelled")),
            Phase::Planning
            | Phase::AwaitingApproval
            | Phase::Running
            | Phase::Integrating
            | Phase::Stopping => Err(Failure::new(
                Exit::Unavailable,
                "the captain ended the stream before the job was over",
            )),
        },
    }
}

/// The signals that ask a program to stop.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn install() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Internal, format!("cannot wait for signals: {error}"))
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

//! One message given to the agent, and everything it does until it is done or stopped.
//!
//! One loop over the agent's events, the stop signals and the clock. A stop is asked for first and enforced after a grace
//! time; either way the turn ends here and the caller learns why.

use std::time::Duration;

use a2a_proto::activity::Usage;
use a2a_proto::server::{Durability, StatusUpdate, UpdateError, Updates};
use a2a_proto::types::{Part, TaskState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::pool::Session;
use super::run::Run;
use super::state::{Input, State, Stop};
use super::transcript::Transcript;
use super::watchdog::{Reading, Watchdog};
use super::{Failure, SessionOptions};
use crate::driver::{DriverEvent, StopReason};
use crate::gateway::Meter;
use crate::translate::Narrator;

/// How often the watchdog looks, besides every event.
const TICK: Duration = Duration::from_millis(100);

/// How long an agent may take to stop by itself before it is killed. opencode takes 0.2 seconds.
const GRACE: Duration = Duration::from_secs(3);

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// By itself.
    Ended(StopReason),
    /// With an error, in words for the client.
    Failed(String),
    /// By a watchdog, in words for the client.
    Watchdog(String),
    /// Because the client wanted it.
    Cancelled,
    /// Because the worker is being stopped.
    Shutdown,
}

impl Outcome {
    /// After a stop the agent is ended in any case: it may have left processes behind that it does not know of.
    pub(super) fn leaves_agent_usable(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

/// A turn's end, with what is told about it.
#[derive(Debug)]
pub(super) struct TurnEnd {
    pub(super) outcome: Outcome,
    pub(super) text: String,
    pub(super) steps: u64,
    pub(super) usage: Usage,
}

/// What the loop woke up for.
enum Wake {
    Event(Option<DriverEvent>),
    Stop(Stop),
    Look,
}

/// Gives `text` to the agent and follows it to the end of its turn.
pub(super) async fn run(
    options: &SessionOptions,
    session: &mut Session,
    run: &Run,
    cancelled: &CancellationToken,
    updates: &Updates,
    text: String,
) -> Result<TurnEnd, Failure> {
    let mut transcript = Transcript::default();
    let mut narrator = Narrator::default();
    let mut watchdog = Watchdog::new(
        &options.limits,
        options.clock.now(),
        reading(&options.meter),
    );
    // What came after the last turn's end belongs to no task.
    while session.driver.events.try_recv().is_ok() {}
    session.advance(Input::Prompted {
        task: updates.task_id().to_owned(),
    });
    if session.driver.prompt(text).await.is_err() {
        session.advance(Input::Gone {
            reason: "it ended before the message".to_owned(),
        });
        return Ok(end(
            Outcome::Failed("the agent has ended".to_owned()),
            transcript,
            &watchdog,
            options,
        ));
    }
    let mut deadline = None;
    let outcome = loop {
        let stopping = matches!(session.state(), State::Cancelling { .. });
        let wake = tokio::select! {
            biased;
            // A stop of the worker fires the turn's token as well, so it must be looked at first.
            () = options.stop.cancelled(), if !stopping => Wake::Stop(Stop::Shutdown),
            () = run.cancel.cancelled(), if !stopping => Wake::Stop(Stop::Cancelled),
            () = cancelled.cancelled(), if !stopping => Wake::Stop(Stop::Cancelled),
            event = session.driver.events.recv() => Wake::Event(event),
            () = options.meter.changed() => Wake::Look,
            () = tokio::time::sleep(TICK) => Wake::Look,
        };
        match wake {
            Wake::Event(Some(DriverEvent::TurnEnded(reason))) => {
                let outcome = stopped_by(session.state()).unwrap_or(Outcome::Ended(reason));
                session.advance(Input::TurnEnded);
                break outcome;
            }
            Wake::Event(Some(DriverEvent::Error { message })) => {
                let outcome = stopped_by(session.state())
                    .unwrap_or_else(|| Outcome::Failed(explain(message, &options.meter)));
                session.advance(Input::TurnEnded);
                break outcome;
            }
            Wake::Event(None) => {
                let outcome = stopped_by(session.state()).unwrap_or_else(|| {
                    Outcome::Failed("the agent ended in the middle of its work".to_owned())
                });
                session.advance(Input::Gone {
                    reason: "its process ended".to_owned(),
                });
                break outcome;
            }
            Wake::Event(Some(event)) => {
                watchdog.update(
                    options.clock.now(),
                    matches!(event, DriverEvent::ToolStarted { .. }),
                );
                transcript.see(&event);
                // After a stop the client has been told all it will be told.
                if !stopping && let Err(error) = tell(updates, &mut narrator, &event).await {
                    match error {
                        UpdateError::Terminal { .. } => {
                            ask_to_stop(session, Stop::Cancelled, &mut deadline);
                        }
                        other => return Err(other.into()),
                    }
                }
            }
            Wake::Stop(why) => ask_to_stop(session, why, &mut deadline),
            Wake::Look => {}
        }
        if !matches!(session.state(), State::Cancelling { .. })
            && let Some(message) = watchdog.check(options.clock.now(), &reading(&options.meter))
        {
            warn!(
                task = updates.task_id(),
                message, "a watchdog stops the turn"
            );
            ask_to_stop(session, Stop::Watchdog { message }, &mut deadline);
        }
        if let Some(outcome) = stopped_by(session.state())
            .filter(|_| deadline.is_some_and(|deadline| Instant::now() >= deadline))
        {
            warn!(
                task = updates.task_id(),
                "the agent did not stop when asked, it is killed"
            );
            break outcome;
        }
    };
    Ok(end(outcome, transcript, &watchdog, options))
}

fn ask_to_stop(session: &mut Session, why: Stop, deadline: &mut Option<Instant>) {
    session.advance(Input::StopAsked(why));
    session.driver.cancel();
    deadline.get_or_insert_with(|| Instant::now() + GRACE);
}

/// The outcome of a turn that is being stopped; none for one that is not.
fn stopped_by(state: &State) -> Option<Outcome> {
    match state {
        State::Cancelling {
            why: Stop::Cancelled,
            ..
        } => Some(Outcome::Cancelled),
        State::Cancelling {
            why: Stop::Shutdown,
            ..
        } => Some(Outcome::Shutdown),
        State::Cancelling {
            why: Stop::Watchdog { message },
            ..
        } => Some(Outcome::Watchdog(message.clone())),
        State::Starting | State::Idle | State::Prompting { .. } | State::Dead { .. } => None,
    }
}

/// Tells the client what the agent did.
async fn tell(
    updates: &Updates,
    narrator: &mut Narrator,
    event: &DriverEvent,
) -> Result<(), UpdateError> {
    for told in narrator.tell(event) {
        let message = updates.agent_message(vec![Part::text(told.text)]);
        let update = StatusUpdate {
            state: TaskState::Working,
            message: Some(message),
            metadata: Some(told.activity.to_metadata()),
        };
        updates.status_with(update, Durability::Soon).await?;
    }
    Ok(())
}

fn end(
    outcome: Outcome,
    transcript: Transcript,
    watchdog: &Watchdog,
    options: &SessionOptions,
) -> TurnEnd {
    let usage = transcript.usage.clone();
    TurnEnd {
        outcome,
        text: transcript.into_text(),
        steps: watchdog.steps(&reading(&options.meter)),
        usage,
    }
}

/// Agents report an unreachable model in many words of their own; the gateway knows the fact and the remedy.
fn explain(message: String, meter: &Meter) -> String {
    match meter.unreachable_in_a_row() {
        (0, _) => message,
        (_, why) => why,
    }
}

fn reading(meter: &Meter) -> Reading {
    let (unreachable_in_a_row, unreachable_why) = meter.unreachable_in_a_row();
    Reading {
        model_calls: meter.calls(),
        signs_of_life: meter.signs_of_life(),
        unreachable_in_a_row,
        unreachable_why,
    }
}

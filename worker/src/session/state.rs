//! The states of a session and the moves between them. One exhaustive match; a move that is not in it is an error of
//! this program and not of the agent.

use thiserror::Error;

/// What a session is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// The agent's process starts and its session opens.
    Starting,
    /// Ready for a message.
    Idle,
    /// Working on a message of this task.
    Prompting { task: String },
    /// Asked to stop, and given some time for it.
    Cancelling { task: String, why: Stop },
    /// The agent is gone; a new process can continue the session.
    Dead { reason: String },
}

/// Why a turn is being stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The client wants it.
    Cancelled,
    /// A watchdog does; the text is for the client.
    Watchdog { message: String },
    /// The worker itself is being stopped.
    Shutdown,
}

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// The agent is ready.
    Started,
    /// A message of this task goes to the agent.
    Prompted { task: String },
    /// The turn is to be stopped.
    StopAsked(Stop),
    /// The turn ended by itself.
    TurnEnded,
    /// The agent's process is gone, whether by itself or by us.
    Gone { reason: String },
}

/// A move that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a session that is {state:?} cannot take {input:?}")]
pub(crate) struct IllegalMove {
    state: State,
    input: Input,
}

impl State {
    /// The state after `input`.
    pub(crate) fn next(self, input: Input) -> Result<Self, IllegalMove> {
        match (self, input) {
            (Self::Starting, Input::Started)
            | (Self::Prompting { .. } | Self::Cancelling { .. }, Input::TurnEnded) => {
                Ok(Self::Idle)
            }
            (Self::Idle, Input::Prompted { task }) => Ok(Self::Prompting { task }),
            (Self::Prompting { task }, Input::StopAsked(why)) => Ok(Self::Cancelling { task, why }),
            // The first reason for a stop is the one that is reported.
            (Self::Cancelling { task, why }, Input::StopAsked(_)) => {
                Ok(Self::Cancelling { task, why })
            }
            // A process dies once; what comes after is the same news.
            (
                Self::Starting | Self::Idle | Self::Prompting { .. } | Self::Cancelling { .. },
                Input::Gone { reason },
            )
            | (Self::Dead { reason }, Input::Gone { .. }) => Ok(Self::Dead { reason }),
            (
                state @ Self::Starting,
                input @ (Input::Prompted { .. } | Input::StopAsked(_) | Input::TurnEnded),
            )
            | (
                state @ Self::Idle,
                input @ (Input::Started | Input::StopAsked(_) | Input::TurnEnded),
            )
            | (
                state @ (Self::Prompting { .. } | Self::Cancelling { .. }),
                input @ (Input::Started | Input::Prompted { .. }),
            )
            | (
                state @ Self::Dead { .. },
                input @ (Input::Started
                | Input::Prompted { .. }
                | Input::StopAsked(_)
                | Input::TurnEnded),
            ) => Err(IllegalMove { state, input }),
        }
    }
}

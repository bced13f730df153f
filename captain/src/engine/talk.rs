//! What people say to a job that runs, on its way into the job's log: whom it is for, and why it is not taken. The other
//! half of the way, from the log to the workers, is the driver's.

use captain_core::machine::{ApplyError, MAX_MESSAGES};
use captain_core::{JobEvent, JobId};
use tokio::sync::oneshot;
use tracing::debug;

use super::EngineError;
use super::actor::Actor;
use super::commit::Answer;
use super::handle::Reply;

impl Actor {
    /// Records what a person said. Whom it is for is decided here, so that a replay need not decide it again.
    pub(super) fn reply(
        &mut self,
        job: &JobId,
        reply: Reply,
        answer: oneshot::Sender<Result<(), EngineError>>,
    ) {
        let Some(live) = self.jobs.get(job) else {
            return drop(answer.send(Err(EngineError::NotFound(job.clone()))));
        };
        let Reply {
            text,
            by: from,
            subtask,
            id,
        } = reply;
        let messages = live.job.messages();
        if id.is_some() && messages.iter().any(|message| message.id == id) {
            // Said before: the answer is the same.
            return self.batch.answers.push(Answer::Done(job.clone(), answer));
        }
        let full = messages.len() >= MAX_MESSAGES as usize;
        let asking = || {
            let questions = live.job.open_questions();
            questions.first().map(|(id, _)| (*id).clone())
        };
        let event = JobEvent::MessageReceived {
            message: u32::try_from(messages.len()).unwrap_or(u32::MAX - 1) + 1,
            from,
            text,
            id,
            subtask: subtask.or_else(asking),
        };
        let state = live.job.state().name().to_owned();
        let refused = match self.record(job, None, event) {
            Ok(()) => return self.batch.answers.push(Answer::Done(job.clone(), answer)),
            Err(EngineError::Refused { source, .. }) if full => {
                debug!(%job, error = %source, "a message is refused");
                EngineError::NotTaken {
                    job: job.clone(),
                    reason: format!("it has {MAX_MESSAGES} messages already"),
                }
            }
            Err(EngineError::Refused {
                source: ApplyError::UnknownSubtask { subtask, .. },
                ..
            }) => EngineError::NotTaken {
                job: job.clone(),
                reason: format!("there is no subtask {subtask}"),
            },
            Err(EngineError::Refused {
                source: ApplyError::Unexpected { what, state, .. },
                ..
            }) if what != "the job" => EngineError::NotTaken {
                job: job.clone(),
                reason: format!("{what} is {state}"),
            },
            Err(EngineError::Refused { .. }) => EngineError::WrongState {
                job: job.clone(),
                state,
                action: "to send it a message",
            },
            Err(error) => error,
        };
        drop(answer.send(Err(refused)));
    }
}

//! What people say to a job while it runs, and the questions that agents ask them: which subtask a message is for, which
//! worker is owed which message, whether the job waits for a person. Called from `machine.rs`, except for the questions
//! about the present state, which everybody may ask. How a message gets to a worker is the shell's business.

use super::ApplyError;
use super::steps::is_with_worker;
use crate::effect::Effect;
use crate::event::JobEvent;
use crate::ids::SubtaskId;
use crate::job::{Job, JobState, SubtaskState, UserMessage};
use crate::schedule;

/// Most messages to one job. Each is told to every worker that comes later, so there must be an end to them.
pub const MAX_MESSAGES: u32 = 256;

impl Job {
    /// How many messages there are.
    pub(super) fn message_count(&self) -> u32 {
        // At most `MAX_MESSAGES` are taken.
        u32::try_from(self.messages.len()).unwrap_or(u32::MAX)
    }

    /// Takes a message, and says which workers are owed it now. Those that are busy with an earlier one get it after that.
    pub(super) fn receive(
        &mut self,
        event: &JobEvent,
        message: UserMessage,
    ) -> Result<Vec<Effect>, ApplyError> {
        let (number, to) = (message.number, message.to.as_ref());
        let takes = match &self.state {
            JobState::Planning { problems } => problems.is_empty() && to.is_none(),
            JobState::AwaitingApproval | JobState::Running => true,
            JobState::Integrating
            | JobState::Cancelling { .. }
            | JobState::Completed { .. }
            | JobState::Failed { .. }
            | JobState::Cancelled => false,
        };
        if !takes || number != self.message_count() + 1 || number > MAX_MESSAGES {
            return Err(self.unexpected(event));
        }
        if let Some(id) = to {
            let Some(one) = self.subtasks.get(id) else {
                return Err(ApplyError::UnknownSubtask {
                    event: event.name(),
                    subtask: id.clone(),
                });
            };
            if one.state.is_terminal() {
                return Err(ApplyError::Unexpected {
                    event: event.name(),
                    what: format!("subtask {id}"),
                    state: one.state.name(),
                });
            }
        }
        self.messages.push(message);
        let owed = self.subtasks.keys().filter_map(|id| self.untold(id));
        Ok(owed
            .filter(|effect| matches!(effect, Effect::Tell { message, .. } if *message == number))
            .collect())
    }

    /// Notes that a worker has a message, or that it cannot be given it: a question stays open then. Answers with the next
    /// message that it is owed.
    pub(super) fn delivered(
        &mut self,
        event: &JobEvent,
        id: &SubtaskId,
        number: u32,
        failed: bool,
    ) -> Result<Vec<Effect>, ApplyError> {
        let next = self.next_for(id).map(|message| message.number);
        let unexpected = self.unexpected(event);
        let one = self.subtask_in(event, id, is_with_worker)?;
        let Some(record) = one.attempts.last_mut().filter(|_| next == Some(number)) else {
            return Err(unexpected);
        };
        record.told = number;
        if failed {
            record.asked = record.asked.max(number);
        }
        Ok(Vec::from_iter(self.untold(id)))
    }

    /// The message that the worker of a subtask is owed next, as an effect.
    pub(super) fn untold(&self, id: &SubtaskId) -> Option<Effect> {
        let one = self.subtasks.get(id)?;
        let record = one.current()?;
        let reachable = self.state == JobState::Running && is_with_worker(&one.state);
        record.task.as_ref().filter(|_| reachable)?;
        let message = self.next_for(id)?;
        Some(Effect::Tell {
            subtask: id.clone(),
            attempt: record.attempt,
            message: message.number,
            text: message.text.clone(),
        })
    }

    fn next_for(&self, id: &SubtaskId) -> Option<&UserMessage> {
        let told = self.subtasks.get(id)?.current()?.told;
        self.after(told).find(|message| message.is_for(id))
    }

    /// The messages with a higher number than `number`.
    fn after(&self, number: u32) -> impl Iterator<Item = &UserMessage> {
        let skip = usize::try_from(number).unwrap_or(usize::MAX);
        self.messages.iter().skip(skip)
    }

    /// The questions that nobody has answered yet, the oldest first.
    pub fn open_questions(&self) -> Vec<(&SubtaskId, &str)> {
        let mut questions: Vec<_> = self
            .subtasks
            .iter()
            .filter_map(|(id, one)| match &one.state {
                SubtaskState::InputRequired { question } => {
                    let asked = one.current()?.asked;
                    let answered = self.after(asked).any(|message| message.is_for(id));
                    (!answered).then_some((one.since, id, question.as_str()))
                }
                _ => None,
            })
            .collect();
        questions.sort();
        questions
            .into_iter()
            .map(|(_, id, question)| (id, question))
            .collect()
    }

    /// Whether the job cannot go on until a person answers: something waits, and nothing else is at work or may start.
    pub fn is_blocked(&self) -> bool {
        let open = self.open_questions();
        if self.state != JobState::Running || open.is_empty() {
            return false;
        }
        let full = schedule::active(self) >= self.max_parallel();
        self.subtasks.iter().all(|(id, one)| match &one.state {
            SubtaskState::InputRequired { .. } => open.iter().any(|(open, _)| *open == id),
            SubtaskState::Ready => full,
            SubtaskState::Waiting { .. }
            | SubtaskState::Done { .. }
            | SubtaskState::Failed { .. }
            | SubtaskState::Skipped { .. }
            | SubtaskState::Cancelled => true,
            SubtaskState::Backoff { .. }
            | SubtaskState::Preparing
            | SubtaskState::Launching
            | SubtaskState::Running
            | SubtaskState::Merging
            | SubtaskState::Fencing { .. }
            | SubtaskState::AttemptOver { .. } => false,
        })
    }

    /// The messages that are part of an attempt's prompt, because they were there before it.
    pub fn heard_by(&self, id: &SubtaskId, heard: u32) -> impl Iterator<Item = &UserMessage> {
        let count = usize::try_from(heard).unwrap_or(usize::MAX);
        let messages = self.messages.iter().take(count);
        messages.filter(move |message| message.is_for(id))
    }
}

#[cfg(test)]
mod tests;

//! An agent that does what conformance kits ask for: the beginning of a message's id, or else of its first text, says
//! what happens to the task. It exists so that the real servers (bindings, log, push, streams) can be tried from
//! outside without a model, a sandbox or a key. What happens is decided in `scenario`, a table; `play` does it. It must
//! not work around the server: everything goes through [`Updates`] like with any other agent.

mod play;
mod profile;
mod scenario;

#[cfg(test)]
mod tests;

use crate::error::A2aError;
use crate::server::{Acceptance, Agent, AgentError, Caller, CancelTarget, Incoming, Turn, Updates};
use crate::types::{AgentCard, Message, Part};

pub use self::profile::{Profile, REQUIRED_EXTENSION, UnknownProfile};

use self::scenario::Scenario;

/// The agent.
#[derive(Debug, Clone)]
pub struct Conformance {
    profile: Profile,
    card: AgentCard,
}

impl Conformance {
    /// An agent of one profile. `card` says what only the binary knows: name, version and interfaces; what the profile
    /// says about capabilities is filled in.
    pub fn new(profile: Profile, card: AgentCard) -> Self {
        Self {
            card: profile.complete(card),
            profile,
        }
    }

    /// What the agent can do.
    pub fn profile(&self) -> Profile {
        self.profile
    }
}

impl Agent for Conformance {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    fn extended_card(&self, _caller: &Caller) -> Option<AgentCard> {
        self.profile.extended(&self.card)
    }

    async fn accept(&self, incoming: &Incoming) -> Result<Acceptance, A2aError> {
        match scenario::of(
            incoming.protocol,
            &incoming.message,
            incoming.task.is_some(),
        ) {
            Scenario::Reply(text) => {
                let reply = Message::agent(String::new(), vec![Part::text(text)]);
                Ok(Acceptance::Reply(Box::new(reply)))
            }
            Scenario::Steps(_) => Ok(Acceptance::Task),
        }
    }

    async fn execute(&self, turn: Turn, updates: Updates) -> Result<(), AgentError> {
        match scenario::of(turn.protocol, &turn.message, turn.follow_up) {
            // Was answered without a task.
            Scenario::Reply(_) => Ok(()),
            Scenario::Steps(steps) => play::play(steps, &turn.cancelled, &updates).await,
        }
    }

    async fn cancel(&self, _target: &CancelTarget) -> Result<(), AgentError> {
        // A turn holds nothing but a timer, and drops it when its token fires, which has happened already.
        Ok(())
    }
}

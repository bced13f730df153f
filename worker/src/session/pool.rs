//! The agent processes of a worker: a few live ones, and the memory of which context continues which session.

use tracing::{debug, info};

use super::book::Book;
use super::state::{Input, State};
use crate::driver::{Driver, DriverError, DriverSession, SessionSpec};

/// Live agents at once; each takes some 400 MB. The one that was idle longest makes room, and continues its session when
/// it is needed again.
const MAX_LIVE: usize = 2;

/// A context with its agent.
#[derive(Debug)]
pub(super) struct Session {
    context: String,
    state: State,
    pub(super) driver: DriverSession,
}

impl Session {
    /// Moves the state machine. An illegal move is logged and changes nothing, since the agent must not be able to
    /// bring the worker down.
    pub(super) fn advance(&mut self, input: Input) {
        match self.state.clone().next(input) {
            Ok(state) => {
                debug!(context = self.context, ?state, "session");
                self.state = state;
            }
            Err(error) => {
                tracing::error!(%error, context = self.context, "a session took an impossible step");
            }
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }
}

/// The live agents, the most recently used last.
#[derive(Debug)]
pub(super) struct Pool {
    sessions: Vec<Session>,
    spare: Option<DriverSession>,
    book: Book,
}

impl Pool {
    pub(super) fn new(book: Book) -> Self {
        Self {
            sessions: Vec::new(),
            spare: None,
            book,
        }
    }

    /// Keeps a started agent for the first context that has no session yet.
    pub(super) fn keep_spare(&mut self, session: DriverSession) {
        self.spare = Some(session);
    }

    /// The context's session, started or continued if need be.
    pub(super) async fn obtain(
        &mut self,
        context: &str,
        driver: &dyn Driver,
    ) -> Result<&mut Session, DriverError> {
        let known = self
            .sessions
            .iter()
            .position(|session| session.context == context);
        let session = match known {
            Some(index) => {
                let session = self.sessions.remove(index);
                match session.state {
                    // An agent can die while it is idle; the events' end tells.
                    State::Idle if !session.driver.events.is_closed() => session,
                    State::Idle
                    | State::Starting
                    | State::Prompting { .. }
                    | State::Cancelling { .. }
                    | State::Dead { .. } => {
                        session.driver.kill().await;
                        self.start(context, driver).await?
                    }
                }
            }
            None => self.start(context, driver).await?,
        };
        while self.sessions.len() >= MAX_LIVE {
            let idle_longest = self.sessions.remove(0);
            info!(context = idle_longest.context, "an idle agent makes room");
            idle_longest.driver.kill().await;
        }
        self.sessions.push(session);
        self.sessions.last_mut().ok_or(DriverError::Gone)
    }

    async fn start(&mut self, context: &str, driver: &dyn Driver) -> Result<Session, DriverError> {
        let resume = self.book.find(context);
        let started = match (self.spare.take(), &resume) {
            (Some(spare), None) if !spare.events.is_closed() => spare,
            (spare, _) => {
                if let Some(spare) = spare {
                    spare.kill().await;
                }
                driver.start(SessionSpec { resume }).await?
            }
        };
        if let Some(agent_session) = &started.agent_session {
            self.book.enter(context, agent_session);
        }
        let mut session = Session {
            context: context.to_owned(),
            state: State::Starting,
            driver: started,
        };
        session.advance(Input::Started);
        Ok(session)
    }

    /// Ends the context's agent and everything that it started.
    pub(super) async fn discard(&mut self, context: &str) {
        if let Some(index) = self
            .sessions
            .iter()
            .position(|session| session.context == context)
        {
            let mut session = self.sessions.remove(index);
            session.advance(Input::Gone {
                reason: "ended by the worker".to_owned(),
            });
            session.driver.kill().await;
        }
    }

    /// Ends all agents.
    pub(super) async fn end_all(&mut self) {
        for session in self.sessions.drain(..) {
            session.driver.kill().await;
        }
        if let Some(spare) = self.spare.take() {
            spare.kill().await;
        }
    }
}

//! The server side: an [`Agent`] and a [`TaskLog`] behind every binding on one port.
//!
//! From the outside in: `router` lists the middleware, `route` says what a path means, `jsonrpc`, `rest`, those of older
//! versions beside them, `simple` and `cards` are thin shells that read a request and write an answer, `dispatch` does the operations without knowing a
//! binding, `turns` runs the agent. What is stored and in which order is the log's business.

mod agent;
mod answer;
mod auth;
mod cards;
mod dispatch;
#[cfg(feature = "grpc")]
mod grpc;
mod jsonrpc;
mod options;
mod rest;
mod rest_v03;
mod route;
mod router;
mod rpc_v01;
mod rpc_v03;
mod simple;
mod stream;
mod turns;
mod updates;
mod view;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use self::cards::Cards;
use self::turns::Turns;
use crate::log::{LogError, LogTask, TaskLog};
use crate::push::Couriers;
use crate::types::Task;

pub use self::agent::{Acceptance, Agent, AgentError, CancelTarget, Incoming, Turn};
pub use self::auth::{
    AnyCaller, AuthError, Authenticator, BearerToken, Caller, bearer, require_caller,
};
pub use self::dispatch::Idempotency;
pub use self::options::ServerOptions;
pub use self::updates::{Durability, StatusUpdate, UpdateError, Updates};

#[cfg(feature = "fuzzing")]
pub(crate) use self::{grpc::message as grpc_message, route::in_words as route_in_words};

/// An agent that can be served.
pub struct Server<A, L>(Arc<Inner<A, L>>);

/// What every request shares.
struct Inner<A, L> {
    agent: Arc<A>,
    log: Arc<L>,
    options: ServerOptions,
    streams: Arc<Semaphore>,
    turns: Arc<Turns>,
    cards: Cards,
    /// Deliver push notifications, if the owner wants any.
    couriers: Option<Arc<Couriers>>,
}

/// A task that had not ended when the server before this one stopped.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// The task as stored.
    pub task: Arc<Task>,
    /// Who made it.
    pub caller: Caller,
    /// Writes to it: to go on with it, or to say that it failed.
    pub updates: Updates,
}

impl<A: Agent, L: TaskLog> Server<A, L> {
    /// Serves `agent`, storing in `log`.
    pub fn new(agent: Arc<A>, log: Arc<L>, options: ServerOptions) -> Self {
        let cards = Cards::new(Arc::clone(&options.clock), options.card_max_age);
        let streams = Arc::new(Semaphore::new(
            options.max_streams.min(Semaphore::MAX_PERMITS),
        ));
        let couriers = options.push.as_ref().map(|pusher| {
            Arc::new(Couriers::new(
                pusher,
                Arc::clone(&options.clock),
                options.tracker.clone(),
                options.shutdown.clone(),
                options.preview_1_1,
            ))
        });
        Self(Arc::new(Inner {
            agent,
            log,
            options,
            streams,
            turns: Arc::default(),
            cards,
            couriers,
        }))
    }

    /// Every binding, to be served on one port. It answers all paths, so it is merged under a router of one's own
    /// as the last one.
    pub fn router(&self) -> axum::Router {
        router::router(Arc::clone(&self.0))
    }

    /// The log.
    pub fn log(&self) -> &Arc<L> {
        &self.0.log
    }

    /// Goes on with the push notifications that the server before this one had not delivered. To be called once, after
    /// [`Server::recover`] and what is made of its answer.
    ///
    /// # Errors
    /// What reading or writing the log says.
    pub async fn resume_push(&self) -> Result<(), LogError> {
        match &self.0.couriers {
            Some(couriers) => couriers.resume(self.0.log.open_pushes().await?).await,
            None => Ok(()),
        }
    }

    /// The tasks that had not ended when the log was opened. To be asked before the first request is served; what
    /// becomes of them is the agent's choice.
    ///
    /// # Errors
    /// What reading the log says.
    pub async fn recover(&self) -> Result<Vec<Recovered>, LogError> {
        let recovered = |task: LogTask| Recovered {
            task: task.snapshot().task,
            caller: Caller::of_owner(task.owner()),
            updates: self.0.updates(task),
        };
        Ok(self
            .0
            .log
            .unfinished()
            .await?
            .into_iter()
            .map(recovered)
            .collect())
    }
}

impl<A, L> Inner<A, L> {
    fn updates(&self, task: LogTask) -> Updates {
        Updates::new(
            task,
            Arc::clone(&self.options.clock),
            Arc::clone(&self.options.ids),
        )
    }
}

impl<A, L> Clone for Server<A, L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A, L> fmt::Debug for Server<A, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

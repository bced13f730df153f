//! Where workers run. `local` starts them as processes of this machine; `fake` is an in-memory one for tests. All keep
//! the contract of [`crate::engine::ports::Backend`], and one suite (`contract`) checks it against each. A backend
//! reports what its platform says; whether a worker is ready or done is for others to say.

#[cfg(test)]
pub(crate) mod contract;
#[cfg(test)]
pub(crate) mod fake;
pub mod local;
pub mod settings;

use futures_util::future::BoxFuture;

use crate::engine::ports::{Backend, BackendError, Instance};
use captain_core::WorkerId;

/// A backend that also runs workers without a job, for people who drive a worker themselves.
pub trait StandAlone: Backend {
    /// Starts a worker from an agent ID card. A worker of the same id that runs already is the answer.
    fn launch_card<'a>(
        &'a self,
        card: &'a StandAloneCard,
    ) -> BoxFuture<'a, Result<Instance, BackendError>>;
}

/// An agent ID card given by a user; `agent_id` is checked, the rest is the worker's to judge.
#[derive(Debug, Clone, PartialEq)]
pub struct StandAloneCard {
    /// The worker's id, also in `card`.
    pub worker: WorkerId,
    /// The card; without `workspace` the backend gives the worker an empty folder.
    pub card: serde_json::Map<String, serde_json::Value>,
}

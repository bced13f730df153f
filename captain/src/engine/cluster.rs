//! What an engine does that is one of several on a database. A keeper, beside the loop, holds the lease, brings in the jobs
//! that have become this captain's, and carries out orders that other captains have handed over. When a lease has ended
//! every job is let go at once: what is in memory may be behind the log, and somebody else may be at work on it.
//!
//! The loop itself knows of this only that jobs may come and go. That what goes cannot act any more is the fence's
//! business (`store::Fence`), and that it cannot append is the database's.

use std::sync::Arc;

use captain_core::JobId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::EngineError;
use super::actor::{Actor, Command, Input};
use super::commit::Answer;
use super::feed::lock;
use super::handle::{Handle, Reply};
use super::recover::{self, Recovered};
use crate::store::{Cluster, Handed, Store, StoreError, Which};

/// What people ask of a job that runs, wherever it does. As an order it is carried out at least once, and each is such
/// that a second time changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// To stop.
    Cancel {
        /// Who asks.
        by: String,
    },
    /// To run its plan.
    Approve {
        /// Who asks.
        by: String,
    },
    /// To hear something.
    Reply(Reply),
}

impl Action {
    /// What is not possible when it is refused.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Cancel { .. } => "to cancel it",
            Self::Approve { .. } => "to approve its plan",
            Self::Reply(_) => "to send it a message",
        }
    }

    pub(super) fn command(
        self,
        job: JobId,
        answer: oneshot::Sender<Result<(), EngineError>>,
    ) -> Command {
        match self {
            Self::Cancel { by } => Command::Cancel { job, by, answer },
            Self::Approve { by } => Command::Approve { job, by, answer },
            Self::Reply(reply) => Command::Reply { job, reply, answer },
        }
    }
}

/// What became of an order, as it goes back through the database.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Done {
    Ok,
    WrongState { state: String },
    NotTaken { reason: String },
    Failed,
}

impl Done {
    fn of(result: &Result<(), EngineError>) -> Self {
        match result {
            Ok(()) => Self::Ok,
            Err(EngineError::WrongState { state, .. }) => Self::WrongState {
                state: state.clone(),
            },
            Err(EngineError::NotTaken { reason, .. }) => Self::NotTaken {
                reason: reason.clone(),
            },
            Err(_) => Self::Failed,
        }
    }

    fn read(self, job: &JobId, action: &Action) -> Result<(), EngineError> {
        let job = job.clone();
        match self {
            Self::Ok => Ok(()),
            Self::WrongState { state } => Err(EngineError::WrongState {
                job,
                state,
                action: action.words(),
            }),
            Self::NotTaken { reason } => Err(EngineError::NotTaken { job, reason }),
            Self::Failed => Err(EngineError::Moved { job }),
        }
    }
}

impl Handle {
    /// Does something to a job: here if it runs here, else through the database, where its owner finds it.
    pub(super) async fn act(&self, job: &JobId, action: Action) -> Result<(), EngineError> {
        let asked = action.clone();
        let result = self
            .ask(|answer| asked.command(job.clone(), answer))
            .await?;
        match result {
            Err(EngineError::NotFound(_)) => {}
            other => return other,
        }
        // The engine only knows jobs that have not ended and are its own.
        let head = self.head(job).await?;
        let mut state = head.state;
        if let Some(cluster) = self.store.cluster().filter(|_| !head.terminal) {
            let order = serde_json::to_value(&action).map_err(StoreError::Encode)?;
            if let Some(answer) = cluster.hand_over(job, order).await? {
                let done: Done = serde_json::from_value(answer).map_err(StoreError::Encode)?;
                return done.read(job, &action);
            }
            let head = self.head(job).await?;
            if !head.terminal {
                return Err(EngineError::Moved { job: job.clone() });
            }
            state = head.state;
        }
        Err(EngineError::WrongState {
            job: job.clone(),
            state,
            action: action.words(),
        })
    }
}

/// The keeper of one engine.
pub(super) struct Keeper {
    pub(super) store: Arc<dyn Store>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) inputs: mpsc::Sender<Input>,
    /// Jobs that are this captain's and could not be read back yet.
    unread: Vec<JobId>,
    epoch: Option<u64>,
}

impl Keeper {
    pub(super) fn new(
        store: Arc<dyn Store>,
        commands: mpsc::Sender<Command>,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            store,
            commands,
            inputs,
            unread: Vec::new(),
            epoch: None,
        }
    }

    /// Keeps until the engine stops. Nothing to do where the database is this captain's alone.
    pub(super) async fn run(mut self) {
        let store = Arc::clone(&self.store);
        let Some(cluster) = store.cluster() else {
            return;
        };
        loop {
            if let Err(error) = self.round(cluster).await {
                warn!(
                    error = daemon::cli::chain(&error),
                    "jobs and orders of the shared database cannot be looked at, trying again"
                );
            }
            cluster.wait().await;
        }
    }

    async fn round(&mut self, cluster: &dyn Cluster) -> Result<(), EngineError> {
        let epoch = cluster.lease().await?;
        if self.epoch.is_some_and(|last| last != epoch) {
            // Nothing is claimed under the new lease before everything of the old one is forgotten.
            let (done, forgotten) = oneshot::channel();
            self.send(Input::Lost { done }).await?;
            forgotten.await.map_err(|_| EngineError::Stopped)?;
            self.unread.clear();
        }
        self.epoch = Some(epoch);
        let claimed = cluster.claim().await?;
        if !claimed.is_empty() {
            info!(jobs = claimed.len(), epoch, "taking jobs over");
        }
        self.unread.extend(claimed);
        while let Some(job) = self.unread.last() {
            // Output is needed for what was heard.
            let read = recover::read(&*self.store, job, Which::All).await?;
            self.unread.pop();
            if let Some(recovered) = read {
                self.send(Input::Owned(Box::new(recovered))).await?;
            }
        }
        for order in cluster.orders().await? {
            self.carry_out(cluster, order).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, cluster: &dyn Cluster, handed: Handed) -> Result<(), EngineError> {
        let Handed { id, job, order } = handed;
        let mut action: Action = match serde_json::from_value(order) {
            Ok(action) => action,
            Err(error) => {
                warn!(%job, %error, "an order is not understood: was it given by a newer captain?");
                return Ok(cluster.answer(id, done(&Done::Failed)?).await?);
            }
        };
        if let Action::Reply(reply) = &mut action {
            // So that the job knows it when it comes again.
            reply.id.get_or_insert_with(|| format!("order-{id}"));
        }
        let words = action.words();
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(action.command(job.clone(), answer))
            .await
            .map_err(|_| EngineError::Stopped)?;
        let mut result = answered.await.map_err(|_| EngineError::Stopped)?;
        if let Err(EngineError::NotFound(_)) = result {
            match self.store.head(&job).await? {
                Some(head) if head.terminal => {
                    result = Err(EngineError::WrongState {
                        job,
                        state: head.state,
                        action: words,
                    });
                }
                // It is on its way into the engine; the order comes again.
                Some(_) => return Ok(()),
                None => {}
            }
        }
        if let Err(EngineError::Store(_) | EngineError::Moved { .. }) = result {
            // Whoever has the job next finds the order too.
            return Ok(());
        }
        Ok(cluster.answer(id, done(&Done::of(&result))?).await?)
    }

    async fn send(&self, input: Input) -> Result<(), EngineError> {
        let sent = self.inputs.send(input).await;
        sent.map_err(|_| EngineError::Stopped)
    }
}

fn done(done: &Done) -> Result<Value, StoreError> {
    serde_json::to_value(done).map_err(StoreError::Encode)
}

impl Actor {
    /// A job has become this captain's.
    pub(super) fn own(&mut self, recovered: Recovered) {
        let Recovered { job, seq, heard } = recovered;
        if self.jobs.contains_key(job.id()) {
            return;
        }
        // What is still to be brought about for it.
        let effects = job.pending_effects().into_iter();
        self.batch
            .effects
            .extend(effects.map(|effect| (job.id().clone(), effect)));
        self.adopt(job, seq, heard);
    }

    /// No job is this captain's any more.
    pub(super) fn lose_all(&mut self) {
        let ids: Vec<JobId> = self.jobs.keys().cloned().collect();
        for id in ids {
            self.lose(&id);
        }
    }

    /// A job is not this captain's any more: nothing of it is stored, shown or done here from now on. Its workers are
    /// left at work for whoever has it next.
    pub(super) fn lose(&mut self, id: &JobId) {
        warn!(job = %id, "the job is not this captain's any more");
        if let Some(live) = self.jobs.remove(id) {
            self.driver.abandon(&live.job);
        }
        if let Some(feed) = lock(&self.handle.feeds).remove(id) {
            feed.close();
        }
        self.batch.entries.remove(id);
        self.batch.effects.retain(|(job, _)| job != id);
        let (lost, kept) = std::mem::take(&mut self.batch.answers)
            .into_iter()
            .partition(|answer| answer.job() == id);
        self.batch.answers = kept;
        let lost: Vec<Answer> = lost;
        for answer in lost {
            answer.refuse(EngineError::Moved { job: id.clone() });
        }
    }
}

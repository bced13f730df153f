//! What several captains on one database need of it beside the logs: leases, so that each job has one owner; orders, so
//! that what people ask of one captain reaches the captain that can do it; and news of logs that somebody else writes.
//!
//! A lease has a number, its epoch. Numbers only grow, a lease that ended never comes back, and what is appended under
//! an ended one is refused by the database. Who is dead is not told by clocks that can be set: every captain counts its
//! lease up, and one that did not for a while, by the watch of whoever looks, is fenced first and robbed then.

use captain_core::JobId;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::watch;

use super::{Fence, StoreError};

/// A database that several captains share.
pub trait Cluster: Send + Sync + 'static {
    /// The fence of the present lease. Work that was begun behind one must end with it.
    fn fence(&self) -> Fence;

    /// The present lease; a new one if the last has ended. Under a new lease no job is this captain's.
    fn lease(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Takes the unfinished jobs that nobody has, also those of captains that were found dead, and gives their names.
    /// When this is done nobody else can append to them.
    fn claim(&self) -> BoxFuture<'_, Result<Vec<JobId>, StoreError>>;

    /// Waits until there may be something to claim or an order to take, at the latest for one beat.
    fn wait(&self) -> BoxFuture<'_, ()>;

    /// Where the log of a job ends, as somebody else writes it: at once when the database says so, else at the next look.
    /// Closed when the job is gone.
    fn follow(&self, job: &JobId, end: u64) -> watch::Receiver<u64>;

    /// Hands an order to the job's owner, whoever that is or will be, and gives the answer. None if none came in time;
    /// the order may be carried out all the same.
    fn hand_over<'a>(
        &'a self,
        job: &'a JobId,
        order: Value,
    ) -> BoxFuture<'a, Result<Option<Value>, StoreError>>;

    /// The orders for jobs of this captain that have no answer yet, oldest first. An order comes again until it is answered.
    fn orders(&self) -> BoxFuture<'_, Result<Vec<Handed>, StoreError>>;

    /// Answers an order.
    fn answer(&self, order: i64, answer: Value) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// An order that was handed over.
#[derive(Debug, Clone, PartialEq)]
pub struct Handed {
    /// Its number; an order that is carried out a second time is known by it.
    pub id: i64,
    /// The job.
    pub job: JobId,
    /// What is asked.
    pub order: Value,
}

//! Workers that the backend has and nobody needs: a captain may have ended before it could stop them. Which they are is
//! told by the jobs here and, for jobs that are not here, by the store.

use tracing::warn;

use super::actor::Actor;
use super::ports::{Observation, Observed};

impl Actor {
    /// Stops workers of ours that no attempt needs any more: a captain may have ended before it could. Workers of jobs
    /// that this captain never had belong to another one.
    pub(super) async fn release_strays(&mut self, workers: Vec<Observation>) {
        for Observation {
            worker,
            labels,
            state,
        } in workers
        {
            let Some(labels) = labels.filter(|_| !matches!(state, Observed::Exited { .. })) else {
                continue;
            };
            let ours = match self.jobs.get(&labels.job) {
                Some(live) if live.needs(&labels.subtask, labels.attempt) => continue,
                Some(_) => true,
                None => match self.ports.store.head(&labels.job).await {
                    // A job that has not ended and is not here is run by another captain of the same database.
                    Ok(head) => head.is_some_and(|head| head.terminal),
                    // The next listing comes to it again.
                    Err(error) => {
                        warn!(%worker, %error, "cannot tell whose worker it is");
                        continue;
                    }
                },
            };
            if ours {
                warn!(%worker, job = %labels.job, "stopping a worker that nobody needs");
                self.driver.stop_worker(labels, None);
            }
        }
    }
}

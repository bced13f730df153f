//! What everybody else holds of the engine: a cheap clone that asks, and follows. Channels stay in here.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use captain_core::job::PlanSource;
use captain_core::{Job, JobId, JobSpec, Plan, SubtaskId};
use futures_util::future::{Either, select};
use futures_util::stream::{BoxStream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::actor::Command;
use super::cluster::Action;
use super::feed::{Feeds, lock};
use super::{EngineError, Options, recover};
use crate::store::{Class, Entry, Filter, Head, Store, StoreError, Which};

/// Longest goal, in bytes. It is shown in every list.
const MAX_GOAL: usize = 64 * 1024;

/// Longest message to a job, in bytes. Each goes into many prompts.
const MAX_MESSAGE: usize = 64 * 1024;

/// How long the loop may take for one turn.
const PING: Duration = Duration::from_secs(10);

/// Entries that a follower takes at a time.
const PAGE: usize = 256;

/// A job at one place of its log.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The job.
    pub job: Arc<Job>,
    /// The last entry that it includes. A stream after this place continues it without gap or repeat.
    pub seq: u64,
}

/// Something to be said to a job that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// What.
    pub text: String,
    /// Who says it.
    pub by: String,
    /// For this subtask alone; else for the oldest open question, else for all.
    pub subtask: Option<SubtaskId>,
    /// The name that its sender gave it: a second one of the same name changes nothing.
    pub id: Option<String>,
}

/// A job's entries, in order. It ends after the job's last one; an error is its last item.
pub type Subscription = BoxStream<'static, Result<Arc<Entry>, EngineError>>;

/// Asks the engine, and follows jobs.
#[derive(Clone)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) feeds: Feeds,
    pub(super) store: Arc<dyn Store>,
    pub(super) options: Arc<Options>,
    /// Why nothing can be stored at present.
    pub(super) trouble: Arc<Mutex<Option<EngineError>>>,
    /// Cancelled to stop the engine.
    pub(super) stop: CancellationToken,
    /// Cancelled when it has stopped.
    pub(super) stopped: CancellationToken,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// Takes a job on. When this is done it is stored and will be run, whatever happens to the captain.
    ///
    /// # Errors
    /// [`EngineError::BadJob`] and [`EngineError::BadPlan`] for what is wrong with it, [`EngineError::TooManyJobs`],
    /// [`EngineError::Store`] if it could not be stored.
    pub async fn submit(&self, spec: JobSpec) -> Result<JobId, EngineError> {
        self.take(None, spec).await
    }

    /// Takes a job on under a name that its submitter has given it; the same job again changes nothing. So a submitter that
    /// died between naming and submitting can do it once more.
    ///
    /// # Errors
    /// Like [`Handle::submit`].
    pub async fn submit_as(&self, job: JobId, spec: JobSpec) -> Result<JobId, EngineError> {
        if self.store.head(&job).await?.is_some() {
            return Ok(job);
        }
        self.take(Some(job), spec).await
    }

    async fn take(&self, id: Option<JobId>, mut spec: JobSpec) -> Result<JobId, EngineError> {
        self.check(&spec)?;
        spec.limits
            .max_parallel
            .get_or_insert(self.options.max_parallel);
        self.ask(|answer| Command::Submit {
            id,
            spec: Box::new(spec),
            answer,
        })
        .await?
    }

    /// Says something to a job that runs: the answer to a question, or more about the work. It goes to the workers that are at work, and into the prompts of those that come later.
    ///
    /// # Errors
    /// [`EngineError::NotFound`]; [`EngineError::WrongState`] and [`EngineError::NotTaken`] if the job or the subtask
    /// takes no such message.
    pub async fn reply(&self, job: &JobId, reply: Reply) -> Result<(), EngineError> {
        let text = &reply.text;
        let problem = match text.len() {
            _ if text.trim().is_empty() => Some("it says nothing".to_owned()),
            size if size > MAX_MESSAGE => Some(format!(
                "it has {size} bytes, at most {MAX_MESSAGE} are allowed"
            )),
            _ => None,
        };
        if let Some(reason) = problem {
            let job = job.clone();
            return Err(EngineError::NotTaken { job, reason });
        }
        self.act(job, Action::Reply(reply)).await
    }

    /// Stops a job. The job is then being cancelled; the end comes as an event. Asking again changes nothing.
    ///
    /// # Errors
    /// [`EngineError::NotFound`]; [`EngineError::WrongState`] if it has ended otherwise.
    pub async fn cancel(&self, job: &JobId, by: &str) -> Result<(), EngineError> {
        let by = by.to_owned();
        self.act(job, Action::Cancel { by }).await
    }

    /// Lets a plan run that waits for a person.
    ///
    /// # Errors
    /// [`EngineError::NotFound`]; [`EngineError::WrongState`] if no plan waits.
    pub async fn approve(&self, job: &JobId, by: &str) -> Result<(), EngineError> {
        let by = by.to_owned();
        self.act(job, Action::Approve { by }).await
    }

    /// A job as it stands.
    ///
    /// # Errors
    /// [`EngineError::NotFound`]; [`EngineError::Store`] if it had to be read back and could not be.
    pub async fn get(&self, job: &JobId) -> Result<Snapshot, EngineError> {
        let id = job.clone();
        if let Some(found) = self.ask(|answer| Command::Get { job: id, answer }).await? {
            return Ok(found);
        }
        let read = recover::read(&*self.store, job, Which::WithoutOutput).await?;
        let read = read.ok_or_else(|| EngineError::NotFound(job.clone()))?;
        Ok(Snapshot {
            job: Arc::new(read.job),
            seq: read.seq,
        })
    }

    /// A job as it stood after the entry `through` of its log; none for a log that is empty up to there.
    ///
    /// # Errors
    /// [`EngineError::Store`] if it could not be read back.
    pub async fn as_of(&self, job: &JobId, through: u64) -> Result<Option<Job>, EngineError> {
        recover::as_of(&*self.store, job, through).await
    }

    /// The head of one job: cheaper than the job itself.
    ///
    /// # Errors
    /// [`EngineError::NotFound`]; [`EngineError::Store`].
    pub async fn head(&self, job: &JobId) -> Result<Head, EngineError> {
        let head = self.store.head(job).await?;
        head.ok_or_else(|| EngineError::NotFound(job.clone()))
    }

    /// The heads of jobs, newest first.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Head>, EngineError> {
        Ok(self.store.list(filter).await?)
    }

    /// A job's entries strictly after `after`: first what is stored, then what happens, until the job ends.
    ///
    /// # Errors
    /// [`EngineError::NotFound`]; [`EngineError::BeyondEnd`] if the log does not reach `after`.
    pub async fn subscribe(&self, job: &JobId, after: u64) -> Result<Subscription, EngineError> {
        let feed = lock(&self.feeds).get(job).cloned();
        let (last, mut end) = match &feed {
            Some(feed) => {
                let end = feed.watch();
                let last = *end.borrow();
                (last, Some(end))
            }
            None => {
                // It has ended, or another captain runs it. Listened first, so that nothing is missed in between.
                let elsewhere = self.store.cluster().map(|cluster| cluster.follow(job, 0));
                let head = self.head(job).await?;
                (head.last_seq, elsewhere.filter(|_| !head.terminal))
            }
        };
        if after > last {
            return Err(EngineError::BeyondEnd {
                job: job.clone(),
                after,
                last,
            });
        }
        let (store, stopped, job) = (Arc::clone(&self.store), self.stopped.clone(), job.clone());
        let closed = feed
            .as_ref()
            .map_or_else(|| stopped.clone(), |feed| feed.closed());
        let entries = async_stream::try_stream! {
            let mut at = after;
            loop {
                let known = end.as_mut().map_or(last, |end| last.max(*end.borrow_and_update()));
                while at < known {
                    let live = feed.as_ref().and_then(|feed| feed.after(at, PAGE));
                    let page = match live {
                        Some(page) => page,
                        None => store.read(&job, at, PAGE, Which::All).await?,
                    };
                    if page.is_empty() {
                        // Asking again would never end.
                        let value = format!("nothing after {at} of {known}");
                        Err(StoreError::Corrupt { what: "log", value })?;
                    }
                    for entry in page {
                        at = entry.seq;
                        let ended = entry.class == Class::Terminal;
                        yield entry;
                        if ended {
                            return;
                        }
                    }
                }
                // Without a feed the job had ended, and its last entry has been read.
                let Some(end) = &mut end else { return };
                let more = pin!(end.changed());
                let stop = pin!(closed.cancelled());
                match select(more, stop).await {
                    Either::Left((Ok(()), _)) => {}
                    // It was forgotten meanwhile.
                    Either::Left((Err(_), _)) => Err(EngineError::NotFound(job.clone()))?,
                    Either::Right(_) if stopped.is_cancelled() => Err(EngineError::Stopped)?,
                    // Whoever goes on where this ends finds it where it is then.
                    Either::Right(_) => Err(EngineError::Moved { job: job.clone() })?,
                }
            }
        };
        Ok(entries.boxed())
    }

    /// Whether jobs can be taken at present.
    ///
    /// # Errors
    /// [`EngineError::Stopped`]; [`EngineError::Store`] for as long as nothing can be stored or read;
    /// [`EngineError::NoLease`] between two leases.
    pub async fn health(&self) -> Result<(), EngineError> {
        let nothing = Filter {
            limit: 1,
            ..Filter::default()
        };
        self.store.list(&nothing).await?;
        if let Some(trouble) = lock(&self.trouble).clone() {
            return Err(trouble);
        }
        self.ask(|answer| Command::Ping { answer }).await?;
        match self.store.cluster() {
            Some(cluster) if !cluster.fence().holds() => Err(EngineError::NoLease),
            _ => Ok(()),
        }
    }

    /// Whether the engine does anything at all: also one that cannot store does.
    pub async fn turns(&self) -> bool {
        let asked = self.ask(|answer| Command::Ping { answer });
        matches!(tokio::time::timeout(PING, asked).await, Ok(Ok(())))
    }

    /// Stops the engine and waits until it has stopped. Workers are left at work.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.stopped.cancelled().await;
    }

    fn check(&self, spec: &JobSpec) -> Result<(), EngineError> {
        if spec.goal.trim().is_empty() {
            return Err(EngineError::BadJob(
                "it has no goal: say what is to be reached".to_owned(),
            ));
        }
        if spec.goal.len() > MAX_GOAL {
            let size = spec.goal.len();
            return Err(EngineError::BadJob(format!(
                "its goal has {size} bytes, at most {MAX_GOAL} are allowed"
            )));
        }
        let bounds = &self.options.bounds;
        let limits = &spec.limits;
        for (what, value, max) in [
            (
                "max_parallel",
                limits.max_parallel.map(u64::from),
                self.options.max_workers as u64,
            ),
            ("time_seconds", limits.time_seconds, bounds.time_seconds),
            (
                "attempts",
                limits.attempts.map(u64::from),
                u64::from(bounds.attempts),
            ),
        ] {
            if let Some(value) = value.filter(|value| !(1..=max).contains(value)) {
                return Err(EngineError::BadJob(format!(
                    "its limit {what} = {value} must be from 1 to {max}"
                )));
            }
        }
        if let PlanSource::Given { plan } = &spec.plan {
            Plan::validate(plan.clone(), bounds).map_err(EngineError::BadPlan)?;
        }
        Ok(())
    }

    pub(super) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, EngineError> {
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(command(answer))
            .await
            .map_err(|_| EngineError::Stopped)?;
        answered.await.map_err(|_| EngineError::Stopped)
    }
}

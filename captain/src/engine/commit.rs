//! The second half of every turn of the loop: what was applied is stored, and only then shown, answered and acted on.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use captain_core::{Effect, JobId};
use tokio::sync::oneshot;
use tracing::{error, info};

use super::EngineError;
use super::actor::{Actor, Command};
use super::feed::lock;
use crate::store::{Append, Entry, Head, StoreError};

/// How long to wait before the store is tried again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// An answer that waits until what it says is stored.
#[derive(Debug)]
pub(super) enum Answer {
    Submitted(JobId, oneshot::Sender<Result<JobId, EngineError>>),
    Done(JobId, oneshot::Sender<Result<(), EngineError>>),
}

impl Answer {
    /// The job that it is about.
    pub(super) fn job(&self) -> &JobId {
        match self {
            Self::Submitted(job, _) | Self::Done(job, _) => job,
        }
    }

    /// A caller that has gone away needs no answer.
    fn give(self) {
        match self {
            Self::Submitted(job, answer) => drop(answer.send(Ok(job))),
            Self::Done(_, answer) => drop(answer.send(Ok(()))),
        }
    }

    pub(super) fn refuse(self, error: EngineError) {
        match self {
            Self::Submitted(_, answer) => drop(answer.send(Err(error))),
            Self::Done(_, answer) => drop(answer.send(Err(error))),
        }
    }
}

/// What has been applied and not yet stored.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: BTreeMap<JobId, Vec<Arc<Entry>>>,
    pub(super) effects: Vec<(JobId, Effect)>,
    pub(super) answers: Vec<Answer>,
}

impl Actor {
    /// Stores the batch; then shows it, answers, and runs the effects.
    pub(super) async fn commit(&mut self) -> Result<(), EngineError> {
        let mut troubled = false;
        while !self.batch.entries.is_empty() {
            match self.ports.store.append(self.parts()).await {
                Ok(()) => break,
                Err(StoreError::Fenced { job }) => self.lose(&job),
                Err(conflict @ (StoreError::Conflict { .. } | StoreError::Closed)) => {
                    return Err(conflict.into());
                }
                Err(failed) => {
                    error!(error = %failed, source = std::error::Error::source(&failed), "cannot store events");
                    self.store_failed(failed).await?;
                    troubled = true;
                }
            }
        }
        if troubled {
            // Stored after all, or nobody waits for it any more; the next append finds out what the matter is then.
            *lock(&self.handle.trouble) = None;
        }
        let Batch {
            entries,
            effects,
            answers,
        } = mem::take(&mut self.batch);
        for (id, entries) in entries {
            if let Some(live) = self.jobs.get(&id) {
                live.feed.publish(entries);
            }
        }
        for answer in answers {
            answer.give();
        }
        for (id, effect) in effects {
            if let Some(live) = self.jobs.get(&id) {
                let cursor = effect
                    .attempt()
                    .and_then(|(subtask, attempt)| live.cursor(subtask, attempt));
                self.driver.run(&live.job, cursor, effect);
            }
        }
        self.jobs.retain(|id, live| {
            let ended = live.job.state().is_terminal();
            if ended {
                info!(job = %id, state = live.job.state().name(), "job ended");
                self.driver.forget(id);
                lock(&self.handle.feeds).remove(id);
            }
            !ended
        });
        Ok(())
    }

    fn parts(&self) -> Vec<Append> {
        let part = |(id, entries): (&JobId, &Vec<Arc<Entry>>)| {
            let live = self.jobs.get(id)?;
            let expected = entries.first()?.seq - 1;
            Some(Append {
                expected,
                head: Head::of(&live.job, live.seq),
                entries: entries.clone(),
            })
        };
        self.batch.entries.iter().filter_map(part).collect()
    }

    /// Nothing can be stored at present: tells everybody who waits, forgets jobs that were never stored, and waits a
    /// while, refusing what is asked meanwhile.
    async fn store_failed(&mut self, failed: StoreError) -> Result<(), EngineError> {
        let failed = EngineError::from(failed);
        *lock(&self.handle.trouble) = Some(failed.clone());
        for answer in mem::take(&mut self.batch.answers) {
            if let Answer::Submitted(job, _) = &answer {
                self.jobs.remove(job);
                self.batch.entries.remove(job);
                self.batch.effects.retain(|(id, _)| id != job);
                lock(&self.handle.feeds).remove(job);
            }
            answer.refuse(failed.clone());
        }
        let retry = tokio::time::sleep(STORE_RETRY);
        tokio::pin!(retry);
        let stop = self.handle.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(failed),
                () = &mut retry => return Ok(()),
                Some(command) = self.commands.recv() => match command {
                    Command::Submit { answer, .. } => drop(answer.send(Err(failed.clone()))),
                    Command::Cancel { answer, .. }
                    | Command::Approve { answer, .. }
                    | Command::Reply { answer, .. } => {
                        drop(answer.send(Err(failed.clone())));
                    }
                    Command::Ping { answer } => drop(answer.send(())),
                    // What is in memory may be ahead of what is stored; the caller reads what is stored.
                    Command::Get { answer, .. } => drop(answer.send(None)),
                },
            }
        }
    }
}

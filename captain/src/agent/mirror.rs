//! Tells one job as one task: follows the job's log and writes what it comes to into the task's log, each event with its
//! place in the job's log. So the last event of the task says how far the job was told, and a captain that died goes
//! on exactly there: nothing is told twice and nothing is left out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::log::{Expect, LogError, LogTask};
use a2a_proto::types::{Metadata, StreamResponse};
use captain_core::machine::ApplyError;
use captain_core::{Envelope, JobId, JobResult};
use futures_util::StreamExt as _;
use serde::Deserialize as _;
use tokio_util::sync::CancellationToken;

use super::data::{JOB_URI, Place};
use super::results::{Piece, Results};
use super::tell::{Teller, Told, mark};
use crate::engine::{EngineError, Handle};
use crate::store::StoreError;
use crate::workspace::{WorkspaceError, Workspaces};

/// How long to wait before a log that failed is tried again. A full disk is emptied by people.
const RETRY: Duration = Duration::from_secs(1);
/// The longest wait: what does not pass by itself is not worth a line of log every second.
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Events of the task's log that are read at a time, from its end.
const PAGE: u64 = 64;
/// Tries to read a result before it is told by its addresses alone.
const RESULT_TRIES: u32 = 3;

/// One job on its way into its task.
#[derive(Clone)]
pub(super) struct Mirror {
    pub(super) engine: Handle,
    pub(super) workspaces: Workspaces,
    pub(super) base_url: Arc<str>,
    pub(super) shutdown: CancellationToken,
    pub(super) job: JobId,
    pub(super) task: LogTask,
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}

/// Why telling was broken off.
#[derive(Debug, thiserror::Error)]
enum MirrorError {
    /// The captain stops, or the task has ended by other means.
    #[error("there is nothing more to tell")]
    Over,
    /// The task's log failed.
    #[error("cannot write the task's log")]
    Log(#[source] LogError),
    /// The job's log failed.
    #[error("cannot read the job's log")]
    Engine(#[source] EngineError),
    /// The job's log does not fit the job.
    #[error("cannot follow the job's log")]
    Apply(#[from] ApplyError),
    /// An event cannot be read.
    #[error("cannot read an event of the job")]
    Store(#[from] StoreError),
}

impl From<LogError> for MirrorError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Conflict { .. } | LogError::Closed => Self::Over,
            other => Self::Log(other),
        }
    }
}

impl From<EngineError> for MirrorError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Stopped => Self::Over,
            other => Self::Engine(other),
        }
    }
}

impl Mirror {
    /// Tells the job to its end, or until the captain stops.
    pub(super) async fn run(self) {
        let mut wait = RETRY;
        while let Err(error) = self.follow().await {
            if matches!(error, MirrorError::Over) {
                return;
            }
            tracing::error!(
                job = %self.job,
                error = daemon::cli::chain(&error),
                "cannot tell a job to its task, trying again"
            );
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shutdown.cancelled() => return,
            }
            wait = (wait * 2).min(LONGEST_RETRY);
        }
    }

    async fn follow(&self) -> Result<(), MirrorError> {
        // What an earlier round has queued decides where this one begins; its failure was told already.
        let _ = self.task.flush().await;
        if self.task.state().is_terminal() {
            return Ok(());
        }
        let told = last_place(&self.task).await?;
        let after = told.map_or(0, |place| place.seq.saturating_sub(1));
        let job = match after {
            0 => None,
            through => self.engine.as_of(&self.job, through).await?,
        };
        let context = self.task.context_id().to_owned();
        let mut teller = Teller::new(self.job.clone(), context, &self.base_url, job);
        let mut entries = self.engine.subscribe(&self.job, after).await?;
        while let Some(entry) = entries.next().await {
            let envelope = entry?.decode()?;
            let Told { result, event } = teller.take(&envelope)?;
            let mut pen = Pen {
                mirror: self,
                teller: &teller,
                envelope: &envelope,
                told,
                piece: 0,
            };
            if let Some(result) = result {
                self.tell_result(&mut pen, result).await?;
            }
            if let Some(event) = event {
                let soon = envelope.event.is_output();
                pen.write(StreamResponse::StatusUpdate(event), soon).await?;
            }
        }
        Ok(())
    }

    async fn tell_result(&self, pen: &mut Pen<'_>, result: JobResult) -> Result<(), MirrorError> {
        let job_url = format!("{}/jobs/{}", self.base_url, self.job);
        let repository = self.workspaces.repository(&self.job);
        let mut results = Results::new(repository, result, &job_url);
        let mut tries = 1;
        let changes = loop {
            match results.changes().await {
                Ok(changes) => break changes,
                Err(error) if tries < RESULT_TRIES => {
                    warn(&self.job, &error);
                    tokio::time::sleep(RETRY).await;
                    tries += 1;
                }
                Err(error) => {
                    warn(&self.job, &error);
                    break Vec::new();
                }
            }
        };
        pen.piece(results.summary(&self.job, &changes)).await?;
        for change in Results::told(&changes) {
            // What cannot be read is in the archive, or tells there why not.
            let pieces = results.file(change).await.unwrap_or_else(|error| {
                warn(&self.job, &error);
                Vec::new()
            });
            pen.pieces(pieces).await?;
        }
        let patch = results.patch().await.unwrap_or_else(|error| {
            warn(&self.job, &error);
            Vec::new()
        });
        pen.pieces(patch).await?;
        pen.piece(results.archive()).await
    }
}

fn warn(job: &JobId, error: &WorkspaceError) {
    tracing::warn!(%job, error = daemon::cli::chain(error), "cannot read a result");
}

/// Writes the events that are made from one event of the job, each with its place, except those that are there already.
struct Pen<'a> {
    mirror: &'a Mirror,
    teller: &'a Teller,
    envelope: &'a Envelope,
    /// The place of the last event that was there.
    told: Option<Place>,
    piece: u32,
}

impl Pen<'_> {
    async fn pieces(&mut self, pieces: Vec<Piece>) -> Result<(), MirrorError> {
        for piece in pieces {
            self.piece(piece).await?;
        }
        Ok(())
    }

    async fn piece(&mut self, piece: Piece) -> Result<(), MirrorError> {
        let task = &self.mirror.task;
        let event = piece.event(task.id(), task.context_id());
        self.write(StreamResponse::ArtifactUpdate(event), true)
            .await
    }

    /// Writes an event; what may come `soon` is stored within milliseconds, in order with everything else.
    async fn write(&mut self, mut event: StreamResponse, soon: bool) -> Result<(), MirrorError> {
        let data = self.teller.data(self.envelope, self.piece);
        self.piece += 1;
        if self.told.is_some_and(|told| data.place <= told) {
            return Ok(());
        }
        mark(&mut event, &data);
        let task = &self.mirror.task;
        if soon {
            task.enqueue(event).await?;
        } else {
            task.append_one(Expect::Open, event).await?;
        }
        Ok(())
    }
}

/// The place that the task's last event of ours was made from; none when nothing was told yet.
async fn last_place(task: &LogTask) -> Result<Option<Place>, LogError> {
    let mut end = task.snapshot().seq;
    while end > 0 {
        let begin = end.saturating_sub(PAGE);
        let limit = usize::try_from(end - begin).unwrap_or(usize::MAX);
        for event in task.read(begin, limit).await?.iter().rev() {
            if let Some(place) = place(&event.event()?) {
                return Ok(Some(place));
            }
        }
        end = begin;
    }
    Ok(None)
}

fn place(event: &StreamResponse) -> Option<Place> {
    let metadata: &Option<Metadata> = match event {
        StreamResponse::StatusUpdate(update) => &update.metadata,
        StreamResponse::ArtifactUpdate(update) => &update.metadata,
        StreamResponse::Task(_) | StreamResponse::Message(_) => return None,
    };
    Place::deserialize(metadata.as_ref()?.get(JOB_URI)?).ok()
}

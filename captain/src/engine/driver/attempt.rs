//! The steps of one attempt: prepare, launch, follow, merge, and the two ways to stop it. Each ends with one event that
//! moves the attempt on, whatever happened.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use captain_core::job::{AttemptRecord, Contact};
use captain_core::{CommitId, Job, JobEvent, Outcome, SubtaskId, SubtaskSpec};
use futures_util::stream::{BoxStream, StreamExt};
use jiff::Timestamp;
use tracing::{error, warn};

use super::super::ports::{
    Assignment, BUNDLE_FILE, BackendError, ImportRequest, Labels, LaunchSpec, Note, PrepareRequest,
    Report, WorkspaceError,
};
use super::super::watch::Exits;
use super::super::{Options, Ports};
use super::{Driver, Reports, log_cause};

/// How long a worker is asked politely before it is stopped.
const CANCEL_WAIT: Duration = Duration::from_secs(5);
/// How often stopping a worker is tried; with the waits in between that is about half a minute.
const STOP_TRIES: u32 = 6;
/// How long to wait before it is tried again to stop a silent worker, which nothing else may begin before.
const FENCE_WAIT: Duration = Duration::from_secs(10);
/// How often it is tried to give a worker a message; with the waits in between that is about half a minute.
const TELL_TRIES: u32 = 6;
/// The first wait between two tries; each later one is twice as long.
const TELL_WAIT: Duration = Duration::from_millis(500);
/// The first wait between two tries; each later one is twice as long.
const STOP_WAIT: Duration = Duration::from_millis(500);

/// All that the steps of one attempt need.
pub(super) struct AttemptTask {
    ports: Ports,
    options: Arc<Options>,
    reports: Reports,
    exits: Exits,
    labels: Labels,
    spec: SubtaskSpec,
    record: AttemptRecord,
    submitted: Timestamp,
    repo: Option<String>,
    base: Option<String>,
    agent: serde_json::Value,
    prompt: String,
}

impl AttemptTask {
    /// None if the job has no such attempt.
    pub(super) fn new(driver: &Driver, job: &Job, labels: Labels) -> Option<Self> {
        let attempts = &job.subtask(&labels.subtask)?.attempts;
        let record = attempts
            .iter()
            .find(|record| record.attempt == labels.attempt)?;
        Some(Self {
            prompt: super::prompt::compose(job, &labels.subtask, record.heard)?,
            ports: driver.ports.clone(),
            options: Arc::clone(&driver.options),
            reports: driver.reports.clone(),
            exits: driver.exits.clone(),
            spec: job.plan()?.get(&labels.subtask)?.clone(),
            record: record.clone(),
            submitted: job.created(),
            repo: job.spec().repo.clone(),
            base: job.spec().base.clone(),
            agent: job.spec().agent.clone(),
            labels,
        })
    }

    pub(super) async fn prepare(self, from: Vec<(SubtaskId, CommitId)>) {
        let request = PrepareRequest {
            labels: self.labels.clone(),
            repo: self.repo.clone(),
            base: self.base.clone(),
            submitted: self.submitted,
            from,
        };
        let prepared = match self.ports.workspace.prepare(&request).await {
            Ok(prepared) => prepared,
            Err(failure) => return self.workspace_failed(failure).await,
        };
        let (subtask, attempt) = self.names();
        let event = match prepared.workspace.into_os_string().into_string() {
            Ok(workspace) => JobEvent::SubtaskPrepared {
                subtask,
                attempt,
                base: prepared.base,
                workspace,
            },
            Err(path) => {
                let message = format!("its folder {} has a name that is not UTF-8", path.display());
                self.ended(Outcome::WorkspaceFailed { message })
            }
        };
        self.report(event).await;
    }

    pub(super) async fn launch(self) {
        let (subtask, attempt) = self.names();
        let spec = LaunchSpec {
            worker: self.record.worker.clone(),
            labels: self.labels.clone(),
            workspace: PathBuf::from(self.record.workspace.as_deref().unwrap_or_default()),
            skill: self.spec.skill.clone(),
            hosts: self.spec.hosts.clone(),
            limits: self.spec.limits,
            agent: self.agent.clone(),
        };
        let event = match self.ports.backend.launch(&spec).await {
            Ok(instance) => {
                let (worker, endpoint) = (instance.worker, instance.endpoint);
                JobEvent::WorkerLaunched {
                    subtask,
                    attempt,
                    worker,
                    endpoint,
                }
            }
            Err(failure) => {
                log_cause("a worker was not launched", &failure);
                let message = failure.to_string();
                self.ended(match failure {
                    BackendError::Refused { .. } => Outcome::Refused { message },
                    BackendError::Failed { .. } => Outcome::LaunchFailed { message },
                })
            }
        };
        self.report(event).await;
    }

    /// Follows the worker until it is done or gone.
    pub(super) async fn follow(self, cursor: Option<u64>) {
        let Some(assignment) = self.assignment(cursor) else {
            let message = "its address is not known".to_owned();
            return self.report(self.ended(Outcome::Lost { message })).await;
        };
        let pass_on = self.pass_on(self.ports.link.follow(assignment));
        tokio::select! {
            () = pass_on => {}
            never = self.tell_exits() => match never {},
        }
    }

    /// Tells what the platform says about the worker's end, and about its coming back. What follows is the core's to say:
    /// the last words of a worker that has ended may still be on their way.
    async fn tell_exits(&self) -> Infallible {
        let worker = &self.record.worker;
        loop {
            let message = self.exits.exited(worker).await;
            let (subtask, attempt) = self.names();
            self.report(JobEvent::WorkerGone {
                subtask,
                attempt,
                message,
            })
            .await;
            self.exits.returned(worker).await;
            let (subtask, attempt) = self.names();
            self.report(JobEvent::WorkerReachable { subtask, attempt })
                .await;
        }
    }

    /// Passes reports on until the attempt's end; always reports one.
    async fn pass_on(&self, mut reports: BoxStream<'static, Report>) {
        let own = Some((&self.labels.subtask, self.labels.attempt));
        while let Some(report) = reports.next().await {
            if let Some(other) = report.events.iter().find(|event| event.attempt() != own) {
                error!(worker = %self.record.worker, event = other.name(), "a link reports on something else");
                continue;
            }
            let is_end = |event: &JobEvent| matches!(event, JobEvent::AttemptEnded { .. });
            let end = report.events.iter().any(is_end);
            self.reports.report(&self.labels.job, report).await;
            if end {
                return;
            }
        }
        let message = "its stream ended without a last word".to_owned();
        self.report(self.ended(Outcome::Lost { message })).await;
    }

    pub(super) async fn merge(self) {
        let bundle = self.labels.files(&self.options.jobs).join(BUNDLE_FILE);
        let bundle = match tokio::fs::try_exists(&bundle).await {
            Ok(there) => there.then_some(bundle),
            Err(error) => {
                let message = format!("cannot look for {}: {error}", bundle.display());
                return self
                    .report(self.ended(Outcome::WorkspaceFailed { message }))
                    .await;
            }
        };
        let request = ImportRequest {
            labels: self.labels.clone(),
            bundle,
        };
        match self.ports.workspace.import(&request).await {
            Ok(imported) => {
                let (subtask, attempt) = self.names();
                let (commit, files) = (imported.commit, imported.files);
                self.report(JobEvent::SubtaskMerged {
                    subtask,
                    attempt,
                    commit,
                    files,
                })
                .await;
            }
            Err(failure) => self.workspace_failed(failure).await,
        }
    }

    /// Stops the attempt for good; the answer comes when nothing of it runs.
    pub(super) async fn cancel(self) {
        if let Some(assignment) = self.assignment(None) {
            match tokio::time::timeout(CANCEL_WAIT, self.ports.link.cancel(&assignment)).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => {
                    warn!(worker = %self.record.worker, %failure, "the worker does not take a cancel");
                }
                Err(_) => {
                    warn!(worker = %self.record.worker, "the worker does not answer a cancel");
                }
            }
        }
        let unconfirmed = stop(&self.ports, &self.options, &self.labels).await.err();
        self.exits.forget(&self.record.worker);
        let (subtask, attempt) = self.names();
        self.report(JobEvent::WorkerStopped {
            subtask,
            attempt,
            unconfirmed,
        })
        .await;
    }

    /// Stops a worker that ended without a word, and tries until it works: nothing else may begin before.
    pub(super) async fn fence(self) {
        while let Err(message) = stop(&self.ports, &self.options, &self.labels).await {
            let (subtask, attempt) = self.names();
            self.report(JobEvent::WorkerNotFenced {
                subtask,
                attempt,
                message,
            })
            .await;
            tokio::time::sleep(FENCE_WAIT).await;
        }
        self.exits.forget(&self.record.worker);
        let (subtask, attempt) = self.names();
        self.report(JobEvent::WorkerFenced { subtask, attempt })
            .await;
    }

    /// Gives the worker a further message; always reports what became of it.
    pub(super) async fn tell(self, note: Note) {
        let mut wait = TELL_WAIT;
        let mut tries = 1;
        let problem = loop {
            let Some(assignment) = self.assignment(None) else {
                break Some("its worker is not there yet".to_owned());
            };
            let failure = match self.ports.link.tell(&assignment, &note).await {
                Ok(()) => break None,
                Err(failure) => failure,
            };
            if !failure.transient || tries == TELL_TRIES {
                log_cause("a worker was not told", &failure);
                break Some(failure.message);
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
            tries += 1;
        };
        let (subtask, attempt) = self.names();
        self.report(JobEvent::MessageDelivered {
            subtask,
            attempt,
            message: note.number,
            problem,
        })
        .await;
    }

    async fn workspace_failed(&self, failure: WorkspaceError) {
        let outcome = match failure {
            WorkspaceError::Conflict(conflict) => {
                let subtask = Some(self.labels.subtask.clone());
                self.report(JobEvent::MergeConflict {
                    subtask,
                    conflict: conflict.clone(),
                })
                .await;
                Outcome::Conflict { conflict }
            }
            WorkspaceError::Failed { .. } => {
                log_cause("a workspace failed", &failure);
                Outcome::WorkspaceFailed {
                    message: failure.to_string(),
                }
            }
        };
        self.report(self.ended(outcome)).await;
    }

    /// None before the worker has been launched.
    fn assignment(&self, cursor: Option<u64>) -> Option<Assignment> {
        Some(Assignment {
            labels: self.labels.clone(),
            worker: self.record.worker.clone(),
            endpoint: self.record.endpoint.clone()?,
            prompt: self.prompt.clone(),
            task: self.record.task.clone(),
            cursor,
            out_of_reach: self.record.contact != Contact::Reachable,
            files: self.labels.files(&self.options.jobs),
        })
    }

    fn names(&self) -> (SubtaskId, captain_core::Attempt) {
        (self.labels.subtask.clone(), self.labels.attempt)
    }

    fn ended(&self, outcome: Outcome) -> JobEvent {
        let (subtask, attempt) = self.names();
        JobEvent::AttemptEnded {
            subtask,
            attempt,
            outcome,
        }
    }

    async fn report(&self, event: JobEvent) {
        self.reports.event(&self.labels.job, event).await;
    }
}

/// Stops a worker with everything that it started, and lets its workspace go. An error says why it may still run.
pub(super) async fn stop(ports: &Ports, options: &Options, labels: &Labels) -> Result<(), String> {
    let worker = labels.worker();
    let mut wait = STOP_WAIT;
    let mut tries = 1;
    while let Err(failure) = ports.backend.stop(&worker, options.stop_grace).await {
        log_cause("a worker was not stopped", &failure);
        if tries == STOP_TRIES {
            return Err(failure.to_string());
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
        tries += 1;
    }
    if let Err(failure) = ports.workspace.discard(labels).await {
        // Only room is lost.
        warn!(%worker, %failure, "a workspace was not let go");
    }
    Ok(())
}

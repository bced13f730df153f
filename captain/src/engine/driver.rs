//! Brings effects about: each runs as a task, and what comes of it goes back to the loop as an event. At most one task
//! works on an attempt; a stop takes its place and first makes sure that the one before has ended.

mod attempt;
mod prompt;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use captain_core::job::PlanSource;
use captain_core::{Attempt, Effect, FailReason, Job, JobEvent, JobId, Plan, PlanSpec, SubtaskId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

use super::actor::Input;
use super::ports::{
    FinishRequest, Labels, Note, PlanRequest, PlannerError, Report, WorkspaceError,
};
use super::watch::Exits;
use super::{Options, Ports};
use crate::store::Fence;
use attempt::AttemptTask;

/// What one task works on: a job as a whole, or one attempt.
type Place = (JobId, Option<(SubtaskId, Attempt)>);

/// Runs effects.
pub(super) struct Driver {
    pub(super) ports: Ports,
    pub(super) options: Arc<Options>,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) reports: Reports,
    pub(super) exits: Exits,
    at_work: HashMap<Place, JoinHandle<()>>,
}

/// Where tasks report to.
#[derive(Debug, Clone)]
pub(super) struct Reports(mpsc::Sender<Input>);

impl Reports {
    pub(super) async fn event(&self, job: &JobId, event: JobEvent) {
        self.report(job, Report::of(event)).await;
    }

    pub(super) async fn report(&self, job: &JobId, Report { cursor, events }: Report) {
        self.send(Input::Events {
            job: job.clone(),
            cursor,
            events,
        })
        .await;
    }

    pub(super) async fn send(&self, input: Input) {
        if self.0.send(input).await.is_err() {
            debug!("the engine has stopped, a report is not taken");
        }
    }
}

impl Driver {
    pub(super) fn new(
        ports: Ports,
        options: Arc<Options>,
        tracker: TaskTracker,
        stop: CancellationToken,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        let (reports, exits) = (Reports(inputs), Exits::default());
        Self {
            ports,
            options,
            tracker,
            stop,
            reports,
            exits,
            at_work: HashMap::new(),
        }
    }

    /// Begins to bring `effect` about. `cursor` is how far the attempt's worker has been listened to.
    pub(super) fn run(&mut self, job: &Job, cursor: Option<u64>, effect: Effect) {
        match effect {
            Effect::MakePlan => {
                let task = make_plan(
                    self.ports.clone(),
                    Arc::clone(&self.options),
                    job.clone(),
                    self.reports.clone(),
                );
                self.begin((job.id().clone(), None), task);
            }
            Effect::Finish { leaves } => {
                let request = FinishRequest {
                    job: job.id().clone(),
                    leaves,
                };
                self.begin(
                    (job.id().clone(), None),
                    finish(self.ports.clone(), request, self.reports.clone()),
                );
            }
            Effect::Prepare {
                subtask,
                attempt,
                from,
            } => {
                self.attempt(job, subtask, attempt, |task| task.prepare(from));
            }
            Effect::Launch { subtask, attempt } => {
                self.expect(job, &subtask, attempt);
                self.attempt(job, subtask, attempt, AttemptTask::launch);
            }
            Effect::Send { subtask, attempt } => {
                self.expect(job, &subtask, attempt);
                self.attempt(job, subtask, attempt, |task| task.follow(cursor));
            }
            Effect::Tell {
                subtask,
                attempt,
                message,
                text,
            } => {
                let labels = Labels {
                    job: job.id().clone(),
                    subtask,
                    attempt,
                };
                // Beside what follows the attempt. What comes too late is dropped like any late report.
                if let Some(task) = AttemptTask::new(self, job, labels) {
                    self.spawn(task.tell(Note {
                        number: message,
                        text,
                    }));
                }
            }
            Effect::Merge { subtask, attempt } => {
                self.attempt(job, subtask, attempt, AttemptTask::merge);
            }
            Effect::CancelAttempt { subtask, attempt } => {
                let before = self.end(&(job.id().clone(), Some((subtask.clone(), attempt))));
                self.attempt(job, subtask, attempt, |task| async move {
                    ended(before).await;
                    task.cancel().await;
                });
            }
            Effect::Fence { subtask, attempt } => {
                let before = self.end(&(job.id().clone(), Some((subtask.clone(), attempt))));
                self.attempt(job, subtask, attempt, |task| async move {
                    ended(before).await;
                    task.fence().await;
                });
            }
            Effect::StopWorker {
                subtask, attempt, ..
            } => {
                let before = self.end(&(job.id().clone(), Some((subtask.clone(), attempt))));
                self.stop_worker(
                    Labels {
                        job: job.id().clone(),
                        subtask,
                        attempt,
                    },
                    before,
                );
            }
        }
    }

    /// Stops a worker once `before`, which has been aborted, has ended. This is not the attempt's task: the attempt's
    /// result may be taken in meanwhile.
    pub(super) fn stop_worker(&self, labels: Labels, before: Option<JoinHandle<()>>) {
        let (ports, options, exits) = (
            self.ports.clone(),
            Arc::clone(&self.options),
            self.exits.clone(),
        );
        self.spawn(async move {
            ended(before).await;
            if let Err(failure) = attempt::stop(&ports, &options, &labels).await {
                error!(worker = %labels.worker(), failure, "the worker could not be stopped");
            }
            exits.forget(&labels.worker());
        });
    }

    /// Makes a worker's end known from now on: also an end between its launch and its first word, and, when the workers
    /// are listed next, that it is missing.
    fn expect(&self, job: &Job, subtask: &SubtaskId, attempt: Attempt) {
        let labels = Labels {
            job: job.id().clone(),
            subtask: subtask.clone(),
            attempt,
        };
        self.exits.expect(labels.worker());
    }

    /// Ends what is still done for a job as a whole; what stops its workers goes on.
    pub(super) fn forget(&mut self, job: &JobId) {
        self.at_work.retain(|(of, attempt), task| {
            if of == job && attempt.is_none() {
                task.abort();
            }
            of != job
        });
    }

    /// Ends everything that is done for a job, because somebody else does it now.
    pub(super) fn abandon(&mut self, job: &Job) {
        self.at_work.retain(|(of, _), task| {
            if of == job.id() {
                task.abort();
            }
            of != job.id()
        });
        let attempts = job.subtasks().flat_map(|(_, _, subtask)| &subtask.attempts);
        for record in attempts {
            self.exits.forget(&record.worker);
        }
    }

    fn attempt<F>(
        &mut self,
        job: &Job,
        subtask: SubtaskId,
        attempt: Attempt,
        work: impl FnOnce(AttemptTask) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let labels = Labels {
            job: job.id().clone(),
            subtask,
            attempt,
        };
        let Some(task) = AttemptTask::new(self, job, labels.clone()) else {
            error!(worker = %labels.worker(), "an effect names an attempt that does not exist");
            return;
        };
        self.begin(
            (labels.job, Some((labels.subtask, labels.attempt))),
            work(task),
        );
    }

    fn begin(&mut self, place: Place, work: impl Future<Output = ()> + Send + 'static) {
        let task = self.spawn(work);
        self.at_work.insert(place, task);
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let stop = self.stop.clone();
        let fence = match self.ports.store.cluster() {
            None => Fence::always(),
            Some(cluster) => cluster.fence(),
        };
        self.tracker.spawn(async move {
            // Cut off anywhere: everything is found again after the next start, here or by whoever has the job then.
            stop.run_until_cancelled(fence.gate(work)).await;
        })
    }

    fn end(&mut self, place: &Place) -> Option<JoinHandle<()>> {
        let task = self.at_work.remove(place)?;
        task.abort();
        Some(task)
    }
}

/// Waits until an aborted task has really ended, so that it cannot undo what comes next.
async fn ended(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        // An error says that it was aborted or panicked; both are ends.
        let _ = task.await;
    }
}

async fn make_plan(ports: Ports, options: Arc<Options>, job: Job, reports: Reports) {
    let spec = job.spec();
    let plan: Result<PlanSpec, PlannerError> = match &spec.plan {
        PlanSource::Given { plan } => Ok(plan.clone()),
        PlanSource::Planner { name } => {
            let request = PlanRequest {
                job: job.id().clone(),
                planner: name.clone(),
                goal: spec.goal.clone(),
            };
            ports.planner.plan(&request).await
        }
    };
    let event = match plan {
        Ok(plan) => match Plan::validate(plan, &options.bounds) {
            Ok(plan) => JobEvent::JobPlanned {
                revision: plan.revision(),
                plan: plan.spec().clone(),
            },
            Err(errors) => JobEvent::PlanRejected {
                problems: errors.lines(),
            },
        },
        Err(failure) => {
            log_cause("no plan was made", &failure);
            JobEvent::PlanRejected {
                problems: vec![failure.to_string()],
            }
        }
    };
    reports.event(job.id(), event).await;
}

async fn finish(ports: Ports, request: FinishRequest, reports: Reports) {
    let reason = match ports.workspace.finish(&request).await {
        Ok(result) => {
            return reports
                .event(&request.job, JobEvent::JobCompleted { result })
                .await;
        }
        Err(WorkspaceError::Conflict(conflict)) => {
            let event = JobEvent::MergeConflict {
                subtask: None,
                conflict: conflict.clone(),
            };
            reports.event(&request.job, event).await;
            FailReason::Conflict { conflict }
        }
        Err(failure @ WorkspaceError::Failed { .. }) => {
            log_cause("the result was not put together", &failure);
            FailReason::Workspace {
                message: failure.to_string(),
            }
        }
    };
    let message = reason.to_string();
    reports
        .event(&request.job, JobEvent::JobFailed { reason, message })
        .await;
}

/// Logs what the user is not told.
fn log_cause(what: &'static str, failure: &dyn std::error::Error) {
    let mut causes = Vec::new();
    let mut next = failure.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    error!(error = %failure, causes = causes.join(": "), what);
}

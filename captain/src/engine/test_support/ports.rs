//! The world behind the engine's ports: how the scripted backend, workers, repository, clock and store answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::clock::{Clock, Ids};
use captain_core::aggregate::ArtifactChunk;
use captain_core::event::ToolStatus;
use captain_core::job::WorkerTask;
use captain_core::{CommitId, JobEvent, JobId, JobResult, PlanSpec, WorkerId};
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::super::ports::{
    Assignment, Backend, BackendError, Dice, FinishRequest, ImportRequest, Imported, Instance,
    Labels, LaunchSpec, Link, LinkError, Note, Observation, Observed, PlanRequest, Planner,
    PlannerError, PrepareRequest, Prepared, Report, Workspace, WorkspaceError,
};
use super::{Flaky, Step, World};
use crate::store::{Append, Entry, Filter, Head, Store, StoreError, Which};

impl Planner for World {
    fn plan<'a>(
        &'a self,
        request: &'a PlanRequest,
    ) -> BoxFuture<'a, Result<PlanSpec, PlannerError>> {
        let plans = &self.state().plans;
        let known = plans.keys().cloned().collect::<Vec<_>>().join(", ");
        let plan = plans.get(&request.planner).cloned();
        ready(plan.ok_or(PlannerError::Unknown {
            name: request.planner.clone(),
            known,
        }))
        .boxed()
    }
}

impl Backend for World {
    fn launch<'a>(&'a self, spec: &'a LaunchSpec) -> BoxFuture<'a, Result<Instance, BackendError>> {
        self.call(format!("launch {}", spec.worker));
        let mut state = self.state();
        if let Some(error) = state.refused.remove(spec.labels.subtask.as_str()) {
            return ready(Err(error)).boxed();
        }
        state
            .workers
            .insert(spec.worker.clone(), Some(spec.labels.clone()));
        let endpoint = format!("http://{}", spec.worker);
        ready(Ok(Instance {
            worker: spec.worker.clone(),
            endpoint,
        }))
        .boxed()
    }

    fn stop<'a>(
        &'a self,
        worker: &'a WorkerId,
        _grace: Duration,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        self.call(format!("stop {worker}"));
        let mut state = self.state();
        if state.unstoppable {
            let message = "the process does not end".to_owned();
            return ready(Err(BackendError::Failed {
                message,
                source: None,
            }))
            .boxed();
        }
        state.workers.remove(worker);
        ready(Ok(())).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, BackendError>> {
        let seen = |(worker, labels): (&WorkerId, &Option<Labels>)| Observation {
            worker: worker.clone(),
            labels: labels.clone(),
            state: Observed::Running {
                endpoint: format!("http://{worker}"),
            },
        };
        ready(Ok(self.state().workers.iter().map(seen).collect())).boxed()
    }

    fn watch(&self) -> BoxStream<'static, Observation> {
        let (watcher, mut seen) = mpsc::unbounded_channel();
        self.state().watchers.push(watcher);
        stream::poll_fn(move |context| seen.poll_recv(context)).boxed()
    }
}

impl Link for World {
    fn follow(&self, assignment: Assignment) -> BoxStream<'static, Report> {
        let world = self.clone();
        let labels = assignment.labels.clone();
        self.call(format!(
            "follow {} after {}",
            assignment.worker,
            assignment.cursor.unwrap_or(0)
        ));
        async_stream::stream! {
            let (subtask, attempt) = (labels.subtask.clone(), labels.attempt);
            let report = |cursor, event| Report { cursor, events: vec![event] };
            if !world.is_alive(&assignment.worker) {
                let event = JobEvent::WorkerUnreachable { subtask, attempt, message: "refused".to_owned() };
                yield report(None, event);
                std::future::pending::<()>().await;
                return;
            }
            yield report(None, JobEvent::WorkerReady { subtask: subtask.clone(), attempt });
            if assignment.task.is_none() {
                world.call(format!("prompt {}: {}", assignment.worker, assignment.prompt));
                let task = WorkerTask { task: assignment.message_id(), context: assignment.context().to_owned() };
                yield report(None, JobEvent::WorkerAccepted { subtask: subtask.clone(), attempt, task });
            }
            // Every thing that is told has its number in the worker's log, whoever listens.
            let mut number = 0;
            let after = assignment.cursor.unwrap_or(0);
            for step in world.steps(&labels) {
                let count = if let Step::Chatter(count) = step { count } else { 1 };
                for _ in 0..count {
                    let event = match &step {
                        Step::Say(text) => JobEvent::AgentText {
                            subtask: subtask.clone(),
                            attempt,
                            text: (*text).to_owned(),
                        },
                        Step::Chatter(_) => JobEvent::AgentText {
                            subtask: subtask.clone(),
                            attempt,
                            text: format!("{number}"),
                        },
                        Step::Tool(call) => JobEvent::ToolFinished {
                            subtask: subtask.clone(),
                            attempt,
                            call: (*call).to_owned(),
                            status: ToolStatus::Completed,
                        },
                        Step::Artifact(name) => JobEvent::ArtifactMade {
                            subtask: subtask.clone(),
                            attempt,
                            artifact: ArtifactChunk {
                                id: (*name).to_owned(),
                                name: (*name).to_owned(),
                                path: (*name).to_owned(),
                                media_type: "text/plain".to_owned(),
                                size: 3,
                                append: false,
                                last: true,
                            },
                        },
                        Step::Ask(question) => JobEvent::InputRequired {
                            subtask: subtask.clone(),
                            attempt,
                            question: (*question).to_owned(),
                        },
                        Step::Answered => {
                            let told = format!("told {subtask}");
                            let mut released = world.released.subscribe();
                            let _ = released.wait_for(|released| released.contains(&told)).await;
                            JobEvent::InputResolved { subtask: subtask.clone(), attempt }
                        }
                        Step::Hold => {
                            let mut released = world.released.subscribe();
                            let _ = released.wait_for(|released| released.contains(subtask.as_str())).await;
                            continue;
                        }
                        Step::End(outcome) => JobEvent::AttemptEnded {
                            subtask: subtask.clone(),
                            attempt,
                            outcome: outcome.clone(),
                        },
                        Step::Vanish => return,
                    };
                    number += 1;
                    if number > after {
                        yield report(Some(number), event);
                    }
                }
            }
        }
        .boxed()
    }

    fn cancel<'a>(&'a self, assignment: &'a Assignment) -> BoxFuture<'a, Result<(), LinkError>> {
        self.call(format!("cancel {}", assignment.worker));
        ready(Ok(())).boxed()
    }

    fn tell<'a>(
        &'a self,
        assignment: &'a Assignment,
        note: &'a Note,
    ) -> BoxFuture<'a, Result<(), LinkError>> {
        self.call(format!("tell {} {}", assignment.labels.subtask, note.text));
        self.release(&format!("told {}", assignment.labels.subtask));
        ready(Ok(())).boxed()
    }
}

impl Workspace for World {
    fn prepare<'a>(
        &'a self,
        request: &'a PrepareRequest,
    ) -> BoxFuture<'a, Result<Prepared, WorkspaceError>> {
        let labels = &request.labels;
        let from: Vec<String> = request
            .from
            .iter()
            .map(|(subtask, _)| subtask.to_string())
            .collect();
        self.call(format!(
            "prepare {}/{} from [{}]",
            labels.subtask,
            labels.attempt,
            from.join(" ")
        ));
        let result = match self.state().conflicts.get(labels.subtask.as_str()) {
            Some(conflict) => Err(WorkspaceError::Conflict(conflict.clone())),
            None => Ok(Prepared {
                workspace: PathBuf::from(format!("/nowhere/{}", labels.worker())),
                base: commit(request.from.len()),
            }),
        };
        ready(result).boxed()
    }

    fn import<'a>(
        &'a self,
        request: &'a ImportRequest,
    ) -> BoxFuture<'a, Result<Imported, WorkspaceError>> {
        self.call(format!(
            "import {}/{}",
            request.labels.subtask, request.labels.attempt
        ));
        let files = vec![format!("{}.rs", request.labels.subtask)];
        ready(Ok(Imported {
            commit: commit(request.labels.subtask.as_str().len()),
            files,
        }))
        .boxed()
    }

    fn finish<'a>(
        &'a self,
        request: &'a FinishRequest,
    ) -> BoxFuture<'a, Result<JobResult, WorkspaceError>> {
        let leaves: Vec<String> = request
            .leaves
            .iter()
            .map(|(subtask, _)| subtask.to_string())
            .collect();
        self.call(format!("finish [{}]", leaves.join(" ")));
        let result = match self.state().conflicts.get("result") {
            Some(conflict) => Err(WorkspaceError::Conflict(conflict.clone())),
            None => Ok(JobResult {
                commit: commit(99),
                branch: "result".to_owned(),
                files: Vec::new(),
            }),
        };
        ready(result).boxed()
    }

    fn discard<'a>(&'a self, labels: &'a Labels) -> BoxFuture<'a, Result<(), WorkspaceError>> {
        self.call(format!("discard {}/{}", labels.subtask, labels.attempt));
        ready(Ok(())).boxed()
    }
}

fn commit(n: usize) -> CommitId {
    CommitId::parse(format!("{n:040x}")).unwrap()
}

impl Clock for World {
    /// Follows the runtime's clock, which tests can hold.
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.start.elapsed()
    }
}

impl Dice for World {
    /// Never any luck: every wait is as long as it can be.
    fn roll(&self) -> u64 {
        0
    }
}

impl Ids for World {
    fn next(&self) -> String {
        let mut state = self.state();
        state.calls.push("id made".to_owned());
        let made = state.calls.iter().filter(|call| *call == "id made").count();
        format!("00000000-0000-7000-8000-{made:012}")
    }
}

impl Store for Flaky {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut full = self.full.lock().unwrap();
        if *full > 0 {
            *full -= 1;
            return ready(Err(StoreError::Full(rusqlite::Error::InvalidQuery.into()))).boxed();
        }
        self.store.append(batch)
    }

    fn read<'a>(
        &'a self,
        job: &'a JobId,
        after: u64,
        limit: usize,
        which: Which,
    ) -> BoxFuture<'a, Result<Vec<Arc<Entry>>, StoreError>> {
        self.store.read(job, after, limit, which)
    }

    fn head<'a>(&'a self, job: &'a JobId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        self.store.head(job)
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Vec<Head>, StoreError>> {
        self.store.list(filter)
    }

    fn prune(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<JobId>, StoreError>> {
        self.store.prune(before, limit)
    }
}

//! A world in which everything is done at once: workers that say a word and are done, a repository that is a constant. What
//! is left of a job's time is the captain's own.

use std::path::PathBuf;
use std::time::Duration;

use captain::engine::ports::{
    Assignment, Backend, BackendError, FinishRequest, ImportRequest, Imported, Instance,
    LaunchSpec, Link, LinkError, Note, Observation, PlanRequest, Planner, PlannerError,
    PrepareRequest, Prepared, Report, Workspace, WorkspaceError,
};
use captain_core::{CommitId, JobEvent, JobResult, JobSpec, Outcome, PlanSpec, WorkerId};
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde_json::json;

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct World;

/// A job of one subtask.
pub(crate) fn job() -> serde_json::Result<JobSpec> {
    let plan = json!({"subtasks": [{"id": "task", "prompt": "do it"}]});
    serde_json::from_value(json!({
        "goal": "measure", "owner": "bench", "plan": {"from": "given", "plan": plan},
    }))
}

fn commit<E>(failed: impl FnOnce(String) -> E) -> Result<CommitId, E> {
    CommitId::parse("0".repeat(40)).map_err(|error| failed(error.to_string()))
}

fn broken(message: String) -> WorkspaceError {
    WorkspaceError::Failed {
        message,
        source: None,
    }
}

impl Planner for World {
    fn plan<'a>(
        &'a self,
        request: &'a PlanRequest,
    ) -> BoxFuture<'a, Result<PlanSpec, PlannerError>> {
        let (name, known) = (request.planner.clone(), String::new());
        ready(Err(PlannerError::Unknown { name, known })).boxed()
    }
}

impl Backend for World {
    fn launch<'a>(&'a self, spec: &'a LaunchSpec) -> BoxFuture<'a, Result<Instance, BackendError>> {
        ready(Ok(Instance {
            worker: spec.worker.clone(),
            endpoint: "http://127.0.0.1:1".to_owned(),
        }))
        .boxed()
    }

    fn stop<'a>(&'a self, _: &'a WorkerId, _: Duration) -> BoxFuture<'a, Result<(), BackendError>> {
        ready(Ok(())).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, BackendError>> {
        // Never: a list without the workers would say that they are gone.
        std::future::pending().boxed()
    }

    fn watch(&self) -> BoxStream<'static, Observation> {
        stream::pending().boxed()
    }
}

impl Link for World {
    fn follow(&self, assignment: Assignment) -> BoxStream<'static, Report> {
        let (subtask, attempt) = (assignment.labels.subtask, assignment.labels.attempt);
        let ready = JobEvent::WorkerReady {
            subtask: subtask.clone(),
            attempt,
        };
        let text = JobEvent::AgentText {
            subtask: subtask.clone(),
            attempt,
            text: "done".to_owned(),
        };
        let ended = JobEvent::AttemptEnded {
            subtask,
            attempt,
            outcome: Outcome::Completed,
        };
        stream::iter([ready, text, ended].map(Report::of)).boxed()
    }

    fn tell<'a>(&'a self, _: &'a Assignment, _: &'a Note) -> BoxFuture<'a, Result<(), LinkError>> {
        ready(Ok(())).boxed()
    }

    fn cancel<'a>(&'a self, _: &'a Assignment) -> BoxFuture<'a, Result<(), LinkError>> {
        ready(Ok(())).boxed()
    }
}

impl Workspace for World {
    fn prepare<'a>(
        &'a self,
        _: &'a PrepareRequest,
    ) -> BoxFuture<'a, Result<Prepared, WorkspaceError>> {
        let prepared = commit(broken).map(|base| Prepared {
            workspace: PathBuf::from("/nowhere"),
            base,
        });
        ready(prepared).boxed()
    }

    fn import<'a>(
        &'a self,
        _: &'a ImportRequest,
    ) -> BoxFuture<'a, Result<Imported, WorkspaceError>> {
        let imported = commit(broken).map(|commit| Imported {
            commit,
            files: Vec::new(),
        });
        ready(imported).boxed()
    }

    fn finish<'a>(
        &'a self,
        _: &'a FinishRequest,
    ) -> BoxFuture<'a, Result<JobResult, WorkspaceError>> {
        let result = commit(broken).map(|commit| JobResult {
            commit,
            branch: "result".to_owned(),
            files: Vec::new(),
        });
        ready(result).boxed()
    }

    fn discard<'a>(
        &'a self,
        _: &'a captain::engine::ports::Labels,
    ) -> BoxFuture<'a, Result<(), WorkspaceError>> {
        ready(Ok(())).boxed()
    }
}

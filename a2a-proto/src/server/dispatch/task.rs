//! What can be done with tasks that exist: get, list, cancel, subscribe (A2A §3.1.3 to §3.1.6). Every result is scoped
//! to the caller; somebody else's task is not found.

use std::sync::Arc;

use super::{Feed, First, log_error};
use crate::error::A2aError;
use crate::log::{Expect, ListFilter, LogError, LogTask, TaskLog};
use crate::server::view::{ListView, TaskView};
use crate::server::{Agent, Caller, CancelTarget, Inner};
use crate::types::{
    CancelTaskRequest, GetTaskRequest, ListTasksRequest, StreamResponse, SubscribeToTaskRequest,
    TaskState, TaskStatus, TaskStatusUpdateEvent, Validate as _,
};

/// The page size of a request that names none (A2A §3.1.4).
const DEFAULT_PAGE: i32 = 50;

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// The task `id` of the caller, within the tenant for which it acts.
    pub(in crate::server) async fn open(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<LogTask, A2aError> {
        self.log.open(&caller.owner(), id).await.map_err(log_error)
    }

    pub(in crate::server) async fn get(
        &self,
        caller: &Caller,
        request: GetTaskRequest,
    ) -> Result<TaskView, A2aError> {
        request.validate()?;
        let caller = caller.within(&request.tenant)?;
        let task = self.open(&caller, &request.id).await?;
        self.await_change(&task, request.current_generation).await?;
        Ok(self.view(task.snapshot(), request.history_length))
    }

    pub(in crate::server) async fn list(
        &self,
        caller: &Caller,
        request: ListTasksRequest,
    ) -> Result<ListView, A2aError> {
        request.validate()?;
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|_| {
                A2aError::invalid_param(
                    "pageToken",
                    "not a page token of this server: begin without one",
                )
            })?),
        };
        let page_size = request.page_size.unwrap_or(DEFAULT_PAGE);
        let artifacts = request.include_artifacts.unwrap_or(false);
        let filter = ListFilter {
            owner: Some(caller.within(&request.tenant)?.owner()),
            context_id: Some(request.context_id).filter(|context| !context.is_empty()),
            state: Some(request.status).filter(|state| *state != TaskState::Unspecified),
            unfinished: false,
            status_after: request.status_timestamp_after,
            after,
            limit: usize::try_from(page_size).unwrap_or(1),
            artifacts,
        };
        let page = self.log.list(&filter).await.map_err(log_error)?;
        let view = |snapshot| TaskView {
            artifacts,
            ..self.view(snapshot, request.history_length)
        };
        Ok(ListView {
            tasks: page.tasks.into_iter().map(view).collect(),
            next_page_token: page.next.map(|token| token.to_string()).unwrap_or_default(),
            page_size,
            total_size: i32::try_from(page.total).unwrap_or(i32::MAX),
        })
    }

    /// Cancels. Once begun it goes on to its end, whatever becomes of the caller.
    pub(in crate::server) async fn cancel(
        self: &Arc<Self>,
        caller: Caller,
        request: CancelTaskRequest,
    ) -> Result<TaskView, A2aError> {
        request.validate()?;
        let caller = caller.within(&request.tenant)?;
        let task = self.open(&caller, &request.id).await?;
        let inner = Arc::clone(self);
        self.detached(async move { inner.cancel_task(task, caller, request).await })
            .await
    }

    async fn cancel_task(
        &self,
        task: LogTask,
        caller: Caller,
        request: CancelTaskRequest,
    ) -> Result<TaskView, A2aError> {
        if task.state().is_terminal() {
            return Err(not_cancelable(&task, task.state()));
        }
        let had_turn = self.turns.cancel(task.id());
        let target = CancelTarget {
            task_id: task.id().to_owned(),
            context_id: task.context_id().to_owned(),
            metadata: request.metadata,
            caller,
        };
        let stopped =
            tokio::time::timeout(self.options.cancel_timeout, self.agent.cancel(&target)).await;
        let refusal = match stopped {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                tracing::warn!(
                    task = task.id(),
                    error = &error as &dyn std::error::Error,
                    "cannot cancel"
                );
                Some(error.message)
            }
            Err(_) => Some(format!(
                "the agent did not stop within {} s",
                self.options.cancel_timeout.as_secs()
            )),
        };
        if let Some(text) = refusal {
            // The turn may have ended all the same, and left the end to this cancellation. A task without a turn is one that
            // the agent works on by itself, and a server that stops leaves its tasks to the next one.
            let turn_ended = had_turn && !self.turns.uncancel(task.id());
            let stopping = self.options.shutdown.is_cancelled();
            if turn_ended && !stopping && !task.state().is_interrupted() {
                self.fail(&self.updates(task), text.clone()).await;
            }
            let external = format!("the task could not be canceled: {text}");
            return Err(A2aError::Internal {
                internal: external.clone(),
                external,
            });
        }
        let event = StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
            task_id: task.id().to_owned(),
            context_id: task.context_id().to_owned(),
            status: TaskStatus::new(TaskState::Canceled, self.options.clock.now()),
            ..TaskStatusUpdateEvent::default()
        });
        match task.append_one(Expect::Open, event).await {
            // Another cancellation, or the agent itself, may have written the same.
            Ok(_)
            | Err(LogError::Conflict {
                actual: TaskState::Canceled,
            }) => Ok(self.view(task.snapshot(), None)),
            // Something else came first, and the first end wins.
            Err(LogError::Conflict { actual }) => Err(not_cancelable(&task, actual)),
            Err(error) => Err(log_error(error)),
        }
    }

    /// Follows a task: from its present state on, or strictly after an event that the client has seen.
    pub(in crate::server) async fn subscribe(
        &self,
        caller: &Caller,
        request: SubscribeToTaskRequest,
        after: Option<u64>,
    ) -> Result<Feed, A2aError> {
        request.validate()?;
        let caller = caller.within(&request.tenant)?;
        let permit = self.stream_permit()?;
        let task = self.open(&caller, &request.id).await?;
        let snapshot = task.snapshot();
        let ended = snapshot.task.status.state.is_terminal();
        match after {
            // A resume may still find events that the client has not seen.
            Some(after) if !ended || after != snapshot.seq => {
                let rest = Some(task.subscribe(after).map_err(log_error)?);
                Ok(Feed {
                    first: First::Rest,
                    rest,
                    permit,
                })
            }
            None if !ended => {
                let rest = Some(task.subscribe(snapshot.seq).map_err(log_error)?);
                Ok(Feed {
                    first: First::Snapshot(snapshot),
                    rest,
                    permit,
                })
            }
            _ => Err(A2aError::UnsupportedOperation {
                what: format!(
                    "a subscription to a task that has ended ({})",
                    snapshot.task.status.state
                ),
            }),
        }
    }
}

fn not_cancelable(task: &LogTask, state: TaskState) -> A2aError {
    A2aError::TaskNotCancelable {
        task_id: task.id().to_owned(),
        state,
    }
}

//! What the draft of 1.1 adds (`ServerOptions::preview_1_1`): the generation of a task. It counts its changes from 1, one event
//! each, so it is the number that the log gives its events anyway: a subscriber that misses one sees a gap.

use std::time::Duration;

use super::overloaded;
use crate::error::A2aError;
use crate::log::{LogTask, Snapshot, TaskLog};
use crate::server::view::TaskView;
use crate::server::{Agent, Inner};
use crate::types::SendMessageRequest;

/// How long a client is kept that waits for a change: below the 30 s after which clients and proxies give up. It is
/// answered with the task as it is then, and asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// The task as it is shown, with everything that it has.
    pub(super) fn view(&self, snapshot: Snapshot, history: Option<i32>) -> TaskView {
        TaskView {
            generation: self.options.preview_1_1.then_some(snapshot.seq),
            task: snapshot.task,
            history,
            artifacts: true,
        }
    }

    /// Waits until the task has changed more often than `current`. A task that has ended does not change any more.
    pub(super) async fn await_change(
        &self,
        task: &LogTask,
        current: Option<i64>,
    ) -> Result<(), A2aError> {
        let Some(current) = current.filter(|_| self.options.preview_1_1) else {
            return Ok(());
        };
        let changed = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX) > current;
        let mut watch = task.watch();
        let now = *watch.borrow();
        if changed(now.seq) || now.state.is_terminal() {
            return Ok(());
        }
        // Whoever waits costs what a stream costs, and counts as one.
        let streams = std::sync::Arc::clone(&self.streams);
        let _permit = streams.try_acquire_owned().map_err(|_| overloaded())?;
        tokio::select! {
            _ = watch.wait_for(|now| changed(now.seq) || now.state.is_terminal()) => {}
            () = tokio::time::sleep(LONGEST_WAIT) => {}
            // A server that stops answers with the task as it stands.
            () = self.options.shutdown.cancelled() => {}
        }
        Ok(())
    }

    /// The last event that the task, which the message names, must have for the message to be taken.
    pub(super) fn wanted_generation(
        &self,
        request: &SendMessageRequest,
    ) -> Result<Option<u64>, A2aError> {
        let configuration = request.configuration.as_ref();
        let wanted = configuration.and_then(|it| it.if_generation_match);
        let Some(wanted) = wanted.filter(|_| self.options.preview_1_1) else {
            return Ok(None);
        };
        let invalid = |text: &str| {
            let field = "configuration.ifGenerationMatch";
            Err(A2aError::invalid_param(field, text))
        };
        match u64::try_from(wanted) {
            _ if request.message.task_id.is_empty() => {
                invalid("is about a task, and the message names none")
            }
            Ok(wanted @ 1..) => Ok(Some(wanted)),
            _ => invalid("must be at least 1"),
        }
    }
}

/// Refuses a task that has changed.
pub(super) fn check(task: &LogTask, wanted: Option<u64>) -> Result<(), A2aError> {
    match wanted {
        Some(wanted) if wanted != task.snapshot().seq => {
            Err(mismatch(task.id(), wanted, task.snapshot().seq))
        }
        _ => Ok(()),
    }
}

/// The task has changed since the client looked.
pub(super) fn mismatch(task_id: &str, wanted: u64, actual: u64) -> A2aError {
    let number = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
    A2aError::TaskGenerationMismatch {
        task_id: task_id.to_owned(),
        expected: number(wanted),
        actual: number(actual),
    }
}

//! Does the steps of a scenario, one after the other. Time is the runtime's, so tests can hold it; a canceled turn stops
//! at once and writes nothing more, since the server writes how the task ended.

use tokio_util::sync::CancellationToken;

use super::scenario::Step;
use crate::server::{AgentError, UpdateError, Updates};
use crate::types::Part;

/// Plays `steps` to their end, or until the task is canceled.
pub(super) async fn play(
    steps: Vec<Step>,
    cancelled: &CancellationToken,
    updates: &Updates,
) -> Result<(), AgentError> {
    for step in steps {
        if cancelled.is_cancelled() {
            return Ok(());
        }
        match perform(step, cancelled, updates).await {
            Ok(()) => {}
            // Another turn of the task has ended it.
            Err(UpdateError::Terminal { .. }) => return Ok(()),
            Err(error) => return Err(AgentError::because("the task cannot be stored", error)),
        }
    }
    Ok(())
}

async fn perform(
    step: Step,
    cancelled: &CancellationToken,
    updates: &Updates,
) -> Result<(), UpdateError> {
    match step {
        Step::Status(state, text) => {
            let message = text.map(|text| updates.agent_message(vec![Part::text(text)]));
            updates.status(state, message).await.map(drop)
        }
        Step::Artifact {
            artifact,
            append,
            last_chunk,
        } => updates.artifact(*artifact, append, last_chunk).await,
        Step::Pause(time) => {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = cancelled.cancelled() => {}
            }
            Ok(())
        }
    }
}

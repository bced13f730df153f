//! Streams of agents that do not number their events, as those of older versions mostly do not. Such an agent goes on with
//! what happens next after a new connection, so what happened between two connections is only in the task itself. The task
//! is then shown as an event, and what it contains already is not told twice, as well as can be told without numbers.

use super::StreamEvent;
use crate::types::{StreamResponse, Task, TaskArtifactUpdateEvent};

/// What is known after a new connection.
#[derive(Debug, Default)]
pub(super) struct Unnumbered {
    /// Nothing has come over the present connection yet, and something may be missing.
    in_doubt: bool,
    /// Comes after the task.
    held: Option<StreamEvent>,
    /// What was shown, until something newer came.
    shown: Option<Task>,
}

impl Unnumbered {
    /// A new connection stands; `may_miss` says that the agent may leave something out.
    pub(super) fn connected(&mut self, may_miss: bool) {
        *self = Self {
            in_doubt: may_miss,
            ..Self::default()
        };
    }

    /// Whether the task must be asked for before `event`, the first of a connection.
    pub(super) fn is_in_doubt(&mut self, event: &StreamEvent) -> bool {
        std::mem::take(&mut self.in_doubt)
            && event.seq.is_none()
            && !matches!(
                event.event,
                StreamResponse::Task(_) | StreamResponse::Message(_)
            )
    }

    /// Puts `event` off until `task` was shown.
    pub(super) fn hold(&mut self, event: StreamEvent, task: &Task) {
        self.held = Some(event);
        self.shown = Some(task.clone());
    }

    /// The event that was put off.
    pub(super) fn take_held(&mut self) -> Option<StreamEvent> {
        self.held.take()
    }

    /// Whether the task that was shown contains `event`. From the first that it does not contain on, it contains none.
    pub(super) fn has_seen(&mut self, event: &StreamResponse) -> bool {
        let Some(task) = &self.shown else {
            return false;
        };
        let contained = match event {
            // The very one that was shown.
            StreamResponse::Task(other) if other == task => return false,
            StreamResponse::Task(_) | StreamResponse::Message(_) => false,
            StreamResponse::StatusUpdate(update) => {
                let (new, old) = (&update.status, &task.status);
                match (new.timestamp, old.timestamp) {
                    (Some(new), Some(old)) => new <= old,
                    _ => new == old,
                }
            }
            StreamResponse::ArtifactUpdate(update) => contains(task, update),
        };
        if !contained {
            self.shown = None;
        }
        contained
    }
}

fn contains(task: &Task, update: &TaskArtifactUpdateEvent) -> bool {
    let artifact = &update.artifact;
    let parts = task
        .artifacts
        .iter()
        .find(|it| it.artifact_id == artifact.artifact_id)
        .map(|it| it.parts.as_slice());
    parts.is_some_and(|parts| match update.append {
        true => parts.ends_with(&artifact.parts),
        false => parts.starts_with(&artifact.parts),
    })
}

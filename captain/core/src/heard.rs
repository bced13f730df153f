//! How far each subtask's worker has been listened to. A worker numbers what it reports; what was recorded already is
//! dropped here, however often it is told again, and a captain that starts again goes on after the last number in its
//! log. Kept beside the job and not in it: output moves it, and output leaves the job as it is.

use std::collections::BTreeMap;

use crate::event::JobEvent;
use crate::ids::{Attempt, SubtaskId};

/// The last recorded number of each subtask's worker, with the attempt that it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard(BTreeMap<SubtaskId, (Attempt, u64)>);

impl Heard {
    /// The last recorded number of this attempt's worker.
    pub fn cursor(&self, subtask: &SubtaskId, attempt: Attempt) -> Option<u64> {
        let (of, cursor) = self.0.get(subtask)?;
        (*of == attempt).then_some(*cursor)
    }

    /// Whether what the worker reports under this number has been recorded before.
    pub fn knows(&self, subtask: &SubtaskId, attempt: Attempt, cursor: u64) -> bool {
        self.cursor(subtask, attempt)
            .is_some_and(|last| cursor <= last)
    }

    /// Remembers the number behind a recorded event.
    pub fn note(&mut self, event: &JobEvent, cursor: Option<u64>) {
        if let (Some((subtask, attempt)), Some(cursor)) = (event.attempt(), cursor) {
            // Output comes often and the key is nearly always there: no copy of the id then.
            match self.0.get_mut(subtask) {
                Some(known) => *known = (attempt, cursor),
                None => {
                    self.0.insert(subtask.clone(), (attempt, cursor));
                }
            }
        }
    }
}

//! Which effects a state owes. One function of the state serves both the step into it and a captain that has just read
//! the job back, so a restart can owe nothing else than the run before it did.

use crate::effect::Effect;
use crate::ids::{CommitId, SubtaskId};
use crate::job::{Job, JobState, SubtaskState};
use crate::plan::Plan;

impl Job {
    /// All effects that are owed in the present state, for a captain that has just read the job back.
    pub fn pending_effects(&self) -> Vec<Effect> {
        match &self.state {
            JobState::Planning { problems } if problems.is_empty() => vec![Effect::MakePlan],
            JobState::Integrating => vec![Effect::Finish {
                leaves: self.results_of_leaves(),
            }],
            JobState::Running | JobState::Cancelling { .. } => {
                let plan = self.plan.iter();
                plan.flat_map(Plan::ids)
                    .flat_map(|id| self.owed(id).into_iter().chain(self.untold(id)))
                    .collect()
            }
            JobState::Planning { .. }
            | JobState::AwaitingApproval
            | JobState::Completed { .. }
            | JobState::Failed { .. }
            | JobState::Cancelled => Vec::new(),
        }
    }

    /// The effect that one subtask owes in the present state.
    pub(super) fn owed(&self, id: &SubtaskId) -> Option<Effect> {
        let one = self.subtasks.get(id)?;
        let record = one.current()?;
        let (subtask, attempt) = (id.clone(), record.attempt);
        if matches!(self.state, JobState::Cancelling { .. }) {
            return one
                .state
                .is_active()
                .then_some(Effect::CancelAttempt { subtask, attempt });
        }
        match one.state {
            SubtaskState::Preparing => Some(Effect::Prepare {
                subtask,
                attempt,
                from: self.results_before(id),
            }),
            SubtaskState::Launching if record.endpoint.is_none() => {
                Some(Effect::Launch { subtask, attempt })
            }
            SubtaskState::Launching
            | SubtaskState::Running
            | SubtaskState::InputRequired { .. } => Some(Effect::Send { subtask, attempt }),
            SubtaskState::Merging => Some(Effect::Merge { subtask, attempt }),
            SubtaskState::Fencing { .. } => Some(Effect::Fence { subtask, attempt }),
            SubtaskState::Waiting { .. }
            | SubtaskState::Ready
            | SubtaskState::Backoff { .. }
            | SubtaskState::AttemptOver { .. }
            | SubtaskState::Done { .. }
            | SubtaskState::Failed { .. }
            | SubtaskState::Skipped { .. }
            | SubtaskState::Cancelled => None,
        }
    }

    /// The results that a subtask starts from, in the order in which its dependencies were written.
    fn results_before(&self, id: &SubtaskId) -> Vec<(SubtaskId, CommitId)> {
        let plan = self.plan.iter();
        plan.flat_map(|plan| plan.dependencies(id))
            .filter_map(|id| self.result_of(id))
            .collect()
    }

    /// The results that together hold all others, in dependency order.
    pub(super) fn results_of_leaves(&self) -> Vec<(SubtaskId, CommitId)> {
        let plan = self.plan.iter();
        plan.flat_map(Plan::leaves)
            .filter_map(|id| self.result_of(id))
            .collect()
    }

    fn result_of(&self, id: &SubtaskId) -> Option<(SubtaskId, CommitId)> {
        match &self.subtasks.get(id)?.state {
            SubtaskState::Done { commit } => Some((id.clone(), commit.clone())),
            _ => None,
        }
    }
}

//! A job as users see it: one flat, serializable picture for the API and the command line. It adds nothing that the job
//! does not hold; it only chooses and names.

use jiff::Timestamp;
use serde::Serialize;

use crate::aggregate::Artifact;
use crate::ids::{Attempt, JobId, SubtaskId, WorkerId};
use crate::job::{Contact, Job, JobState, ProviderPause, SubtaskState};
use crate::outcome::JobResult;

/// A whole job.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// What was asked for.
    pub goal: String,
    /// Where it stands: `planning`, `awaiting_approval`, `running`, `integrating`, `cancelling`, `completed`,
    /// `failed`, `cancelled`.
    pub state: &'static str,
    /// Whether nothing will happen any more.
    pub terminal: bool,
    /// Why it failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What was left, once completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
    /// When it was submitted.
    #[schemars(with = "String")]
    pub created: Timestamp,
    /// When something last happened to it.
    #[schemars(with = "String")]
    pub updated: Timestamp,
    /// Which edit of the plan runs; 0 before there is a plan.
    pub plan_revision: u32,
    /// Why nothing is started at present, where the model's provider fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<ProviderPause>,
    /// The subtasks in plan order.
    pub subtasks: Vec<SubtaskView>,
    /// What was made so far.
    pub artifacts: Vec<Artifact>,
}

/// One subtask.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SubtaskView {
    /// Its id.
    pub id: SubtaskId,
    /// Its name for people.
    pub title: String,
    /// What it starts from.
    pub depends_on: Vec<SubtaskId>,
    /// Where it stands: `waiting`, `ready`, `backoff`, `preparing`, `launching`, `running`, `input_required`,
    /// `merging`, `fencing`, `attempt_over`, `done`, `failed`, `skipped`, `cancelled`.
    pub state: &'static str,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// More about the state, for people: why it failed or was skipped, what the agent asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The latest attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// Its worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    /// The worker's A2A address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether the captain can reach the worker, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// More about that: `reachable`, `unreachable` (it goes on working) or `gone` (its platform says that it has ended).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<&'static str>,
}

impl Job {
    /// The job as users see it.
    pub fn view(&self) -> JobView {
        let (message, result) = match &self.state {
            JobState::Failed { reason } => (Some(reason.to_string()), None),
            JobState::Completed { result } => (None, Some(result.clone())),
            _ => (None, None),
        };
        JobView {
            id: self.id.clone(),
            goal: self.spec.goal.clone(),
            state: self.state.name(),
            terminal: self.state.is_terminal(),
            message,
            result,
            created: self.created,
            updated: self.updated,
            plan_revision: self.plan.as_ref().map_or(0, |plan| plan.revision()),
            paused: self.paused.clone(),
            subtasks: self.subtask_views(),
            artifacts: self.artifacts.iter().cloned().collect(),
        }
    }

    fn subtask_views(&self) -> Vec<SubtaskView> {
        let view = |(id, spec, one): (&SubtaskId, &crate::SubtaskSpec, &crate::job::Subtask)| {
            let record = one.current();
            let message = match &one.state {
                SubtaskState::Failed { outcome } | SubtaskState::AttemptOver { outcome } => {
                    Some(outcome.to_string())
                }
                SubtaskState::Fencing { outcome, problem } => Some(match problem {
                    Some(problem) => {
                        format!("{outcome}; its worker cannot be stopped so far: {problem}")
                    }
                    None => format!("{outcome}; its worker is being stopped"),
                }),
                SubtaskState::Skipped { because } => Some(format!("{because} failed")),
                SubtaskState::InputRequired { question } => Some(question.clone()),
                _ => None,
            };
            let live = record.filter(|record| record.endpoint.is_some() && record.ended.is_none());
            SubtaskView {
                id: id.clone(),
                title: spec.title.clone().unwrap_or_else(|| id.to_string()),
                depends_on: self
                    .plan
                    .iter()
                    .flat_map(|plan| plan.dependencies(id))
                    .cloned()
                    .collect(),
                state: one.state.name(),
                since: one.since,
                message,
                attempt: record.map(|record| record.attempt),
                worker: record.map(|record| record.worker.clone()),
                endpoint: record.and_then(|record| record.endpoint.clone()),
                reachable: live.map(|record| record.contact == Contact::Reachable),
                contact: live.map(|record| record.contact.name()),
            }
        };
        self.subtasks().map(view).collect()
    }
}

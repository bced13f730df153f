//! What goes over the wire of the REST API besides the core's own views: requests, lists, small answers. Every request
//! type refuses fields that it does not know, so that a misspelt setting is an error and not a surprise.

use captain_core::PlanSpec;
use captain_core::job::{Approval, JobLimits};
use captain_core::view::JobView;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backend::settings::AgentSettings;
use crate::engine::ports::{Labels, Observation, Observed};
use crate::store::Head;

/// `POST /jobs`: one of `plan`, `outline` and `goal` says what is to be done.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitJob {
    /// What is to be reached, in plain words. With neither plan nor outline, the planner makes the plan from it.
    #[serde(default)]
    pub goal: Option<String>,
    /// The plan itself.
    #[serde(default)]
    pub plan: Option<PlanSpec>,
    /// The plan as a Markdown list: an item inside another depends on it, `after: a, b` names further dependencies.
    #[serde(default)]
    pub outline: Option<String>,
    /// The planner that makes the plan from the goal; `outline` when missing.
    #[serde(default)]
    pub planner: Option<String>,
    /// A git repository on the captain's machine, as an absolute path; an empty one when missing.
    #[serde(default)]
    pub repo: Option<String>,
    /// The branch, tag or commit of `repo` to start from; its HEAD when missing.
    #[serde(default)]
    pub base: Option<String>,
    /// Limits of the whole job.
    #[serde(default)]
    pub limits: JobLimits,
    /// Whether the plan waits for a person.
    #[serde(default)]
    pub approval: Approval,
    /// Settings for the job's workers, over the captain's own.
    #[serde(default)]
    pub agent: AgentSettings,
}

/// The query of `GET /jobs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListJobs {
    /// Only jobs in this state.
    pub state: Option<String>,
    /// Jobs on a page, 1 to 200; 50 when missing.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// The answer of `GET /jobs`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct JobPage {
    /// The jobs, newest first.
    pub jobs: Vec<JobSummary>,
    /// The cursor of the next page; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct JobSummary {
    /// Its id.
    pub id: String,
    /// What was asked for.
    pub goal: String,
    /// Where it stands.
    pub state: String,
    /// Whether nothing will happen any more.
    pub terminal: bool,
    /// When it was submitted, RFC 3339.
    pub created: String,
    /// When something last happened to it, RFC 3339.
    pub updated: String,
    /// The number of its last event.
    pub last_event: u64,
}

impl From<Head> for JobSummary {
    fn from(head: Head) -> Self {
        Self {
            id: head.job.to_string(),
            goal: head.goal,
            state: head.state,
            terminal: head.terminal,
            created: head.created.to_string(),
            updated: head.updated.to_string(),
            last_event: head.last_seq,
        }
    }
}

/// `POST /jobs/{id}/reply`: something for the agents of a job that runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplyJob {
    /// What to tell them.
    pub text: String,
    /// The subtask that it is for. When missing it is the answer to the oldest open question, or, if nobody asks, for all.
    #[serde(default)]
    pub subtask: Option<String>,
}

/// The query of `GET /jobs/{id}/events`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FollowJob {
    /// Begin strictly after this event, like the header `Last-Event-ID`, which wins.
    pub after: Option<u64>,
}

/// The answer of `GET /jobs/{id}/artifacts`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ArtifactList {
    /// The commit that holds the result; missing until the job is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The files that the job added, changed or removed.
    pub files: Vec<ArtifactFile>,
    /// What attempts announced so far.
    pub made: Vec<captain_core::aggregate::Artifact>,
}

/// One file of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ArtifactFile {
    /// Relative to the repository's root.
    pub path: String,
    /// `added`, `modified`, `deleted` or `renamed`.
    pub change: &'static str,
    /// The old name of a renamed file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it may be run as a program.
    pub executable: bool,
    /// Where it can be fetched; missing for a deleted one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The answer of `GET /workers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WorkerList {
    /// The workers of this captain, by id.
    pub workers: Vec<WorkerView>,
}

/// One worker as its platform sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WorkerView {
    /// Its id, which is also its `agent_id`.
    pub id: String,
    /// `starting`, `running` or `exited`.
    pub state: &'static str,
    /// Its A2A address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What is known about its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The job it works for; missing for a worker that was started by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The subtask it works at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtask: Option<String>,
    /// Which try at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

impl From<Observation> for WorkerView {
    fn from(seen: Observation) -> Self {
        let (state, url, message) = match seen.state {
            Observed::Starting => ("starting", None, None),
            Observed::Running { endpoint } => ("running", Some(endpoint), None),
            Observed::Exited { message } => ("exited", None, Some(message)),
        };
        let (job, subtask, attempt) = match seen.labels {
            Some(Labels {
                job,
                subtask,
                attempt,
            }) => (Some(job.into()), Some(subtask.into()), Some(attempt.0)),
            None => (None, None, None),
        };
        Self {
            id: seen.worker.into(),
            state,
            url,
            message,
            job,
            subtask,
            attempt,
        }
    }
}

/// The answer of `POST /workers/{id}/token`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerToken {
    /// The worker's A2A address.
    pub url: String,
    /// A token that this worker alone accepts.
    pub token: String,
    /// Seconds until it expires.
    pub expires_in: u64,
}

/// The answer of `POST /jobs` and `POST /jobs/{id}/cancel`: the job.
pub type JobAnswer = JobView;

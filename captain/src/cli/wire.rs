//! What the captain's REST API says and takes, as far as the command line needs it. Unknown fields are ignored, so that
//! an older command line works with a newer captain.

use captain_core::PlanSpec;
use captain_core::job::JobLimits;
use daemon::cli::Failure;
use daemon::exit::Exit;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

/// The body of `POST /jobs`.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct NewJob {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<PlanSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<String>,
    pub(crate) limits: JobLimits,
}

/// A job: the answer to `POST /jobs`, and one entry of `GET /jobs`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct JobSummary {
    pub(crate) id: String,
    pub(crate) goal: String,
    pub(crate) state: String,
    pub(crate) created: jiff::Timestamp,
}

impl JobSummary {
    /// Reads one job of a list.
    pub(crate) fn read(job: serde_json::Value) -> Result<Self, Failure> {
        serde_json::from_value(job).map_err(|error| {
            let message = format!("the captain's list of jobs is not understood: {error}");
            Failure::new(Exit::Unavailable, message)
        })
    }
}

/// The answer to `GET /jobs`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct JobPage {
    /// Newest first.
    pub(crate) jobs: Vec<serde_json::Value>,
    /// Where the next page begins.
    #[serde(default)]
    pub(crate) next: Option<String>,
}

/// The answer to `GET /jobs/{id}/artifacts`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ArtifactList {
    pub(crate) files: Vec<FileEntry>,
}

/// One changed file of a job's result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    pub(crate) path: String,
    /// The old name of a renamed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// `added`, `modified`, `deleted` or `renamed`.
    pub(crate) change: String,
    #[serde(default)]
    pub(crate) size: u64,
}

/// One worker of `GET /workers`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WorkerEntry {
    pub(crate) id: String,
    /// `starting`, `running` or `exited`.
    #[serde(default)]
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) job: Option<String>,
    #[serde(default)]
    pub(crate) subtask: Option<String>,
}

/// The answer to `GET /workers`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WorkerList {
    pub(crate) workers: Vec<WorkerEntry>,
}

/// The answer to `POST /workers/{id}/token`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawToken")]
pub(crate) struct WorkerToken {
    pub(crate) url: Url,
    pub(crate) token: SecretString,
}

/// The same before it is checked; not printable, since the token is in it.
#[derive(Deserialize)]
struct RawToken {
    url: String,
    token: String,
}

impl TryFrom<RawToken> for WorkerToken {
    type Error = url::ParseError;

    fn try_from(raw: RawToken) -> Result<Self, Self::Error> {
        Ok(Self {
            url: Url::parse(&raw.url)?,
            token: SecretString::from(raw.token),
        })
    }
}

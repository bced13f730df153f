//! What a job may say about its workers' agents. A closed type, so that a misspelt setting is refused when the job is
//! submitted and not when a worker starts. Programs and files are not among the settings: those are the captain's own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of one job, or of one worker, over the captain's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSettings {
    /// The model's name at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Host names that the agent may reach besides the model: `name`, `name:port` or `*.suffix`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_hosts: Vec<String>,
    /// Additional environment variables of the agent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// What the agent and everything it starts may use; the worker's defaults where a number is missing.
    #[serde(skip_serializing_if = "Resources::is_unset")]
    pub resource_limits: Resources,
}

/// What an agent and everything it starts may use together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Memory in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// Relative CPU weight; 1024 is one ordinary share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_processes: Option<u64>,
    /// Open files of each process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_open_files: Option<u64>,
}

impl Resources {
    fn is_unset(&self) -> bool {
        *self == Self::default()
    }
}

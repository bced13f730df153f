//! The agent ID card of a worker: what the plan says about a subtask, what the job says about its workers, and what
//! this captain is set up with, as the one document that a worker is started with. Pure; it reads and writes no file.

use std::path::{Path, PathBuf};

use captain_core::WorkerId;
use captain_core::plan::SubtaskLimits;
use serde_json::{Map, Value, json};

use crate::backend::settings::AgentSettings;
use crate::config::AgentConfig;
use crate::engine::ports::LaunchSpec;

/// What a worker is allowed beyond its attempt's time: to start, to collect the result and to hand it over.
const TTL_MARGIN_SECONDS: u64 = 900;
/// The life of a worker whose attempt has no time limit. A worker must never run for ever when its captain is gone.
const DEFAULT_TTL_SECONDS: u64 = 24 * 60 * 60;

/// The card for an attempt.
///
/// # Errors
/// When the job's settings are not settings; they were checked when the job was submitted, so this is a defect or an
/// old job.
pub(super) fn for_attempt(
    agent: &AgentConfig,
    spec: &LaunchSpec,
) -> Result<Map<String, Value>, serde_json::Error> {
    let settings = match &spec.agent {
        Value::Null => AgentSettings::default(),
        value => serde_json::from_value(value.clone())?,
    };
    let mut card = common(agent, &spec.worker, &spec.workspace);
    if let Some(model) = settings.model {
        card.insert("model".to_owned(), model.into());
    }
    let mut hosts = agent.allowed_hosts.clone();
    hosts.extend(settings.allowed_hosts);
    hosts.extend(spec.hosts.iter().cloned());
    hosts.sort_unstable();
    hosts.dedup();
    card.insert("allowed_hosts".to_owned(), hosts.into());
    card.insert("environment".to_owned(), json!(settings.environment));
    card.insert(
        "resource_limits".to_owned(),
        json!(settings.resource_limits),
    );
    limits(&mut card, spec.limits);
    Ok(card)
}

/// The card for a worker without a job: the user's own fields win.
pub(super) fn stand_alone(
    agent: &AgentConfig,
    worker: &WorkerId,
    workspace: &Path,
    given: &Map<String, Value>,
) -> Map<String, Value> {
    let mut card = common(agent, worker, workspace);
    card.insert("allowed_hosts".to_owned(), json!(agent.allowed_hosts));
    // Another provider, or another address, has nothing to do with the captain's key: it would be sent there.
    if given.contains_key("api_provider") || given.contains_key("base_url") {
        for name in ["api_key_file", "model", "base_url"] {
            card.remove(name);
        }
    }
    card.extend(
        given
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    card
}

fn common(agent: &AgentConfig, worker: &WorkerId, workspace: &Path) -> Map<String, Value> {
    let path = |path: &PathBuf| Value::from(path.to_string_lossy());
    let mut card = Map::new();
    card.insert("agent_id".to_owned(), worker.as_str().into());
    card.insert(
        "workspace".to_owned(),
        Value::from(workspace.to_string_lossy()),
    );
    let optional = [
        (
            "api_provider",
            agent.api_provider.as_deref().map(Value::from),
        ),
        ("model", agent.model.as_deref().map(Value::from)),
        ("base_url", agent.base_url.as_deref().map(Value::from)),
        ("api_key_file", agent.api_key_file.as_ref().map(path)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            card.insert(name.to_owned(), value);
        }
    }
    card
}

fn limits(card: &mut Map<String, Value>, limits: SubtaskLimits) {
    let ttl = limits.time_seconds.map_or(DEFAULT_TTL_SECONDS, |seconds| {
        seconds.saturating_add(TTL_MARGIN_SECONDS)
    });
    card.insert("ttl_seconds".to_owned(), ttl.into());
    let mut watchdog = Map::new();
    if let Some(steps) = limits.steps {
        watchdog.insert("max_steps".to_owned(), steps.into());
    }
    if let Some(seconds) = limits.time_seconds {
        watchdog.insert("turn_seconds".to_owned(), seconds.into());
    }
    card.insert("watchdog".to_owned(), watchdog.into());
}

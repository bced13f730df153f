//! What a scenario file says: scripts, each with a rule for when it is played and the steps it plays.
//!
//! Here, apart from loading and playing, because the file format is what people write by hand. Must not touch the disk.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Steps in one script. An agent that needs more is looping.
pub(crate) const MAX_STEPS: usize = 64;
/// Scripts in one file.
pub(crate) const MAX_SCRIPTS: usize = 64;
/// Pause between two chunks. More than this and tests would wait for nothing.
pub(crate) const MAX_DELAY_MS: u64 = 60_000;

/// One scenario file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What the scenario is for, for people.
    pub about: String,
    /// Pause between two streamed chunks in milliseconds, so that a demo looks alive. A step's own value wins.
    #[serde(default)]
    pub pace_ms: u64,
    /// The scripts of this file.
    #[serde(rename = "script")]
    pub scripts: Vec<Script>,
}

/// What is played for the prompts that it matches.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Played when the conversation's last user prompt contains this text. Of several that match, the longest wins, so the
    /// order of files and scripts does not matter; the empty text matches every prompt.
    pub when: String,
    /// What the model answers at its first, second, … call after that prompt. A conversation that outlives its script gets
    /// a closing sentence.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// After the last step the last step is played again, without end: an agent that never finishes.
    #[serde(default)]
    pub repeat_last: bool,
}

/// One answer of the model.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The step is only played when the last tool result contains this text; otherwise the model says what it misses and
    /// ends its turn. A script that claims "all tests pass" would else claim it whatever happened.
    #[serde(default)]
    pub expect: Option<String>,
    /// Reasoning, one streamed chunk per entry.
    #[serde(default)]
    pub think: Vec<String>,
    /// Text, one streamed chunk per entry.
    #[serde(default)]
    pub say: Vec<String>,
    /// Tool calls, played in parallel as models do.
    #[serde(default, rename = "call")]
    pub calls: Vec<Call>,
    /// Token usage; estimated from the sizes when absent.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// Pause between two chunks in milliseconds.
    #[serde(default)]
    pub pace_ms: Option<u64>,
    /// What goes wrong.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// How often the fault strikes in one conversation before the step is played properly; absent means always.
    #[serde(default)]
    pub fault_times: Option<u32>,
}

/// One tool call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool's name as the agent declares it.
    pub tool: String,
    /// The arguments, sent as JSON.
    #[serde(default)]
    pub args: serde_json::Map<String, serde_json::Value>,
    /// Arguments whose value is the content of a file beside the scenario: argument name to relative path. Real source files
    /// stay real source files that way.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// Token counts of one answer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Prompt tokens.
    pub input: u64,
    /// Completion tokens.
    pub output: u64,
}

/// What can go wrong with one answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// An HTTP error instead of an answer.
    Status {
        /// 400 to 599.
        status: u16,
        /// Seconds for the `Retry-After` header (RFC 9110 §10.2.3).
        retry_after: Option<u64>,
    },
    /// The headers come, then nothing until the client gives up.
    Hang,
    /// The connection breaks after so many chunks.
    Cut {
        /// Chunks that still come.
        after: usize,
    },
    /// The stream ends properly but never says why (no `finish_reason`).
    NoFinish,
    /// Chunks that are no JSON.
    Garbage,
}

/// A scenario that cannot be played.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Invalid {
    #[error("a file needs 1 to {MAX_SCRIPTS} scripts, this one has {0}")]
    Scripts(usize),
    #[error("script {when:?} needs 1 to {MAX_STEPS} steps, it has {steps}")]
    Steps { when: String, steps: usize },
    #[error("script {when:?}, step {step}: a pause is at most {MAX_DELAY_MS} ms")]
    Delay { when: String, step: usize },
    #[error("script {when:?}, step {step}: {status} is no HTTP error status (400 to 599)")]
    Status {
        when: String,
        step: usize,
        status: u16,
    },
}

impl Scenario {
    /// Checks what the types cannot say.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.scripts.is_empty() || self.scripts.len() > MAX_SCRIPTS {
            return Err(Invalid::Scripts(self.scripts.len()));
        }
        self.scripts.iter().try_for_each(|s| s.check(self.pace_ms))
    }
}

impl Script {
    fn check(&self, pace_ms: u64) -> Result<(), Invalid> {
        if self.steps.is_empty() || self.steps.len() > MAX_STEPS {
            return Err(Invalid::Steps {
                when: self.when.clone(),
                steps: self.steps.len(),
            });
        }
        for (index, step) in self.steps.iter().enumerate() {
            if step.pace_ms.unwrap_or(pace_ms) > MAX_DELAY_MS {
                return Err(Invalid::Delay {
                    when: self.when.clone(),
                    step: index + 1,
                });
            }
            if let Some(Fault::Status { status, .. }) = step.fault
                && !(400..=599).contains(&status)
            {
                return Err(Invalid::Status {
                    when: self.when.clone(),
                    step: index + 1,
                    status,
                });
            }
        }
        Ok(())
    }

    /// The step for the model's n-th call (from 0) after the prompt; `None` when the script is over.
    pub(crate) fn step(&self, call: usize) -> Option<&Step> {
        match self.steps.get(call) {
            None if self.repeat_last => self.steps.last(),
            found => found,
        }
    }
}

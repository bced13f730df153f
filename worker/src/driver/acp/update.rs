//! Session updates of the Agent Client Protocol as driver events.

use std::collections::HashMap;

use a2a_proto::activity::{Cost, PlanEntry, PlanStatus, Usage};
use agent_client_protocol::v1::schema as acp;
use serde::Serialize;
use serde_json::Value;
use worker_sandbox::WORKSPACE;

use super::output::Outputs;
use crate::driver::{DriverEvent, ToolCall};

/// Tool calls remembered at once. No agent has that many open.
const MAX_CALLS: usize = 1024;

/// Translates the updates of one session, in order.
#[derive(Debug, Default)]
pub(super) struct Translator {
    outputs: Outputs,
    known: HashMap<String, ToolCall>,
}

impl Translator {
    /// What an update means: nothing, one event, or output and an end.
    pub(super) fn translate(&mut self, update: acp::SessionUpdate) -> Vec<DriverEvent> {
        match update {
            acp::SessionUpdate::AgentMessageChunk(chunk) => text(chunk)
                .map(|(message_id, delta)| DriverEvent::Text { message_id, delta })
                .into_iter()
                .collect(),
            acp::SessionUpdate::AgentThoughtChunk(chunk) => text(chunk)
                .map(|(message_id, delta)| DriverEvent::Thought { message_id, delta })
                .into_iter()
                .collect(),
            acp::SessionUpdate::ToolCall(call) => {
                let id = call.tool_call_id.to_string();
                let started = ToolCall {
                    name: call.name.unwrap_or_default(),
                    title: call.title,
                    kind: word(&call.kind),
                    input: known(call.raw_input),
                    locations: locations(&call.locations),
                };
                let started = self.news(&id, started);
                let mut events = vec![DriverEvent::ToolStarted {
                    id: id.clone(),
                    call: started,
                }];
                self.progress(
                    &mut events,
                    &id,
                    Some(call.status),
                    ToolCall::default(),
                    &call.content,
                    None,
                );
                events
            }
            acp::SessionUpdate::ToolCallUpdate(update) => {
                let id = update.tool_call_id.to_string();
                let fields = update.fields;
                let call = ToolCall {
                    name: fields.name.unwrap_or_default(),
                    title: fields.title.unwrap_or_default(),
                    kind: fields.kind.as_ref().map(word).unwrap_or_default(),
                    input: known(fields.raw_input),
                    locations: fields
                        .locations
                        .as_deref()
                        .map(locations)
                        .unwrap_or_default(),
                };
                let call = self.news(&id, call);
                let mut events = Vec::new();
                let content = fields.content.unwrap_or_default();
                self.progress(
                    &mut events,
                    &id,
                    fields.status,
                    call,
                    &content,
                    fields.raw_output.as_ref(),
                );
                events
            }
            acp::SessionUpdate::Plan(plan) => vec![DriverEvent::Plan(
                plan.entries.into_iter().map(plan_entry).collect(),
            )],
            acp::SessionUpdate::UsageUpdate(usage) => vec![DriverEvent::Usage(Usage {
                context_used: Some(usage.used),
                context_size: Some(usage.size),
                cost: usage.cost.map(|cost| Cost {
                    amount: cost.amount,
                    currency: cost.currency,
                }),
                ..Usage::default()
            })],
            // The user's own words and the session's settings are no news; updates of later protocol versions are unknown.
            _ => Vec::new(),
        }
    }

    /// What an update tells about a call that was not told before: agents repeat all of it with every piece of output.
    fn news(&mut self, id: &str, mut call: ToolCall) -> ToolCall {
        if self.known.len() >= MAX_CALLS && !self.known.contains_key(id) {
            self.known.clear();
        }
        let known = self.known.entry(id.to_owned()).or_default();
        keep_news(&mut known.name, &mut call.name);
        keep_news(&mut known.title, &mut call.title);
        keep_news(&mut known.kind, &mut call.kind);
        keep_news(&mut known.input, &mut call.input);
        keep_news(&mut known.locations, &mut call.locations);
        call
    }

    fn progress(
        &mut self,
        events: &mut Vec<DriverEvent>,
        id: &str,
        status: Option<acp::ToolCallStatus>,
        call: ToolCall,
        content: &[acp::ToolCallContent],
        raw_output: Option<&Value>,
    ) {
        let mut output = tool_text(content);
        if output.is_empty()
            && let Some(Value::Object(raw)) = raw_output
            && let Some(error) = raw.get("error").and_then(Value::as_str)
        {
            error.clone_into(&mut output);
        }
        if !output.is_empty() {
            let delta = self.outputs.delta(id, &output);
            if !delta.is_empty() {
                events.push(DriverEvent::ToolOutput {
                    id: id.to_owned(),
                    delta: delta.to_owned(),
                });
            }
        }
        match status {
            Some(acp::ToolCallStatus::Completed | acp::ToolCallStatus::Failed) => {
                self.outputs.forget(id);
                self.known.remove(id);
                let failed = matches!(status, Some(acp::ToolCallStatus::Failed));
                events.push(DriverEvent::ToolFinished {
                    id: id.to_owned(),
                    failed,
                    call,
                });
            }
            _ if call != ToolCall::default() => events.push(DriverEvent::ToolUpdated {
                id: id.to_owned(),
                call,
            }),
            _ => {}
        }
    }
}

/// Empties `told` if it is known already, else remembers it. Empty values tell nothing.
fn keep_news<T: Clone + Default + PartialEq>(known: &mut T, told: &mut T) {
    if *known == *told {
        *told = T::default();
    } else if *told != T::default() {
        known.clone_from(told);
    }
}

fn text(chunk: acp::ContentChunk) -> Option<(String, String)> {
    let message_id = chunk
        .message_id
        .map(|id| id.0.as_ref().to_owned())
        .unwrap_or_default();
    match chunk.content {
        acp::ContentBlock::Text(text) if !text.text.is_empty() => Some((message_id, text.text)),
        // Pictures, sounds and links have no place in a text stream.
        _ => None,
    }
}

/// The text of a tool's content. Diffs are left out: the change itself is collected from the workspace.
fn tool_text(content: &[acp::ToolCallContent]) -> String {
    let mut all = String::new();
    for part in content {
        if let acp::ToolCallContent::Content(acp::Content {
            content: acp::ContentBlock::Text(text),
            ..
        }) = part
        {
            all.push_str(&text.text);
        }
    }
    all
}

/// An empty object says nothing about the input.
fn known(input: Option<Value>) -> Option<Value> {
    input.filter(|input| {
        !input.as_object().is_some_and(serde_json::Map::is_empty) && !input.is_null()
    })
}

/// Paths as seen from the workspace's root.
fn locations(locations: &[acp::ToolCallLocation]) -> Vec<String> {
    let shown = |path: &std::path::Path| {
        path.strip_prefix(WORKSPACE)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned()
    };
    // The workspace itself is not worth naming.
    locations
        .iter()
        .map(|location| shown(&location.path))
        .filter(|path| !path.is_empty())
        .collect()
}

fn plan_entry(entry: acp::PlanEntry) -> PlanEntry {
    let status = match entry.status {
        acp::PlanEntryStatus::InProgress => PlanStatus::InProgress,
        acp::PlanEntryStatus::Completed => PlanStatus::Completed,
        _ => PlanStatus::Pending,
    };
    PlanEntry {
        content: entry.content,
        priority: word(&entry.priority),
        status,
    }
}

/// The protocol's own word for a value of one of its enums.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

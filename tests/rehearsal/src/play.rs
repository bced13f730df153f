//! Turns a step into what goes over the wire: stream chunks, or one completion.
//!
//! Pure: no clock, no sockets, no randomness, so the same request gives the same bytes and transcripts can be compared.
//! Shapes follow the OpenAI chat-completions reference (`chat.completion.chunk`, `chat.completion`).

use serde_json::{Value, json};

use crate::scenario::{Call, Step, Usage};

/// Characters of a tool call's arguments in one chunk; small, so that clients have to put them together.
const ARGUMENT_CHUNK: usize = 160;
/// Characters of one token when usage is estimated: the usual rule of thumb for English and code.
const CHARS_PER_TOKEN: usize = 4;
/// `created` is a constant: time would make two equal runs differ.
const CREATED: u64 = 0;

/// What a step needs to know about its request.
#[derive(Debug)]
pub(crate) struct Cue<'a> {
    pub(crate) model: &'a str,
    /// Answers before this one.
    pub(crate) answers: usize,
    /// Bytes of the request, from which prompt tokens are estimated.
    pub(crate) request_bytes: usize,
}

impl Cue<'_> {
    fn id(&self) -> String {
        format!("chatcmpl-rehearsal-{}", self.answers)
    }

    fn call_id(&self, index: usize) -> String {
        format!("call_{}_{index}", self.answers)
    }

    fn usage(&self, step: &Step) -> Value {
        let said: usize = step.think.iter().chain(&step.say).map(String::len).sum();
        let called: usize = step.calls.iter().map(|c| arguments(c).len()).sum();
        let usage = step.usage.unwrap_or(Usage {
            input: tokens(self.request_bytes),
            output: tokens(said + called),
        });
        json!({
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input.saturating_add(usage.output),
        })
    }

    fn chunk(&self, delta: &Value, finish: Option<&str>) -> String {
        json!({
            "id": self.id(), "object": "chat.completion.chunk", "created": CREATED, "model": self.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        })
        .to_string()
    }
}

fn tokens(chars: usize) -> u64 {
    u64::try_from(chars.div_ceil(CHARS_PER_TOKEN)).unwrap_or(u64::MAX)
}

fn arguments(call: &Call) -> String {
    Value::Object(call.args.clone()).to_string()
}

fn finish_reason(step: &Step) -> &'static str {
    if step.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    }
}

/// The chunks that carry the answer itself, in order.
pub(crate) fn chunks(step: &Step, cue: &Cue<'_>) -> Vec<String> {
    let mut out = vec![cue.chunk(&json!({"role": "assistant", "content": ""}), None)];
    let thoughts = step.think.iter().map(|t| json!({"reasoning_content": t}));
    let texts = step.say.iter().map(|t| json!({"content": t}));
    out.extend(thoughts.chain(texts).map(|delta| cue.chunk(&delta, None)));
    for (index, call) in step.calls.iter().enumerate() {
        let opening = json!({"tool_calls": [{
            "index": index, "id": cue.call_id(index), "type": "function",
            "function": {"name": call.tool, "arguments": ""},
        }]});
        out.push(cue.chunk(&opening, None));
        let arguments: Vec<char> = arguments(call).chars().collect();
        for part in arguments.chunks(ARGUMENT_CHUNK) {
            let part: String = part.iter().collect();
            let delta = json!({"tool_calls": [{"index": index, "function": {"arguments": part}}]});
            out.push(cue.chunk(&delta, None));
        }
    }
    out
}

/// The chunks that end a healthy stream: the reason, the usage if it was asked for, and the mark.
pub(crate) fn ending(step: &Step, cue: &Cue<'_>, include_usage: bool) -> Vec<String> {
    let mut out = vec![cue.chunk(&json!({}), Some(finish_reason(step)))];
    if include_usage {
        let usage = json!({
            "id": cue.id(), "object": "chat.completion.chunk", "created": CREATED, "model": cue.model,
            "choices": [], "usage": cue.usage(step),
        });
        out.push(usage.to_string());
    }
    out.push("[DONE]".to_owned());
    out
}

/// The whole answer as one object, for requests without `stream`.
pub(crate) fn completion(step: &Step, cue: &Cue<'_>) -> Value {
    let mut message = json!({"role": "assistant", "content": step.say.concat()});
    if !step.think.is_empty() {
        message["reasoning_content"] = step.think.concat().into();
    }
    if !step.calls.is_empty() {
        let calls = step.calls.iter().enumerate().map(|(index, call)| {
            json!({
                "id": cue.call_id(index), "type": "function",
                "function": {"name": call.tool, "arguments": arguments(call)},
            })
        });
        message["tool_calls"] = calls.collect();
    }
    json!({
        "id": cue.id(), "object": "chat.completion", "created": CREATED, "model": cue.model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(step)}],
        "usage": cue.usage(step),
    })
}

#[cfg(test)]
mod tests;

//! The part of a chat-completions request that the rehearsal reads, and the facts it takes from it.
//!
//! Here so that "where are we in the conversation" is decided in one pure place. Unknown fields are ignored, as every
//! OpenAI-compatible server does; nothing of a request is kept.

use serde::Deserialize;
use serde_json::Value;

/// `POST /v1/chat/completions`.
#[derive(Debug, Deserialize)]
pub(crate) struct ChatRequest {
    pub(crate) model: String,
    pub(crate) messages: Vec<Message>,
    #[serde(default)]
    pub(crate) tools: Vec<Value>,
    #[serde(default)]
    pub(crate) stream: bool,
    #[serde(default)]
    pub(crate) stream_options: StreamOptions,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct StreamOptions {
    #[serde(default)]
    pub(crate) include_usage: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    pub(crate) role: String,
    /// A text, or a list of parts of which those with `text` count.
    #[serde(default)]
    pub(crate) content: Value,
}

impl Message {
    fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => {
                let texts: Vec<&str> = parts
                    .iter()
                    .filter_map(|part| part.get("text").and_then(Value::as_str))
                    .collect();
                texts.join("\n")
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
        }
    }
}

/// Where a conversation stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The last thing the user said.
    pub(crate) prompt: String,
    /// Answers of the model since then: the index of the step that is due.
    pub(crate) call: usize,
    /// Answers of the model in the whole conversation, which makes tool-call ids unique in it.
    pub(crate) answers: usize,
    /// What the last tool call gave back; empty before the first.
    pub(crate) last_output: String,
    /// A request without tools wants a title (or a summary), not work.
    pub(crate) wants_title: bool,
}

impl ChatRequest {
    /// Reads the position from the messages.
    pub(crate) fn position(&self) -> Position {
        let is = |role: &'static str| move |m: &&Message| m.role == role;
        let last_user = self.messages.iter().rposition(|m| m.role == "user");
        let since = last_user.map_or(&self.messages[..], |at| &self.messages[at..]);
        Position {
            prompt: last_user
                .map(|at| self.messages[at].text())
                .unwrap_or_default(),
            call: since.iter().filter(is("assistant")).count(),
            answers: self.messages.iter().filter(is("assistant")).count(),
            last_output: since
                .iter()
                .rfind(is("tool"))
                .map(Message::text)
                .unwrap_or_default(),
            wants_title: self.tools.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(messages: &Value, tools: &Value) -> Position {
        let body = serde_json::json!({"model": "m", "messages": messages, "tools": tools});
        serde_json::from_value::<ChatRequest>(body)
            .unwrap()
            .position()
    }

    #[test]
    fn step_is_counted_from_the_last_user_message() {
        let messages = serde_json::json!([
            {"role": "system", "content": "be good"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "done"},
            {"role": "user", "content": [{"type": "text", "text": "second"}, {"type": "image_url"}]},
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "tool", "tool_call_id": "c", "content": "output"},
        ]);
        let expected = Position {
            prompt: "second".to_owned(),
            call: 1,
            answers: 2,
            last_output: "output".to_owned(),
            wants_title: false,
        };
        assert_eq!(position(&messages, &serde_json::json!([{}])), expected);
    }

    #[test]
    fn request_without_tools_or_user_is_a_title_request_with_an_empty_prompt() {
        let expected = Position {
            prompt: String::new(),
            call: 0,
            answers: 0,
            last_output: String::new(),
            wants_title: true,
        };
        assert_eq!(
            position(&serde_json::json!([]), &serde_json::json!([])),
            expected
        );
    }
}

//! A small reader of event streams (WHATWG HTML §9.2), independent of the product's own.
//!
//! Here because a test opponent that shares the code under test proves nothing.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The `id:` field.
    pub id: Option<u64>,
    /// The `event:` field; `message` when absent.
    pub event: String,
    /// The `data:` field as JSON.
    pub data: Value,
    /// The `data:` field as it came.
    pub text: String,
}

/// A stream of events.
#[derive(Debug)]
pub struct Frames {
    response: Response,
    text: Vec<u8>,
}

impl Frames {
    /// Reads the events of a response.
    ///
    /// # Panics
    /// When the response is no event stream.
    #[must_use]
    pub fn new(response: Response) -> Self {
        let kind = response
            .headers()
            .get("content-type")
            .map(|v| v.to_str().unwrap_or_default().to_owned());
        assert!(
            response.status() == 200
                && kind
                    .as_deref()
                    .is_some_and(|k| k.starts_with("text/event-stream")),
            "no event stream: {} {kind:?}",
            response.status()
        );
        Self {
            response,
            text: Vec::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    ///
    /// # Panics
    /// When nothing comes for `deadline`.
    pub async fn next(&mut self, deadline: Duration) -> Option<Frame> {
        loop {
            while let Some(end) = find(&self.text, b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(frame) = parse(&String::from_utf8_lossy(&block)) {
                    return Some(frame);
                }
            }
            let chunk = tokio::time::timeout(deadline, self.response.chunk()).await;
            match chunk.unwrap_or_else(|_| panic!("the stream was silent for {deadline:?}")) {
                Ok(Some(bytes)) => self.text.extend_from_slice(&bytes),
                // A cut connection ends the stream as a finished one does; what is missing shows in the events.
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// All events up to the end of the stream.
    pub async fn rest(mut self, deadline: Duration) -> Vec<Frame> {
        let mut all = Vec::new();
        while let Some(frame) = self.next(deadline).await {
            all.push(frame);
        }
        all
    }
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|w| w == needle)
}

fn parse(block: &str) -> Option<Frame> {
    let mut id = None;
    let mut event = None;
    let mut data: Vec<&str> = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => id = Some(value.parse().expect("an id is a number")),
            "event" => event = Some(value.to_owned()),
            "data" => data.push(value),
            // Comments keep the connection alive; `retry` is for browsers.
            _ => {}
        }
    }
    if data.is_empty() {
        return None;
    }
    let text = data.join("\n");
    Some(Frame {
        id,
        event: event.unwrap_or_else(|| "message".to_owned()),
        data: serde_json::from_str(&text).unwrap_or_else(|_| panic!("data is JSON: {text:?}")),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_comments_are_not_events() {
        let frame = parse("id: 7\nevent: job\ndata: {\"a\":\ndata: 1}\n\n").unwrap();
        assert_eq!(frame.id, Some(7));
        assert_eq!(frame.event, "job");
        assert_eq!(frame.data, serde_json::json!({"a": 1}));
        assert_eq!(parse(": keep-alive\n\n"), None);
    }
}

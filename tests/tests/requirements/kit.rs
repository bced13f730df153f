//! What many requirements need: messages that ask for a scenario, tasks brought to a state, and the shapes of objects.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::wire::{Events, Peer};

/// A message of the user.
pub(crate) fn message(id: &str, text: &str) -> Value {
    json!({"messageId": id, "role": "ROLE_USER", "parts": [{"text": text}]})
}

/// A request to send one.
pub(crate) fn params(id: &str, text: &str) -> Value {
    json!({"message": message(id, text)})
}

/// A request to go on with a task.
pub(crate) fn follow_up(task: &Value, id: &str, text: &str) -> Value {
    let mut message = message(id, text);
    message["taskId"] = task["id"].clone();
    json!({"message": message})
}

/// A request that is answered at once.
pub(crate) fn immediate(id: &str) -> Value {
    let mut request = params(id, "hello");
    request["configuration"] = json!({"returnImmediately": true});
    request
}

/// A text that no other test uses.
pub(crate) fn unique(name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let random = folder
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    format!("{name}-{}", random.trim_start_matches('.'))
}

impl Peer {
    /// The task that a message makes, when it has ended or asks.
    pub(crate) async fn task(&self, id: &str) -> Value {
        task_of(self.ok("SendMessage", params(id, "hello")).await)
    }

    /// The task that a message makes, at once.
    pub(crate) async fn begun(&self, id: &str) -> Value {
        task_of(self.ok("SendMessage", immediate(id)).await)
    }

    /// A task that works until it is canceled.
    pub(crate) async fn working(&self) -> Value {
        let mut request = immediate("m-1");
        request["message"]["parts"] = json!([{"text": "tck-cancel"}]);
        task_of(self.ok("SendMessage", request).await)
    }

    /// A task as it is.
    pub(crate) async fn get(&self, task: &Value) -> Value {
        self.ok("GetTask", json!({"id": task["id"]})).await
    }

    /// Opens a stream that must open.
    pub(crate) async fn streaming(&self, id: &str) -> Events {
        self.stream("SendStreamingMessage", params(id, "hello"))
            .await
            .unwrap_or_else(|fault| panic!("{id}: {fault:#?}"))
    }

    /// Follows a task, which must be possible.
    pub(crate) async fn subscribed(&self, task: &Value) -> Events {
        self.stream("SubscribeToTask", json!({"id": task["id"]}))
            .await
            .unwrap_or_else(|fault| panic!("{task}: {fault:#?}"))
    }
}

/// The task in the answer to a send.
#[track_caller]
pub(crate) fn task_of(mut sent: Value) -> Value {
    assert_eq!(names(&sent), ["task"], "one member: {sent}");
    sent["task"].take()
}

/// The state of a task, or of an event that tells one.
pub(crate) fn state(value: &Value) -> &str {
    let places = [
        &value["status"],
        &value["task"]["status"],
        &value["statusUpdate"]["status"],
    ];
    places
        .iter()
        .find_map(|status| status["state"].as_str())
        .unwrap_or_default()
}

/// Whether nothing can follow.
pub(crate) fn ended(value: &Value) -> bool {
    matches!(
        state(value),
        "TASK_STATE_COMPLETED"
            | "TASK_STATE_FAILED"
            | "TASK_STATE_CANCELED"
            | "TASK_STATE_REJECTED"
    )
}

/// The names of an object's members, sorted.
pub(crate) fn names(value: &Value) -> Vec<&str> {
    let members = value.as_object().into_iter().flatten();
    let names: BTreeSet<&str> = members.map(|(name, _)| name.as_str()).collect();
    names.into_iter().collect()
}

/// What kind of event it is.
#[track_caller]
pub(crate) fn kind(event: &Value) -> &str {
    let names = names(event);
    assert_eq!(names.len(), 1, "an event has one member: {event}");
    match names[0] {
        name @ ("task" | "message" | "statusUpdate" | "artifactUpdate") => name,
        other => panic!("no event is called {other}: {event}"),
    }
}

/// Checks a timestamp: UTC, milliseconds, `Z`.
#[track_caller]
pub(crate) fn check_timestamp(value: &Value) {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("no timestamp: {value}"));
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
}

/// Checks a message of either side (A2A §4.1.4).
#[track_caller]
pub(crate) fn check_message(message: &Value) {
    let id = message["messageId"].as_str();
    assert!(id.is_some_and(|id| !id.is_empty()), "messageId: {message}");
    assert!(
        matches!(message["role"].as_str(), Some("ROLE_USER" | "ROLE_AGENT")),
        "role: {message}"
    );
    let parts = message["parts"].as_array();
    assert!(
        parts.is_some_and(|parts| !parts.is_empty()),
        "parts: {message}"
    );
    parts.into_iter().flatten().for_each(check_part);
}

/// Checks a part: exactly one content.
#[track_caller]
pub(crate) fn check_part(part: &Value) {
    let contents = ["text", "raw", "url", "data"];
    let there = contents.iter().filter(|name| part.get(name).is_some());
    assert_eq!(there.count(), 1, "one content: {part}");
}

/// Checks an artifact (A2A §4.1.7).
#[track_caller]
pub(crate) fn check_artifact(artifact: &Value) {
    let id = artifact["artifactId"].as_str();
    assert!(
        id.is_some_and(|id| !id.is_empty()),
        "artifactId: {artifact}"
    );
    let parts = artifact["parts"].as_array();
    assert!(
        parts.is_some_and(|parts| !parts.is_empty()),
        "parts: {artifact}"
    );
    parts.into_iter().flatten().for_each(check_part);
}

/// Checks a status (A2A §4.1.2).
#[track_caller]
pub(crate) fn check_status(status: &Value) {
    const STATES: [&str; 8] = [
        "TASK_STATE_SUBMITTED",
        "TASK_STATE_WORKING",
        "TASK_STATE_COMPLETED",
        "TASK_STATE_FAILED",
        "TASK_STATE_CANCELED",
        "TASK_STATE_INPUT_REQUIRED",
        "TASK_STATE_REJECTED",
        "TASK_STATE_AUTH_REQUIRED",
    ];
    assert!(
        status["state"]
            .as_str()
            .is_some_and(|it| STATES.contains(&it)),
        "{status}"
    );
    if let Some(message) = status.get("message") {
        check_message(message);
    }
    check_timestamp(&status["timestamp"]);
}

/// Checks a task (A2A §4.1.1).
#[track_caller]
pub(crate) fn check_task(task: &Value) {
    for name in ["id", "contextId"] {
        assert!(
            task[name].as_str().is_some_and(|it| !it.is_empty()),
            "{name}: {task}"
        );
    }
    check_status(&task["status"]);
    let list = |name: &str| task[name].as_array().cloned().unwrap_or_default();
    list("artifacts").iter().for_each(check_artifact);
    list("history").iter().for_each(check_message);
}

/// Checks any event of a stream.
#[track_caller]
pub(crate) fn check_event(event: &Value) {
    let payload = &event[kind(event)];
    match kind(event) {
        "task" => check_task(payload),
        "message" => check_message(payload),
        kind => {
            for name in ["taskId", "contextId"] {
                assert!(
                    payload[name].as_str().is_some_and(|it| !it.is_empty()),
                    "{name}: {event}"
                );
            }
            match kind {
                "statusUpdate" => check_status(&payload["status"]),
                _ => check_artifact(&payload["artifact"]),
            }
        }
    }
}

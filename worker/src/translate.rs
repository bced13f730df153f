//! Driver events as A2A events: the activity that a client sees while the agent works, and the artifacts at the end.
//!
//! Pure: no clock, no ids, no I/O. What needs those is filled in by the caller.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use a2a_proto::activity::{Activity, PlanStatus, ToolActivity, ToolState};
use a2a_proto::types::{Artifact, Metadata, Part};
use bytes::Bytes;
use serde_json::json;

use crate::driver::{DriverEvent, ToolCall};
use crate::workspace::{BUNDLE_PATH, ChangedFile, Changes, PATCH_PATH, Stored};

/// Longest piece of text in one event. A piece beyond it is cut into several.
pub(crate) const MAX_PIECE: usize = 32 * 1024;

/// Largest tool input that an event carries; what is larger is in the workspace or nowhere that a client needs.
const MAX_INPUT: usize = 64 * 1024;

/// Open tool calls whose titles are remembered. No agent has that many.
const MAX_TITLES: usize = 1024;

/// An activity and its text for people.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) activity: Activity,
    pub(crate) text: String,
}

/// Tells a client what an agent does. Remembers the titles of open tool calls, since their ends come without.
#[derive(Debug, Default)]
pub(crate) struct Narrator {
    titles: HashMap<String, String>,
}

impl Narrator {
    /// What a client is told about a driver event: nothing about the end of a turn, which is a status of its own.
    pub(crate) fn tell(&mut self, event: &DriverEvent) -> Vec<Told> {
        match event {
            DriverEvent::Text { message_id, delta } => pieces(delta)
                .map(|piece| Told {
                    activity: Activity::Text {
                        delta: piece.to_owned(),
                        message_id: message_id.clone(),
                    },
                    text: piece.to_owned(),
                })
                .collect(),
            DriverEvent::Thought { message_id, delta } => pieces(delta)
                .map(|piece| Told {
                    activity: Activity::Thought {
                        delta: piece.to_owned(),
                        message_id: message_id.clone(),
                    },
                    text: piece.to_owned(),
                })
                .collect(),
            DriverEvent::ToolStarted { id, call } => {
                let text = format!("{}: started", self.title(id, call));
                vec![tool(id, ToolState::Pending, call, "", text)]
            }
            DriverEvent::ToolUpdated { id, call } => {
                let text = format!("{}: running", self.title(id, call));
                vec![tool(id, ToolState::Running, call, "", text)]
            }
            DriverEvent::ToolOutput { id, delta } => pieces(delta)
                .map(|piece| {
                    tool(
                        id,
                        ToolState::Running,
                        &ToolCall::default(),
                        piece,
                        piece.to_owned(),
                    )
                })
                .collect(),
            DriverEvent::ToolFinished { id, failed, call } => {
                let (state, word) = if *failed {
                    (ToolState::Failed, "failed")
                } else {
                    (ToolState::Completed, "done")
                };
                let text = format!("{}: {word}", self.title(id, call));
                self.titles.remove(id);
                vec![tool(id, state, call, "", text)]
            }
            DriverEvent::Plan(entries) => {
                let done = entries
                    .iter()
                    .filter(|entry| entry.status == PlanStatus::Completed)
                    .count();
                let text = format!("plan: {done} of {} done", entries.len());
                vec![Told {
                    activity: Activity::Plan {
                        entries: entries.clone(),
                    },
                    text,
                }]
            }
            DriverEvent::Usage(usage) => {
                let text = match (usage.context_used, usage.context_size) {
                    (Some(used), Some(size)) => format!("{used} of {size} tokens in use"),
                    (Some(used), None) => format!("{used} tokens in use"),
                    _ => "usage".to_owned(),
                };
                vec![Told {
                    activity: Activity::Usage(usage.clone()),
                    text,
                }]
            }
            DriverEvent::PermissionAsked { title, allowed } => {
                let verdict = if *allowed {
                    "allowed"
                } else {
                    "denied: outside the workspace"
                };
                let text = format!("the agent asked for permission: {title} ({verdict})\n");
                let activity = Activity::Thought {
                    delta: text.clone(),
                    message_id: "permission".to_owned(),
                };
                vec![Told { activity, text }]
            }
            DriverEvent::TurnEnded(_) | DriverEvent::Error { .. } => Vec::new(),
        }
    }

    /// The best short name of a tool call that has been told.
    fn title<'a>(&'a mut self, id: &'a str, call: &ToolCall) -> &'a str {
        let told = [&call.title, &call.name]
            .into_iter()
            .find(|name| !name.is_empty());
        if let Some(told) = told
            && (self.titles.len() < MAX_TITLES || self.titles.contains_key(id))
        {
            self.titles.insert(id.to_owned(), told.clone());
        }
        self.titles.get(id).map_or(id, String::as_str)
    }
}

fn tool(id: &str, state: ToolState, call: &ToolCall, output: &str, text: String) -> Told {
    let input = call
        .input
        .as_ref()
        .filter(|input| input.to_string().len() <= MAX_INPUT)
        .cloned();
    let activity = Activity::Tool(ToolActivity {
        id: id.to_owned(),
        name: call.name.clone(),
        title: call.title.clone(),
        tool_kind: call.kind.clone(),
        state,
        input,
        output_delta: output.to_owned(),
        locations: call.locations.clone(),
    });
    Told { activity, text }
}

/// The text in pieces of at most [`MAX_PIECE`] bytes, cut between characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, remaining) = rest.split_at(rest.floor_char_boundary(MAX_PIECE));
        rest = remaining;
        Some(piece)
    })
}

/// The artifacts of a turn: each created or changed file, the patch, the git bundle. `folder_url` is where large ones are
/// fetched, without a slash at its end.
pub(crate) fn artifacts(changes: &Changes, folder_url: &str) -> Vec<Artifact> {
    let mut artifacts: Vec<Artifact> = changes
        .files
        .iter()
        .map(|file| file_artifact(file, folder_url))
        .collect();
    if let Some(patch) = &changes.patch {
        let part = stored_part(patch, folder_url, PATCH_PATH)
            .with_filename("changes.patch")
            .with_media_type("text/x-diff");
        artifacts.push(Artifact {
            name: "changes.patch".to_owned(),
            description: "everything that the task changed, as a git patch".to_owned(),
            metadata: Some(summary(changes, patch.size)),
            ..Artifact::new("patch", vec![part])
        });
    }
    if let Some(bundle) = &changes.bundle {
        let part = stored_part(bundle, folder_url, BUNDLE_PATH)
            .with_filename("result.bundle")
            .with_media_type("application/x-git-bundle");
        let mut metadata = Metadata::new();
        metadata.insert("size".to_owned(), json!(bundle.size));
        metadata.insert("ref".to_owned(), json!(crate::workspace::RESULT));
        metadata.insert("commit".to_owned(), json!(changes.commit));
        if let Some(origin) = &changes.origin {
            metadata.insert("prerequisite".to_owned(), json!(origin));
        }
        artifacts.push(Artifact {
            name: "result.bundle".to_owned(),
            description: "the workspace's new commits as a git bundle".to_owned(),
            metadata: Some(metadata),
            ..Artifact::new("bundle", vec![part])
        });
    }
    artifacts
}

fn file_artifact(file: &ChangedFile, folder_url: &str) -> Artifact {
    let part = match &file.content {
        Some(content) => Part::raw(content.clone()),
        None => Part::url(format!("{folder_url}/{}", escaped(&file.path))),
    };
    let filename = file.path.rsplit('/').next().unwrap_or_default();
    let part = part
        .with_filename(filename)
        .with_media_type(media_type(&file.path));
    let mut metadata = Metadata::new();
    metadata.insert("size".to_owned(), json!(file.size));
    Artifact {
        metadata: Some(metadata),
        ..Artifact::new(format!("file:{}", file.path), vec![part]).with_name(&file.path)
    }
}

fn stored_part(stored: &Stored, folder_url: &str, path: &str) -> Part {
    match &stored.content {
        Some(content) => Part::raw(Bytes::clone(content)),
        None => Part::url(format!("{folder_url}/{path}")),
    }
}

/// What the list of files does not say.
fn summary(changes: &Changes, size: u64) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert("size".to_owned(), json!(size));
    metadata.insert("deleted".to_owned(), json!(changes.deleted));
    if !changes.skipped.is_empty() {
        metadata.insert("skipped".to_owned(), json!(changes.skipped));
    }
    metadata
}

/// A path as part of a URL: every byte but unreserved ones and `/` is escaped (RFC 3986 §2.1).
fn escaped(path: &str) -> String {
    use std::fmt::Write;
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The media type by a file's name; programs that care look at the content.
pub(crate) fn media_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("md") => "text/markdown",
        Some("html" | "htm") => "text/html",
        Some("css") => "text/css",
        Some("csv") => "text/csv",
        Some("js" | "mjs") => "text/javascript",
        Some("json") => "application/json",
        Some("toml") => "application/toml",
        Some("yaml" | "yml") => "application/yaml",
        Some("xml") => "application/xml",
        Some("pdf") => "application/pdf",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("svg") => "image/svg+xml",
        Some("zip") => "application/zip",
        Some("gz" | "tgz") => "application/gzip",
        Some("patch" | "diff") => "text/x-diff",
        Some("bundle") => "application/x-git-bundle",
        Some(
            "c" | "cc" | "cpp" | "go" | "h" | "hpp" | "java" | "lock" | "log" | "php" | "py" | "rb"
            | "rs" | "sh" | "sql" | "ts" | "tsx" | "txt",
        ) => "text/plain",
        None if matches!(name, "Makefile" | "Dockerfile" | "LICENSE" | "README") => "text/plain",
        _ => "application/octet-stream",
    }
}

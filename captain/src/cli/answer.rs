//! A worker's answer to a message, as it streams in: words, tools, files, and how it ended. Pure: events in, text out.

use a2a_proto::activity::{Activity, ToolState};
use a2a_proto::types::{Artifact, Message, PartContent, StreamResponse, Task, TaskState};
use daemon::cli::Failure;
use daemon::exit::Exit;
use serde::Serialize;

use super::text::{clean, harmless};

/// What is known of the answer so far.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    task: String,
    context: String,
    state: Option<TaskState>,
    /// What the agent said with its last state.
    last: String,
    /// Whether the last character shown ended a line.
    in_line: bool,
    /// Whether words came as they were said, so that the last ones need not be shown again.
    streamed: bool,
    made: Vec<String>,
}

impl Answer {
    /// Takes an event in and gives what is to be shown of it.
    pub(crate) fn take(&mut self, event: &StreamResponse) -> String {
        match event {
            StreamResponse::Task(task) => {
                self.task.clone_from(&task.id);
                self.context.clone_from(&task.context_id);
                self.state = Some(task.status.state);
                String::new()
            }
            StreamResponse::Message(message) => {
                self.context.clone_from(&message.context_id);
                self.state = Some(TaskState::Completed);
                self.last = words(message);
                String::new()
            }
            StreamResponse::StatusUpdate(update) => {
                self.state = Some(update.status.state);
                match Activity::from_event(update) {
                    Ok(Some(activity)) => self.show(&activity),
                    Ok(None) | Err(_) => {
                        if let Some(message) = &update.status.message {
                            self.last = words(message);
                        }
                        String::new()
                    }
                }
            }
            StreamResponse::ArtifactUpdate(update) => {
                let name = name(&update.artifact);
                if !self.made.contains(&name) {
                    self.made.push(name);
                }
                String::new()
            }
        }
    }

    fn show(&mut self, activity: &Activity) -> String {
        match activity {
            Activity::Text { delta, .. } => {
                self.streamed = true;
                let text = harmless(delta);
                self.in_line = if text.is_empty() {
                    self.in_line
                } else {
                    !text.ends_with('\n')
                };
                text
            }
            Activity::Tool(tool) if tool.state == ToolState::Running && !tool.title.is_empty() => {
                self.on_a_line(&format!("▸ {}", clean(&tool.title)))
            }
            Activity::Tool(tool) if tool.state == ToolState::Failed => {
                self.on_a_line(&format!("✘ {}", clean(&tool.title)))
            }
            _ => String::new(),
        }
    }

    /// A line of its own.
    fn on_a_line(&mut self, text: &str) -> String {
        let start = if std::mem::take(&mut self.in_line) {
            "\n"
        } else {
            ""
        };
        format!("{start}{text}\n")
    }

    /// What is left to be shown when the stream has ended. If nothing was shown before, that is the agent's last word.
    pub(crate) fn rest(&mut self, nothing_shown: bool) -> String {
        let mut rest = String::new();
        if std::mem::take(&mut self.in_line) && !nothing_shown {
            rest.push('\n');
        }
        let failed = matches!(
            self.state,
            Some(TaskState::Failed | TaskState::Rejected | TaskState::Canceled)
        );
        if (nothing_shown || !self.streamed || self.waits()) && !failed && !self.last.is_empty() {
            rest.push_str(self.last.trim_end());
            rest.push('\n');
        }
        rest
    }

    /// What is worth knowing beside the answer.
    pub(crate) fn notes(&self, worker: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.made.is_empty() {
            notes.push(format!("made {}", self.made.join(", ")));
        }
        if !self.task.is_empty() {
            notes.push(format!("task {}", clean(&self.task)));
        }
        if !self.context.is_empty() {
            notes.push(format!(
                "go on with: captain workers send {worker} --context {} \"…\"",
                clean(&self.context)
            ));
        }
        notes
    }

    /// The exit code that the task's state stands for.
    pub(crate) fn judge(&self) -> Result<Exit, Failure> {
        let failed = |what: &str| {
            let why = if self.last.is_empty() {
                String::new()
            } else {
                format!(": {}", self.last.trim_end())
            };
            Err(Failure::new(Exit::WorkFailed, format!("{what}{why}")))
        };
        match self.state {
            Some(TaskState::Completed | TaskState::InputRequired | TaskState::AuthRequired) => {
                Ok(Exit::Ok)
            }
            Some(TaskState::Failed) => failed("the agent failed"),
            Some(TaskState::Rejected) => failed("the worker refused the message"),
            Some(TaskState::Canceled) => failed("the task was cancelled"),
            Some(TaskState::Unspecified | TaskState::Submitted | TaskState::Working) | None => {
                Err(Failure::new(
                    Exit::Unavailable,
                    "the worker ended the stream before the task was over",
                ))
            }
        }
    }

    fn waits(&self) -> bool {
        matches!(
            self.state,
            Some(TaskState::InputRequired | TaskState::AuthRequired)
        )
    }
}

/// A task in a few lines.
pub(crate) fn describe(task: &Task) -> String {
    let mut text = format!("{}\n", state(task.status.state));
    if let Some(message) = &task.status.message {
        let words = words(message);
        if !words.is_empty() {
            text.push_str(words.trim_end());
            text.push('\n');
        }
    }
    for artifact in &task.artifacts {
        text.push_str(&format!("made {}\n", name(artifact)));
    }
    text
}

/// The protocol's JSON of an object, in one line.
pub(crate) fn json(object: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(object).map_err(|error| Failure::new(Exit::Internal, error.to_string()))
}

/// A state in words.
pub(crate) fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Unspecified => "unknown",
        TaskState::Submitted => "submitted",
        TaskState::Working => "working",
        TaskState::Completed => "completed",
        TaskState::Failed => "failed",
        TaskState::Canceled => "cancelled",
        TaskState::InputRequired => "waits for an answer",
        TaskState::Rejected => "rejected",
        TaskState::AuthRequired => "waits for credentials",
    }
}

/// What people call an artifact.
pub(crate) fn name(artifact: &Artifact) -> String {
    clean(if artifact.name.is_empty() {
        &artifact.artifact_id
    } else {
        &artifact.name
    })
}

/// The text parts of a message, without what could steer a terminal.
pub(crate) fn words(message: &Message) -> String {
    let texts = message.parts.iter().filter_map(|part| match &part.content {
        PartContent::Text(text) => Some(harmless(text)),
        PartContent::Raw(_) | PartContent::Url(_) | PartContent::Data(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;

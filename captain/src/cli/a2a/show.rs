//! What an agent says, for people: its card, its tasks, its events as they come. Pure: objects in, text out. Everything in
//! them is a stranger's text.

use a2a_proto::activity::{Activity, ToolState};
use a2a_proto::types::{
    AgentCard, Artifact, Message, PartContent, Role, StreamResponse, Task, TaskArtifactUpdateEvent,
    TaskState, TaskStatusUpdateEvent,
};
use daemon::cli::Failure;
use daemon::exit::Exit;

use crate::cli::answer::{name, state, words};
use crate::cli::text::{clean, cut, harmless, size};

/// Widest column of what a task says in a list.
const SAID_WIDTH: usize = 60;

/// A card in a few lines.
pub(super) fn card(card: &AgentCard) -> String {
    let mut text = format!("{} {}\n", clean(&card.name), clean(&card.version));
    text.push_str(&indented(&card.description));
    for interface in &card.supported_interfaces {
        text.push_str(&format!(
            "  {} {}  {}\n",
            clean(&interface.protocol_binding),
            clean(&interface.protocol_version),
            clean(&interface.url)
        ));
    }
    let capabilities = &card.capabilities;
    let can: Vec<&str> = [
        (capabilities.streaming, "streams"),
        (capabilities.push_notifications, "pushes"),
        (capabilities.extended_agent_card, "has an extended card"),
    ]
    .into_iter()
    .filter_map(|(has, what)| (has == Some(true)).then_some(what))
    .collect();
    if !can.is_empty() {
        text.push_str(&format!("  {}\n", can.join(", ")));
    }
    let schemes: Vec<String> = card.security_schemes.keys().map(|it| clean(it)).collect();
    if !schemes.is_empty() {
        text.push_str(&format!("  asks for credentials: {}\n", schemes.join(", ")));
    }
    for extension in &capabilities.extensions {
        let needed = if extension.required {
            " (required)"
        } else {
            ""
        };
        text.push_str(&format!("  extension {}{needed}\n", clean(&extension.uri)));
    }
    for skill in &card.skills {
        text.push_str(&format!(
            "skill {}: {}\n",
            clean(&skill.id),
            clean(&skill.name)
        ));
        text.push_str(&indented(&skill.description));
    }
    text
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(clean).filter(|line| !line.is_empty());
    lines.map(|line| format!("  {line}\n")).collect()
}

/// A task in full.
pub(super) fn task(task: &Task) -> String {
    let mut text = format!("{}  {}\n", clean(&task.id), state(task.status.state));
    for message in &task.history {
        text.push_str(&said(message));
    }
    if let Some(message) = &task.status.message {
        text.push_str(&said(message));
    }
    for artifact in &task.artifacts {
        text.push_str(&made(artifact));
    }
    text
}

fn said(message: &Message) -> String {
    let who = if message.role == Role::User {
        "you"
    } else {
        "agent"
    };
    let words = words(message);
    let lines = words.lines().map(|line| format!("  {who}: {line}\n"));
    lines.collect()
}

fn made(artifact: &Artifact) -> String {
    let mut bytes = 0;
    let mut urls = Vec::new();
    for part in &artifact.parts {
        match &part.content {
            PartContent::Text(text) => bytes += text.len() as u64,
            PartContent::Raw(raw) => bytes += raw.len() as u64,
            PartContent::Url(url) => urls.push(clean(url)),
            PartContent::Data(_) => {}
        }
    }
    let content = match (bytes, urls.as_slice()) {
        (0, []) => String::new(),
        (bytes, []) => format!("  {}", size(bytes)),
        (_, urls) => format!("  {}", urls.join(" ")),
    };
    format!("made {}{content}\n", name(artifact))
}

/// A task as a line of a list.
pub(super) fn row(task: &Task) -> Vec<String> {
    let said = task
        .status
        .message
        .as_ref()
        .or_else(|| task.history.first());
    let said = said.map(words).unwrap_or_default();
    let line = said.lines().map(clean).find(|line| !line.is_empty());
    vec![
        clean(&task.id),
        state(task.status.state).to_owned(),
        cut(&line.unwrap_or_default(), SAID_WIDTH),
    ]
}

/// A stream as it comes in.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) task: String,
    pub(super) context: String,
    pub(super) state: Option<TaskState>,
    /// What the agent said with its last state.
    last: String,
    /// Whether the last character shown ended a line.
    in_line: bool,
    /// The artifact whose text is being shown.
    artifact: Option<String>,
}

impl Live {
    /// Takes an event in and gives what is to be shown of it.
    pub(super) fn take(&mut self, event: &StreamResponse) -> String {
        match event {
            StreamResponse::Task(task) => {
                self.task.clone_from(&task.id);
                self.context.clone_from(&task.context_id);
                self.state = Some(task.status.state);
                self.last = task.status.message.as_ref().map(words).unwrap_or_default();
                String::new()
            }
            StreamResponse::Message(message) => {
                self.context.clone_from(&message.context_id);
                self.state = Some(TaskState::Completed);
                self.line(words(message).trim_end())
            }
            StreamResponse::StatusUpdate(update) => self.status(update),
            StreamResponse::ArtifactUpdate(update) => self.artifact(update),
        }
    }

    fn status(&mut self, update: &TaskStatusUpdateEvent) -> String {
        self.task.clone_from(&update.task_id);
        self.context.clone_from(&update.context_id);
        self.state = Some(update.status.state);
        let text = update
            .status
            .message
            .as_ref()
            .map(words)
            .unwrap_or_default();
        match Activity::from_event(update) {
            Ok(Some(Activity::Text { delta, .. })) => {
                self.artifact = None;
                self.piece(&harmless(&delta))
            }
            Ok(Some(Activity::Tool(tool))) => match tool.state {
                ToolState::Running if !tool.title.is_empty() => {
                    self.line(&format!("▸ {}", clean(&tool.title)))
                }
                ToolState::Failed => self.line(&format!("✘ {}", clean(&tool.title))),
                _ => String::new(),
            },
            Ok(Some(Activity::Plan { .. } | Activity::Step(_))) => self.line(text.trim_end()),
            Ok(Some(Activity::Thought { .. } | Activity::Usage(_))) => String::new(),
            Ok(None) | Err(_) => {
                let own = update
                    .status
                    .message
                    .as_ref()
                    .is_some_and(|message| message.role == Role::User);
                self.last.clone_from(&text);
                if own {
                    String::new()
                } else {
                    self.line(text.trim_end())
                }
            }
        }
    }

    /// Text is shown as it comes; of everything else only the name and where it is.
    fn artifact(&mut self, update: &TaskArtifactUpdateEvent) -> String {
        let artifact = &update.artifact;
        let text: String = artifact
            .parts
            .iter()
            .filter_map(|part| part.as_text())
            .map(harmless)
            .collect();
        if text.is_empty() {
            // The first chunk names it; more of what cannot be shown is not worth a word.
            return match update.append {
                false => self.line(made(artifact).trim_end()),
                true => String::new(),
            };
        }
        let mut shown = String::new();
        if self.artifact.as_ref() != Some(&artifact.artifact_id) {
            shown = self.line(&format!("── {}", name(artifact)));
            self.artifact = Some(artifact.artifact_id.clone());
        }
        shown.push_str(&self.piece(&text));
        shown
    }

    fn piece(&mut self, text: &str) -> String {
        if !text.is_empty() {
            self.in_line = !text.ends_with('\n');
        }
        text.to_owned()
    }

    /// A line of its own.
    fn line(&mut self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        self.artifact = None;
        let start = if std::mem::take(&mut self.in_line) {
            "\n"
        } else {
            ""
        };
        format!("{start}{text}\n")
    }

    /// What ends the last line, if it is open.
    pub(super) fn end(&mut self) -> &'static str {
        if std::mem::take(&mut self.in_line) {
            "\n"
        } else {
            ""
        }
    }

    /// The exit code that the last state stands for.
    pub(super) fn judge(&self) -> Result<Exit, Failure> {
        judge(self.state, &self.last)
    }
}

/// The exit code that a task's state stands for, when the command was to bring it about.
pub(super) fn judge(state: Option<TaskState>, said: &str) -> Result<Exit, Failure> {
    let failed = |what: &str| {
        let said = said.trim_end();
        let why = if said.is_empty() {
            String::new()
        } else {
            format!(": {said}")
        };
        Err(Failure::new(Exit::WorkFailed, format!("{what}{why}")))
    };
    match state {
        Some(TaskState::Failed) => failed("the agent failed"),
        Some(TaskState::Rejected) => failed("the agent refused the message"),
        Some(TaskState::Canceled) => failed("the task was cancelled"),
        Some(
            TaskState::Completed
            | TaskState::InputRequired
            | TaskState::AuthRequired
            | TaskState::Submitted
            | TaskState::Working,
        ) => Ok(Exit::Ok),
        Some(TaskState::Unspecified) | None => Err(Failure::new(
            Exit::Unavailable,
            "the agent ended the stream without an answer",
        )),
    }
}

#[cfg(test)]
mod tests;

//! A worker's stream, event by event, in the captain's words. Pure: it holds what the stream has told so far about one
//! attempt and answers each A2A event with job events. A worker is not believed: it may speak of its own task only, and
//! within bounds; what breaks a rule is a [`Violation`] and ends the attempt.

use std::collections::BTreeMap;

use a2a_proto::activity::{Activity, MODEL_ERROR, ToolActivity, ToolState, TurnResult};
use a2a_proto::types::{
    Artifact, Message, Metadata, Part, PartContent, Role, StreamResponse, TaskArtifactUpdateEvent,
    TaskState, TaskStatus, TaskStatusUpdateEvent,
};
use captain_core::aggregate::ArtifactChunk;
use captain_core::event::ToolStatus;
use captain_core::job::WorkerTask;
use captain_core::{Attempt, JobEvent, Outcome, SubtaskId};

use super::title;

/// The artifact that carries the git bundle.
pub(super) const BUNDLE_ARTIFACT: &str = "bundle";
/// Output of one attempt in all, in bytes: hours of an agent that talks without a pause stay far below.
const MAX_OUTPUT_BYTES: usize = 512 * 1024 * 1024;
/// Events of one attempt in all; at the cost of a few hundred bytes each this bounds the job's log.
const MAX_EVENTS: usize = 2_000_000;
/// Artifacts of one attempt: as many files as an import takes, and some.
const MAX_ARTIFACTS: usize = 60_000;
/// Tool calls that are open at once; an agent runs a handful.
const MAX_OPEN_CALLS: usize = 1024;
/// Bytes of an id, a name or a title that are kept; longer ones are cut.
const MAX_NAME_BYTES: usize = 4096;
/// Bytes of a message that are kept; the whole text is in the agent's own output.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// What a worker did that no honest worker does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    /// It spoke of a task that is not its own.
    #[error("the worker spoke of task {got:?} while its task is {own:?}")]
    OtherTask {
        /// What it named.
        got: String,
        /// What it was to name.
        own: String,
    },
    /// It spoke of a context that is not its own.
    #[error("the worker spoke of context {got:?} while its context is {own:?}")]
    OtherContext {
        /// What it named.
        got: String,
        /// What it was to name.
        own: String,
    },
    /// It said something before it opened a task.
    #[error("the worker reported on a task that it has not opened")]
    NoTask,
    /// It opened a task without a name.
    #[error("the worker opened a task without an id")]
    NoTaskId,
    /// It sent more than any agent does.
    #[error("the worker sent more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// It named a state that A2A does not have.
    #[error("the worker reported no state")]
    NoState,
    /// The bundle came in a form that is not taken.
    #[error("the worker sent its git bundle {how}")]
    Bundle {
        /// In which form.
        how: &'static str,
    },
}

/// Where the result of an attempt is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bundle {
    /// In the event.
    Inline(bytes::Bytes),
    /// At the worker.
    At(String),
}

/// What one A2A event means.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Step {
    /// What to record.
    pub(super) events: Vec<JobEvent>,
    /// The git bundle, when the event carries it.
    pub(super) bundle: Option<Bundle>,
    /// How the attempt ended, when the event ends it.
    pub(super) end: Option<Outcome>,
}

impl Step {
    fn of(event: JobEvent) -> Self {
        Self {
            events: vec![event],
            ..Self::default()
        }
    }

    fn end(outcome: Outcome) -> Self {
        Self {
            end: Some(outcome),
            ..Self::default()
        }
    }
}

/// A tool call that has begun and not ended.
#[derive(Debug, Clone, Default)]
struct Call {
    /// Whether people were told of it.
    announced: bool,
    /// What it is called so far.
    title: String,
}

/// What the stream has told about one attempt.
#[derive(Debug)]
pub(super) struct Translator {
    subtask: SubtaskId,
    attempt: Attempt,
    task: Option<WorkerTask>,
    waiting: bool,
    /// Calls that have begun and not ended, by id.
    calls: BTreeMap<String, Call>,
    /// The name of the workspace's folder.
    folder: String,
    bytes: usize,
    events: usize,
    artifacts: usize,
}

impl Translator {
    /// For an attempt; `task` is the worker's task when the captain knew it before.
    pub(super) fn new(subtask: SubtaskId, attempt: Attempt, task: Option<WorkerTask>) -> Self {
        Self {
            folder: format!("{subtask}-{attempt}"),
            subtask,
            attempt,
            task,
            waiting: false,
            calls: BTreeMap::new(),
            bytes: 0,
            events: 0,
            artifacts: 0,
        }
    }

    /// The worker's task, once it opened one.
    pub(super) fn task(&self) -> Option<&WorkerTask> {
        self.task.as_ref()
    }

    /// Takes one event of the stream.
    ///
    /// # Errors
    /// A [`Violation`] ends the attempt: nothing more of this worker is believed.
    pub(super) fn take(&mut self, event: StreamResponse) -> Result<Step, Violation> {
        self.events += 1;
        within("events", self.events, MAX_EVENTS)?;
        match event {
            StreamResponse::Task(task) => {
                let mut step = self.open(&task.id, &task.context_id)?;
                for artifact in &task.artifacts {
                    self.add_artifact(&mut step, artifact, false, true)?;
                }
                let status = self.status(&task.status, task.metadata.as_ref())?;
                step.events.extend(status.events);
                step.end = status.end;
                Ok(step)
            }
            StreamResponse::Message(message) => Ok(Step::end(Outcome::Failed {
                message: text_of(Some(&message))
                    .unwrap_or_else(|| "the worker answered without doing any work".to_owned()),
            })),
            StreamResponse::StatusUpdate(update) => {
                self.check(&update.task_id, &update.context_id)?;
                match Activity::from_event(&update) {
                    Ok(Some(activity)) => self.activity(activity),
                    // Data of another shape is somebody else's: the text beside it still counts.
                    Ok(None) | Err(_) => self.status_update(&update),
                }
            }
            StreamResponse::ArtifactUpdate(update) => self.artifact(&update),
        }
    }

    fn open(&mut self, id: &str, context: &str) -> Result<Step, Violation> {
        if self.task.is_some() {
            self.check(id, context)?;
            return Ok(Step::default());
        }
        if id.is_empty() {
            return Err(Violation::NoTaskId);
        }
        within(
            "bytes of a task id",
            id.len().max(context.len()),
            MAX_NAME_BYTES,
        )?;
        let task = WorkerTask {
            task: id.to_owned(),
            context: context.to_owned(),
        };
        self.task = Some(task.clone());
        Ok(Step::of(JobEvent::WorkerAccepted {
            subtask: self.subtask.clone(),
            attempt: self.attempt,
            task,
        }))
    }

    fn check(&self, id: &str, context: &str) -> Result<(), Violation> {
        let own = self.task.as_ref().ok_or(Violation::NoTask)?;
        if own.task != id {
            return Err(Violation::OtherTask {
                got: cut(id, MAX_NAME_BYTES),
                own: own.task.clone(),
            });
        }
        if own.context != context {
            return Err(Violation::OtherContext {
                got: cut(context, MAX_NAME_BYTES),
                own: own.context.clone(),
            });
        }
        Ok(())
    }

    /// A status that carries no activity of ours: its text is the agent's.
    fn status_update(&mut self, update: &TaskStatusUpdateEvent) -> Result<Step, Violation> {
        // A message of the user's that the worker took comes as a status too.
        let of_agent = |message: &&Message| message.role != Role::User;
        let said = (update.status.state == TaskState::Working)
            .then(|| text_of(update.status.message.as_ref().filter(of_agent)))
            .flatten();
        let mut step = self.status(&update.status, update.metadata.as_ref())?;
        if let Some(text) = said {
            self.count(text.len())?;
            step.events.push(JobEvent::AgentText {
                subtask: self.subtask.clone(),
                attempt: self.attempt,
                text,
            });
        }
        Ok(step)
    }

    fn status(
        &mut self,
        status: &TaskStatus,
        metadata: Option<&Metadata>,
    ) -> Result<Step, Violation> {
        let said = |otherwise: &str| {
            text_of(status.message.as_ref()).unwrap_or_else(|| otherwise.to_owned())
        };
        Ok(match status.state {
            TaskState::Unspecified => return Err(Violation::NoState),
            TaskState::Submitted | TaskState::Working => self.resolved(),
            TaskState::InputRequired | TaskState::AuthRequired => {
                if self.waiting {
                    return Ok(Step::default());
                }
                self.waiting = true;
                Step::of(JobEvent::InputRequired {
                    subtask: self.subtask.clone(),
                    attempt: self.attempt,
                    question: said("the agent waits for an answer"),
                })
            }
            TaskState::Completed => Step::end(Outcome::Completed),
            TaskState::Failed => {
                let message = said("the worker did not say why");
                // A result of another shape says nothing about the model.
                let result = TurnResult::from_metadata(metadata).ok().flatten();
                let of_model = result.is_some_and(|result| result.stop_reason == MODEL_ERROR);
                Step::end(if of_model {
                    Outcome::ModelFailed { message }
                } else {
                    Outcome::Failed { message }
                })
            }
            TaskState::Canceled => Step::end(Outcome::Cancelled),
            TaskState::Rejected => Step::end(Outcome::Refused {
                message: said("the worker did not say why"),
            }),
        })
    }

    fn resolved(&mut self) -> Step {
        if !std::mem::take(&mut self.waiting) {
            return Step::default();
        }
        Step::of(JobEvent::InputResolved {
            subtask: self.subtask.clone(),
            attempt: self.attempt,
        })
    }

    fn activity(&mut self, activity: Activity) -> Result<Step, Violation> {
        let mut step = self.resolved();
        let (subtask, attempt) = (self.subtask.clone(), self.attempt);
        match activity {
            Activity::Text { delta, .. } => {
                self.count(delta.len())?;
                step.events.push(JobEvent::AgentText {
                    subtask,
                    attempt,
                    text: delta,
                });
            }
            Activity::Thought { delta, .. } => {
                self.count(delta.len())?;
                step.events.push(JobEvent::AgentThought {
                    subtask,
                    attempt,
                    text: delta,
                });
            }
            Activity::Tool(tool) => self.tool(&mut step, tool)?,
            // What was used, the agent's own plan and its steps are in the worker's log; the job has no place for them yet.
            Activity::Usage(_) | Activity::Plan { .. } | Activity::Step(_) => {}
        }
        Ok(step)
    }

    fn tool(&mut self, step: &mut Step, tool: ToolActivity) -> Result<(), Violation> {
        let (subtask, attempt) = (self.subtask.clone(), self.attempt);
        self.count(tool.output_delta.len())?;
        let call = cut(&tool.id, MAX_NAME_BYTES);
        let Call { announced, title } = self.calls.get(&call).cloned().unwrap_or_default();
        let title = cut(&title::of(&title, &tool, &self.folder), MAX_NAME_BYTES);
        // A call is announced when it is known what it does: agents begin with the tool's bare name. A stream that was
        // taken up in the middle of a call brings only what is new about it: such a call was announced before.
        let named = !title.is_empty() && tool.state != ToolState::Pending;
        if !announced && named {
            step.events.push(JobEvent::ToolStarted {
                subtask: subtask.clone(),
                attempt,
                call: call.clone(),
                title: title.clone(),
                kind: (!tool.tool_kind.is_empty()).then(|| cut(&tool.tool_kind, MAX_NAME_BYTES)),
            });
        }
        if !tool.output_delta.is_empty() {
            step.events.push(JobEvent::ToolUpdated {
                subtask: subtask.clone(),
                attempt,
                call: call.clone(),
                output: tool.output_delta,
            });
        }
        let status = match tool.state {
            ToolState::Pending | ToolState::Running => {
                let announced = announced || named;
                self.calls.insert(call, Call { announced, title });
                return within("open tool calls", self.calls.len(), MAX_OPEN_CALLS);
            }
            ToolState::Completed => ToolStatus::Completed,
            ToolState::Failed => ToolStatus::Failed,
        };
        self.calls.remove(&call);
        step.events.push(JobEvent::ToolFinished {
            subtask,
            attempt,
            call,
            status,
        });
        Ok(())
    }

    fn artifact(&mut self, update: &TaskArtifactUpdateEvent) -> Result<Step, Violation> {
        self.check(&update.task_id, &update.context_id)?;
        let mut step = Step::default();
        self.add_artifact(
            &mut step,
            &update.artifact,
            update.append,
            update.last_chunk,
        )?;
        Ok(step)
    }

    fn add_artifact(
        &mut self,
        step: &mut Step,
        artifact: &Artifact,
        append: bool,
        last: bool,
    ) -> Result<(), Violation> {
        self.artifacts += 1;
        within("artifacts", self.artifacts, MAX_ARTIFACTS)?;
        if artifact.artifact_id == BUNDLE_ARTIFACT {
            step.bundle = Some(bundle_of(artifact, append)?);
        }
        let size: usize = artifact.parts.iter().map(size_of).sum();
        self.count(size)?;
        let name = if artifact.name.is_empty() {
            &artifact.artifact_id
        } else {
            &artifact.name
        };
        step.events.push(JobEvent::ArtifactMade {
            subtask: self.subtask.clone(),
            attempt: self.attempt,
            artifact: ArtifactChunk {
                id: cut(&artifact.artifact_id, MAX_NAME_BYTES),
                name: cut(name, MAX_NAME_BYTES),
                path: cut(name, MAX_NAME_BYTES),
                media_type: artifact
                    .parts
                    .iter()
                    .find(|part| !part.media_type.is_empty())
                    .map_or_else(
                        || "application/octet-stream".to_owned(),
                        |part| cut(&part.media_type, MAX_NAME_BYTES),
                    ),
                size: size as u64,
                append,
                last,
            },
        });
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), Violation> {
        self.bytes = self.bytes.saturating_add(bytes);
        within("bytes of output", self.bytes, MAX_OUTPUT_BYTES)
    }
}

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), Violation> {
    if count > limit {
        Err(Violation::TooMuch { what, limit })
    } else {
        Ok(())
    }
}

/// The bundle is one part: pieces could not be joined again after a captain died between two of them.
fn bundle_of(artifact: &Artifact, append: bool) -> Result<Bundle, Violation> {
    if append {
        return Err(Violation::Bundle { how: "in pieces" });
    }
    match artifact.parts.as_slice() {
        [
            Part {
                content: PartContent::Raw(bytes),
                ..
            },
        ] => Ok(Bundle::Inline(bytes.clone())),
        [
            Part {
                content: PartContent::Url(url),
                ..
            },
        ] => Ok(Bundle::At(url.clone())),
        _ => Err(Violation::Bundle {
            how: "neither as one piece of bytes nor as one address",
        }),
    }
}

fn size_of(part: &Part) -> usize {
    match &part.content {
        PartContent::Text(text) => text.len(),
        PartContent::Raw(bytes) => bytes.len(),
        // What lies elsewhere is counted when it is fetched; structured data is a few fields.
        PartContent::Url(_) | PartContent::Data(_) => 0,
    }
}

/// The text parts of a message, joined; `None` when there is no text.
fn text_of(message: Option<&Message>) -> Option<String> {
    let text: Vec<&str> = message?.parts.iter().filter_map(Part::as_text).collect();
    let text = text.join("\n");
    (!text.is_empty()).then(|| cut(&text, MAX_MESSAGE_BYTES))
}

/// The first `limit` bytes of `text`, cut at a character.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;

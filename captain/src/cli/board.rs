//! What is known of a job, folded from its events: the model behind both views for people, the live tree and the plain
//! lines. It is pure: events in, state out; drawing and writing are elsewhere.

pub(crate) mod draw;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use captain_core::{Envelope, JobEvent, Outcome, SubtaskId};
use jiff::Timestamp;

use super::text::clean;

/// Longest piece of an agent's current line that is kept; more does not fit on a terminal.
const MAX_LINE: usize = 400;

/// A job as far as its events tell.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    pub(crate) goal: String,
    pub(crate) phase: Phase,
    pub(crate) submitted: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    /// Why nothing is started at present, where the model's provider fails.
    pub(crate) paused: Option<String>,
    /// In plan order.
    pub(crate) rows: Vec<Row>,
    index: BTreeMap<SubtaskId, usize>,
}

/// Where the job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Planning,
    AwaitingApproval,
    Running,
    Integrating,
    Stopping,
    Done { files: usize },
    Failed { message: String },
    Cancelled,
}

/// One subtask.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: SubtaskId,
    pub(crate) title: String,
    pub(crate) depends_on: Vec<SubtaskId>,
    pub(crate) state: RowState,
    pub(crate) attempt: u32,
    pub(crate) began: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) says: Says,
}

/// Where a subtask stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowState {
    Waiting,
    Preparing,
    Starting,
    Working,
    Unreachable,
    Asking { question: String },
    Merging,
    Retrying { why: String },
    Done { files: usize },
    Failed { why: String },
    Skipped { because: SubtaskId },
    Cancelled,
}

/// What the agent says and does just now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Says {
    /// The line that is being written.
    line: String,
    /// The last whole line with words.
    last: String,
    /// Tool calls under way, by id, the latest last.
    tools: Vec<(String, String)>,
}

impl Board {
    /// A board of a job of which no event is known.
    pub(crate) fn new() -> Self {
        Self {
            goal: String::new(),
            phase: Phase::Planning,
            submitted: None,
            ended: None,
            paused: None,
            rows: Vec::new(),
            index: BTreeMap::new(),
        }
    }

    /// Takes one event in.
    pub(crate) fn apply(&mut self, envelope: &Envelope) {
        let at = envelope.at;
        match &envelope.event {
            JobEvent::JobSubmitted { spec } => {
                self.goal = spec
                    .goal
                    .lines()
                    .map(clean)
                    .find(|line| !line.is_empty())
                    .unwrap_or_default();
                self.submitted = Some(at);
            }
            JobEvent::JobPlanned { plan, .. } => {
                self.phase = Phase::AwaitingApproval;
                self.set_plan(plan);
            }
            JobEvent::JobStarted { .. } => self.phase = Phase::Running,
            JobEvent::JobIntegrating => self.phase = Phase::Integrating,
            JobEvent::JobCancelRequested { .. } => self.phase = Phase::Stopping,
            JobEvent::JobCompleted { result } => self.end(
                at,
                Phase::Done {
                    files: result.files.len(),
                },
            ),
            JobEvent::JobFailed { message, .. } => self.end(
                at,
                Phase::Failed {
                    message: clean(message),
                },
            ),
            JobEvent::JobCancelled => self.end(at, Phase::Cancelled),
            JobEvent::SubtaskStarted { subtask, attempt } => {
                if let Some(row) = self.row(subtask) {
                    row.attempt = attempt.0;
                    row.began.get_or_insert(at);
                    row.says = Says::default();
                    row.state = RowState::Preparing;
                }
            }
            JobEvent::SubtaskPrepared { subtask, .. }
            | JobEvent::WorkerLaunched { subtask, .. } => {
                self.set(subtask, RowState::Starting);
            }
            JobEvent::WorkerAccepted { subtask, .. }
            | JobEvent::WorkerReachable { subtask, .. }
            | JobEvent::InputResolved { subtask, .. } => self.set(subtask, RowState::Working),
            JobEvent::WorkerUnreachable { subtask, .. } | JobEvent::WorkerGone { subtask, .. } => {
                self.set(subtask, RowState::Unreachable);
            }
            JobEvent::WorkerNotFenced {
                subtask, message, ..
            } => {
                let why = format!("its worker cannot be stopped so far: {}", clean(message));
                self.set(subtask, RowState::Retrying { why });
            }
            JobEvent::ProviderPaused {
                provider,
                until,
                message,
            } => {
                let (provider, message) = (clean(provider), clean(message));
                self.paused = Some(format!(
                    "{provider} fails, next try at {until:.0}: {message}"
                ));
            }
            JobEvent::ProviderResumed { .. } => self.paused = None,
            JobEvent::InputRequired {
                subtask, question, ..
            } => {
                self.set(
                    subtask,
                    RowState::Asking {
                        question: clean(question),
                    },
                );
            }
            JobEvent::AttemptEnded {
                subtask, outcome, ..
            } => match outcome {
                Outcome::Completed => self.set(subtask, RowState::Merging),
                other => self.set(
                    subtask,
                    RowState::Retrying {
                        why: clean(&other.to_string()),
                    },
                ),
            },
            JobEvent::PlanRejected { .. }
            | JobEvent::WorkerReady { .. }
            | JobEvent::WorkerStopped { .. }
            | JobEvent::WorkerFenced { .. }
            | JobEvent::JobResumed
            | JobEvent::MergeConflict { .. }
            | JobEvent::RetryScheduled { .. }
            | JobEvent::MessageReceived { .. }
            | JobEvent::MessageDelivered { .. }
            | JobEvent::ArtifactMade { .. }
            | JobEvent::AgentThought { .. }
            | JobEvent::ToolUpdated { .. } => {}
            JobEvent::SubtaskMerged { subtask, files, .. } => {
                self.finish(at, subtask, RowState::Done { files: files.len() });
            }
            JobEvent::SubtaskFailed { subtask, outcome } => {
                self.finish(
                    at,
                    subtask,
                    RowState::Failed {
                        why: clean(&outcome.to_string()),
                    },
                );
            }
            JobEvent::SubtaskSkipped { subtask, because } => {
                self.finish(
                    at,
                    subtask,
                    RowState::Skipped {
                        because: because.clone(),
                    },
                );
            }
            JobEvent::SubtaskCancelled { subtask } => self.finish(at, subtask, RowState::Cancelled),
            JobEvent::AgentText { subtask, text, .. } => self.says(subtask, |says| says.add(text)),
            JobEvent::ToolStarted {
                subtask,
                call,
                title,
                ..
            } => {
                self.says(subtask, |says| {
                    says.end_line();
                    says.tools.push((call.clone(), clean(title)));
                });
            }
            JobEvent::ToolFinished { subtask, call, .. } => {
                self.says(subtask, |says| {
                    says.tools.retain(|(known, _)| known != call);
                });
            }
        }
    }

    /// The subtasks that `row` still waits for.
    pub(crate) fn waits_for<'a>(&self, row: &'a Row) -> Vec<&'a SubtaskId> {
        let is_done = |id: &&SubtaskId| {
            let place = self.index.get(*id).and_then(|&place| self.rows.get(place));
            place.is_some_and(|row| matches!(row.state, RowState::Done { .. }))
        };
        row.depends_on.iter().filter(|id| !is_done(id)).collect()
    }

    /// Whether nothing follows.
    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self.phase,
            Phase::Done { .. } | Phase::Failed { .. } | Phase::Cancelled
        )
    }

    fn set_plan(&mut self, plan: &captain_core::PlanSpec) {
        let rows = plan.subtasks.iter().filter_map(|spec| {
            Some(Row {
                id: SubtaskId::parse(&*spec.id).ok()?,
                title: clean(spec.title.as_deref().unwrap_or_default()),
                depends_on: spec
                    .depends_on
                    .iter()
                    .filter_map(|id| SubtaskId::parse(&**id).ok())
                    .collect(),
                state: RowState::Waiting,
                attempt: 0,
                began: None,
                ended: None,
                says: Says::default(),
            })
        });
        self.rows = rows.collect();
        self.index = self
            .rows
            .iter()
            .enumerate()
            .map(|(place, row)| (row.id.clone(), place))
            .collect();
    }

    fn row(&mut self, id: &SubtaskId) -> Option<&mut Row> {
        self.index
            .get(id)
            .and_then(|&place| self.rows.get_mut(place))
    }

    fn set(&mut self, id: &SubtaskId, state: RowState) {
        if let Some(row) = self.row(id) {
            row.state = state;
        }
    }

    fn finish(&mut self, at: Timestamp, id: &SubtaskId, state: RowState) {
        if let Some(row) = self.row(id) {
            row.ended = Some(at);
            row.state = state;
        }
    }

    fn says(&mut self, id: &SubtaskId, change: impl FnOnce(&mut Says)) {
        if let Some(row) = self.row(id) {
            change(&mut row.says);
        }
    }

    fn end(&mut self, at: Timestamp, phase: Phase) {
        for row in &mut self.rows {
            let over = matches!(
                row.state,
                RowState::Done { .. }
                    | RowState::Failed { .. }
                    | RowState::Skipped { .. }
                    | RowState::Cancelled
            );
            if !over {
                row.state = RowState::Cancelled;
                row.ended = Some(at);
            }
        }
        self.ended = Some(at);
        self.phase = phase;
    }
}

impl Says {
    fn add(&mut self, text: &str) {
        for (i, piece) in text.split('\n').enumerate() {
            if i > 0 {
                self.end_line();
            }
            if self.line.len() < MAX_LINE {
                self.line.push_str(piece);
            }
        }
    }

    /// Words after a line end, or after a tool call, begin a new line.
    fn end_line(&mut self) {
        let whole = clean(&std::mem::take(&mut self.line));
        if !whole.is_empty() {
            self.last = whole;
        }
    }

    /// The tool under way, else the words that are being written, else the last ones.
    pub(crate) fn now(&self) -> Option<String> {
        if let Some((_, title)) = self.tools.last() {
            return Some(format!("▸ {title}"));
        }
        let line = clean(&self.line);
        [line, self.last.clone()]
            .into_iter()
            .find(|line| !line.is_empty())
    }
}

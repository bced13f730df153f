//! From the job's events to the task's: pure, and the same for every captain that tells the same event again. It holds the
//! job as of the last event that was told, because an event's state (does anything go on, or does everything wait for
//! the client?) is the job's and not the event's. The results' files are read elsewhere: they are only asked for here.

mod words;

use a2a_proto::activity::{
    Activity, PlanEntry, PlanStatus, StepActivity, StepState, ToolActivity, ToolState,
};
use a2a_proto::types::{
    Message, Metadata, Part, Role, StreamResponse, TaskState, TaskStatus, TaskStatusUpdateEvent,
};
use captain_core::event::ToolStatus;
use captain_core::job::Approval;
use captain_core::machine::ApplyError;
use captain_core::{
    Attempt, Envelope, FailReason, Job, JobEvent, JobId, JobResult, JobState, SubtaskId,
    SubtaskState,
};

use super::data::{JOB_URI, JobData, Place};

/// What an event of the job comes to.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The result to be told first.
    pub(super) result: Option<JobResult>,
    /// The event of the task; none when there is nothing to tell.
    pub(super) event: Option<TaskStatusUpdateEvent>,
}

/// Tells one job.
#[derive(Debug)]
pub(super) struct Teller {
    id: JobId,
    context: String,
    /// The job's address.
    url: String,
    job: Option<Job>,
    /// What the client was asked last, while everything waits for it.
    asked: Option<String>,
}

impl Teller {
    /// Tells `id` in that context; `job` is the job after the last event that needs no telling any more.
    pub(super) fn new(id: JobId, context: String, base_url: &str, job: Option<Job>) -> Self {
        let url = format!("{base_url}/jobs/{id}");
        let asked = job.as_ref().and_then(question);
        Self {
            id,
            context,
            url,
            job,
            asked,
        }
    }

    /// The data under our URI for the events that are made from that place.
    pub(super) fn data(&self, envelope: &Envelope, piece: u32) -> JobData {
        let event = &envelope.event;
        let attempt = event.attempt();
        // What stands beside it already, in full or in other words, is not said twice; a user's settings stay with them.
        let whole = !event.is_output() && !matches!(event, JobEvent::JobSubmitted { .. });
        JobData {
            job: self.id.clone(),
            url: self.url.clone(),
            place: Place {
                seq: envelope.seq,
                piece,
            },
            kind: event.name(),
            subtask: subtask_of(event).cloned(),
            attempt: attempt.map(|(_, attempt)| attempt),
            event: whole.then(|| event.clone()),
        }
    }

    /// Takes the job's next event.
    ///
    /// # Errors
    /// When it does not follow what was told before.
    pub(super) fn take(&mut self, envelope: &Envelope) -> Result<Told, ApplyError> {
        let event = &envelope.event;
        match &mut self.job {
            None => {
                let (job, _) = Job::create(self.id.clone(), envelope.at, event)?;
                self.job = Some(job);
            }
            // Output changes nothing.
            Some(job) if !event.is_output() => {
                job.apply(envelope.at, event)?;
            }
            Some(_) => {}
        }
        let Some(job) = &self.job else {
            return Ok(Told::default());
        };
        let asks = if event.is_output() {
            self.asked.clone()
        } else {
            question(job)
        };
        let end = end(event);
        let news = asks.is_some() && asks != self.asked;
        let state = match (&end, &asks) {
            (Some(state), _) => *state,
            (None, Some(_)) => TaskState::InputRequired,
            (None, None) => TaskState::Working,
        };
        let text = match &asks {
            Some(question) if news => Some(question.clone()),
            _ => words::of(event, job),
        };
        let activity = if news || end.is_some() {
            None
        } else {
            activity(event, job)
        };
        self.asked = asks;
        let result = match event {
            JobEvent::JobCompleted { result } => Some(result.clone()),
            _ => None,
        };
        let Some(text) = text else {
            return Ok(Told {
                result,
                event: None,
            });
        };
        let mut said = Message::agent(
            format!("{}-{}", self.id, envelope.seq),
            vec![Part::text(text)],
        );
        if let JobEvent::MessageReceived { id: None, .. } = event {
            // What came another way is part of the conversation too.
            said.role = Role::User;
        }
        said.task_id = self.id.to_string();
        said.context_id.clone_from(&self.context);
        let metadata = activity.map(|activity| activity.to_metadata());
        Ok(Told {
            result,
            event: Some(TaskStatusUpdateEvent {
                task_id: self.id.to_string(),
                context_id: self.context.clone(),
                status: TaskStatus {
                    state,
                    message: Some(said),
                    timestamp: Some(envelope.at),
                },
                metadata,
                ..TaskStatusUpdateEvent::default()
            }),
        })
    }
}

/// Puts the place of an event into it.
pub(super) fn mark(event: &mut StreamResponse, data: &JobData) {
    let metadata = match event {
        StreamResponse::StatusUpdate(update) => &mut update.metadata,
        StreamResponse::ArtifactUpdate(update) => &mut update.metadata,
        StreamResponse::Task(task) => &mut task.metadata,
        StreamResponse::Message(message) => &mut message.metadata,
    };
    // Plain data with string keys: this always becomes JSON.
    let value = serde_json::to_value(data).unwrap_or_default();
    metadata
        .get_or_insert_with(Metadata::new)
        .insert(JOB_URI.to_owned(), value);
}

/// What the client is asked while nothing goes on without it.
fn question(job: &Job) -> Option<String> {
    if *job.state() == JobState::AwaitingApproval && job.spec().approval == Approval::Manual {
        let plan = words::plan(job);
        return Some(format!(
            "{plan}\nThe plan waits: answer \"approve\" to let it run, or cancel the task."
        ));
    }
    if !job.is_blocked() {
        return None;
    }
    let questions: Vec<String> = job
        .open_questions()
        .iter()
        .map(|(subtask, question)| format!("{subtask} asks: {question}"))
        .collect();
    Some(questions.join("\n"))
}

fn end(event: &JobEvent) -> Option<TaskState> {
    match event {
        JobEvent::JobCompleted { .. } => Some(TaskState::Completed),
        // Nothing was begun: the captain does not take the job.
        JobEvent::JobFailed {
            reason: FailReason::Plan { .. },
            ..
        } => Some(TaskState::Rejected),
        JobEvent::JobFailed { .. } => Some(TaskState::Failed),
        JobEvent::JobCancelled => Some(TaskState::Canceled),
        _ => None,
    }
}

/// The subtask that an event is about.
fn subtask_of(event: &JobEvent) -> Option<&SubtaskId> {
    match event {
        JobEvent::SubtaskStarted { subtask, .. }
        | JobEvent::RetryScheduled { subtask, .. }
        | JobEvent::SubtaskFailed { subtask, .. }
        | JobEvent::SubtaskSkipped { subtask, .. }
        | JobEvent::SubtaskCancelled { subtask } => Some(subtask),
        JobEvent::MergeConflict { subtask, .. } | JobEvent::MessageReceived { subtask, .. } => {
            subtask.as_ref()
        }
        other => other.attempt().map(|(subtask, _)| subtask),
    }
}

/// The event as an activity, which is progress and not conversation; none for what belongs into the history.
fn activity(event: &JobEvent, job: &Job) -> Option<Activity> {
    Some(match event {
        JobEvent::JobSubmitted { .. } | JobEvent::MessageReceived { id: None, .. } => return None,
        JobEvent::JobPlanned { plan, .. } => Activity::Plan {
            entries: plan
                .subtasks
                .iter()
                .map(|subtask| PlanEntry {
                    content: subtask.title.clone().unwrap_or_else(|| subtask.id.clone()),
                    priority: String::new(),
                    status: PlanStatus::Pending,
                })
                .collect(),
        },
        JobEvent::AgentText {
            subtask,
            attempt,
            text,
        } => Activity::Text {
            delta: text.clone(),
            message_id: voice(subtask, *attempt),
        },
        JobEvent::AgentThought {
            subtask,
            attempt,
            text,
        } => Activity::Thought {
            delta: text.clone(),
            message_id: voice(subtask, *attempt),
        },
        JobEvent::ToolStarted {
            subtask,
            attempt,
            call,
            title,
            kind,
        } => Activity::Tool(ToolActivity {
            title: title.clone(),
            tool_kind: kind.clone().unwrap_or_default(),
            ..tool(subtask, *attempt, call, ToolState::Running)
        }),
        JobEvent::ToolUpdated {
            subtask,
            attempt,
            call,
            output,
        } => Activity::Tool(ToolActivity {
            output_delta: output.clone(),
            ..tool(subtask, *attempt, call, ToolState::Running)
        }),
        JobEvent::ToolFinished {
            subtask,
            attempt,
            call,
            status,
        } => {
            let state = match status {
                ToolStatus::Completed => ToolState::Completed,
                ToolStatus::Failed => ToolState::Failed,
            };
            Activity::Tool(tool(subtask, *attempt, call, state))
        }
        other => Activity::Step(step(subtask_of(other), job)),
    })
}

/// One agent's words within the task.
fn voice(subtask: &SubtaskId, attempt: Attempt) -> String {
    format!("{subtask}-{attempt}")
}

fn tool(subtask: &SubtaskId, attempt: Attempt, call: &str, state: ToolState) -> ToolActivity {
    ToolActivity {
        id: format!("{}/{call}", voice(subtask, attempt)),
        name: String::new(),
        title: String::new(),
        tool_kind: String::new(),
        state,
        input: None,
        output_delta: String::new(),
        locations: Vec::new(),
    }
}

/// Where a subtask stands, or the job as a whole.
fn step(subtask: Option<&SubtaskId>, job: &Job) -> StepActivity {
    let (mut done, mut total) = (0, 0);
    for (_, _, one) in job.subtasks() {
        total += 1;
        done += u32::from(matches!(one.state, SubtaskState::Done { .. }));
    }
    let found = subtask.and_then(|id| job.subtasks().find(|(of, _, _)| *of == id));
    match found {
        Some((id, spec, one)) => StepActivity {
            id: id.to_string(),
            title: spec.title.clone().unwrap_or_default(),
            state: step_state(&one.state),
            attempt: one.current().map(|record| record.attempt.0),
            done,
            total,
        },
        None => StepActivity {
            id: String::new(),
            title: String::new(),
            state: StepState::Running,
            attempt: None,
            done,
            total,
        },
    }
}

fn step_state(state: &SubtaskState) -> StepState {
    match state {
        SubtaskState::Waiting { .. } | SubtaskState::Ready | SubtaskState::Backoff { .. } => {
            StepState::Pending
        }
        SubtaskState::Preparing
        | SubtaskState::Launching
        | SubtaskState::Running
        | SubtaskState::Merging
        | SubtaskState::Fencing { .. }
        | SubtaskState::AttemptOver { .. } => StepState::Running,
        SubtaskState::InputRequired { .. } => StepState::Waiting,
        SubtaskState::Done { .. } => StepState::Completed,
        SubtaskState::Failed { .. } => StepState::Failed,
        SubtaskState::Skipped { .. } => StepState::Skipped,
        SubtaskState::Cancelled => StepState::Canceled,
    }
}

#[cfg(test)]
mod tests;

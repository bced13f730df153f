//! What happened to a job. One closed enum is both what is stored and what users see on the event stream: there is no
//! second form to keep in step. A JSON form that was once stored must stay readable for ever: variants and fields are
//! only ever added, with defaults.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aggregate::ArtifactChunk;
use crate::ids::{Attempt, CommitId, JobId, SubtaskId, WorkerId};
use crate::job::{JobSpec, WorkerTask};
use crate::outcome::{Conflict, FailReason, JobResult, Outcome, StopReason};
use crate::plan::PlanSpec;

/// The version of the envelope and of the events in it.
pub const EVENT_VERSION: u32 = 1;

/// One event with its place in the job's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`EVENT_VERSION`] of the writer.
    pub v: u32,
    /// The place in the job's log, from 1 and without gaps.
    pub seq: u64,
    /// When the captain recorded it.
    pub at: Timestamp,
    /// The job.
    pub job: JobId,
    /// The place in the worker's own log that this event was made from. All events of one place are stored together, and
    /// a re-attached stream goes on after it, so that nothing is recorded twice and nothing is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
    /// What happened.
    pub event: JobEvent,
}

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// It worked.
    Completed,
    /// It did not.
    Failed,
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum JobEvent {
    /// A user submitted the job. Always the first event, never a later one.
    #[serde(rename = "job.submitted")]
    JobSubmitted {
        /// What was asked for.
        spec: JobSpec,
    },
    /// There is a valid plan.
    #[serde(rename = "job.planned")]
    JobPlanned {
        /// Which edit, from 1.
        revision: u32,
        /// The plan.
        plan: PlanSpec,
    },
    /// What the planner made is not a valid plan.
    #[serde(rename = "plan.rejected")]
    PlanRejected {
        /// All that is wrong, one line each.
        problems: Vec<String>,
    },
    /// The plan runs.
    #[serde(rename = "job.started")]
    JobStarted {
        /// Who approved the plan, where it waited for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved_by: Option<String>,
    },
    /// All subtasks are done; the result is being put together.
    #[serde(rename = "job.integrating")]
    JobIntegrating,
    /// The job is to stop.
    #[serde(rename = "job.cancel_requested")]
    JobCancelRequested {
        /// Why.
        reason: StopReason,
    },
    /// The captain was started again and goes on with the job: whatever waits for a worker to be heard again waits from
    /// now.
    #[serde(rename = "job.resumed")]
    JobResumed,
    /// The model's provider fails: the job starts no further attempts for a while.
    #[serde(rename = "provider.paused")]
    ProviderPaused {
        /// The provider.
        provider: String,
        /// When it is asked again.
        until: Timestamp,
        /// Its last error.
        message: String,
    },
    /// The model's provider works again.
    #[serde(rename = "provider.resumed")]
    ProviderResumed {
        /// The provider.
        provider: String,
    },
    /// The result is there.
    #[serde(rename = "job.completed")]
    JobCompleted {
        /// What was left.
        result: JobResult,
    },
    /// The job ended without a result.
    #[serde(rename = "job.failed")]
    JobFailed {
        /// Why.
        reason: FailReason,
        /// The same for people.
        message: String,
    },
    /// The job was stopped on request, and nothing of it runs any more.
    #[serde(rename = "job.cancelled")]
    JobCancelled,

    /// An attempt at a subtask begins.
    #[serde(rename = "subtask.started")]
    SubtaskStarted {
        /// Which.
        subtask: SubtaskId,
        /// The new attempt.
        attempt: Attempt,
    },
    /// The attempt's workspace is ready.
    #[serde(rename = "subtask.prepared")]
    SubtaskPrepared {
        /// Which.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// Where the work starts from.
        base: CommitId,
        /// The workspace folder on the captain's machine.
        workspace: String,
    },
    /// The result of a subtask is in the job's repository: the subtask is done.
    #[serde(rename = "subtask.merged")]
    SubtaskMerged {
        /// Which.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The commit that holds the result.
        commit: CommitId,
        /// The files that it changed, sorted.
        files: Vec<String>,
    },
    /// A further attempt will be made.
    #[serde(rename = "retry.scheduled")]
    RetryScheduled {
        /// Which.
        subtask: SubtaskId,
        /// The next attempt.
        attempt: Attempt,
        /// When it may begin.
        not_before: Timestamp,
    },
    /// The subtask failed for good.
    #[serde(rename = "subtask.failed")]
    SubtaskFailed {
        /// Which.
        subtask: SubtaskId,
        /// How its last attempt ended.
        outcome: Outcome,
    },
    /// The subtask is left out because something that it depends on failed.
    #[serde(rename = "subtask.skipped")]
    SubtaskSkipped {
        /// Which.
        subtask: SubtaskId,
        /// The dependency.
        because: SubtaskId,
    },
    /// The subtask was stopped with the job.
    #[serde(rename = "subtask.cancelled")]
    SubtaskCancelled {
        /// Which.
        subtask: SubtaskId,
    },
    /// Results do not fit together. What follows from it comes as an event of its own.
    #[serde(rename = "merge.conflict")]
    MergeConflict {
        /// The subtask that was to start from these results; none when the job's result was put together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subtask: Option<SubtaskId>,
        /// Where.
        conflict: Conflict,
    },

    /// The attempt's worker has been started; whether it is ready is not known yet.
    #[serde(rename = "worker.launched")]
    WorkerLaunched {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The worker.
        worker: WorkerId,
        /// Its A2A address.
        endpoint: String,
    },
    /// The worker answers with its card.
    #[serde(rename = "worker.ready")]
    WorkerReady {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// The worker took the prompt and opened a task for it.
    #[serde(rename = "worker.accepted")]
    WorkerAccepted {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The worker's task.
        task: WorkerTask,
    },
    /// The captain cannot reach the worker; the attempt goes on.
    #[serde(rename = "worker.unreachable")]
    WorkerUnreachable {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// What was seen.
        message: String,
    },
    /// The captain reaches the worker again.
    #[serde(rename = "worker.reachable")]
    WorkerReachable {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// The worker's platform says that it has ended. What it said last may still come.
    #[serde(rename = "worker.gone")]
    WorkerGone {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// What the platform knows about why.
        message: String,
    },
    /// The worker of an attempt that ended without its word has been stopped: another attempt may begin.
    #[serde(rename = "worker.fenced")]
    WorkerFenced {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Such a worker cannot be stopped at present. It is tried again; nothing else begins before it works.
    #[serde(rename = "worker.not_fenced")]
    WorkerNotFenced {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// Why.
        message: String,
    },
    /// The job is being stopped, and nothing of this attempt runs any more.
    #[serde(rename = "worker.stopped")]
    WorkerStopped {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// Why it is not known whether the worker has ended, where stopping it failed again and again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unconfirmed: Option<String>,
    },
    /// The attempt is over by itself, or because its time was.
    #[serde(rename = "attempt.ended")]
    AttemptEnded {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// How.
        outcome: Outcome,
    },
    /// The agent asks something and waits.
    #[serde(rename = "input.required")]
    InputRequired {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The question.
        question: String,
    },
    /// The agent goes on after a question.
    #[serde(rename = "input.resolved")]
    InputResolved {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// A person said something to the job while it runs: an answer to a question, or more about the work.
    #[serde(rename = "message.received")]
    MessageReceived {
        /// Its number within the job, from 1.
        message: u32,
        /// Who said it.
        from: String,
        /// What was said.
        text: String,
        /// The name that its sender gave it, where the sender did: a message of the same name is the same message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The subtask that it is for; all that have not ended when missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subtask: Option<SubtaskId>,
    },
    /// The attempt's worker has a message, or cannot be given it.
    #[serde(rename = "message.delivered")]
    MessageDelivered {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// Which message.
        message: u32,
        /// Why it could not be delivered, where it could not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// A piece of an artifact arrived; the content itself is kept in the job's files.
    #[serde(rename = "artifact.made")]
    ArtifactMade {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// What.
        artifact: ArtifactChunk,
    },

    /// The agent said something; a piece of text that continues the one before it.
    #[serde(rename = "agent.text")]
    AgentText {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The piece.
        text: String,
    },
    /// The agent thought something; a piece of text that continues the one before it.
    #[serde(rename = "agent.thought")]
    AgentThought {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The piece.
        text: String,
    },
    /// The agent calls a tool.
    #[serde(rename = "tool.started")]
    ToolStarted {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The call's id, unique within the attempt.
        call: String,
        /// What it does, for people.
        title: String,
        /// The kind of tool (ACP: `read`, `edit`, `execute`, …), where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
    },
    /// A tool call made output; a piece that continues the one before it.
    #[serde(rename = "tool.updated")]
    ToolUpdated {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The call's id.
        call: String,
        /// The piece.
        output: String,
    },
    /// A tool call ended.
    #[serde(rename = "tool.finished")]
    ToolFinished {
        /// Which subtask.
        subtask: SubtaskId,
        /// Which attempt.
        attempt: Attempt,
        /// The call's id.
        call: String,
        /// How.
        status: ToolStatus,
    },
}

impl JobEvent {
    /// The event's dotted name, as in its JSON form; also its name on the event stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::JobSubmitted { .. } => "job.submitted",
            Self::JobPlanned { .. } => "job.planned",
            Self::PlanRejected { .. } => "plan.rejected",
            Self::JobStarted { .. } => "job.started",
            Self::JobIntegrating => "job.integrating",
            Self::JobCancelRequested { .. } => "job.cancel_requested",
            Self::JobResumed => "job.resumed",
            Self::ProviderPaused { .. } => "provider.paused",
            Self::ProviderResumed { .. } => "provider.resumed",
            Self::JobCompleted { .. } => "job.completed",
            Self::JobFailed { .. } => "job.failed",
            Self::JobCancelled => "job.cancelled",
            Self::SubtaskStarted { .. } => "subtask.started",
            Self::SubtaskPrepared { .. } => "subtask.prepared",
            Self::SubtaskMerged { .. } => "subtask.merged",
            Self::RetryScheduled { .. } => "retry.scheduled",
            Self::SubtaskFailed { .. } => "subtask.failed",
            Self::SubtaskSkipped { .. } => "subtask.skipped",
            Self::SubtaskCancelled { .. } => "subtask.cancelled",
            Self::MergeConflict { .. } => "merge.conflict",
            Self::WorkerLaunched { .. } => "worker.launched",
            Self::WorkerReady { .. } => "worker.ready",
            Self::WorkerAccepted { .. } => "worker.accepted",
            Self::WorkerUnreachable { .. } => "worker.unreachable",
            Self::WorkerReachable { .. } => "worker.reachable",
            Self::WorkerGone { .. } => "worker.gone",
            Self::WorkerFenced { .. } => "worker.fenced",
            Self::WorkerNotFenced { .. } => "worker.not_fenced",
            Self::WorkerStopped { .. } => "worker.stopped",
            Self::AttemptEnded { .. } => "attempt.ended",
            Self::InputRequired { .. } => "input.required",
            Self::InputResolved { .. } => "input.resolved",
            Self::MessageReceived { .. } => "message.received",
            Self::MessageDelivered { .. } => "message.delivered",
            Self::ArtifactMade { .. } => "artifact.made",
            Self::AgentText { .. } => "agent.text",
            Self::AgentThought { .. } => "agent.thought",
            Self::ToolStarted { .. } => "tool.started",
            Self::ToolUpdated { .. } => "tool.updated",
            Self::ToolFinished { .. } => "tool.finished",
        }
    }

    /// The attempt that reports this, where an attempt does. Such an event counts only while that attempt is the one
    /// under way.
    pub fn attempt(&self) -> Option<(&SubtaskId, Attempt)> {
        match self {
            Self::SubtaskPrepared {
                subtask, attempt, ..
            }
            | Self::SubtaskMerged {
                subtask, attempt, ..
            }
            | Self::WorkerLaunched {
                subtask, attempt, ..
            }
            | Self::WorkerReady { subtask, attempt }
            | Self::WorkerAccepted {
                subtask, attempt, ..
            }
            | Self::WorkerUnreachable {
                subtask, attempt, ..
            }
            | Self::WorkerReachable { subtask, attempt }
            | Self::WorkerGone {
                subtask, attempt, ..
            }
            | Self::WorkerFenced { subtask, attempt }
            | Self::WorkerNotFenced {
                subtask, attempt, ..
            }
            | Self::WorkerStopped {
                subtask, attempt, ..
            }
            | Self::AttemptEnded {
                subtask, attempt, ..
            }
            | Self::InputRequired {
                subtask, attempt, ..
            }
            | Self::InputResolved { subtask, attempt }
            | Self::MessageDelivered {
                subtask, attempt, ..
            }
            | Self::ArtifactMade {
                subtask, attempt, ..
            }
            | Self::AgentText {
                subtask, attempt, ..
            }
            | Self::AgentThought {
                subtask, attempt, ..
            }
            | Self::ToolStarted {
                subtask, attempt, ..
            }
            | Self::ToolUpdated {
                subtask, attempt, ..
            }
            | Self::ToolFinished {
                subtask, attempt, ..
            } => Some((subtask, *attempt)),
            Self::JobSubmitted { .. }
            | Self::JobPlanned { .. }
            | Self::PlanRejected { .. }
            | Self::JobStarted { .. }
            | Self::JobIntegrating
            | Self::JobCancelRequested { .. }
            | Self::JobResumed
            | Self::ProviderPaused { .. }
            | Self::ProviderResumed { .. }
            | Self::JobCompleted { .. }
            | Self::JobFailed { .. }
            | Self::JobCancelled
            | Self::SubtaskStarted { .. }
            | Self::RetryScheduled { .. }
            | Self::SubtaskFailed { .. }
            | Self::SubtaskSkipped { .. }
            | Self::SubtaskCancelled { .. }
            | Self::MessageReceived { .. }
            | Self::MergeConflict { .. } => None,
        }
    }

    /// Whether this is only output for people to watch: it changes nothing in the job, and a job can be rebuilt
    /// without it. These are the many events; all others are few.
    pub fn is_output(&self) -> bool {
        matches!(
            self,
            Self::AgentText { .. }
                | Self::AgentThought { .. }
                | Self::ToolStarted { .. }
                | Self::ToolUpdated { .. }
                | Self::ToolFinished { .. }
        )
    }

    /// Whether nothing follows this event.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::JobCompleted { .. } | Self::JobFailed { .. } | Self::JobCancelled
        )
    }
}

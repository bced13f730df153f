//! The job's events in one sentence each, for clients that show text alone.

use captain_core::event::ToolStatus;
use captain_core::{Job, JobEvent, Outcome, StopReason};

/// What is said about an event; none for what is not worth a word.
pub(super) fn of(event: &JobEvent, job: &Job) -> Option<String> {
    Some(match event {
        JobEvent::JobSubmitted { .. } => format!("job {} is taken", job.id()),
        JobEvent::JobPlanned { .. } => plan(job),
        JobEvent::PlanRejected { problems } => {
            format!("the plan is not valid: {}", problems.join("; "))
        }
        JobEvent::JobStarted { approved_by } => match approved_by {
            Some(who) => format!("the plan runs, approved by {who}"),
            None => "the plan runs".to_owned(),
        },
        JobEvent::JobIntegrating => "putting the results together".to_owned(),
        JobEvent::JobCancelRequested { reason } => match reason {
            StopReason::User { by } => format!("stopping, because {by} asked for it"),
            StopReason::TimeLimit { seconds } => {
                format!("stopping, because the limit of {seconds} s is reached")
            }
        },
        JobEvent::JobCompleted { result } => {
            format!("the job is done: {}", files(result.files.len()))
        }
        JobEvent::JobFailed { message, .. } => message.clone(),
        JobEvent::JobCancelled => "the job is cancelled, nothing of it runs any more".to_owned(),
        JobEvent::SubtaskStarted { subtask, attempt } => {
            format!("{subtask}: attempt {attempt} begins")
        }
        JobEvent::SubtaskPrepared { subtask, .. } => format!("{subtask}: its workspace is ready"),
        JobEvent::SubtaskMerged {
            subtask,
            files: changed,
            ..
        } => {
            format!("{subtask}: done, {}", files(changed.len()))
        }
        JobEvent::RetryScheduled {
            subtask, attempt, ..
        } => {
            format!("{subtask}: will be tried again, attempt {attempt}")
        }
        JobEvent::SubtaskFailed { subtask, outcome } => format!("{subtask}: failed: {outcome}"),
        JobEvent::SubtaskSkipped { subtask, because } => {
            format!("{subtask}: left out, because {because} failed")
        }
        JobEvent::SubtaskCancelled { subtask } => format!("{subtask}: cancelled"),
        JobEvent::MergeConflict { subtask, conflict } => match subtask {
            Some(subtask) => format!("{subtask}: {conflict}"),
            None => conflict.to_string(),
        },
        JobEvent::WorkerLaunched {
            subtask, worker, ..
        } => format!("{subtask}: worker {worker} is started"),
        JobEvent::WorkerReady { subtask, .. } => format!("{subtask}: its worker is ready"),
        JobEvent::WorkerAccepted { subtask, .. } => format!("{subtask}: its worker is at work"),
        JobEvent::WorkerUnreachable {
            subtask, message, ..
        } => {
            format!("{subtask}: its worker does not answer: {message}")
        }
        JobEvent::WorkerGone {
            subtask, message, ..
        } => format!("{subtask}: its worker has ended: {message}"),
        JobEvent::WorkerFenced { subtask, .. } => format!("{subtask}: its worker is stopped"),
        JobEvent::WorkerNotFenced {
            subtask, message, ..
        } => format!("{subtask}: its worker cannot be stopped so far: {message}"),
        JobEvent::JobResumed => "the captain was started again".to_owned(),
        JobEvent::ProviderPaused {
            provider,
            until,
            message,
        } => format!("nothing is started before {until:.0}: {provider} fails: {message}"),
        JobEvent::ProviderResumed { provider } => format!("{provider} works again"),
        JobEvent::WorkerReachable { subtask, .. } => format!("{subtask}: its worker answers again"),
        JobEvent::WorkerStopped {
            subtask,
            unconfirmed,
            ..
        } => match unconfirmed {
            None => format!("{subtask}: its worker is stopped"),
            Some(problem) => format!("{subtask}: its worker may still run: {problem}"),
        },
        JobEvent::AttemptEnded {
            subtask,
            attempt,
            outcome,
        } => match outcome {
            Outcome::Completed => format!("{subtask}: attempt {attempt} is done"),
            other => format!("{subtask}: attempt {attempt} ended: {other}"),
        },
        JobEvent::InputRequired {
            subtask, question, ..
        } => format!("{subtask} asks: {question}"),
        JobEvent::InputResolved { subtask, .. } => format!("{subtask}: goes on"),
        // Words are themselves, whoever says them.
        JobEvent::MessageReceived { id: None, text, .. }
        | JobEvent::AgentText { text, .. }
        | JobEvent::AgentThought { text, .. } => text.clone(),
        JobEvent::MessageReceived { from, subtask, .. } => match subtask {
            Some(subtask) => format!("a message of {from} for {subtask}"),
            None => format!("a message of {from} for everybody"),
        },
        JobEvent::MessageDelivered {
            subtask,
            message,
            problem,
            ..
        } => match problem {
            None => format!("{subtask}: has message {message}"),
            Some(problem) => format!("{subtask}: did not get message {message}: {problem}"),
        },
        // The pieces of an attempt's artifacts are the workers'; the job's own come with its result.
        JobEvent::ArtifactMade { .. } => return None,
        JobEvent::ToolStarted { title, .. } => format!("{title}: running"),
        JobEvent::ToolUpdated { output, .. } => output.clone(),
        JobEvent::ToolFinished { status, .. } => match status {
            ToolStatus::Completed => "done".to_owned(),
            ToolStatus::Failed => "failed".to_owned(),
        },
    })
}

/// The plan as a list.
pub(super) fn plan(job: &Job) -> String {
    let lines: Vec<String> = job
        .subtasks()
        .map(|(id, spec, _)| {
            let title = spec.title.as_deref().map(|title| format!(": {title}"));
            let after = match spec.depends_on.as_slice() {
                [] => String::new(),
                before => format!(" (after {})", before.join(", ")),
            };
            format!("- {id}{}{after}", title.unwrap_or_default())
        })
        .collect();
    format!("the plan:\n{}", lines.join("\n"))
}

fn files(count: usize) -> String {
    match count {
        0 => "nothing changed".to_owned(),
        1 => "1 file changed".to_owned(),
        some => format!("{some} files changed"),
    }
}

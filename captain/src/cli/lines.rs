//! The job as plain lines, one for each thing worth telling: for pipes, logs and dumb terminals. Pure: events in, lines
//! out. An agent's words come in pieces; they are told line by line.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use captain_core::event::ToolStatus;
use captain_core::{Envelope, FailReason, JobEvent, Outcome, SubtaskId};
use jiff::Timestamp;

use super::board::draw::seconds;
use super::text::{clean, clock, count};

/// An agent's line is told at the latest when it is this long, in bytes.
const MAX_LINE: usize = 4000;

/// What is needed to tell the next event.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    submitted: Option<Timestamp>,
    /// Words that were said but not told, by subtask.
    open: BTreeMap<SubtaskId, String>,
    /// Titles of tool calls under way.
    tools: BTreeMap<(SubtaskId, String), String>,
}

impl Lines {
    /// The lines that tell `envelope`; often none.
    pub(crate) fn tell(&mut self, envelope: &Envelope) -> Vec<String> {
        let at = envelope.at;
        let since = *self.submitted.get_or_insert(at);
        let time = format!("{:>5}", clock(seconds(since, at)));
        let mut told = Vec::new();
        if !matches!(envelope.event, JobEvent::AgentText { .. }) {
            let about = envelope.event.attempt().map(|(subtask, _)| subtask);
            self.flush(&mut told, &time, about, envelope.event.is_terminal());
        }
        let mut say = |who: &str, what: &str| told.push(format!("{time}  {who}: {what}"));
        match &envelope.event {
            JobEvent::JobSubmitted { spec } => {
                let goal = spec
                    .goal
                    .lines()
                    .map(clean)
                    .find(|line| !line.is_empty())
                    .unwrap_or_default();
                say("job", &format!("{} {goal}", envelope.job));
            }
            JobEvent::JobPlanned { plan, .. } => {
                for subtask in &plan.subtasks {
                    let title = clean(subtask.title.as_deref().unwrap_or_default());
                    let after = subtask.depends_on.join(", ");
                    let after = if after.is_empty() {
                        after
                    } else {
                        format!(" (after {after})")
                    };
                    say(
                        "plan",
                        &format!(
                            "{}{}{after}",
                            subtask.id,
                            if title.is_empty() {
                                title
                            } else {
                                format!(": {title}")
                            }
                        ),
                    );
                }
            }
            JobEvent::PlanRejected { problems } => problems
                .iter()
                .for_each(|problem| say("plan", &clean(problem))),
            JobEvent::JobStarted { .. }
            | JobEvent::SubtaskPrepared { .. }
            | JobEvent::WorkerReady { .. }
            | JobEvent::WorkerAccepted { .. }
            | JobEvent::WorkerStopped { .. }
            | JobEvent::InputResolved { .. }
            | JobEvent::ArtifactMade { .. }
            | JobEvent::AgentThought { .. }
            | JobEvent::WorkerFenced { .. }
            | JobEvent::ToolUpdated { .. } => {}
            JobEvent::JobIntegrating => say("job", "putting the results together"),
            JobEvent::JobCancelRequested { .. } => say("job", "stopping"),
            JobEvent::JobCompleted { result } => say("job", &done(result.files.len())),
            JobEvent::JobFailed { reason, message } => match reason {
                // Each subtask has told its own reason.
                FailReason::Subtasks { failed, .. } => {
                    let failed: Vec<&str> = failed.iter().map(|one| one.subtask.as_str()).collect();
                    say("job", &format!("failed, because of {}", failed.join(", ")));
                }
                _ => say("job", &format!("failed: {}", clean(message))),
            },
            JobEvent::JobCancelled => say("job", "cancelled"),
            JobEvent::SubtaskStarted { subtask, attempt } => match attempt.0 {
                1 => say(subtask.as_str(), "started"),
                number => say(
                    subtask.as_str(),
                    &format!("started again, attempt {number}"),
                ),
            },
            JobEvent::WorkerLaunched {
                subtask,
                worker,
                endpoint,
                ..
            } => {
                say(
                    subtask.as_str(),
                    &format!("worker {worker} at {}", clean(endpoint)),
                );
            }
            JobEvent::WorkerUnreachable {
                subtask, message, ..
            } => {
                say(
                    subtask.as_str(),
                    &format!("the worker does not answer: {}", clean(message)),
                );
            }
            JobEvent::WorkerGone {
                subtask, message, ..
            } => say(
                subtask.as_str(),
                &format!("the worker has ended: {}", clean(message)),
            ),
            JobEvent::WorkerNotFenced {
                subtask, message, ..
            } => say(
                subtask.as_str(),
                &format!("the worker cannot be stopped so far: {}", clean(message)),
            ),
            JobEvent::ProviderPaused {
                provider,
                until,
                message,
            } => {
                let (provider, message) = (clean(provider), clean(message));
                let text = format!("starts nothing before {until:.0}: {provider} fails: {message}");
                say("job", &text);
            }
            JobEvent::ProviderResumed { provider } => {
                say("job", &format!("goes on: {} works again", clean(provider)));
            }
            JobEvent::JobResumed => say("job", "the captain was started again"),
            JobEvent::WorkerReachable { subtask, .. } => {
                say(subtask.as_str(), "the worker answers again");
            }
            JobEvent::AttemptEnded {
                subtask, outcome, ..
            } => match outcome {
                Outcome::Completed => {}
                other => say(subtask.as_str(), &clean(&other.to_string())),
            },
            JobEvent::InputRequired {
                subtask, question, ..
            } => say(subtask.as_str(), &format!("asks: {}", clean(question))),
            JobEvent::MessageReceived {
                from,
                text,
                subtask,
                ..
            } => {
                let to = subtask.as_ref().map_or("everybody", SubtaskId::as_str);
                say("job", &format!("{} to {to}: {}", clean(from), clean(text)));
            }
            JobEvent::MessageDelivered {
                subtask, problem, ..
            } => {
                if let Some(problem) = problem {
                    say(
                        subtask.as_str(),
                        &format!("did not get the message: {}", clean(problem)),
                    );
                }
            }
            JobEvent::SubtaskMerged { subtask, files, .. } => {
                say(subtask.as_str(), &done(files.len()));
            }
            JobEvent::RetryScheduled {
                subtask, attempt, ..
            } => {
                say(
                    subtask.as_str(),
                    &format!("will be tried again, attempt {attempt}"),
                );
            }
            JobEvent::SubtaskFailed { subtask, .. } => say(subtask.as_str(), "failed"),
            JobEvent::SubtaskSkipped { subtask, because } => {
                say(
                    subtask.as_str(),
                    &format!("skipped, because {because} failed"),
                );
            }
            JobEvent::SubtaskCancelled { subtask } => say(subtask.as_str(), "cancelled"),
            JobEvent::MergeConflict { subtask, conflict } => {
                say(
                    subtask.as_ref().map_or("job", SubtaskId::as_str),
                    &clean(&conflict.to_string()),
                );
            }
            JobEvent::AgentText { subtask, text, .. } => {
                let mut words = self.open.remove(subtask).unwrap_or_default();
                words.push_str(text);
                let whole = if words.len() > MAX_LINE {
                    words.len()
                } else {
                    words.rfind('\n').map_or(0, |end| end + 1)
                };
                let rest = words.split_off(whole);
                push_words(&mut told, &time, subtask, &words);
                if !rest.is_empty() {
                    self.open.insert(subtask.clone(), rest);
                }
            }
            JobEvent::ToolStarted {
                subtask,
                call,
                title,
                ..
            } => {
                let title = clean(title);
                say(subtask.as_str(), &format!("▸ {title}"));
                self.tools.insert((subtask.clone(), call.clone()), title);
            }
            JobEvent::ToolFinished {
                subtask,
                call,
                status,
                ..
            } => {
                let title = self
                    .tools
                    .remove(&(subtask.clone(), call.clone()))
                    .unwrap_or_default();
                if *status == ToolStatus::Failed {
                    say(subtask.as_str(), &format!("✘ {title}"));
                }
            }
        }
        told
    }

    /// Tells the words that `about` has left open; those of all at the end of the job.
    fn flush(&mut self, told: &mut Vec<String>, time: &str, about: Option<&SubtaskId>, all: bool) {
        let open = std::mem::take(&mut self.open);
        for (subtask, words) in open {
            if all || about == Some(&subtask) {
                push_words(told, time, &subtask, &words);
            } else {
                self.open.insert(subtask, words);
            }
        }
    }
}

/// What a finished subtask left, in words.
fn done(files: usize) -> String {
    match files {
        0 => "done, nothing changed".to_owned(),
        some => format!("done, {}", count(some, "file")),
    }
}

fn push_words(told: &mut Vec<String>, time: &str, subtask: &SubtaskId, words: &str) {
    let lines = words.lines().map(clean).filter(|line| !line.is_empty());
    told.extend(lines.map(|line| format!("{time}  {subtask}: | {line}")));
}

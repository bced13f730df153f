//! Follows one attempt: finds the worker, gives it the prompt unless it has it, and passes on what it does until it is
//! done. A state machine of three phases; each step gives the reports it caused.

use std::collections::VecDeque;
use std::time::Duration;

use a2a_proto::client::{ClientError, EventStream, StreamEvent};
use a2a_proto::types::{Message, Part, SendMessageRequest, StreamResponse};
use captain_core::{JobEvent, Outcome};
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, unfold};
use tokio::time::{Instant, sleep};

use super::bundle::{self, BundleError};
use super::judge::{Verdict, judge};
use super::translate::{Bundle, Step, Translator};
use super::{WorkerLink, find_task};
use crate::engine::ports::{Assignment, Report};

/// First pause before the worker is called again, and what it grows to.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// Trouble shorter than this is not told: a worker that starts, or a connection that breaks, is back at once.
const PATIENCE: Duration = Duration::from_secs(3);
/// A worker that answers with errors only, this often in a row, is not going to do the work. With the pauses above this
/// is about two minutes.
const MAX_TROUBLES: u32 = 30;
/// Tries to fetch a bundle.
const BUNDLE_TRIES: u32 = 5;

/// One attempt being followed.
pub(super) struct Follow {
    link: WorkerLink,
    assignment: Assignment,
    translator: Translator,
    phase: Phase,
    /// The worker's last log number that was passed on.
    cursor: Option<u64>,
    ready: bool,
    trouble: Option<Trouble>,
    reports: VecDeque<Report>,
}

enum Phase {
    /// The worker is to be called.
    Calling,
    /// Its events come in.
    Streaming(EventStream),
    /// The attempt has ended.
    Over,
}

/// Contact has been bad since some time.
struct Trouble {
    since: Instant,
    pause: Duration,
    /// Errors that the worker answered with, in a row.
    errors: u32,
    told: bool,
}

impl Trouble {
    fn begin() -> Self {
        Self {
            since: Instant::now(),
            pause: FIRST_PAUSE,
            errors: 0,
            told: false,
        }
    }
}

impl Follow {
    pub(super) fn new(link: WorkerLink, assignment: Assignment) -> Self {
        let labels = &assignment.labels;
        let translator = Translator::new(
            labels.subtask.clone(),
            labels.attempt,
            assignment.task.clone(),
        );
        Self {
            link,
            translator,
            phase: Phase::Calling,
            cursor: assignment.cursor,
            // A worker that has its task was told to be ready before.
            ready: assignment.task.is_some(),
            trouble: assignment.out_of_reach.then(|| Trouble {
                told: true,
                ..Trouble::begin()
            }),
            reports: VecDeque::new(),
            assignment,
        }
    }

    pub(super) fn into_stream(self) -> BoxStream<'static, Report> {
        unfold(self, |mut follow| async move {
            loop {
                if let Some(report) = follow.reports.pop_front() {
                    return Some((report, follow));
                }
                follow.step().await?;
            }
        })
        .boxed()
    }

    /// Does the next thing; `None` when there is nothing left to do.
    async fn step(&mut self) -> Option<()> {
        match &mut self.phase {
            Phase::Over => return None,
            Phase::Calling => match self.call().await {
                Ok(stream) => self.phase = Phase::Streaming(stream),
                Err(error) => self.judge(&error).await,
            },
            Phase::Streaming(stream) => match stream.next().await {
                Some(Ok(event)) => {
                    self.trouble = None;
                    self.take(event).await;
                }
                Some(Err(error)) => self.judge(&error).await,
                // The stream of a task that waits for somebody may end; it is opened again.
                None => {
                    self.phase = Phase::Calling;
                    sleep(LAST_PAUSE).await;
                }
            },
        }
        Some(())
    }

    /// Finds the worker and its task; gives it the prompt if it has none.
    async fn call(&mut self) -> Result<EventStream, ClientError> {
        let client = self.link.connect(&self.assignment).await?;
        self.reached();
        let known = match self.translator.task() {
            Some(task) => Some(task.task.clone()),
            None => find_task(&client, &self.assignment).await?,
        };
        Ok(match known {
            // From the start where nothing is recorded yet: the replay then tells all that happened.
            Some(task) => client.subscribe(task, Some(self.cursor.unwrap_or(0))),
            None => client.stream(self.prompt()),
        })
    }

    fn prompt(&self) -> SendMessageRequest {
        let mut message = Message::user(
            self.assignment.message_id(),
            vec![Part::text(self.assignment.prompt.clone())],
        );
        message.context_id = self.assignment.context().to_owned();
        SendMessageRequest {
            message,
            ..SendMessageRequest::default()
        }
    }

    /// The worker has answered.
    fn reached(&mut self) {
        if let Some(trouble) = &mut self.trouble
            && std::mem::take(&mut trouble.told)
        {
            trouble.since = Instant::now();
            self.report(|subtask, attempt| JobEvent::WorkerReachable { subtask, attempt });
        }
        if !std::mem::replace(&mut self.ready, true) {
            self.report(|subtask, attempt| JobEvent::WorkerReady { subtask, attempt });
        }
    }

    /// Acts on a failed call.
    async fn judge(&mut self, error: &ClientError) {
        self.phase = Phase::Calling;
        let (message, answered) = match judge(error) {
            Verdict::Over(outcome) => return self.end(outcome, None),
            Verdict::AskForTask => match self.ask_for_task().await {
                Ok(true) => return,
                Ok(false) => (daemon::cli::chain(error), true),
                Err(error) => match judge(&error) {
                    Verdict::Over(outcome) => return self.end(outcome, None),
                    Verdict::AskForTask | Verdict::Trouble(_) => (daemon::cli::chain(&error), true),
                    Verdict::Silence(message) => (message, false),
                },
            },
            Verdict::Trouble(message) => (message, true),
            Verdict::Silence(message) => (message, false),
        };
        let trouble = self.trouble.get_or_insert_with(Trouble::begin);
        trouble.errors = if answered { trouble.errors + 1 } else { 0 };
        let pause = trouble.pause;
        trouble.pause = (trouble.pause * 2).min(LAST_PAUSE);
        if trouble.errors >= MAX_TROUBLES {
            let message = format!("the worker answers with errors only: {message}");
            return self.end(Outcome::Failed { message }, None);
        }
        if !trouble.told && trouble.since.elapsed() >= PATIENCE {
            trouble.told = true;
            self.report(|subtask, attempt| JobEvent::WorkerUnreachable {
                subtask,
                attempt,
                message,
            });
            // It is told before the next pause.
            return;
        }
        sleep(pause).await;
    }

    /// Takes the task itself in place of its stream, if it has ended.
    async fn ask_for_task(&mut self) -> Result<bool, ClientError> {
        let client = self.link.connect(&self.assignment).await?;
        let known = match self.translator.task() {
            Some(task) => Some(task.task.clone()),
            None => find_task(&client, &self.assignment).await?,
        };
        let Some(id) = known else { return Ok(false) };
        let task = client.get(&id, Some(0)).await?;
        let ended = task.status.state.is_terminal();
        if ended {
            self.take(StreamEvent {
                seq: None,
                event: StreamResponse::Task(task),
            })
            .await;
        }
        Ok(ended)
    }

    async fn take(&mut self, event: StreamEvent) {
        let seq = event.seq;
        let step = match self.translator.take(event.event) {
            Ok(step) => step,
            Err(violation) => {
                let message = violation.to_string();
                return self.end(Outcome::Failed { message }, seq);
            }
        };
        let Step {
            events,
            bundle,
            end,
        } = step;
        if let Some(bundle) = bundle
            && let Err(error) = save(&self.link, &self.assignment, &bundle).await
        {
            let message = daemon::cli::chain(&error);
            let outcome = match error {
                BundleError::Write { .. } => Outcome::WorkspaceFailed { message },
                BundleError::Elsewhere { .. }
                | BundleError::TooLarge
                | BundleError::Refused { .. }
                | BundleError::Fetch(_) => Outcome::Failed { message },
            };
            return self.end(outcome, seq);
        }
        if !events.is_empty() {
            let cursor = seq;
            self.reports.push_back(Report { cursor, events });
        }
        if let Some(outcome) = end {
            self.end(outcome, seq);
        }
        self.cursor = seq.or(self.cursor);
    }

    fn end(&mut self, outcome: Outcome, cursor: Option<u64>) {
        self.phase = Phase::Over;
        let labels = &self.assignment.labels;
        let end = JobEvent::AttemptEnded {
            subtask: labels.subtask.clone(),
            attempt: labels.attempt,
            outcome,
        };
        match self.reports.back_mut() {
            // The end belongs to what else its frame means.
            Some(last) if cursor.is_some() && last.cursor == cursor => last.events.push(end),
            _ => self.reports.push_back(Report {
                cursor,
                events: vec![end],
            }),
        }
    }

    fn report(
        &mut self,
        event: impl FnOnce(captain_core::SubtaskId, captain_core::Attempt) -> JobEvent,
    ) {
        let labels = &self.assignment.labels;
        let event = event(labels.subtask.clone(), labels.attempt);
        self.reports.push_back(Report::of(event));
    }
}

async fn save(
    link: &WorkerLink,
    assignment: &Assignment,
    bundle: &Bundle,
) -> Result<(), BundleError> {
    let files = &assignment.files;
    let url = match bundle {
        Bundle::Inline(bytes) => return bundle::keep(files, bytes).await,
        Bundle::At(url) => url,
    };
    let token = link.token(assignment);
    let mut pause = FIRST_PAUSE;
    let mut tries = 1;
    loop {
        match bundle::fetch(&link.http, &*token, &assignment.endpoint, url, files).await {
            Err(BundleError::Fetch(error)) if tries < BUNDLE_TRIES => {
                tracing::debug!(worker = %assignment.worker, %error, "bundle not fetched, trying again");
                sleep(pause).await;
                pause = (pause * 4).min(LAST_PAUSE);
                tries += 1;
            }
            other => return other,
        }
    }
}

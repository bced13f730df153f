//! Sessions with the agent: one per A2A context, in one workspace.
//!
//! All sessions of a worker share its workspace, so one turn runs at a time and the others wait in line: only so can it be said which
//! task changed what. [`Sessions`] is what the A2A side calls; [`turn`] runs one message; [`state`] and [`watchdog`]
//! decide. A session outlives its agent process: a killed or evicted agent is started again and continues.

mod book;
mod pool;
mod run;
mod state;
#[cfg(test)]
mod tests;
mod transcript;
mod turn;
mod watchdog;

use std::sync::Arc;

use a2a_proto::activity::{MODEL_ERROR, TurnResult};
use a2a_proto::clock::Clock;
use a2a_proto::server::{AgentError, Caller, Turn, UpdateError, Updates};
use a2a_proto::types::{Metadata, Part, PartContent, TaskState};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::card;
use crate::driver::{Driver, SessionSpec, StopReason};
use crate::gateway::Meter;
use crate::translate;
use crate::workspace::{Changes, Workspace};
use book::Book;
use pool::Pool;
use run::{Enlisted, Run, Runs};
use turn::{Outcome, TurnEnd};

/// Tasks that may wait for the workspace. A caller beyond them is told to come back.
pub(crate) const MAX_WAITING: usize = 16;

/// Longest commit subject made from a message.
const MAX_TITLE: usize = 72;

/// What sessions need from outside.
pub(crate) struct SessionOptions {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) workspace: Arc<Workspace>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) limits: card::Watchdog,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where the agent's own names of its sessions are kept.
    pub(crate) book: std::path::PathBuf,
    /// Cancelled when the worker is to stop: running turns end.
    pub(crate) stop: CancellationToken,
}

/// All sessions of a worker.
pub(crate) struct Sessions {
    options: SessionOptions,
    runs: Runs,
    /// Whoever holds this owns the workspace and every agent process.
    pool: Mutex<Pool>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    pub(crate) fn new(options: SessionOptions) -> Self {
        let book = Book::open(&options.book);
        Self {
            options,
            runs: Runs::default(),
            pool: Mutex::new(Pool::new(book)),
        }
    }

    /// True when another task would have to wait too long.
    pub(crate) fn is_full(&self) -> bool {
        self.runs.len() > MAX_WAITING
    }

    /// Starts an agent that the first new context will take over.
    pub(crate) async fn warm_up(&self) {
        let mut pool = self.pool.lock().await;
        if self.options.stop.is_cancelled() {
            return;
        }
        // The workspace's own repository must be read before any agent runs.
        if let Err(error) = self.options.workspace.prepare().await {
            warn!(
                error = daemon::cli::chain(&error),
                "the workspace cannot be prepared"
            );
            return;
        }
        let started = tokio::select! {
            // Dropping a start ends what has been started.
            () = self.options.stop.cancelled() => return,
            started = self.options.driver.start(SessionSpec::default()) => started,
        };
        match started {
            Ok(session) => {
                info!("the agent is ready");
                pool.keep_spare(session);
            }
            Err(error) => warn!(
                error = daemon::cli::chain(&error),
                "the agent cannot be started ahead of the first message"
            ),
        }
    }

    /// Works on one message to its end and reports everything through `updates`.
    pub(crate) async fn execute(
        &self,
        turn: Turn,
        updates: Updates,
        artifact_url: &str,
    ) -> Result<(), AgentError> {
        let text = prompt_text(&turn.message.parts);
        let run = loop {
            match self.runs.enlist(&turn.task.id, &text) {
                Enlisted::New(run) => break run,
                // The task is being worked on: its run takes the message up when it is done with the present one.
                Enlisted::Joined(run) => {
                    run.done.cancelled().await;
                    return Ok(());
                }
                Enlisted::Ending(run) => run.done.cancelled().await,
                Enlisted::Full => {
                    return Err(AgentError::new(
                        "too many messages are waiting for this task",
                    ));
                }
            }
        };
        let _leave = self.runs.leave_when_dropped(&run);
        let job = Job {
            sessions: self,
            run: &run,
            turn: &turn,
            updates: &updates,
            artifact_url,
        };
        match job.work(text).await {
            Ok(()) | Err(Failure::Superseded) => Ok(()),
            Err(Failure::Agent(error)) => Err(error),
        }
    }

    /// Stops the work on a task; returns when the agent and everything it started for it are gone.
    pub(crate) async fn cancel(&self, task: &str, context: &str, caller: &Caller) {
        if let Some(run) = self.runs.find(task) {
            run.cancel.cancel();
            run.done.cancelled().await;
        } else if let Ok(mut pool) = self.pool.try_lock() {
            // The task waits for an answer, and its agent may have left something running. While another task has the
            // workspace, an idle agent stays until it has to make room.
            pool.discard(&conversation(caller, context)).await;
        }
    }

    /// Ends all agents. Running turns end first, since they hold the pool.
    pub(crate) async fn shut_down(&self) {
        self.options.stop.cancel();
        self.pool.lock().await.end_all().await;
    }
}

/// What the pool calls a conversation: a context is its caller's own, and one with the same id of somebody else is another.
fn conversation(caller: &Caller, context: &str) -> String {
    // The length keeps two pairs from looking the same.
    format!("{}:{context}{}", context.len(), caller.owner())
}

/// Why a job ends early.
enum Failure {
    /// The task has reached its end by other means; there is nothing left to say.
    Superseded,
    /// The task fails.
    Agent(AgentError),
}

impl From<UpdateError> for Failure {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::Terminal { .. } => Self::Superseded,
            other => Self::Agent(AgentError::because(
                "the worker cannot store the task's events",
                other,
            )),
        }
    }
}

/// One task's work, from its place in the line to its last status.
struct Job<'a> {
    sessions: &'a Sessions,
    run: &'a Run,
    turn: &'a Turn,
    updates: &'a Updates,
    artifact_url: &'a str,
}

impl Job<'_> {
    async fn work(&self, text: String) -> Result<(), Failure> {
        let options = &self.sessions.options;
        let mut pool = tokio::select! {
            biased;
            // A stop of the worker fires the turn's token as well, so it must be looked at first.
            () = options.stop.cancelled() => return Err(stopped()),
            () = self.run.cancel.cancelled() => return self.canceled().await,
            () = self.turn.cancelled.cancelled() => return self.canceled().await,
            pool = self.sessions.pool.lock() => pool,
        };
        self.updates.status(TaskState::Working, None).await?;
        let task = &self.turn.task.id;
        options
            .workspace
            .begin(task)
            .await
            .map_err(|error| fail("the workspace cannot be read", error))?;

        let conversation = conversation(&self.turn.caller, &self.turn.task.context_id);
        let mut next = Some(text.clone());
        let mut last = None;
        while let Some(text) = next.take() {
            let obtained = tokio::select! {
                // Dropping a start ends what has been started.
                () = options.stop.cancelled() => return Err(stopped()),
                obtained = pool.obtain(&conversation, options.driver.as_ref()) => obtained,
            };
            let session = obtained.map_err(|error| fail("the agent cannot be started", error))?;
            let cancelled = &self.turn.cancelled;
            let end =
                match turn::run(options, session, self.run, cancelled, self.updates, text).await {
                    Ok(end) => end,
                    Err(failure) => {
                        // Nobody follows this agent any more.
                        pool.discard(&conversation).await;
                        return Err(failure);
                    }
                };
            // A message that is waiting already is also the answer to a question.
            let ended = matches!(
                end.outcome,
                Outcome::Ended(
                    StopReason::EndTurn | StopReason::MaxTokens | StopReason::InputRequired { .. }
                )
            );
            last = Some(end);
            if ended {
                next = self.run.next_message();
            }
        }
        let Some(end) = last else { return Ok(()) };
        if !end.outcome.leaves_agent_usable() {
            pool.discard(&conversation).await;
        }
        self.finish(end, &text).await
    }

    /// Reports the end of the last turn.
    async fn finish(&self, end: TurnEnd, text: &str) -> Result<(), Failure> {
        let (state, said, stop_reason) = match end.outcome {
            Outcome::Cancelled => return self.canceled().await,
            Outcome::Shutdown => return Err(stopped()),
            Outcome::Ended(StopReason::InputRequired { question }) => {
                self.updates
                    .status(TaskState::InputRequired, Some(self.message(question)))
                    .await?;
                return Ok(());
            }
            Outcome::Ended(StopReason::Cancelled) => (
                TaskState::Failed,
                "the agent cancelled its own turn".to_owned(),
                "cancelled",
            ),
            Outcome::Ended(StopReason::Refusal) => (
                TaskState::Failed,
                or(end.text, "the model refused"),
                "refusal",
            ),
            Outcome::Ended(reason @ StopReason::MaxSteps) => (
                TaskState::Failed,
                "the agent reached its own limit of model calls".to_owned(),
                reason.name(),
            ),
            Outcome::Ended(reason) => (TaskState::Completed, end.text, reason.name()),
            Outcome::Watchdog(message) => (TaskState::Failed, message, "watchdog"),
            Outcome::Failed(message) => (TaskState::Failed, message, "error"),
        };
        let failing = state == TaskState::Failed && self.sessions.options.meter.is_failing();
        let stop_reason = if failing { MODEL_ERROR } else { stop_reason };
        let task = &self.turn.task.id;
        // A failed turn may have done half of the work; the client decides what it is worth.
        let changes = self
            .sessions
            .options
            .workspace
            .collect(task, &self.turn.caller.subject, &title(text))
            .await;
        let mut result = TurnResult {
            stop_reason: stop_reason.to_owned(),
            steps: u32::try_from(end.steps).unwrap_or(u32::MAX),
            usage: end.usage,
            ..TurnResult::default()
        };
        match changes {
            Ok(changes) => {
                self.send_artifacts(&changes).await?;
                result.base_commit = Some(changes.base);
                result.commit = Some(changes.commit);
            }
            Err(error) if state == TaskState::Completed => {
                return Err(fail("the agent's changes cannot be collected", error));
            }
            Err(error) => error!(
                error = daemon::cli::chain(&error),
                task, "the changes of a failed turn cannot be collected"
            ),
        }
        let message = (!said.is_empty()).then(|| self.message(said));
        self.last_status(state, message, result.to_metadata()).await
    }

    async fn send_artifacts(&self, changes: &Changes) -> Result<(), Failure> {
        for artifact in translate::artifacts(changes, self.artifact_url) {
            self.updates.artifact(artifact, false, true).await?;
        }
        Ok(())
    }

    async fn canceled(&self) -> Result<(), Failure> {
        self.updates.status(TaskState::Canceled, None).await?;
        Ok(())
    }

    async fn last_status(
        &self,
        state: TaskState,
        message: Option<a2a_proto::types::Message>,
        metadata: Metadata,
    ) -> Result<(), Failure> {
        use a2a_proto::server::{Durability, StatusUpdate};
        let update = StatusUpdate {
            state,
            message,
            metadata: Some(metadata),
        };
        self.updates.status_with(update, Durability::Now).await?;
        Ok(())
    }

    fn message(&self, text: String) -> a2a_proto::types::Message {
        self.updates.agent_message(vec![Part::text(text)])
    }
}

fn stopped() -> Failure {
    Failure::Agent(AgentError::new(
        "the worker was stopped before the agent had finished",
    ))
}

fn fail(public: &str, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    // What went wrong on the way to the agent is the operator's to know and often the caller's to correct.
    let message = format!("{public}: {}", daemon::cli::chain(&error));
    Failure::Agent(AgentError::because(message, error))
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}

/// What the agent is told: the texts of a message, and its data as JSON.
pub(crate) fn prompt_text(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match &part.content {
        PartContent::Text(text) => Some(text.clone()),
        PartContent::Data(data) => serde_json::to_string_pretty(data).ok(),
        // Refused before the task was accepted.
        PartContent::Raw(_) | PartContent::Url(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// The first line of a message as a commit subject.
fn title(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("Work of the agent");
    line.chars().take(MAX_TITLE).collect()
}

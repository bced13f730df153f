//! The captain as an A2A agent: a task is a job under the same id, whichever way the job came.
//!
//! Only the border between protocol and engine. `request` says what a message asks for, `tell` what the job's events come to,
//! `results` what the end leaves, `mirror` keeps task and job in step, `card` says all that to strangers. Nothing is decided here that
//! the engine decides.

mod card;
mod data;
mod mirror;
mod request;
mod results;
mod shared;
mod tell;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use a2a_proto::error::{A2aError, FieldViolation};
use a2a_proto::log::{LogError, LogTask, NewTask, TaskLog};
use a2a_proto::server::{
    Acceptance, Agent, AgentError, Caller, CancelTarget, Incoming, Recovered, Turn, UpdateError,
    Updates,
};
use a2a_proto::types::{AgentCard, Message, Part, Role, Task, TaskState, TaskStatus};
use captain_core::{Job, JobId, JobState};
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::card::Identity;
use self::mirror::Mirror;
pub(crate) use self::shared::SharedLog;
use crate::api::error::ApiError;
use crate::api::job_spec;
use crate::engine::{EngineError, Handle, Reply};
use crate::store::Filter;
use crate::workspace::Workspaces;

/// How long a caller should wait when the captain is busy.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What the agent is made of.
pub(crate) struct AgentOptions<L> {
    pub(crate) identity: Identity,
    pub(crate) engine: Handle,
    pub(crate) workspaces: Workspaces,
    /// Folders that a job's repository must lie in; empty allows all.
    pub(crate) repo_roots: Arc<[PathBuf]>,
    /// Keeps the tasks.
    pub(crate) log: Arc<L>,
    /// Where jobs are told to their tasks.
    pub(crate) tracker: TaskTracker,
    /// Cancelled when the captain stops.
    pub(crate) shutdown: CancellationToken,
}

/// The agent.
pub(crate) struct CaptainAgent<L> {
    options: AgentOptions<L>,
    base_url: Arc<str>,
    /// The jobs that are being told, and what is cancelled when each has been told to its end.
    mirrors: Arc<Mutex<HashMap<JobId, CancellationToken>>>,
}

impl<L> fmt::Debug for CaptainAgent<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptainAgent").finish_non_exhaustive()
    }
}

/// Makes a task of a job that came another way.
pub(crate) trait Tasks: Send + Sync + 'static {
    /// Comes back when the task is there. A failure costs the task and not the job: the next start makes up for it.
    fn adopt<'a>(&'a self, job: &'a JobId) -> BoxFuture<'a, ()>;
}

impl<L: TaskLog> Tasks for CaptainAgent<L> {
    fn adopt<'a>(&'a self, job: &'a JobId) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Err(error) = self.try_adopt(job).await {
                tracing::error!(%job, error = daemon::cli::chain(&error), "a job has no task");
            }
        })
    }
}

/// Why a job has no task.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdoptError {
    /// The jobs could not be read.
    #[error("cannot read the jobs")]
    Engine(#[from] EngineError),
    /// The tasks could not be read or written.
    #[error("cannot use the task log")]
    Log(#[from] LogError),
}

impl<L: TaskLog> CaptainAgent<L> {
    pub(crate) fn new(options: AgentOptions<L>) -> Self {
        Self {
            base_url: options.identity.url.as_str().into(),
            options,
            mirrors: Arc::default(),
        }
    }

    /// Goes on with everything that an earlier run of the captain left: tasks without a job, jobs without a task, words that
    /// were stored and not passed on. To be called before the first request is served.
    ///
    /// # Errors
    /// When jobs or tasks cannot be read.
    pub(crate) async fn recover(&self, tasks: Vec<Recovered>) -> Result<(), AdoptError> {
        for recovered in tasks {
            self.go_on(recovered).await?;
        }
        let mut filter = Filter {
            unfinished: true,
            ..Filter::default()
        };
        loop {
            let page = self.options.engine.list(&filter).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            filter.before = Some(last.job.clone());
            for head in page {
                self.try_adopt(&head.job).await?;
            }
        }
    }

    async fn go_on(&self, recovered: Recovered) -> Result<(), AdoptError> {
        let Recovered {
            task,
            caller,
            updates,
        } = recovered;
        let log_task = self.options.log.open(&caller.owner(), &task.id).await?;
        let Ok(id) = JobId::parse(&*task.id) else {
            return Ok(());
        };
        match self.options.engine.get(&id).await {
            Ok(_) => {}
            Err(EngineError::NotFound(_)) => {
                // Stored and not submitted: done now, or said why not.
                let first = task.history.first().cloned().unwrap_or_default();
                if let Err(refusal) = self.submit(&id, &first, &caller).await {
                    reject(&updates, refusal).await;
                    return Ok(());
                }
            }
            Err(error) => return Err(error.into()),
        }
        self.mirror(&id, log_task);
        let present = task.status.message.iter();
        for message in task.history.iter().skip(1).chain(present) {
            if message.role == Role::User
                && let Ok(word) = request::word(message)
                && let Err(error) = self.pass_on(&id, word, message, &caller).await
            {
                tracing::debug!(job = %id, %error, "a message of an earlier run is not taken");
            }
        }
        Ok(())
    }

    async fn try_adopt(&self, id: &JobId) -> Result<(), AdoptError> {
        let snapshot = self.options.engine.get(id).await?;
        let job = &snapshot.job;
        let owner = Caller::new(job.spec().owner.as_str()).owner();
        let new = NewTask {
            owner: Arc::clone(&owner),
            alias: None,
            push: None,
            task: first_task(job),
        };
        let task = match self.options.log.create(new).await {
            Ok(task) => task,
            // Made by a message, perhaps within a tenant: whoever made it tells it.
            Err(LogError::Duplicate) => match self.options.log.open(&owner, id.as_str()).await {
                Ok(task) => task,
                Err(LogError::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        };
        self.mirror(id, task);
        Ok(())
    }

    /// Tells the job to its task, unless that is being done. What comes back is cancelled when the job has been told to its
    /// end.
    fn mirror(&self, id: &JobId, task: LogTask) -> CancellationToken {
        let mut mirrors = self.lock();
        if let Some(done) = mirrors.get(id) {
            return done.clone();
        }
        let done = CancellationToken::new();
        mirrors.insert(id.clone(), done.clone());
        drop(mirrors);
        let mirror = Mirror {
            engine: self.options.engine.clone(),
            workspaces: self.options.workspaces.clone(),
            base_url: Arc::clone(&self.base_url),
            shutdown: self.options.shutdown.clone(),
            job: id.clone(),
            task,
        };
        let leave = Leave {
            mirrors: Arc::clone(&self.mirrors),
            job: id.clone(),
            done: done.clone(),
        };
        self.options.tracker.spawn(async move {
            let _leave = leave;
            mirror.run().await;
        });
        done
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, CancellationToken>> {
        lock(&self.mirrors)
    }

    /// What is cancelled when a job has been told to its end; none if it is not being told.
    fn telling(&self, id: &JobId) -> Option<CancellationToken> {
        self.lock().get(id).cloned()
    }

    /// Takes the job of a first message on.
    async fn submit(&self, id: &JobId, message: &Message, caller: &Caller) -> Result<(), A2aError> {
        let asked = request::job(message)?;
        let spec = job_spec(&self.options.repo_roots, caller, asked)
            .await
            .map_err(refusal)?;
        self.options
            .engine
            .submit_as(id.clone(), spec)
            .await
            .map(drop)
            .map_err(|error| refusal(error.into()))
    }

    /// Passes a word on to a job that runs.
    async fn pass_on(
        &self,
        id: &JobId,
        word: request::Word,
        message: &Message,
        caller: &Caller,
    ) -> Result<(), EngineError> {
        let by = caller.subject.to_string();
        if word.approves {
            let job = self.options.engine.get(id).await?.job;
            if *job.state() == JobState::AwaitingApproval {
                return self.options.engine.approve(id, &by).await;
            }
        }
        let reply = Reply {
            text: word.text,
            by,
            subtask: word.subtask,
            id: Some(message.message_id.clone()),
        };
        self.options.engine.reply(id, reply).await
    }

    /// Whether a word to a job can be taken, as far as can be told before it is stored.
    async fn accept_word(&self, task: &Task, message: &Message) -> Result<(), A2aError> {
        let word = request::word(message)?;
        let Ok(id) = JobId::parse(&*task.id) else {
            return Ok(());
        };
        let job = match self.options.engine.get(&id).await {
            Ok(snapshot) => snapshot.job,
            // Not taken on yet.
            Err(EngineError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(refusal(error.into())),
        };
        match job.state() {
            JobState::Planning { .. } | JobState::AwaitingApproval | JobState::Running => {}
            JobState::Integrating
            | JobState::Cancelling { .. }
            | JobState::Completed { .. }
            | JobState::Failed { .. }
            | JobState::Cancelled => {
                return Err(A2aError::UnsupportedOperation {
                    what: format!("a message to a job that is {}", job.state().name()),
                });
            }
        }
        let Some(subtask) = &word.subtask else {
            return Ok(());
        };
        let field = format!("message.metadata[\"{}\"].subtask", data::JOB_URI);
        match job.subtask(subtask) {
            None => Err(A2aError::invalid_param(
                field,
                format!("the job has no subtask {subtask}"),
            )),
            Some(one) if one.state.is_terminal() => Err(A2aError::invalid_param(
                field,
                format!("subtask {subtask} is {}", one.state.name()),
            )),
            Some(_) => Ok(()),
        }
    }

    async fn word(&self, turn: &Turn, updates: &Updates, id: &JobId) -> Result<(), UpdateError> {
        // It was understood when it was accepted.
        let Ok(word) = request::word(&turn.message) else {
            return Ok(());
        };
        let Err(error) = self.pass_on(id, word, &turn.message, &turn.caller).await else {
            return Ok(());
        };
        let state = match self.options.engine.get(id).await {
            Ok(snapshot) if snapshot.job.is_blocked() => TaskState::InputRequired,
            _ => TaskState::Working,
        };
        let text = format!("your message was not passed on: {error}");
        let said = updates.agent_message(vec![Part::text(text)]);
        match updates.status(state, Some(said)).await {
            // The job has ended meanwhile, which says it all.
            Ok(_) | Err(UpdateError::Terminal { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl<L: TaskLog> Agent for CaptainAgent<L> {
    fn card(&self) -> AgentCard {
        card::card(&self.options.identity)
    }

    fn extended_card(&self, _caller: &Caller) -> Option<AgentCard> {
        let extended = self.options.identity.extended.as_ref()?;
        extended.over(&self.card())
    }

    async fn accept(&self, incoming: &Incoming) -> Result<Acceptance, A2aError> {
        request::nothing_beside(incoming.metadata.as_ref())?;
        match &incoming.task {
            Some(task) => self.accept_word(task, &incoming.message).await?,
            None => {
                let asked = request::job(&incoming.message)?;
                job_spec(&self.options.repo_roots, &incoming.caller, asked)
                    .await
                    .map_err(refusal)?;
            }
        }
        Ok(Acceptance::Task)
    }

    async fn execute(&self, turn: Turn, updates: Updates) -> Result<(), AgentError> {
        let gone = |error| AgentError::because("the captain cannot store the task's events", error);
        let id = JobId::parse(&*turn.task.id)
            .map_err(|error| AgentError::because("the task's id is no job's id", error))?;
        if turn.follow_up {
            self.word(&turn, &updates, &id).await.map_err(gone)?;
        } else if let Err(refusal) = self.submit(&id, &turn.message, &turn.caller).await {
            reject(&updates, refusal).await;
            return Ok(());
        }
        if turn.cancelled.is_cancelled() && !self.options.shutdown.is_cancelled() {
            // The cancellation may have come before there was a job to cancel.
            let by = &turn.caller.subject;
            if let Err(error) = self.options.engine.cancel(&id, by).await {
                tracing::debug!(job = %id, %error, "not cancelled");
            }
        }
        let owner = turn.caller.owner();
        let task = self.options.log.open(&owner, &turn.task.id).await;
        let task = task.map_err(|error| gone(UpdateError::Log(error)))?;
        let cancelled = turn.cancelled.clone();
        // The rest may take hours; the message need not be kept for that.
        drop(turn);
        let told = self.mirror(&id, task);
        tokio::select! {
            () = told.cancelled() => {}
            () = cancelled.cancelled() => {}
        }
        Ok(())
    }

    async fn cancel(&self, target: &CancelTarget) -> Result<(), AgentError> {
        let Ok(id) = JobId::parse(&*target.task_id) else {
            return Ok(());
        };
        match self
            .options
            .engine
            .cancel(&id, &target.caller.subject)
            .await
        {
            // It has ended otherwise, which its task is about to say.
            Ok(()) | Err(EngineError::WrongState { .. }) => {}
            // There is nothing to stop yet, and the turn sees to it that nothing begins.
            Err(EngineError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(AgentError::because(error.to_string(), error)),
        }
        let owner = target.caller.owner();
        let task = self.options.log.open(&owner, &target.task_id).await;
        let task = task.map_err(|error| AgentError::because("the task cannot be read", error))?;
        let told = self.mirror(&id, task);
        tokio::select! {
            () = told.cancelled() => Ok(()),
            () = self.options.shutdown.cancelled() => Err(AgentError::new("the captain is stopping")),
        }
    }
}

/// Takes a job off the list when it has been told to its end, however that came.
struct Leave {
    mirrors: Arc<Mutex<HashMap<JobId, CancellationToken>>>,
    job: JobId,
    done: CancellationToken,
}

impl Drop for Leave {
    fn drop(&mut self) {
        lock(&self.mirrors).remove(&self.job);
        self.done.cancel();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task of a job that came another way, as it begins.
fn first_task(job: &Job) -> Task {
    let id = job.id().to_string();
    let mut goal = Message::user(format!("{id}-goal"), vec![Part::text(&job.spec().goal)]);
    goal.task_id.clone_from(&id);
    goal.context_id.clone_from(&id);
    Task {
        context_id: id.clone(),
        id,
        status: TaskStatus::new(TaskState::Submitted, job.created()),
        history: vec![goal],
        ..Task::default()
    }
}

/// Ends the task because the captain does not take its job.
async fn reject(updates: &Updates, refusal: A2aError) {
    let (state, text) = match refusal {
        A2aError::Internal { external, internal } => {
            tracing::error!(cause = internal, "a job could not be taken");
            (TaskState::Failed, external)
        }
        refusal => (TaskState::Rejected, refusal.external()),
    };
    let said = updates.agent_message(vec![Part::text(text)]);
    if let Err(error) = updates.status(state, Some(said)).await {
        tracing::error!(
            error = daemon::cli::chain(&error),
            "a refusal could not be stored"
        );
    }
}

/// What a refusal of the API's is in the protocol's words.
fn refusal(error: ApiError) -> A2aError {
    match error {
        ApiError::Invalid { problems, .. } => A2aError::InvalidParams {
            violations: problems
                .into_iter()
                .map(|problem| FieldViolation {
                    field: problem.field,
                    description: problem.problem,
                })
                .collect(),
        },
        ApiError::Busy { .. } => A2aError::Overloaded {
            retry_after: RETRY_AFTER,
        },
        ApiError::DiskFull => A2aError::Internal {
            external: ApiError::DiskFull.to_string(),
            internal: "the disk is full".to_owned(),
        },
        ApiError::Conflict { message } => A2aError::UnsupportedOperation { what: message },
        other => A2aError::internal(daemon::cli::chain(&other)),
    }
}

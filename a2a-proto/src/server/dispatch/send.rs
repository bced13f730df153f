//! Sending a message (A2A §3.1.1, §3.1.2): from a request that may be anything to a stored task with a running turn.
//! Storing and starting happen in one spawned piece of work, so that a client that hangs up can never leave a stored
//! task that nobody works on.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::push::Inline;
use super::{Feed, First, generation, log_error};
use crate::error::A2aError;
use crate::log::{Alias, Expect, LogError, LogTask, NewTask, PushRow, Snapshot, TaskLog};
use crate::server::turns::Guard;
use crate::server::view::SentView;
use crate::server::{Acceptance, Agent, Caller, Incoming, Inner, Turn};
use crate::types::{
    AgentCard, Message, PartContent, Role, SendMessageRequest, StreamResponse, Task, TaskState,
    TaskStatus, TaskStatusUpdateEvent, Validate as _,
};
use crate::version::ProtocolVersion;

/// A message on its way in.
pub(in crate::server) struct Send {
    pub(in crate::server) caller: Caller,
    pub(in crate::server) request: SendMessageRequest,
    /// How the client speaks.
    pub(in crate::server) protocol: ProtocolVersion,
    /// What the client calls the task that this makes.
    pub(in crate::server) alias: Option<Alias>,
}

/// What became of a message.
pub(super) enum Sent {
    /// A turn runs; the message is in event `seq` of the task, which stood like `snapshot` before the turn ran.
    Began {
        task: LogTask,
        seq: u64,
        snapshot: Snapshot,
    },
    Reply(Message),
}

impl Send {
    /// A message of 1.0, where tasks have the server's ids.
    pub(in crate::server) fn current(caller: Caller, request: SendMessageRequest) -> Self {
        Self {
            caller,
            request,
            protocol: ProtocolVersion::V1_0,
            alias: None,
        }
    }
}

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// Sends and waits until the task has ended or waits for the client, unless the client wants no waiting.
    pub(in crate::server) async fn send(
        self: &Arc<Self>,
        send: Send,
    ) -> Result<SentView, A2aError> {
        let configuration = send.request.configuration.as_ref();
        let history = configuration.and_then(|it| it.history_length);
        let answer = match configuration {
            Some(configuration) if configuration.return_immediately => Answer::Stored,
            _ => Answer::Decided,
        };
        let (task, seq) = match self.begin(send, answer).await? {
            Sent::Reply(message) => return Ok(SentView::Message(message)),
            // The snapshot is dropped: an aggregate that somebody holds is copied by the next event.
            Sent::Began { task, seq, .. } => (task, seq),
        };
        if answer == Answer::Decided {
            // It is already, but for a message that came before and whose turn still runs.
            self.wait(&task, seq).await;
        }
        Ok(SentView::Task(self.view(task.snapshot(), history)))
    }

    /// Sends and follows the task.
    pub(in crate::server) async fn send_streaming(
        self: &Arc<Self>,
        send: Send,
    ) -> Result<Feed, A2aError> {
        let permit = self.stream_permit()?;
        let configuration = send.request.configuration.as_ref();
        let history = configuration.and_then(|it| it.history_length);
        match self.begin(send, Answer::Stored).await? {
            Sent::Reply(message) => Ok(Feed {
                first: First::Reply(Box::new(message)),
                rest: None,
                permit,
            }),
            // A new task is its own first event, unless the client wants to see it otherwise.
            Sent::Began { task, seq: 1, .. } if history.is_none() => {
                let rest = Some(task.subscribe(0).map_err(log_error)?);
                Ok(Feed {
                    first: First::Rest,
                    rest,
                    permit,
                })
            }
            Sent::Began {
                task, mut snapshot, ..
            } => {
                let rest = Some(task.subscribe(snapshot.seq).map_err(log_error)?);
                if history.is_some() {
                    snapshot.task = Arc::new(self.view(snapshot.clone(), history).to_task());
                }
                Ok(Feed {
                    first: First::Snapshot(snapshot),
                    rest,
                    permit,
                })
            }
        }
    }

    /// Waits until the task, after event `seq`, has ended or waits for the client.
    async fn wait(&self, task: &LogTask, seq: u64) {
        let mut watch = task.watch();
        let decided = watch.wait_for(|now| {
            now.seq >= seq && (now.state.is_terminal() || now.state.is_interrupted())
        });
        tokio::select! {
            _ = decided => {}
            // A server that stops answers with the task as it stands.
            () = self.options.shutdown.cancelled() => {}
        }
    }

    async fn begin(self: &Arc<Self>, send: Send, answer: Answer) -> Result<Sent, A2aError> {
        let Send {
            caller,
            mut request,
            protocol,
            alias,
        } = send;
        request.validate()?;
        let caller = caller.within(&request.tenant)?;
        self.check_request(&request)?;
        let push = self.take_inline_push(request.configuration.as_mut(), protocol)?;
        let wanted = self.wanted_generation(&request)?;
        let known = match request.message.task_id.as_str() {
            "" => None,
            id => Some(self.open(&caller, id).await?),
        };
        let mut alias = alias;
        let mut key = None;
        if let Some(task) = &known {
            if let Some(sent) = self.said_before(&caller, task, &request.message) {
                return Ok(sent);
            }
            generation::check(task, wanted)?;
            go_on_with(task, &mut request.message)?;
        } else if alias.is_none() {
            key = self.key_of(&caller, &request)?;
        }
        if let Some(key) = &key {
            if let Some(sent) = self.made_before(&caller, key).await? {
                return Ok(sent);
            }
            alias = Some(key.alias());
        }
        let again = key.map(|key| (caller.clone(), key));
        let incoming = Incoming {
            message: request.message,
            task: known.as_ref().map(|task| task.snapshot().task),
            configuration: request.configuration,
            metadata: request.metadata,
            caller,
            protocol,
        };
        match self.agent.accept(&incoming).await? {
            Acceptance::Reply(message) => Ok(Sent::Reply(self.complete(*message, incoming)?)),
            Acceptance::Task => {
                if self.options.shutdown.is_cancelled() {
                    return Err(super::overloaded());
                }
                let known = known.map(|task| (task, wanted));
                let started = self.start(known, incoming, alias, push, answer).await;
                match (started, again) {
                    // The same message came twice at once, and the other one was faster.
                    (Err(refusal), Some((caller, key))) => {
                        self.made_before(&caller, &key).await?.ok_or(refusal)
                    }
                    (started, _) => started,
                }
            }
        }
    }

    fn check_request(&self, request: &SendMessageRequest) -> Result<(), A2aError> {
        check_size(&request.message)?;
        if self.options.validate_input_modes {
            check_input_modes(&self.card(), &request.message)
        } else {
            Ok(())
        }
    }

    /// Stores the message and starts its turn.
    async fn start(
        self: &Arc<Self>,
        known: Option<(LogTask, Option<u64>)>,
        incoming: Incoming,
        alias: Option<Alias>,
        push: Option<Inline>,
        when: Answer,
    ) -> Result<Sent, A2aError> {
        let (reply, answer) = oneshot::channel();
        let reply = Reply { to: reply, when };
        let inner = Arc::clone(self);
        // Boxed, because it holds a whole turn and is moved once.
        self.options.tracker.spawn(Box::pin(async move {
            match known {
                Some((task, wanted)) => inner.follow_up(task, wanted, incoming, push, reply).await,
                None => inner.new_task(incoming, alias, push, reply).await,
            }
        }));
        let stored = answer
            .await
            .unwrap_or_else(|_| Err(A2aError::internal("the start of a turn panicked")));
        stored.map(|(task, seq, snapshot)| Sent::Began {
            task,
            seq,
            snapshot,
        })
    }

    async fn new_task(
        &self,
        mut incoming: Incoming,
        alias: Option<Alias>,
        push: Option<Inline>,
        reply: Reply,
    ) {
        let id = self.options.ids.next();
        if incoming.message.context_id.is_empty() {
            incoming.message.context_id = self.options.ids.next();
        }
        incoming.message.task_id.clone_from(&id);
        let task = Task {
            id,
            context_id: incoming.message.context_id.clone(),
            status: TaskStatus::new(TaskState::Submitted, self.options.clock.now()),
            history: vec![incoming.message.clone()],
            ..Task::default()
        };
        let row = match &push {
            None => None,
            Some(push) => match push.row(&task.id).await {
                Ok(row) => Some(row),
                Err(error) => {
                    reply.refuse(error);
                    return;
                }
            },
        };
        let guard = self.turns.begin(&task.id, &self.options.shutdown);
        let config = row.as_ref().map(|row| Arc::clone(&row.id));
        let new = NewTask {
            owner: incoming.caller.owner(),
            alias,
            task,
            push: row,
        };
        let task = match self.log.create(new).await {
            Ok(task) => task,
            Err(LogError::Duplicate) => {
                let taken = A2aError::invalid_param("id", "there is a task with this id already");
                reply.refuse(taken);
                return;
            }
            Err(error) => {
                reply.refuse(log_error(error));
                return;
            }
        };
        let snapshot = task.snapshot();
        let turn = turn(&snapshot, incoming, &guard, false);
        let reply = reply.stored(&task, 1, snapshot);
        if let Some((push, id)) = push.zip(config) {
            push.start(&task, &id).await;
        }
        self.run_and_reply(turn, task, 1, guard, reply).await;
    }

    /// Runs a turn for the message in event `seq`, and replies when its task is decided if nobody did before.
    async fn run_and_reply(
        &self,
        turn: Turn,
        task: LogTask,
        seq: u64,
        guard: Guard,
        reply: Option<Reply>,
    ) {
        let Some(reply) = reply else {
            return self.run(turn, task, guard).await;
        };
        // Here and not where the answer is awaited: there it would be one more wake-up for every message.
        let answer = async {
            self.wait(&task, seq).await;
            reply.send(&task, seq, task.snapshot());
        };
        let run = self.run(turn, task.clone(), guard);
        futures_util::future::join(run, answer).await;
    }

    async fn follow_up(
        &self,
        task: LogTask,
        wanted: Option<u64>,
        incoming: Incoming,
        push: Option<Inline>,
        reply: Reply,
    ) {
        let guard = self.turns.begin(task.id(), &self.options.shutdown);
        let stored = match &push {
            None => {
                self.store_follow_up(&task, wanted, &incoming.message, None)
                    .await
            }
            Some(push) => {
                let store = |row| async {
                    self.store_follow_up(&task, wanted, &incoming.message, Some(row))
                        .await
                };
                push.store_with(&task, store).await
            }
        };
        match stored {
            Ok(seq) => {
                // Taken before the turn runs: a stream begins with it, and misses nothing of a quick turn.
                let snapshot = task.snapshot();
                let turn = turn(&snapshot, incoming, &guard, true);
                let reply = reply.stored(&task, seq, snapshot);
                self.run_and_reply(turn, task, seq, guard, reply).await;
            }
            Err(error) => {
                reply.refuse(error);
                // A turn that ended meanwhile left the task to this one.
                self.settle(&self.updates(task), &guard, None).await;
            }
        }
    }

    /// A follow-up is a status event with the client's message: so it has a number, every subscriber sees it, and the
    /// next status moves it into the history. With `wanted` it is stored only right after that event.
    async fn store_follow_up(
        &self,
        task: &LogTask,
        wanted: Option<u64>,
        message: &Message,
        push: Option<PushRow>,
    ) -> Result<u64, A2aError> {
        loop {
            let now = task.state();
            let state = if now.is_interrupted() {
                TaskState::Working
            } else {
                now
            };
            let status = TaskStatus {
                state,
                message: Some(message.clone()),
                timestamp: Some(self.options.clock.now()),
            };
            let event = StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
                task_id: task.id().to_owned(),
                context_id: task.context_id().to_owned(),
                status,
                ..TaskStatusUpdateEvent::default()
            });
            let expect = wanted.map_or(Expect::State(now), Expect::After);
            let stored = match &push {
                None => task.append_one(expect, event).await,
                Some(row) => task.append_with_push(expect, event, row.clone()).await,
            };
            match stored {
                Ok(seq) => return Ok(seq),
                Err(LogError::Conflict { actual }) if actual.is_terminal() => {
                    return Err(ended(actual));
                }
                Err(LogError::Passed { last }) => {
                    let wanted = wanted.unwrap_or_default();
                    return Err(generation::mismatch(task.id(), wanted, last));
                }
                // The task moved on meanwhile; look again.
                Err(LogError::Conflict { .. }) => {}
                Err(error) => return Err(log_error(error)),
            }
        }
    }

    /// Fills in what a direct reply must carry, and refuses one that is none.
    fn complete(&self, mut reply: Message, incoming: Incoming) -> Result<Message, A2aError> {
        if reply.message_id.is_empty() {
            reply.message_id = self.options.ids.next();
        }
        if reply.role == Role::Unspecified {
            reply.role = Role::Agent;
        }
        if reply.context_id.is_empty() {
            reply.context_id = match incoming.message.context_id {
                context_id if context_id.is_empty() => self.options.ids.next(),
                context_id => context_id,
            };
        }
        match reply.violations().first() {
            Some(violation) => Err(A2aError::InvalidAgentResponse {
                detail: violation.to_string(),
            }),
            None => Ok(reply),
        }
    }
}

/// When whoever sent a message is answered, unless it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// When it is stored.
    Stored,
    /// When its task has ended or waits for the client.
    Decided,
}

/// Where and when to answer. Whoever asked may be gone; the task is there all the same.
struct Reply {
    to: oneshot::Sender<Result<(LogTask, u64, Snapshot), A2aError>>,
    when: Answer,
}

impl Reply {
    fn refuse(self, error: A2aError) {
        let _ = self.to.send(Err(error));
    }

    fn send(self, task: &LogTask, seq: u64, snapshot: Snapshot) {
        let _ = self.to.send(Ok((task.clone(), seq, snapshot)));
    }

    /// The message is stored: answers, or is answered with later.
    fn stored(self, task: &LogTask, seq: u64, snapshot: Snapshot) -> Option<Self> {
        match self.when {
            Answer::Stored => {
                self.send(task, seq, snapshot);
                None
            }
            Answer::Decided => Some(self),
        }
    }
}

fn turn(snapshot: &Snapshot, incoming: Incoming, guard: &Guard, follow_up: bool) -> Turn {
    Turn {
        task: Arc::clone(&snapshot.task),
        message: incoming.message,
        configuration: incoming.configuration,
        metadata: incoming.metadata,
        caller: incoming.caller,
        protocol: incoming.protocol,
        cancelled: guard.cancelled.clone(),
        follow_up,
    }
}

/// A message to a task goes on in the task's conversation, and nowhere else.
fn go_on_with(task: &LogTask, message: &mut Message) -> Result<(), A2aError> {
    if message.context_id.is_empty() {
        message.context_id.push_str(task.context_id());
    } else if message.context_id != task.context_id() {
        return Err(A2aError::invalid_param(
            "message.contextId",
            "the task belongs to another context",
        ));
    }
    if task.state().is_terminal() {
        Err(ended(task.state()))
    } else {
        Ok(())
    }
}

fn ended(state: TaskState) -> A2aError {
    A2aError::UnsupportedOperation {
        what: format!("a message to a task that has ended ({state})"),
    }
}

/// Refuses a message that would cost much more than its bytes: each part takes a few hundred bytes of memory however
/// small it is, and ids are keys of indexes.
fn check_size(message: &Message) -> Result<(), A2aError> {
    /// Many more than people and programs send; a list of files is far below.
    const MAX_PARTS: usize = 10_000;
    /// Ids are names, not documents.
    const MAX_ID_BYTES: usize = 1024;
    if message.parts.len() > MAX_PARTS {
        let text = format!("must not be more than {MAX_PARTS}");
        return Err(A2aError::invalid_param("message.parts", text));
    }
    let ids = [
        ("message.messageId", &message.message_id),
        ("message.contextId", &message.context_id),
        ("message.taskId", &message.task_id),
    ];
    match ids.iter().find(|(_, id)| id.len() > MAX_ID_BYTES) {
        Some((field, _)) => {
            let text = format!("must not be longer than {MAX_ID_BYTES} bytes");
            Err(A2aError::invalid_param(*field, text))
        }
        None => Ok(()),
    }
}

/// Refuses parts whose media type the card does not name. A part that does not say its type is taken for fitting.
fn check_input_modes(card: &AgentCard, message: &Message) -> Result<(), A2aError> {
    // Which skill a message is for is the agent's to find out, so what one skill takes is taken.
    let skills = card.skills.iter().flat_map(|skill| &skill.input_modes);
    let modes: Vec<_> = card.default_input_modes.iter().chain(skills).collect();
    let fits =
        |media_type: &str| modes.is_empty() || modes.iter().any(|mode| covers(mode, media_type));
    let media_types =
        message
            .parts
            .iter()
            .map(|part| match (part.media_type.as_str(), &part.content) {
                ("", PartContent::Text(_)) => "",
                (media_type, _) => media_type,
            });
    match media_types
        .into_iter()
        .find(|media_type| !media_type.is_empty() && !fits(media_type))
    {
        Some(media_type) => Err(A2aError::ContentTypeNotSupported {
            media_type: media_type.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Whether a mode of the card, such as `text/*`, covers a media type; parameters do not matter.
fn covers(mode: &str, media_type: &str) -> bool {
    let bare = |it: &str| {
        it.split(';')
            .next()
            .unwrap_or(it)
            .trim()
            .to_ascii_lowercase()
    };
    let (mode, media_type) = (bare(mode), bare(media_type));
    mode == "*/*"
        || mode == media_type
        || mode
            .strip_suffix('*')
            .is_some_and(|prefix| prefix.ends_with('/') && media_type.starts_with(prefix))
}

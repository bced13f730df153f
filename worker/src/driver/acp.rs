//! The driver for every agent that speaks the Agent Client Protocol on standard input and output.
//!
//! The connection runs in one task. It is the only place that uses the protocol's crate, whose interface changes often.
//! Traps handled here: tool output comes cumulatively and leaves as differences; a session that is loaded replays its history,
//! which is not news; permission is decided at once, so that nothing waits for ever; an agent that dies says why.

mod output;
mod permission;
#[cfg(test)]
mod tests;
mod update;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::ConnectionTo;
use agent_client_protocol::v1::schema as acp;
use agent_client_protocol::{Agent, ByteStreams, Client};
use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use worker_sandbox::WORKSPACE;

use super::process::{Launch, Launcher, Process};
use super::{
    BoxFuture, COMMAND_QUEUE, Command, Driver, DriverError, DriverEvent, DriverSession,
    EVENT_QUEUE, SessionSpec, StopReason,
};
use update::Translator;

/// How long an agent may take from its start to a ready session: 1.5 to 4 seconds are usual for opencode. Less than the
/// server's limit for a cancel, which waits for it.
const READY_TIMEOUT: Duration = Duration::from_secs(25);

/// The driver.
#[derive(Debug)]
pub(crate) struct Acp {
    launcher: Arc<Launcher>,
    launch: Launch,
    tracker: TaskTracker,
}

impl Acp {
    /// `launch` says how the agent is started; it is the same for every session.
    pub(crate) fn new(launcher: Arc<Launcher>, launch: Launch, tracker: TaskTracker) -> Self {
        Self {
            launcher,
            launch,
            tracker,
        }
    }
}

impl Driver for Acp {
    fn start(&self, spec: SessionSpec) -> BoxFuture<'_, Result<DriverSession, DriverError>> {
        Box::pin(async move {
            let process = self
                .launcher
                .start(self.launch.clone())
                .await
                .map_err(DriverError::Start)?;
            connect(process, spec, &self.tracker).await
        })
    }
}

/// Speaks the protocol with a process that has just started.
async fn connect(
    mut process: Process,
    spec: SessionSpec,
    tracker: &TaskTracker,
) -> Result<DriverSession, DriverError> {
    let (command_sender, commands) = mpsc::channel(COMMAND_QUEUE);
    let (events, event_receiver) = mpsc::channel(EVENT_QUEUE);
    let (ready_sender, ready) = oneshot::channel();
    let (Some(stdin), Some(stdout)) = (process.take_stdin(), process.take_stdout()) else {
        return Err(DriverError::Unusable {
            what: "it has no standard input or output".to_owned(),
        });
    };
    let streams = ByteStreams::new(stdin.compat_write(), stdout.compat());
    let handle = process.into_handle();
    let conversation = Conversation {
        spec,
        commands,
        events,
        ready: ready_sender,
        said: handle.said().clone(),
    };
    tracker.spawn(conversation.run(streams));
    match tokio::time::timeout(READY_TIMEOUT, ready).await {
        Ok(Ok(Ok(session))) => Ok(DriverSession::new(
            Some(session),
            event_receiver,
            command_sender,
            handle,
        )),
        Ok(refused) => {
            let what = match refused {
                Ok(Err(what)) => what,
                Ok(Ok(_)) | Err(_) => "it ended before it was ready".to_owned(),
            };
            let said = handle.said().clone();
            handle.kill().await;
            Err(DriverError::Unusable {
                what: format!("{what}{}", said.as_hint()),
            })
        }
        Err(_) => {
            let said = handle.said().clone();
            handle.kill().await;
            Err(DriverError::NotReady {
                seconds: READY_TIMEOUT.as_secs(),
                said: said.as_hint(),
            })
        }
    }
}

/// One connection to one agent process, with one session.
struct Conversation {
    spec: SessionSpec,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<DriverEvent>,
    ready: oneshot::Sender<Result<String, String>>,
    said: super::process::Said,
}

impl Conversation {
    async fn run<O, I>(self, streams: ByteStreams<O, I>)
    where
        O: futures_util::io::AsyncWrite + Send + 'static,
        I: futures_util::io::AsyncRead + Send + 'static,
    {
        let Self {
            spec,
            commands,
            events,
            ready,
            said,
        } = self;
        let live = Arc::new(AtomicBool::new(false));
        let translator = Arc::new(Mutex::new(Translator::default()));
        let updates = (events.clone(), Arc::clone(&live));
        let asks = events.clone();
        let finished = Client
            .v1()
            .on_receive_notification(
                async move |notification: acp::SessionNotification, _connection| {
                    let (events, live) = &updates;
                    // Before the first prompt only the history of a loaded session can come.
                    if live.load(Ordering::Acquire) {
                        let translated = translator
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .translate(notification.update);
                        for event in translated {
                            // A session that is gone has no use for it, and the connection ends soon.
                            let _ = events.send(event).await;
                        }
                    }
                    Ok(())
                },
                agent_client_protocol::on_receive_notification!(),
            )
            .on_receive_request(
                async move |request: acp::RequestPermissionRequest, responder, _connection| {
                    let (event, response) = permission::decide(&request);
                    let _ = asks.send(event).await;
                    responder.respond(response)
                },
                agent_client_protocol::on_receive_request!(),
            )
            .connect_with(streams, async move |connection: ConnectionTo<Agent>| {
                let session = match open_session(&connection, &spec).await {
                    Ok(session) => session,
                    Err(error) => {
                        let _ = ready.send(Err(describe(&error)));
                        return Ok(());
                    }
                };
                let _ = ready.send(Ok(session.to_string()));
                converse(&connection, &session, commands, &events, &live, &said).await;
                Ok(())
            })
            .await;
        if let Err(error) = finished {
            debug!(
                error = describe(&error),
                "the connection to the agent ended with an error"
            );
        }
    }
}

async fn open_session(
    connection: &ConnectionTo<Agent>,
    spec: &SessionSpec,
) -> Result<acp::SessionId, agent_client_protocol::Error> {
    let client = acp::Implementation::new("flotilla-worker", env!("CARGO_PKG_VERSION"));
    let initialize = acp::InitializeRequest::new(ProtocolVersion::V1).client_info(client);
    let agent = connection.send_request(initialize).block_task().await?;
    let capabilities = agent.agent_capabilities;
    if let Some(known) = &spec.resume {
        let known = acp::SessionId::from(known.clone());
        // Resuming does not replay the history; loading does.
        let resumed = if capabilities.session_capabilities.resume.is_some() {
            Some(
                connection
                    .send_request(acp::ResumeSessionRequest::new(known.clone(), WORKSPACE))
                    .block_task()
                    .await
                    .map(drop),
            )
        } else if capabilities.load_session {
            Some(
                connection
                    .send_request(acp::LoadSessionRequest::new(known.clone(), WORKSPACE))
                    .block_task()
                    .await
                    .map(drop),
            )
        } else {
            None
        };
        match resumed {
            Some(Ok(())) => return Ok(known),
            Some(Err(error)) => warn!(
                error = describe(&error),
                "the agent cannot continue its session, starting a new one"
            ),
            None => warn!("this agent cannot continue a session, starting a new one"),
        }
    }
    Ok(connection
        .send_request(acp::NewSessionRequest::new(WORKSPACE))
        .block_task()
        .await?
        .session_id)
}

/// Prompts and cancels until there are no more commands. Returning ends the connection.
async fn converse(
    connection: &ConnectionTo<Agent>,
    session: &acp::SessionId,
    mut commands: mpsc::Receiver<Command>,
    events: &mpsc::Sender<DriverEvent>,
    live: &AtomicBool,
    said: &super::process::Said,
) {
    loop {
        let command = tokio::select! {
            command = commands.recv() => command,
            () = connection.incoming_closed() => return,
        };
        let text = match command {
            None => return,
            // Nothing is being worked on.
            Some(Command::Cancel) => continue,
            Some(Command::Prompt(text)) => text,
        };
        live.store(true, Ordering::Release);
        let prompt = acp::PromptRequest::new(
            session.clone(),
            vec![acp::ContentBlock::Text(acp::TextContent::new(text))],
        );
        let answer = connection.send_request(prompt).block_task();
        tokio::pin!(answer);
        let mut open = true;
        let answer = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                command = commands.recv(), if open => match command {
                    Some(Command::Cancel) => {
                        if let Err(error) = connection.send_notification(acp::CancelNotification::new(session.clone())) {
                            debug!(error = describe(&error), "the cancel could not be sent");
                        }
                    }
                    // The session layer gives one prompt at a time.
                    Some(Command::Prompt(_)) => {}
                    None => open = false,
                },
            }
        };
        let event = match answer {
            Ok(answer) => match stop_reason(answer.stop_reason) {
                Some(reason) => DriverEvent::TurnEnded(reason),
                None => DriverEvent::Error {
                    message: "the agent stopped for a reason that this worker does not know"
                        .to_owned(),
                },
            },
            Err(error) => {
                let said = if connection.is_incoming_closed() {
                    said.as_hint()
                } else {
                    String::new()
                };
                DriverEvent::Error {
                    message: format!("the agent reported an error: {}{said}", describe(&error)),
                }
            }
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

fn stop_reason(reason: acp::StopReason) -> Option<StopReason> {
    match reason {
        acp::StopReason::EndTurn => Some(StopReason::EndTurn),
        acp::StopReason::MaxTokens => Some(StopReason::MaxTokens),
        acp::StopReason::MaxTurnRequests => Some(StopReason::MaxSteps),
        acp::StopReason::Refusal => Some(StopReason::Refusal),
        acp::StopReason::Cancelled => Some(StopReason::Cancelled),
        _ => None,
    }
}

/// An error of the protocol in one line. Agents put the interesting part into `data` as often as into the message.
fn describe(error: &agent_client_protocol::Error) -> String {
    const MAX_DATA: usize = 500;
    let message = error.message.trim();
    match &error.data {
        None | Some(serde_json::Value::Null) => message.to_owned(),
        Some(data) => {
            let data = data
                .as_str()
                .map_or_else(|| data.to_string(), str::to_owned);
            let cut = data
                .char_indices()
                .nth(MAX_DATA)
                .map_or(data.len(), |(at, _)| at);
            format!("{message} ({})", &data[..cut])
        }
    }
}

//! The agent of the tests: the first word of a message says what to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::error::A2aError;
use crate::server::{
    Acceptance, Agent, AgentError, Caller, CancelTarget, Durability, Incoming, StatusUpdate, Turn,
    Updates,
};
use crate::types::{
    AgentCapabilities, AgentCard, AgentExtension, AgentInterface, AgentSkill, Artifact, Message,
    Part, TaskState,
};
use crate::version::ProtocolVersion;

pub(super) struct TestAgent {
    pub(super) card: std::sync::Mutex<AgentCard>,
    /// `wait` waits for one of these.
    pub(super) go: Arc<Semaphore>,
    pub(super) cancels: AtomicUsize,
    /// `cancel` answers this error.
    pub(super) stubborn: bool,
    /// How the clients of the turns so far spoke.
    pub(super) protocols: std::sync::Mutex<Vec<ProtocolVersion>>,
}

impl Default for TestAgent {
    fn default() -> Self {
        let interface = |binding: &str| AgentInterface {
            url: "http://127.0.0.1/".to_owned(),
            protocol_binding: binding.to_owned(),
            protocol_version: "1.0".to_owned(),
            ..AgentInterface::default()
        };
        let card = AgentCard {
            name: "tester".to_owned(),
            description: "does as it is told".to_owned(),
            version: "1.2.3".to_owned(),
            supported_interfaces: vec![interface("JSONRPC"), interface("HTTP+JSON")],
            capabilities: AgentCapabilities {
                streaming: Some(true),
                ..AgentCapabilities::default()
            },
            default_input_modes: vec!["text/*".to_owned(), "application/json".to_owned()],
            default_output_modes: vec!["text/plain".to_owned()],
            skills: vec![AgentSkill {
                id: "test".to_owned(),
                name: "Test".to_owned(),
                description: "tests".to_owned(),
                tags: vec!["test".to_owned()],
                ..AgentSkill::default()
            }],
            ..AgentCard::default()
        };
        Self {
            card: card.into(),
            go: Arc::new(Semaphore::new(0)),
            cancels: AtomicUsize::new(0),
            stubborn: false,
            protocols: std::sync::Mutex::default(),
        }
    }
}

impl TestAgent {
    pub(super) fn change_card(&self, change: impl FnOnce(&mut AgentCard)) {
        change(&mut self.card.lock().unwrap());
    }

    pub(super) fn protocols(&self) -> Vec<ProtocolVersion> {
        self.protocols.lock().unwrap().clone()
    }

    pub(super) fn require_extension(&self, uri: &str) {
        let extension = AgentExtension {
            uri: uri.to_owned(),
            required: true,
            ..AgentExtension::default()
        };
        self.change_card(|card| card.capabilities.extensions.push(extension));
    }
}

fn artifact(text: &str) -> Artifact {
    Artifact::new("out", vec![Part::text(text)])
}

impl Agent for TestAgent {
    fn card(&self) -> AgentCard {
        self.card.lock().unwrap().clone()
    }

    fn extended_card(&self, caller: &Caller) -> Option<AgentCard> {
        let name = match caller.tenant.as_deref() {
            Some(tenant) => format!("tester, extended for {tenant}"),
            None => "tester, extended".to_owned(),
        };
        (*caller.subject == *"ann").then(|| AgentCard {
            name,
            ..self.card()
        })
    }

    async fn accept(&self, incoming: &Incoming) -> Result<Acceptance, A2aError> {
        match incoming.message.text().split(' ').next() {
            Some("reply") => {
                let reply = Message::agent("", vec![Part::text("hello")]);
                Ok(Acceptance::Reply(Box::new(reply)))
            }
            Some("refuse") => Err(A2aError::invalid_param("message", "not today")),
            Some("bad-reply") => Ok(Acceptance::Reply(Box::default())),
            _ => Ok(Acceptance::Task),
        }
    }

    async fn execute(&self, turn: Turn, updates: Updates) -> Result<(), AgentError> {
        self.protocols.lock().unwrap().push(turn.protocol);
        let text = turn.message.text();
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let say = |text: &str| Some(updates.agent_message(vec![Part::text(text)]));
        let failed = |error| AgentError::because("cannot update", error);
        match verb {
            "chunks" => {
                updates
                    .status(TaskState::Working, None)
                    .await
                    .map_err(failed)?;
                let count: usize = rest.parse().unwrap();
                for n in 0..count {
                    updates
                        .artifact(artifact(&format!("chunk-{n} ")), n > 0, n + 1 == count)
                        .await
                        .map_err(failed)?;
                }
                updates
                    .status(TaskState::Completed, None)
                    .await
                    .map_err(failed)?;
            }
            "ask" => {
                updates
                    .status(TaskState::InputRequired, say("what?"))
                    .await
                    .map_err(failed)?;
            }
            "auth" => {
                updates
                    .status(TaskState::AuthRequired, say("log in"))
                    .await
                    .map_err(failed)?;
            }
            "reject" => {
                updates
                    .status(TaskState::Rejected, say("no"))
                    .await
                    .map_err(failed)?;
            }
            "wait" => {
                updates
                    .status(TaskState::Working, None)
                    .await
                    .map_err(failed)?;
                tokio::select! {
                    permit = self.go.acquire() => permit.unwrap().forget(),
                    () = turn.cancelled.cancelled() => return Err(AgentError::new("stopped")),
                }
                updates
                    .artifact(artifact("waited"), false, true)
                    .await
                    .map_err(failed)?;
                updates
                    .status(TaskState::Completed, None)
                    .await
                    .map_err(failed)?;
            }
            // Says what it was told about the request.
            "who" => {
                let modes = turn.configuration.unwrap_or_default().accepted_output_modes;
                let seen = Part::data(serde_json::json!({
                    "subject": turn.caller.subject,
                    "tenant": turn.caller.tenant,
                    "extensions": turn.caller.extensions,
                    "acceptedOutputModes": modes,
                    "referenceTaskIds": turn.message.reference_task_ids,
                    "metadata": turn.metadata,
                    "followUp": turn.follow_up,
                }));
                updates
                    .artifact(Artifact::new("seen", vec![seen]), false, true)
                    .await
                    .map_err(failed)?;
                updates
                    .status(TaskState::Completed, None)
                    .await
                    .map_err(failed)?;
            }
            // Comes back without an end.
            "leave" => {
                updates
                    .status(TaskState::Working, None)
                    .await
                    .map_err(failed)?;
                turn.cancelled.cancelled().await;
            }
            // Ends by itself at about the time when it is canceled.
            "race" => {
                updates
                    .status(TaskState::Working, None)
                    .await
                    .map_err(failed)?;
                turn.cancelled.cancelled().await;
                // The end may be another one.
                let _ = updates.status(TaskState::Completed, None).await;
            }
            "say" => {
                for word in rest.split(' ') {
                    let update = StatusUpdate {
                        state: TaskState::Working,
                        message: say(word),
                        metadata: None,
                    };
                    updates
                        .status_with(update, Durability::Soon)
                        .await
                        .map_err(failed)?;
                }
                updates
                    .status(TaskState::Completed, say("said"))
                    .await
                    .map_err(failed)?;
            }
            "fail" => return Err(AgentError::new("it went wrong")),
            "panic" => panic!("as told"),
            "vanish" => {}
            "invalid" => {
                updates
                    .artifact(Artifact::default(), false, false)
                    .await
                    .map_err(failed)?;
            }
            _ => {
                updates
                    .status(TaskState::Working, None)
                    .await
                    .map_err(failed)?;
                updates
                    .artifact(artifact(&text), false, true)
                    .await
                    .map_err(failed)?;
                updates
                    .status(TaskState::Completed, say("done"))
                    .await
                    .map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn cancel(&self, _target: &CancelTarget) -> Result<(), AgentError> {
        self.cancels.fetch_add(1, Ordering::SeqCst);
        if self.stubborn {
            Err(AgentError::new("it will not die"))
        } else {
            Ok(())
        }
    }
}

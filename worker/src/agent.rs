//! The worker as an A2A agent: what its card says, which messages it takes, and where they go.
//!
//! Only the border between protocol and sessions; the work is in [`crate::session`].

use std::sync::Arc;
use std::time::Duration;

use a2a_proto::card::{ExtendedCard, GRPC};
use a2a_proto::error::A2aError;
use a2a_proto::sequence;
use a2a_proto::server::{
    Acceptance, Agent, AgentError, Caller, CancelTarget, Incoming, Turn, Updates,
};
use a2a_proto::types::{
    AgentCapabilities, AgentCard, AgentExtension, AgentSkill, HTTPAuthSecurityScheme, PartContent,
    SecurityRequirement, SecurityScheme, StringList,
};

use crate::session::Sessions;

/// How long a caller should wait when the worker's line is full.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// What a message may hold.
const INPUT_MODES: [&str; 2] = ["text/plain", "application/json"];

/// What the card says that only the command line knows.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The agent ID card's `agent_id`.
    pub(crate) agent_id: String,
    /// Where callers reach this server, without a slash at its end.
    pub(crate) url: String,
    /// Whether calls carry a token.
    pub(crate) authentication: bool,
    /// What only known callers see of the card.
    pub(crate) extended: Option<Arc<ExtendedCard>>,
}

/// The agent.
#[derive(Debug)]
pub(crate) struct Worker {
    identity: Identity,
    sessions: Arc<Sessions>,
}

impl Worker {
    pub(crate) fn new(identity: Identity, sessions: Arc<Sessions>) -> Self {
        Self { identity, sessions }
    }
}

impl Agent for Worker {
    fn card(&self) -> AgentCard {
        card(&self.identity)
    }

    fn extended_card(&self, _caller: &Caller) -> Option<AgentCard> {
        self.identity.extended.as_ref()?.over(&self.card())
    }

    async fn accept(&self, incoming: &Incoming) -> Result<Acceptance, A2aError> {
        let parts = &incoming.message.parts;
        let refused = parts
            .iter()
            .find(|part| matches!(part.content, PartContent::Raw(_) | PartContent::Url(_)));
        if let Some(part) = refused {
            let media_type = if part.media_type.is_empty() {
                "a file".to_owned()
            } else {
                part.media_type.clone()
            };
            return Err(A2aError::ContentTypeNotSupported { media_type });
        }
        if crate::session::prompt_text(parts).trim().is_empty() {
            return Err(A2aError::invalid_param(
                "message.parts",
                "must hold some text for the agent",
            ));
        }
        if self.sessions.is_full() {
            return Err(A2aError::Overloaded {
                retry_after: RETRY_AFTER,
            });
        }
        Ok(Acceptance::Task)
    }

    async fn execute(&self, turn: Turn, updates: Updates) -> Result<(), AgentError> {
        let artifacts = format!("{}/artifacts/{}", self.identity.url, turn.task.id);
        self.sessions.execute(turn, updates, &artifacts).await
    }

    async fn cancel(&self, target: &CancelTarget) -> Result<(), AgentError> {
        self.sessions
            .cancel(&target.task_id, &target.context_id, &target.caller)
            .await;
        Ok(())
    }
}

fn extensions() -> Vec<AgentExtension> {
    let mut extensions = a2a_proto::activity::extensions();
    extensions.push(sequence::extension());
    extensions
}

fn card(identity: &Identity) -> AgentCard {
    let mut card = AgentCard {
        name: identity.agent_id.clone(),
        description: "A coding agent in a sandbox with one workspace. Send it a task in words; it streams what it does and \
                      returns what it changed as files, a patch and a git bundle."
            .to_owned(),
        supported_interfaces: a2a_proto::card::interfaces(&identity.url, GRPC),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: AgentCapabilities {
            streaming: Some(true),
            push_notifications: Some(true),
            extensions: extensions(),
            ..AgentCapabilities::default()
        },
        default_input_modes: INPUT_MODES.map(str::to_owned).to_vec(),
        default_output_modes: ["text/plain", "text/x-diff", "application/x-git-bundle", "application/octet-stream"]
            .map(str::to_owned)
            .to_vec(),
        skills: vec![AgentSkill {
            id: "code".to_owned(),
            name: "Write and change code".to_owned(),
            description: "Reads, writes and runs code in the workspace until the task is done.".to_owned(),
            tags: ["code", "edit", "test", "shell"].map(str::to_owned).to_vec(),
            examples: vec!["Write a REST API for user management, with tests".to_owned()],
            ..AgentSkill::default()
        }],
        ..AgentCard::default()
    };
    card.capabilities.extended_agent_card = identity.extended.is_some().then_some(true);
    if identity.authentication {
        require_token(&mut card);
    }
    card
}

/// Says in the card that calls carry a token.
pub(crate) fn require_token(card: &mut AgentCard) {
    let scheme = HTTPAuthSecurityScheme {
        scheme: "Bearer".to_owned(),
        bearer_format: "JWT".to_owned(),
        description: "A JSON Web Token signed with Ed25519 for the audience \"worker:<agent_id>\"."
            .to_owned(),
    };
    card.security_schemes
        .insert("bearer".to_owned(), SecurityScheme::HttpAuth(scheme));
    let schemes = [("bearer".to_owned(), StringList::default())].into();
    card.security_requirements
        .push(SecurityRequirement { schemes });
}

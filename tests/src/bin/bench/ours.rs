//! Our side of the comparison: the echo agent behind the real server with the SQLite log.
//!
//! The agent does nothing but write: `N` chunks of 64 bytes as one artifact for a message that is a number, one short message
//! for anything else. Everything else is the server's work, which is what is measured.

use std::{path::Path, sync::Arc};

use a2a_proto::{
    log::{LogError, SqliteLog},
    server::{Agent, AgentError, AnyCaller, CancelTarget, Server, ServerOptions, Turn, Updates},
    types::{AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Artifact, Part, TaskState},
};
use axum::Router;

/// Bytes of one chunk.
const CHUNK: usize = 64;

/// The agent under load.
#[derive(Debug)]
struct Echo {
    url: String,
}

/// The server as any agent of ours would have it.
pub(crate) fn server(url: &str, database: &Path) -> Result<Router, LogError> {
    let log = SqliteLog::open(database)?;
    let agent = Echo {
        url: url.to_owned(),
    };
    let options = ServerOptions::new(Arc::new(AnyCaller));
    Ok(Server::new(Arc::new(agent), Arc::new(log), options).router())
}

impl Agent for Echo {
    fn card(&self) -> AgentCard {
        AgentCard {
            name: "echo".to_owned(),
            description: "Says things again".to_owned(),
            version: "1".to_owned(),
            supported_interfaces: vec![AgentInterface {
                url: self.url.clone(),
                protocol_binding: "JSONRPC".to_owned(),
                protocol_version: "1.0".to_owned(),
                ..AgentInterface::default()
            }],
            capabilities: AgentCapabilities {
                streaming: Some(true),
                ..AgentCapabilities::default()
            },
            default_input_modes: vec!["text/plain".to_owned()],
            default_output_modes: vec!["text/plain".to_owned()],
            skills: vec![AgentSkill {
                id: "echo".to_owned(),
                name: "echo".to_owned(),
                description: "Says things again".to_owned(),
                ..AgentSkill::default()
            }],
            ..AgentCard::default()
        }
    }

    async fn execute(&self, turn: Turn, updates: Updates) -> Result<(), AgentError> {
        let failed = |error| AgentError::because("the log failed", error);
        let text = turn.message.text();
        if let Ok(count) = text.parse::<u64>() {
            let chunk = "x".repeat(CHUNK);
            for number in 1..=count {
                let artifact = Artifact::new("chunks", vec![Part::text(chunk.as_str())]);
                let sent = updates
                    .artifact(artifact, number > 1, number == count)
                    .await;
                sent.map_err(failed)?;
            }
        }
        let done = updates.agent_message(vec![Part::text("done")]);
        updates
            .status(TaskState::Completed, Some(done))
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn cancel(&self, _target: &CancelTarget) -> Result<(), AgentError> {
        Ok(())
    }
}

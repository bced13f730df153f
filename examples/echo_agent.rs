//! An A2A agent that says things again: `echo_agent [ADDRESS]`. Every binding, resumable streams and the card come with it.

use std::{env, error::Error, io::Write, sync::Arc};

use a2a_proto::{
    log::MemoryLog,
    server::{Agent, AgentError, AnyCaller, CancelTarget, Server, ServerOptions, Turn, Updates},
    types::{AgentCard, AgentSkill, TaskState},
};

struct Echo;

impl Agent for Echo {
    fn card(&self) -> AgentCard {
        let skill = AgentSkill {
            id: "echo".into(),
            name: "echo".into(),
            description: "Says it again".into(),
            ..Default::default()
        };
        AgentCard {
            name: "echo".into(),
            description: "Says it again".into(),
            version: "1".into(),
            skills: vec![skill],
            ..Default::default()
        }
    }

    async fn execute(&self, turn: Turn, updates: Updates) -> Result<(), AgentError> {
        let answer = updates.agent_message(turn.message.parts.clone());
        let stored = updates.status(TaskState::Completed, Some(answer)).await;
        stored
            .map(|_| ())
            .map_err(|error| AgentError::because("the answer could not be stored", error))
    }

    async fn cancel(&self, _target: &CancelTarget) -> Result<(), AgentError> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    let options = ServerOptions::new(Arc::new(AnyCaller));
    let server = Server::new(Arc::new(Echo), Arc::new(MemoryLog::new()?), options);
    Ok(axum::serve(listener, server.router()).await?)
}

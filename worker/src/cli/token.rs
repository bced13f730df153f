//! `worker token`: a bearer token for a worker that was started by hand and makes its own key.

use std::io::Write;
use std::path::PathBuf;

use a2a_proto::auth::Claims;
use a2a_proto::clock::{Clock, Ids, SystemClock, UuidV7};
use clap::Args;
use daemon::cli::Failure;
use daemon::exit::Exit;
use secrecy::ExposeSecret;

use crate::card::AgentIdCard;
use crate::state::{StateDir, StateDirError};

/// Arguments of `worker token`.
#[derive(Debug, Args)]
pub(super) struct Token {
    /// The worker's agent ID card
    #[arg(long, value_name = "FILE")]
    card: PathBuf,
    /// The worker's state folder, if it was started with one
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Who the token is for; tasks belong to this name
    #[arg(long, value_name = "NAME", default_value = "local")]
    subject: String,
    /// How long the token holds, in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1440))]
    minutes: u16,
}

impl Token {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let card = AgentIdCard::read(&self.card)
            .map_err(|error| Failure::from_error(Exit::BadInput, &error))?;
        let state = StateDir::of(&card.agent_id, self.state_dir.as_deref())
            .map_err(StateDirError::into_failure)?;
        let signer = state.signer().map_err(StateDirError::into_failure)?;
        let now = SystemClock.now().as_second();
        let claims = Claims {
            iss: format!("worker:{}", card.agent_id),
            sub: self.subject,
            aud: format!("worker:{}", card.agent_id),
            exp: now + i64::from(self.minutes) * 60,
            iat: now,
            nbf: now,
            jti: UuidV7.next(),
            scope: String::new(),
        };
        let token = signer
            .sign(&claims)
            .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
        writeln!(out, "{}", token.expose_secret())
            .map_err(|error| Failure::from_error(Exit::Io, &error))?;
        Ok(Exit::Ok)
    }
}

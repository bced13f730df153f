//! `worker schema`: the JSON Schema of agent ID cards, for editors and for whoever writes cards.

use std::io::Write;

use daemon::cli::Failure;
use daemon::exit::Exit;

use crate::card::AgentIdCard;

pub(super) fn run(out: &mut dyn Write) -> Result<Exit, Failure> {
    out.write_all(AgentIdCard::json_schema().as_bytes())
        .map_err(|error| Failure::from_error(Exit::Io, &error))?;
    Ok(Exit::Ok)
}

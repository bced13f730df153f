//! `captain token`: the token for calls to the captain, or to one of its workers.

use daemon::cli::Failure;
use daemon::exit::Exit;
use secrecy::ExposeSecret;

use super::args::TokenArgs;
use super::wire::WorkerToken;
use super::{connect, output};

/// Prints the token; that is what it is for.
pub(crate) async fn run(args: &TokenArgs) -> Result<Exit, Failure> {
    if let Some(worker) = &args.worker {
        let client = connect::captain(&args.captain)?;
        let access: WorkerToken = client
            .post(&["workers", worker, "token"], &serde_json::json!({}))
            .await?;
        output::line(access.token.expose_secret())?;
        return Ok(Exit::Ok);
    }
    let folder = connect::state_dir(args.captain.state_dir.as_deref())?;
    match connect::token(&folder)? {
        Some(token) => {
            output::line(token.expose_secret())?;
            Ok(Exit::Ok)
        }
        None => Err(Failure::new(
            Exit::Unavailable,
            format!("there is no token in {}", folder.display()),
        )
        .with_hint("the first `captain serve` or `captain run` makes one")),
    }
}

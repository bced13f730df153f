//! The second half of `make bench`: what whole processes cost. The first half, the stream against a bare handler, is
//! `a2a-proto/benches/stream`, beside the code that it measures.
//!
//! Uses the release binaries of this build, like a user would. Prints a table and says which targets are met; a busy machine makes
//! numbers worse, so a missed target is not a failure.

mod processes;
mod table;

use std::{error::Error, io::Write, process::ExitCode};

use table::Table;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error closed there is nobody to tell.
            let _ = writeln!(
                std::io::stderr(),
                "bench: {}",
                daemon::cli::chain(error.as_ref())
            );
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let mut table = Table::default();
    processes::measure(&mut table).await?;
    table.write(&mut std::io::stdout())?;
    Ok(())
}

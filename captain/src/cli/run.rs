//! stub
use super::args::*;
use daemon::cli::Failure;
use daemon::exit::Exit;
pub(crate) async fn serve(_: &Cli, _: &ServeArgs) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
pub(crate) async fn run(_: &Cli, _: &RunArgs) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}

//! Finding the captain to ask: the one that was named, else the one that runs on this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use a2a_proto::client::{HttpOptions, http_client};
use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::state::{Endpoint, StateError, default_root, read_secret};
use secrecy::SecretString;
use url::Url;

use super::args::{CaptainArgs, RemoteArgs};
use super::client::Client;
use crate::auth::TOKEN_FILE;
/// How long a captain may take to accept a connection; beyond that it is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The captain that was named or runs here; an error if there is none.
pub(crate) fn captain(args: &CaptainArgs) -> Result<Client, Failure> {
    let folder = state_dir(args.state_dir.as_deref())?;
    find(&args.remote, &folder)?.ok_or_else(|| {
        Failure::new(Exit::Unavailable, "no captain is running on this machine")
            .with_hint("start one with `captain serve`, or name another with --url")
    })
}

/// The captain that was named, else the one that runs with this state folder, if any.
pub(crate) fn find(remote: &RemoteArgs, state_dir: &Path) -> Result<Option<Client>, Failure> {
    let running = Endpoint::find(state_dir).map_err(|error| state_failure(&error))?;
    let url = match (&remote.url, &running) {
        (Some(url), _) => url.clone(),
        (None, Some(endpoint)) => parse(&endpoint.url)?,
        (None, None) => return Ok(None),
    };
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(Failure::new(
            Exit::Usage,
            format!("{url} is not an http or https address"),
        ));
    }
    // Our own captain's token is for our own captain alone.
    let ours = running.is_some_and(|endpoint| parse(&endpoint.url).is_ok_and(|own| own == url));
    let token = match &remote.token {
        Some(token) => Some(token.clone()),
        None if ours => token(state_dir)?,
        None => None,
    };
    client(url, token).map(Some)
}

/// The token for the agent at `url`, if that is this machine's own captain: its token is for it alone.
pub(crate) fn own_token(url: &Url, named: Option<&Path>) -> Result<Option<SecretString>, Failure> {
    let Ok(folder) = state_dir(named) else {
        return Ok(None);
    };
    let running = Endpoint::find(&folder).map_err(|error| state_failure(&error))?;
    let own = running.and_then(|endpoint| Url::parse(&endpoint.url).ok());
    match own.is_some_and(|own| own.origin() == url.origin()) {
        true => token(&folder),
        false => Ok(None),
    }
}

/// A client of the captain at `url`.
pub(crate) fn client(url: Url, token: Option<SecretString>) -> Result<Client, Failure> {
    Ok(Client::new(http()?, url, token))
}

/// The HTTP client of all calls.
pub(crate) fn http() -> Result<reqwest::Client, Failure> {
    let options = HttpOptions {
        connect_timeout: CONNECT_TIMEOUT,
        ..HttpOptions::default()
    };
    http_client(&options).map_err(|error| Failure::from_error(Exit::Internal, &error))
}

/// The user's token; none where the captain runs without authentication and never made one.
pub(crate) fn token(state_dir: &Path) -> Result<Option<SecretString>, Failure> {
    let path = state_dir.join(TOKEN_FILE);
    if !path.exists() {
        return Ok(None);
    }
    read_secret(&path)
        .map(|token| Some(SecretString::from(token)))
        .map_err(|error| state_failure(&error))
}

/// The captain's state folder.
pub(crate) fn state_dir(named: Option<&Path>) -> Result<PathBuf, Failure> {
    match named {
        Some(folder) => Ok(folder.to_owned()),
        None => default_root()
            .map(|root| root.join("captain"))
            .map_err(|error| state_failure(&error)),
    }
}

/// A failure to use the state folder.
pub(crate) fn state_failure(error: &StateError) -> Failure {
    let exit = match error {
        StateError::NoHome => Exit::Usage,
        _ => Exit::Io,
    };
    Failure::from_error(exit, error)
}

fn parse(url: &str) -> Result<Url, Failure> {
    Url::parse(url).map_err(|error| {
        let message = format!("the running captain announced the address {url:?}: {error}");
        Failure::new(Exit::Internal, message)
    })
}

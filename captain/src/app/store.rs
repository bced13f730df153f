//! Which database the jobs are kept in, opened: a SQLite file of this captain's own, or a PostgreSQL database that it
//! shares. And what a captain that is one of several is known by.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use daemon::state::StateError;
use rustix::fs::{FlockOperation, flock};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{StartError, private_file};
use crate::auth::WorkerTokens;
use crate::config::Config;
use crate::store::{SqliteStore, Store};

/// The database, in the state folder.
pub(crate) const DATABASE_FILE: &str = "captain.sqlite";
/// The name of this captain among several, in its state folder; nobody else can have it, because the folder is locked.
#[cfg(feature = "postgres")]
const NAME_FILE: &str = "captain-id";
/// Held while the common identity is read or made.
const TURN_FILE: &str = "identity.lock";

/// Opens the database.
pub(super) async fn open(
    config: &Config,
    dir: &Path,
    tokens: &WorkerTokens,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Arc<dyn Store>, StartError> {
    match &config.store.url {
        #[cfg(feature = "postgres")]
        Some(url) => shared::open(url, config, dir, tokens, tracker, stop).await,
        #[cfg(not(feature = "postgres"))]
        Some(_) => {
            let _ = (tokens, tracker, stop);
            // The configuration was checked: it names no database that this program cannot use.
            Err(crate::store::StoreError::Closed.into())
        }
        None => {
            private_file(dir, DATABASE_FILE)?;
            let path = dir.join(DATABASE_FILE);
            let store = tokio::task::spawn_blocking(move || SqliteStore::open(&path)).await??;
            Ok(Arc::new(store))
        }
    }
}

/// This machine's name.
pub(super) fn host() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    // It becomes the name of a folder.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let plain: String = name.chars().filter(|c| plain(*c)).collect();
    match plain.trim_start_matches('.') {
        "" => "here".to_owned(),
        plain => plain.to_owned(),
    }
}

/// Waits until no other captain reads or makes the identity in `shared`; it is this one's turn while the file is open.
/// Blocks.
pub(super) fn wait_for_turn(shared: &Path) -> Result<File, StartError> {
    let file = private_file(shared, TURN_FILE)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| StateError::Write {
        path: shared.join(TURN_FILE),
        source: error.into(),
    })?;
    Ok(file)
}

#[cfg(feature = "postgres")]
mod shared {
    use a2a_proto::clock::{Ids as _, UuidV7};
    use daemon::state::{read_secret, write_private};

    use super::{
        Arc, CancellationToken, Config, NAME_FILE, Path, StartError, StateError, Store,
        TaskTracker, WorkerTokens, host,
    };
    use crate::store::postgres::{PgOptions, PgStore};

    pub(super) async fn open(
        url: &str,
        config: &Config,
        dir: &Path,
        tokens: &WorkerTokens,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Arc<dyn Store>, StartError> {
        let folder = dir.to_owned();
        let name = tokio::task::spawn_blocking(move || name(&folder)).await??;
        let store = PgStore::open(PgOptions {
            url: url.to_owned(),
            password: config.store.password.clone(),
            ca_file: config.store.ca_file.clone(),
            name,
            host: host(),
            tracker: tracker.clone(),
            stop: stop.clone(),
        })
        .await?;
        if store.same_identity(tokens.kid()).await?.is_err() {
            let shared = config.store.shared_dir.as_deref().unwrap_or(dir);
            return Err(StartError::OtherIdentity {
                url: url.to_owned(),
                shared: shared.to_owned(),
            });
        }
        Ok(Arc::new(store))
    }

    /// The captain's name; made when there is none. Blocks.
    fn name(dir: &Path) -> Result<String, StateError> {
        let path = dir.join(NAME_FILE);
        if !path.exists() {
            write_private(&path, UuidV7.next().as_bytes())?;
        }
        read_secret(&path)
    }
}

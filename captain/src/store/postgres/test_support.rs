//! Captains on one database for tests, without their engines: each is a store with a lease and tasks of its own, which
//! can be stopped as a process is stopped, or killed.

use std::sync::Arc;

use test_postgres::Server;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{PgOptions, PgStore};

/// A server for databases with captains.
pub(crate) struct Captains {
    pub(crate) server: Server,
}

/// One database.
pub(crate) struct Database {
    url: String,
}

/// One captain's store. Dropping it is killing it: its lease is not counted up any more.
pub(crate) struct Captain {
    pub(crate) store: Arc<PgStore>,
    stop: CancellationToken,
}

impl Captains {
    pub(crate) async fn start() -> Self {
        Self {
            server: Server::start().await,
        }
    }

    pub(crate) fn database(&self, name: &str) -> Database {
        Database {
            url: self.server.database(name),
        }
    }
}

impl Database {
    pub(crate) fn at(url: String) -> Self {
        Self { url }
    }

    pub(crate) fn options(&self, name: &str) -> PgOptions {
        PgOptions {
            url: self.url.clone(),
            password: None,
            ca_file: None,
            name: name.to_owned(),
            host: "here".to_owned(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    pub(crate) async fn captain(&self, name: &str) -> Captain {
        let options = self.options(name);
        let stop = options.stop.clone();
        let store = Arc::new(PgStore::open(options).await.unwrap());
        Captain { store, stop }
    }
}

impl Captain {
    /// Its lease is not counted up any more, as that of a process that is stopped; the rest goes on.
    pub(super) fn freeze(&self) {
        let frozen = &self.store.leases.frozen;
        frozen.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Drop for Captain {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

//! The logs in PostgreSQL, for several captains on one database. What waits to be appended is committed in one
//! transaction; whose lease holds and where a log ends is compared in the statement that appends.
//!
//! What was appended survives whatever the database is configured to survive (`synchronous_commit`, replicas): that is
//! the operator's choice and not ours. A connection that breaks is made anew; an append whose answer was lost is found
//! out by what the log holds.

mod append;
mod connect;
mod lease;
mod news;
mod orders;
mod rows;
mod schema;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use captain_core::JobId;
use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connect::Pool;
use self::lease::Leases;
use self::news::News;
use super::{
    Append, Cluster, Entry, Fence, Filter, Handed, Head, MAX_PRUNE, MAX_READ, Store, StoreError,
    Which,
};

pub use self::connect::{AddressError, check};

/// Batches that may wait for the writer. The engine waits for each of its own, so this only has to be small.
const QUEUE: usize = 64;

/// Events that are forgotten in one transaction; a single longer log makes it more.
const MAX_PRUNE_EVENTS: i64 = 20_000;

const READ_ALL: &str = "SELECT e.seq, e.class, e.name, e.json FROM jobs j JOIN events e ON e.job = j.key \
    WHERE j.id = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3";

const READ_WITHOUT_OUTPUT: &str = "SELECT e.seq, e.class, e.name, e.json FROM jobs j JOIN events e ON e.job = j.key \
    WHERE j.id = $1 AND e.seq > $2 AND e.class > 0 ORDER BY e.seq LIMIT $3";

const HEAD: &str =
    "SELECT id, owner, goal, state, terminal, created, updated, last_seq FROM jobs WHERE id = $1";

const LIST: &str = "SELECT id, owner, goal, state, terminal, created, updated, last_seq FROM jobs \
    WHERE ($1::text IS NULL OR owner = $1) AND ($2::text IS NULL OR state = $2) \
    AND ($3::text IS NULL OR id < $3) ORDER BY id DESC LIMIT $4";

/// Apart from [`LIST`], so that the index of unfinished jobs serves it.
const LIST_UNFINISHED: &str = "SELECT id, owner, goal, state, terminal, created, updated, last_seq FROM jobs \
    WHERE NOT terminal AND ($1::text IS NULL OR owner = $1) AND ($2::text IS NULL OR state = $2) \
    AND ($3::text IS NULL OR id < $3) ORDER BY id DESC LIMIT $4";

/// The oldest ended jobs whose logs together are not too long; the first whatever its length.
const PRUNE: &str = "WITH old AS ( \
        SELECT key, last_seq, row_number() OVER w AS nth, (sum(last_seq) OVER w)::bigint AS events FROM ( \
            SELECT key, updated, last_seq FROM jobs WHERE terminal AND updated < $1 \
            ORDER BY updated, key LIMIT $2 \
        ) AS oldest WINDOW w AS (ORDER BY updated, key) \
    ) DELETE FROM jobs USING old WHERE jobs.key = old.key AND (old.nth = 1 OR old.events <= $3) RETURNING jobs.id";

/// What there is at an address, in words; nothing is changed there.
///
/// # Errors
/// [`StoreError`] says why nobody can use it.
pub async fn examine(
    url: &str,
    password: Option<&SecretString>,
    ca_file: Option<&Path>,
) -> Result<String, StoreError> {
    let tracker = TaskTracker::new();
    let pool = Pool::new(&PgOptions {
        url: url.to_owned(),
        password: password.cloned(),
        ca_file: ca_file.map(Path::to_owned),
        name: String::new(),
        host: String::new(),
        tracker,
        stop: CancellationToken::new(),
    })
    .await?;
    schema::describe(&*pool.reader().await?).await
}

/// Where the database is and who uses it.
#[derive(Clone)]
pub struct PgOptions {
    /// The address, `postgres://USER@HOST/DATABASE`; it holds no password.
    pub url: String,
    /// The password, where the server asks for one.
    pub password: Option<SecretString>,
    /// The certificates that the server's is verified by; none means the system's.
    pub ca_file: Option<PathBuf>,
    /// A name that no other captain has at the same time and that this one has again after a restart.
    pub name: String,
    /// The machine, for preferring captains of the same one.
    pub host: String,
    /// Where the connections and the lease are kept going.
    pub tracker: TaskTracker,
    /// Cancelled when the captain stops.
    pub stop: CancellationToken,
}

impl fmt::Debug for PgOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgOptions")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The logs in a PostgreSQL database.
pub struct PgStore {
    pool: Arc<Pool>,
    leases: Arc<Leases>,
    news: Arc<News>,
    writer: mpsc::Sender<Waiting>,
}

impl fmt::Debug for PgStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgStore").finish_non_exhaustive()
    }
}

/// A batch that waits for the writer, and where its answer goes.
type Waiting = (Vec<Append>, oneshot::Sender<Result<(), StoreError>>);

impl PgStore {
    /// Connects, brings the database up to date where needed, and begins a lease.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`]; [`StoreError::Open`]; [`StoreError::TooNew`] for a database that a newer program has
    /// written, which stays untouched.
    pub async fn open(options: PgOptions) -> Result<Self, StoreError> {
        let (tracker, stop) = (options.tracker.clone(), options.stop.clone());
        let pool = Arc::new(Pool::new(&options).await?);
        schema::migrate(pool.writer().await?.client(), pool.place()).await?;
        let news = Arc::new(News::new(Arc::clone(&pool)));
        let leases = Arc::new(Leases::begin(&options, Arc::clone(&pool)).await?);
        let (writer, queue) = mpsc::channel(QUEUE);
        for task in [
            append::run(Arc::clone(&pool), Arc::clone(&leases), queue).boxed(),
            Arc::clone(&news).run().boxed(),
            Arc::clone(&leases).run().boxed(),
        ] {
            let stop = stop.clone();
            tracker.spawn(async move {
                stop.run_until_cancelled(task).await;
            });
        }
        Ok(Self {
            pool,
            leases,
            news,
            writer,
        })
    }

    /// Makes sure that the captains of this database have one identity, whose public key is named by `kid`: the first
    /// captain decides. Gives the name that the database knows where it is another.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub async fn same_identity(&self, kid: &str) -> Result<Result<(), String>, StoreError> {
        let connection = self.pool.reader().await?;
        let sql = "INSERT INTO identity (kid) VALUES ($1) ON CONFLICT (one_row) DO NOTHING";
        connection.execute(sql, &[&kid]).await?;
        let rows = connection.query("SELECT kid FROM identity", &[]).await?;
        let known = rows.first().map(|row| row.get::<_, String>(0));
        Ok(match known {
            Some(known) if known != kid => Err(known),
            _ => Ok(()),
        })
    }
}

impl Store for PgStore {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let (answer, answered) = oneshot::channel();
            self.writer
                .send((batch, answer))
                .await
                .map_err(|_| StoreError::Closed)?;
            answered.await.map_err(|_| StoreError::Closed)?
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        job: &'a JobId,
        after: u64,
        limit: usize,
        which: Which,
    ) -> BoxFuture<'a, Result<Vec<Arc<Entry>>, StoreError>> {
        async move {
            let sql = match which {
                Which::All => READ_ALL,
                Which::WithoutOutput => READ_WITHOUT_OUTPUT,
            };
            let limit = rows::signed(limit.min(MAX_READ) as u64);
            let connection = self.pool.reader().await?;
            let found = connection
                .query(sql, &[&job.as_str(), &rows::signed(after), &limit])
                .await?;
            found
                .iter()
                .map(|row| rows::entry(row).map(Arc::new))
                .collect()
        }
        .boxed()
    }

    fn head<'a>(&'a self, job: &'a JobId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        async move {
            let connection = self.pool.reader().await?;
            let found = connection.query(HEAD, &[&job.as_str()]).await?;
            found.first().map(rows::head).transpose()
        }
        .boxed()
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Vec<Head>, StoreError>> {
        async move {
            let sql = match filter.unfinished {
                true => LIST_UNFINISHED,
                false => LIST,
            };
            let before = filter.before.as_ref().map(JobId::as_str);
            let limit = rows::signed(filter.page() as u64);
            let connection = self.pool.reader().await?;
            let found = connection
                .query(sql, &[&filter.owner, &filter.state, &before, &limit])
                .await?;
            found.iter().map(rows::head).collect()
        }
        .boxed()
    }

    fn prune(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<JobId>, StoreError>> {
        async move {
            let limit = rows::signed(limit.min(MAX_PRUNE) as u64);
            let connection = self.pool.reader().await?;
            let gone = connection
                .query(
                    PRUNE,
                    &[&rows::nanoseconds(before), &limit, &MAX_PRUNE_EVENTS],
                )
                .await?;
            gone.iter().map(|row| rows::job(row.get(0))).collect()
        }
        .boxed()
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        Some(self)
    }
}

impl Cluster for PgStore {
    fn fence(&self) -> Fence {
        self.leases.present().fence
    }

    fn lease(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let lease = self.leases.hold().await?;
            Ok(u64::try_from(lease.epoch).unwrap_or(0))
        }
        .boxed()
    }

    fn claim(&self) -> BoxFuture<'_, Result<Vec<JobId>, StoreError>> {
        self.leases.claim().boxed()
    }

    fn wait(&self) -> BoxFuture<'_, ()> {
        self.news.wait().boxed()
    }

    fn follow(&self, job: &JobId, end: u64) -> watch::Receiver<u64> {
        self.news.follow(job, end)
    }

    fn hand_over<'a>(
        &'a self,
        job: &'a JobId,
        order: Value,
    ) -> BoxFuture<'a, Result<Option<Value>, StoreError>> {
        orders::hand_over(&self.pool, &self.news, job, order).boxed()
    }

    fn orders(&self) -> BoxFuture<'_, Result<Vec<Handed>, StoreError>> {
        orders::open(&self.pool, self.leases.present().epoch).boxed()
    }

    fn answer(&self, order: i64, answer: Value) -> BoxFuture<'_, Result<(), StoreError>> {
        orders::answer(&self.pool, order, answer).boxed()
    }
}

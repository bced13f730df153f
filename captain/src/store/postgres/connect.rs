//! Connections to the database: where to, how secure, how long to wait, and a new one in place of one that broke. The
//! writer has one to itself and so has the lease; readers share a few, since a connection takes many questions at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt as _, poll_fn};
use secrecy::ExposeSecret as _;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Row, Statement};
use tokio_util::task::TaskTracker;

use super::super::StoreError;
use super::PgOptions;
use super::tls::Tls;

/// Connections that readers share.
const READERS: usize = 3;
/// How long a connection may take to come about: a database that restarts is back within seconds.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take. All that is asked is answered within milliseconds by a healthy server.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the server bears with a statement, and with a transaction whose captain was stopped in the middle: its locks
/// hold back whoever takes its jobs over. Milliseconds.
const SETTINGS: &str = "-c search_path=flotilla -c statement_timeout=9000 -c lock_timeout=5000 \
    -c idle_in_transaction_session_timeout=2000 -c client_min_messages=warning";
/// How long data may be on the way to a server that has gone before the connection counts as broken.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why an address is none of a database.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is not of the form `postgres://USER@HOST/DATABASE`.
    #[error("it must be like postgres://USER@HOST:5432/DATABASE")]
    Form(#[source] tokio_postgres::Error),
    /// It says where nothing is.
    #[error("it names no host")]
    NoHost,
    /// It holds a password, which other users could see.
    #[error(
        "it holds a password, which others can see on the command line and in logs: put it into a file that only you may read and name that with --store-password-file"
    )]
    Password,
}

/// Checks an address without going there.
///
/// # Errors
/// [`AddressError`] says what is wrong with it.
pub fn check(url: &str) -> Result<(), AddressError> {
    parse(url).map(drop)
}

fn parse(url: &str) -> Result<Config, AddressError> {
    let config: Config = url.parse().map_err(AddressError::Form)?;
    if config.get_password().is_some() {
        return Err(AddressError::Password);
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(AddressError::NoHost);
    }
    Ok(config)
}

/// Whether the way to the database leaves this machine. Then it must be encrypted, unless the address says
/// `sslmode=disable`.
fn leaves_the_machine(config: &Config) -> bool {
    config.get_hosts().iter().any(|host| match host {
        Host::Unix(_) => false,
        Host::Tcp(name) => {
            let address: Option<IpAddr> = name.parse().ok();
            name != "localhost" && !address.is_some_and(|ip| ip.is_loopback())
        }
    })
}

/// All connections of one captain.
pub(super) struct Pool {
    config: Config,
    tls: Tls,
    place: String,
    tracker: TaskTracker,
    writer: Slot,
    keeper: Slot,
    readers: [Slot; READERS],
    next: AtomicUsize,
}

/// Room for one connection.
type Slot = tokio::sync::Mutex<Option<Arc<Connection>>>;

impl Pool {
    /// Connects nothing yet.
    pub(super) async fn new(options: &PgOptions) -> Result<Self, StoreError> {
        let place = options.url.clone();
        let failed = |source: super::super::Cause| StoreError::Open {
            place: options.url.clone(),
            source,
        };
        let mut config = parse(&options.url).map_err(|error| failed(error.into()))?;
        let mode = match (config.get_ssl_mode(), leaves_the_machine(&config)) {
            (SslMode::Disable, _) | (SslMode::Prefer, false) => SslMode::Disable,
            _ => SslMode::Require,
        };
        let tls = match mode {
            SslMode::Disable => Tls::off(),
            _ => {
                let file = options.ca_file.clone();
                let opened = tokio::task::spawn_blocking(move || Tls::open(file.as_deref())).await;
                let opened = opened.map_err(|_| StoreError::Closed)?;
                opened.map_err(|error| failed(error.into()))?
            }
        };
        let settings = match config.get_options() {
            Some(theirs) => format!("{SETTINGS} {theirs}"),
            None => SETTINGS.to_owned(),
        };
        config
            .ssl_mode(mode)
            .options(settings)
            .application_name("flotilla captain")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(TCP_TIMEOUT)
            .keepalives_idle(TCP_TIMEOUT);
        if let Some(password) = &options.password {
            config.password(password.expose_secret());
        }
        Ok(Self {
            config,
            tls,
            place,
            tracker: options.tracker.clone(),
            writer: Slot::default(),
            keeper: Slot::default(),
            readers: Default::default(),
            next: AtomicUsize::new(0),
        })
    }

    /// The address, for messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The writer's connection.
    pub(super) async fn writer(&self) -> Result<Arc<Connection>, StoreError> {
        self.of(&self.writer).await
    }

    /// The connection that keeps the lease: whatever the others do, it is free.
    pub(super) async fn keeper(&self) -> Result<Arc<Connection>, StoreError> {
        self.of(&self.keeper).await
    }

    /// One of the readers' connections.
    pub(super) async fn reader(&self) -> Result<Arc<Connection>, StoreError> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % READERS;
        self.of(&self.readers[next]).await
    }

    async fn of(&self, slot: &Slot) -> Result<Arc<Connection>, StoreError> {
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|one| !one.is_broken()) {
            return Ok(Arc::clone(connection));
        }
        let connecting = self.config.connect(self.tls.clone());
        let (client, driver) = self.within(CONNECT, connecting).await?;
        self.tracker.spawn(async move {
            // Whoever asks next hears of it.
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection to the database broke");
            }
        });
        let connection = Arc::new(Connection {
            client,
            place: self.place.clone(),
            statements: Mutex::default(),
            silent: AtomicUsize::new(0),
        });
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// A connection that listens on `channel`, and what it hears until it breaks. The client must be kept meanwhile.
    pub(super) async fn listen(
        &self,
        channel: &str,
    ) -> Result<(Client, BoxStream<'static, String>), StoreError> {
        let connecting = self.config.connect(self.tls.clone());
        let (client, mut driver) = self.within(CONNECT, connecting).await?;
        let mut heard = poll_fn(move |context| driver.poll_message(context))
            .filter_map(|message| async {
                match message {
                    Ok(AsyncMessage::Notification(news)) => Some(Ok(news.payload().to_owned())),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                }
            })
            .boxed();
        let listen = format!("LISTEN {channel}");
        // The connection only works while it is listened to.
        let begun = async {
            let mut listening = std::pin::pin!(client.batch_execute(&listen));
            loop {
                tokio::select! {
                    done = &mut listening => return done,
                    // What is heard before the answer is part of the state that is read afterwards.
                    early = heard.next() => if let Some(Err(error)) = early {
                        return Err(error);
                    },
                }
            }
        };
        self.within(ANSWER, begun).await?;
        let heard = heard.take_while(|news| std::future::ready(news.is_ok()));
        Ok((client, heard.filter_map(|news| async { news.ok() }).boxed()))
    }

    async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(explain(&self.place, error)),
            Err(late) => Err(StoreError::Unreachable {
                place: self.place.clone(),
                source: late.into(),
            }),
        }
    }
}

/// One connection, with the statements that it has prepared.
pub(super) struct Connection {
    client: Client,
    place: String,
    statements: Mutex<HashMap<&'static str, Statement>>,
    /// Answers that did not come in time: it is given up then.
    silent: AtomicUsize,
}

impl Connection {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    fn is_broken(&self) -> bool {
        self.client.is_closed() || self.silent.load(Ordering::Relaxed) > 0
    }

    /// Runs a statement that answers with rows.
    pub(super) async fn query(
        &self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.bounded(async {
            let statement = self.prepared(sql).await?;
            self.client.query(&statement, values).await
        })
        .await
    }

    /// Runs a statement and gives how many rows it changed.
    pub(super) async fn execute(
        &self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        self.bounded(async {
            let statement = self.prepared(sql).await?;
            self.client.execute(&statement, values).await
        })
        .await
    }

    /// The statement, prepared once for this connection.
    pub(super) async fn prepared(
        &self,
        sql: &'static str,
    ) -> Result<Statement, tokio_postgres::Error> {
        let known = {
            let statements = self
                .statements
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            statements.get(sql).cloned()
        };
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        let mut statements = self
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Gives the answer, or gives the connection up when none comes.
    pub(super) async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(ANSWER, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(explain(&self.place, error)),
            Err(late) => {
                self.silent.fetch_add(1, Ordering::Relaxed);
                Err(StoreError::Unreachable {
                    place: self.place.clone(),
                    source: late.into(),
                })
            }
        }
    }
}

/// What a failure of the driver's is in the store's words.
fn explain(place: &str, error: tokio_postgres::Error) -> StoreError {
    let unreachable = |source: tokio_postgres::Error| StoreError::Unreachable {
        place: place.to_owned(),
        source: source.into(),
    };
    match error.code() {
        None => unreachable(error),
        Some(code) if *code == SqlState::DISK_FULL => StoreError::Full(error.into()),
        // Starting, stopping, killed by its administrator, out of connections, or without its network.
        Some(code)
            if ["57P", "08", "53"]
                .iter()
                .any(|class| code.code().starts_with(class))
                || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT =>
        {
            unreachable(error)
        }
        // Who may not come in will not come in later either.
        Some(code)
            if ["28", "3D"]
                .iter()
                .any(|class| code.code().starts_with(class)) =>
        {
            StoreError::Open {
                place: place.to_owned(),
                source: error.into(),
            }
        }
        Some(_) => StoreError::Write(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_anybody_goes_there() {
        let refused = |url: &str| check(url).unwrap_err().to_string();
        assert!(check("postgres://captain@db.example/flotilla").is_ok());
        assert!(check("postgresql://captain@%2Frun%2Fpostgresql/flotilla").is_ok());
        let password = refused("postgres://captain:s3cret@db.example/flotilla");
        assert!(
            password.contains("--store-password-file") && !password.contains("s3cret"),
            "{password}"
        );
        assert!(refused("postgres:///flotilla").contains("no host"));
        assert!(refused("postgres://h/d?sslmode=perhaps").contains("must be like"));
    }

    #[test]
    fn only_what_stays_on_the_machine_goes_unencrypted() {
        let leaves = |url: &str| leaves_the_machine(&parse(url).unwrap());
        assert!(!leaves("postgres://u@%2Frun%2Fpg/d"));
        assert!(!leaves("postgres://u@localhost/d"));
        assert!(!leaves("postgres://u@127.0.0.1/d"));
        assert!(!leaves("postgres://u@[::1]/d"));
        assert!(leaves("postgres://u@db.example/d"));
        assert!(leaves("postgres://u@10.0.0.1,127.0.0.1/d"));
    }
}

//! A PostgreSQL server for one test, from the system's own package. It has a private folder, listens on a socket in it,
//! runs as an unprivileged user (the server refuses root), and is gone with the test, however that ends: a dropped
//! server is stopped and awaited, and the kernel stops the server of a test that was killed.
//!
//! Only for tests: nothing here is quick, every failure panics, and the disk is not waited for.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot have its server has failed"
)]

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// The superuser of the server.
pub const USER: &str = "captain";
/// The password of [`USER`]; asked for over TCP only.
pub const PASSWORD: &str = "only for tests";
/// Who the server runs as when the tests run as root, the first that is there.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
/// The port that the socket of a server is named by unless it listens on another.
const USUAL_PORT: u16 = 5432;
/// Looks at a server that starts, and the pause between two of them: half a minute in all.
const LOOKS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// A running server.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    /// Also part of the socket's name.
    port: u16,
    process: Child,
}

impl Server {
    /// Starts an empty server that listens on its socket only.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pg-")
            .tempdir_in("/tmp")
            .expect("there is room for a temporary folder");
        let user = unprivileged();
        if let Some((uid, gid)) = user.as_deref().map(ids) {
            chown(folder.path(), Some(uid), Some(gid)).expect("root may give folders away");
        }
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("the folder is writable");
        let data = folder.path().join("data");
        let made = as_user("initdb", user.as_deref())
            .args([
                "--username",
                USER,
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
            ])
            .args([
                "--no-sync",
                "--no-instructions",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg("--pwfile")
            .arg(&password)
            .arg(&data)
            .output()
            .expect("initdb can be run");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        set(folder.path(), "listen_addresses = ''");
        let process = serve(folder.path());
        let server = Self {
            folder,
            port: USUAL_PORT,
            process,
        };
        server.ready().await;
        server
    }

    /// Its folder; files that the server should read belong here.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of a database, by the socket.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{folder}/{database}")
    }

    /// Makes a database and gives its address.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// Runs a statement and gives what it answers, one line for each row, columns separated by `|`.
    ///
    /// # Panics
    /// When the statement fails.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let output = self
            .psql(database, statement)
            .output()
            .expect("psql can be run");
        assert!(
            output.status.success(),
            "{statement}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Writes a line into the server's settings, for its next start.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn set(&self, line: &str) {
        set(self.folder.path(), line);
    }

    /// From its next start on it listens on a free port of `localhost` too.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn listen(&mut self) -> u16 {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        self.port = free.expect("there is a free port").port();
        self.set("listen_addresses = 'localhost'");
        self.set(&format!("port = {}", self.port));
        self.port
    }

    /// Ends the server at once, as a crash would.
    pub fn crash(&mut self) {
        self.end();
    }

    /// Starts it again after [`Server::crash`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.process = serve(self.folder.path());
        self.ready().await;
    }

    async fn ready(&self) {
        for _ in 0..LOOKS {
            let answers = self.psql("postgres", "SELECT 1").output();
            if answers.is_ok_and(|output| output.status.success()) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("PostgreSQL did not start:\n{log}");
    }

    fn psql(&self, database: &str, statement: &str) -> Command {
        let mut psql = Command::new(program("psql"));
        psql.arg("--host").arg(self.folder.path());
        psql.args(["--port", &self.port.to_string()]);
        psql.args(["--username", USER, "--dbname", database]);
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
            "--command",
            statement,
        ]);
        psql
    }

    fn end(&mut self) {
        let pid = Pid::from_child(&self.process);
        // The immediate stop: sessions are cut, nothing is written.
        let _ = kill_process(pid, Signal::QUIT);
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// The last line for a setting holds.
fn set(folder: &Path, line: &str) {
    let settings = fs::File::options()
        .append(true)
        .open(folder.join("data/postgresql.conf"));
    let written = settings.and_then(|mut file| writeln!(file, "{line}"));
    written.expect("the settings are writable");
}

fn serve(folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).expect("the folder is writable");
    let mut command = as_user("postgres", unprivileged().as_deref());
    command
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder);
    for setting in ["fsync=off", "max_connections=50", "shared_buffers=16MB"] {
        command.args(["-c", setting]);
    }
    command
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("postgres can be run")
}

/// A command for a program of the server's that runs as an unprivileged user and ends with this process.
fn as_user(name: &str, user: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if let Some(user) = user {
        let (uid, gid) = ids(user);
        command.args([
            "--reuid",
            &uid.to_string(),
            "--regid",
            &gid.to_string(),
            "--clear-groups",
        ]);
    }
    command.arg(program(name)).stdin(Stdio::null());
    // The server refuses a folder that it cannot be in.
    command.current_dir("/");
    command
}

/// The newest version that is installed: Debian keeps these programs out of the path.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            let path = version.path().join("bin").join(name);
            path.exists().then_some((number, path))
        })
        .collect();
    found.sort();
    match found.pop() {
        Some((_, path)) => path,
        None => panic!("PostgreSQL is not installed: type deploy/setup.sh --test"),
    }
}

fn unprivileged() -> Option<String> {
    if !geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let there = |name: &&str| {
        users
            .lines()
            .any(|line| line.split(':').next() == Some(name))
    };
    UNPRIVILEGED.iter().copied().find(there).map(str::to_owned)
}

/// The numbers of a user and of its group.
fn ids(user: &str) -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(user));
    let mut fields = line.unwrap_or_default().split(':').skip(2);
    let mut next = || fields.next().and_then(|field| field.parse().ok());
    match (next(), next()) {
        (Some(uid), Some(gid)) => (uid, gid),
        _ => panic!("there is no user {user}"),
    }
}

/// Gives a file to the user whose server reads it; the server wants its key to be nobody else's.
///
/// # Panics
/// When that is not allowed.
pub fn hand_to_server(server: &Server, path: &Path) {
    let folder = fs::metadata(server.folder()).expect("the folder is there");
    chown(path, Some(folder.uid()), Some(folder.gid())).expect("the file may be given away");
}

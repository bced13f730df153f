//! Starts one worker process so that it outlives the captain: own session, output into a file, an environment built
//! from nothing, and no secret on the command line. It is here and not in `local` because everything that the
//! operating system sees of a start is in this file. It must not know what a job is.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use daemon::process::ProcessIdentity;
use tokio::process::{Child, Command};

/// The worker's output, in its state folder.
pub(super) const LOG_FILE: &str = "worker.log";
/// The end of the output before the file was last cut.
const OLD_LOG_FILE: &str = "worker.log.1";
/// A log may grow to this before it is cut: a supervisor writes little, so more means that something loops.
const MAX_LOG_BYTES: u64 = 4 * 1024 * 1024;
/// What is kept of a log when it is cut, and what is read from its end.
const KEPT_LOG_BYTES: u64 = 256 * 1024;
/// Lines of a worker's log that an error quotes, where the worker has not written an error of its own.
const QUOTED_LINES: usize = 3;
/// How a program of ours begins the error that ends it (`daemon::cli`).
const ERROR_MARK: &str = "error: ";
/// Bytes of a worker's log that an error quotes at most.
const QUOTED_BYTES: u64 = 2 * 1024;

/// The variables of the captain that a worker's supervisor needs: where programs, temporary files and the runtime
/// folder are, and how to print text. Everything else, above all keys, stays behind.
const PASSED_VARIABLES: [&str; 7] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
];

/// The environment of every worker, read once.
pub(super) fn environment() -> Vec<(OsString, OsString)> {
    PASSED_VARIABLES
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
        .collect()
}

/// Finds the worker program: the one that was named, else next to the captain's own executable, else in `PATH`.
///
/// # Errors
/// A sentence that says where it was looked for.
pub fn find_worker(named: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = named {
        return if is_program(path) {
            Ok(path.to_owned())
        } else {
            Err(format!(
                "{} is not a program that can be started",
                path.display()
            ))
        };
    }
    let own = std::env::current_exe()
        .ok()
        .and_then(|path| Some(path.parent()?.join("worker")));
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    own.into_iter()
        .chain(std::env::split_paths(&in_path).map(|dir| dir.join("worker")))
        .find(|path| path.is_absolute() && is_program(path))
        .ok_or_else(|| {
            "the worker program is neither next to the captain nor in PATH; name it with --worker-bin".to_owned()
        })
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Starts `program` with `arguments` in a session of its own.
///
/// The `setsid` program of util-linux makes the session and then becomes the worker, so the pid is the worker's: a
/// process must call setsid(2) itself, and only unsafe code could do so between fork and exec.
///
/// # Errors
/// What the system said when the process or its log file could not be made.
pub(super) fn start(
    program: &Path,
    arguments: &[OsString],
    environment: &[(OsString, OsString)],
    dir: &Path,
) -> io::Result<(Child, ProcessIdentity)> {
    let log = open_log(dir)?;
    let mut command = Command::new("setsid");
    command
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let child = command.spawn()?;
    // A worker that ended at once is found out by its caller, who reads why from the log.
    let identity = child.id().and_then(ProcessIdentity::of_child);
    let identity =
        identity.ok_or_else(|| io::Error::other("the process cannot be seen in /proc"))?;
    Ok((child, identity))
}

fn open_log(dir: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(dir.join(LOG_FILE))
}

/// Cuts a log that has grown too large. The worker appends, so it goes on writing at the new end.
///
/// # Errors
/// What the system said.
pub(super) fn bound_log(dir: &Path) -> io::Result<()> {
    let path = dir.join(LOG_FILE);
    match path.metadata() {
        Ok(metadata) if metadata.len() > MAX_LOG_BYTES => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let kept = read_end(&path, KEPT_LOG_BYTES)?;
    std::fs::write(dir.join(OLD_LOG_FILE), kept)?;
    OpenOptions::new().write(true).open(&path)?.set_len(0)
}

/// The end of a worker's log, for an error: its own error with all that follows, else the last lines.
pub(super) fn last_lines(dir: &Path) -> String {
    let Ok(end) = read_end(&dir.join(LOG_FILE), QUOTED_BYTES) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let begin = lines
        .iter()
        .rposition(|line| line.starts_with(ERROR_MARK))
        .unwrap_or(lines.len().saturating_sub(QUOTED_LINES));
    lines.get(begin..).unwrap_or_default().join("\n")
}

fn read_end(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit)))?;
    let mut end = Vec::new();
    file.take(limit).read_to_end(&mut end)?;
    Ok(end)
}

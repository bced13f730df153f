//! One git command under limits: an environment made from nothing, settings that win over the workspace's, a bound on time
//! and output.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{GitError, text};

/// Longest that one git command may take. Hashing a gigabyte takes some seconds.
const MAX_TIME: Duration = Duration::from_secs(120);

/// The most output of one command that is kept in memory.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;

/// Error text of git that is kept for the log.
const MAX_ERROR_TEXT: u64 = 4 * 1024;

/// Settings that win over anything else. Each takes one way of running or reading foreign things away.
const SETTINGS: [&str; 16] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.quotePath=false",
    "core.protectNTFS=false",
    "diff.ignoreSubmodules=all",
    "submodule.recurse=false",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
];

/// Who the snapshots are by. Fixed, so that equal work gives equal commits apart from the time.
const NAME: &str = "Flotilla worker";
const EMAIL: &str = "worker@flotilla.invalid";

/// A command for the repository `dir` with the work tree `work_tree`.
pub(super) fn command(dir: &Path, work_tree: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(work_tree)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_DIR", dir)
        .env("GIT_WORK_TREE", work_tree)
        .env("GIT_INDEX_FILE", dir.join("index"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("GIT_AUTHOR_NAME", NAME)
        .env("GIT_AUTHOR_EMAIL", EMAIL)
        .env("GIT_COMMITTER_NAME", NAME)
        .env("GIT_COMMITTER_EMAIL", EMAIL)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command.args(arguments);
    command
}

/// Running a prepared command under the limits.
pub(super) trait Bounded {
    /// Gives the command `stdin`, waits for its end, and returns what it printed. `name` is for errors.
    async fn spawn_and_collect(
        &mut self,
        stdin: Option<&[u8]>,
        name: &str,
    ) -> Result<Vec<u8>, GitError>;
}

impl Bounded for Command {
    async fn spawn_and_collect(
        &mut self,
        stdin: Option<&[u8]>,
        name: &str,
    ) -> Result<Vec<u8>, GitError> {
        if stdin.is_some() {
            self.stdin(Stdio::piped());
        }
        let mut child = self.spawn().map_err(GitError::Start)?;
        match tokio::time::timeout(MAX_TIME, talk(&mut child, stdin, name)).await {
            Ok(result) => result,
            Err(_) => Err(GitError::TimedOut {
                command: name.to_owned(),
            }),
        }
    }
}

async fn talk(child: &mut Child, input: Option<&[u8]>, name: &str) -> Result<Vec<u8>, GitError> {
    let stdin = child.stdin.take();
    let write = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A command that ends early closes the pipe; its exit status tells why.
            let _ = stdin.write_all(input).await;
        }
    };
    let mut output = Vec::new();
    let stdout = child.stdout.take();
    let read = async {
        match stdout {
            Some(stdout) => stdout.take(MAX_OUTPUT + 1).read_to_end(&mut output).await,
            None => Ok(0),
        }
    };
    let mut errors = Vec::new();
    let stderr = child.stderr.take();
    let complain = async {
        match stderr {
            Some(mut stderr) => {
                (&mut stderr)
                    .take(MAX_ERROR_TEXT)
                    .read_to_end(&mut errors)
                    .await?;
                tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await
            }
            None => Ok(0),
        }
    };
    let ((), read, complained) = tokio::join!(write, read, complain);
    read.and(complained).map_err(GitError::Pipe)?;
    if output.len() as u64 > MAX_OUTPUT {
        return Err(GitError::TooMuch {
            command: name.to_owned(),
        });
    }
    let status = child.wait().await.map_err(GitError::Pipe)?;
    if status.success() {
        Ok(output)
    } else {
        Err(GitError::Failed {
            command: name.to_owned(),
            text: text(&errors),
        })
    }
}

//! One call of the `git` program: the environment it gets, what it may print, how its failure is told.
//!
//! Everything the captain does with repositories goes through here, so that no call can forget the rules: no
//! configuration but ours, no hooks, no prompts, a fixed author, a bounded answer and a time limit. It knows nothing of
//! jobs and subtasks.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// Most bytes one call may print; a listing of some hundred thousand paths fits, an endless answer does not.
pub(super) const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;
/// How much of the end of `git`'s messages is kept: its last lines say what went wrong.
const STDERR_TAIL_BYTES: usize = 2 * 1024;
/// Longest a call may take. A fetch of a large repository takes minutes; what takes longer hangs.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// Given to every call. Repositories can carry settings and attributes that start programs or change bytes; these
/// switch off what we never want, whatever the repository says.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.quotePath=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "credential.helper=",
    "advice.detachedHead=false",
    "diff.renameLimit=2000",
];

/// A failed call of `git`.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program could not be started.
    #[error("cannot start `git`; install git 2.34 or newer and make sure that it is in PATH")]
    Start(#[source] io::Error),
    /// Reading its answer or writing its input failed.
    #[error("lost contact with `git {command}`")]
    Pipe {
        /// The call's arguments.
        command: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ended with an error of its own.
    #[error("`git {command}` failed ({status}): {stderr}")]
    Failed {
        /// The call's arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its messages.
        stderr: String,
    },
    /// It printed more than [`MAX_ANSWER_BYTES`].
    #[error("`git {command}` answered with more than {} MiB", MAX_ANSWER_BYTES >> 20)]
    TooLong {
        /// The call's arguments.
        command: String,
    },
    /// It took longer than the time limit.
    #[error("`git {command}` did not end within {} seconds", .limit.as_secs())]
    TimedOut {
        /// The call's arguments.
        command: String,
        /// The limit.
        limit: Duration,
    },
}

impl GitError {
    /// The end of `git`'s own messages, if it ran and failed.
    pub fn stderr(&self) -> Option<&str> {
        match self {
            Self::Failed { stderr, .. } => Some(stderr),
            Self::Start(_) | Self::Pipe { .. } | Self::TooLong { .. } | Self::TimedOut { .. } => {
                None
            }
        }
    }
}

/// The `git` program and where it looks for its helpers.
#[derive(Debug, Clone)]
pub struct Git {
    search_path: OsString,
    time_limit: Duration,
}

impl Git {
    /// `search_path` has the form of the variable `PATH`; `git` is looked for there and finds its helpers there.
    pub fn new(search_path: impl Into<OsString>) -> Self {
        Self {
            search_path: search_path.into(),
            time_limit: TIME_LIMIT,
        }
    }

    /// A call on a repository folder without a work tree.
    pub fn bare(&self, repository: &Path) -> Call<'_> {
        let mut flag = OsString::from("--git-dir=");
        flag.push(repository);
        self.call(repository, Some(flag))
    }

    /// A call inside a folder; `git` finds the repository that the folder belongs to.
    pub fn inside(&self, folder: &Path) -> Call<'_> {
        self.call(folder, None)
    }

    fn call(&self, folder: &Path, flag: Option<OsString>) -> Call<'_> {
        Call {
            git: self,
            folder: folder.to_owned(),
            flag,
            args: Vec::new(),
            env: Vec::new(),
            input: Vec::new(),
            accepted: &[0],
        }
    }
}

/// A call being put together.
#[derive(Debug)]
pub struct Call<'a> {
    git: &'a Git,
    folder: PathBuf,
    flag: Option<OsString>,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    input: Vec<u8>,
    accepted: &'static [i32],
}

/// What a call answered.
#[derive(Debug)]
pub struct Answer {
    /// The exit code, one of the accepted ones.
    pub code: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
}

impl Answer {
    /// The one line of an answer that names an object.
    pub fn line(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

impl Call<'_> {
    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets author's and committer's date, in seconds since 1970: the same input then gives the same commit.
    pub fn dated(mut self, seconds: i64) -> Self {
        let date = OsString::from(format!("@{seconds} +0000"));
        self.env.push(("GIT_AUTHOR_DATE", date.clone()));
        self.env.push(("GIT_COMMITTER_DATE", date));
        self
    }

    /// Reads and writes objects in this folder instead of the repository's own.
    pub fn objects(mut self, folder: &Path) -> Self {
        self.env.push(("GIT_OBJECT_DIRECTORY", folder.into()));
        self
    }

    /// Given to its standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Exit codes that are answers, not failures.
    pub fn accept(mut self, codes: &'static [i32]) -> Self {
        self.accepted = codes;
        self
    }

    /// Runs it to its end.
    pub async fn run(self) -> Result<Answer, GitError> {
        let (mut child, words) = self.start()?;
        let limit = self.git.time_limit;
        let accepted = self.accepted;
        let input = self.input;
        let work = async {
            let pipe = |source| GitError::Pipe {
                command: words.clone(),
                source,
            };
            let (stdin, stdout, stderr) =
                (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // A program that has its answer may close its input early; the exit code tells whether that was a failure.
                    if let Err(error) = stdin.write_all(&input).await
                        && error.kind() != io::ErrorKind::BrokenPipe
                    {
                        return Err(pipe(error));
                    }
                }
                Ok(())
            };
            let read = async {
                let mut bytes = Vec::new();
                if let Some(stdout) = stdout {
                    stdout
                        .take(MAX_ANSWER_BYTES + 1)
                        .read_to_end(&mut bytes)
                        .await
                        .map_err(pipe)?;
                }
                if bytes.len() as u64 > MAX_ANSWER_BYTES {
                    return Err(GitError::TooLong {
                        command: words.clone(),
                    });
                }
                Ok(bytes)
            };
            let complain = async { read_tail(stderr).await.map_err(pipe) };
            let ((), stdout, stderr) = tokio::try_join!(feed, read, complain)?;
            let status = child.wait().await.map_err(pipe)?;
            match status.code() {
                Some(code) if accepted.contains(&code) => Ok(Answer { code, stdout }),
                _ => Err(GitError::Failed {
                    command: words.clone(),
                    status,
                    stderr,
                }),
            }
        };
        // Dropping the work drops the child, which kills it.
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(GitError::TimedOut {
                command: words.clone(),
                limit,
            })
        })
    }

    /// Starts it and hands out its answer while it runs; for answers too large to hold.
    pub fn stream(self) -> Result<GitStream, GitError> {
        let (mut child, command) = self.start()?;
        drop(child.stdin.take());
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        Ok(GitStream {
            stdout,
            end: End::Running(Box::pin(ended(child, stderr, command))),
        })
    }

    fn start(&self) -> Result<(Child, String), GitError> {
        let mut command = Command::new("git");
        command
            .env_clear()
            .env("PATH", &self.git.search_path)
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_AUTHOR_NAME", AUTHOR_NAME)
            .env("GIT_AUTHOR_EMAIL", AUTHOR_EMAIL)
            .env("GIT_COMMITTER_NAME", AUTHOR_NAME)
            .env("GIT_COMMITTER_EMAIL", AUTHOR_EMAIL)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        for setting in SETTINGS {
            command.arg("-c").arg(setting);
        }
        command
            .args(&self.flag)
            .args(&self.args)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok((
            command.spawn().map_err(GitError::Start)?,
            in_words(&self.args),
        ))
    }
}

/// Author and committer of every commit that the captain makes.
pub(super) const AUTHOR_NAME: &str = "flotilla";
/// The author's address; it can never belong to anybody (RFC 2606).
pub(super) const AUTHOR_EMAIL: &str = "flotilla@flotilla.invalid";

/// The arguments as a person would type them, short enough for a message.
fn in_words(args: &[OsString]) -> String {
    const SHOWN: usize = 200;
    let all = args
        .iter()
        .map(|arg| arg.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    match all.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", all.get(..end).unwrap_or_default()),
        None => all,
    }
}

/// Reads messages to their end, keeping the last few lines.
async fn read_tail(stderr: Option<ChildStderr>) -> io::Result<String> {
    let mut tail = Vec::new();
    let Some(mut stderr) = stderr else {
        return Ok(String::new());
    };
    loop {
        if stderr.read_buf(&mut tail).await? == 0 {
            break;
        }
        if tail.len() > 2 * STDERR_TAIL_BYTES {
            tail.drain(..tail.len() - STDERR_TAIL_BYTES);
        }
    }
    let from = tail.len().saturating_sub(STDERR_TAIL_BYTES);
    let text = String::from_utf8_lossy(tail.get(from..).unwrap_or_default());
    // Hints are advice for people who typed the command; ours was not typed.
    Ok(text
        .lines()
        .filter(|line| !line.starts_with("hint:"))
        .collect::<Vec<_>>()
        .join("; ")
        .trim()
        .to_owned())
}

async fn ended(mut child: Child, stderr: Option<ChildStderr>, command: String) -> io::Result<()> {
    let stderr = read_tail(stderr).await?;
    let status = child.wait().await?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(GitError::Failed {
            command,
            status,
            stderr,
        }))
    }
}

/// The answer of a running call. Its end is an error if the call failed, so that half an answer never passes for a whole.
pub struct GitStream {
    stdout: Option<ChildStdout>,
    end: End,
}

/// How a streamed call ends: its messages are read all along, since a program whose messages nobody reads stands still.
enum End {
    Running(Pin<Box<dyn Future<Output = io::Result<()>> + Send>>),
    Known(io::Result<()>),
    Told,
}

impl std::fmt::Debug for GitStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitStream").finish_non_exhaustive()
    }
}

impl AsyncRead for GitStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let End::Running(end) = &mut self.end
            && let Poll::Ready(result) = end.as_mut().poll(cx)
        {
            self.end = End::Known(result);
        }
        if let Some(stdout) = self.stdout.as_mut() {
            let before = buf.filled().len();
            std::task::ready!(Pin::new(stdout).poll_read(cx, buf))?;
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            self.stdout = None;
        }
        match std::mem::replace(&mut self.end, End::Told) {
            End::Running(end) => {
                self.end = End::Running(end);
                Poll::Pending
            }
            End::Known(result) => Poll::Ready(result),
            End::Told => Poll::Ready(Ok(())),
        }
    }
}

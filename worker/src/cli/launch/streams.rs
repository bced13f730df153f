//! The command's stdin, stdout and stderr, and the signals that are passed on. A terminal becomes a pseudo-terminal of the
//! sandbox's own; pipes are handed over as they are; anything else (a log file, /dev/null) is copied, since a file of the host
//! cannot be opened anew inside, and scripts write to /dev/stderr.

use std::fs::File;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{Signal as Source, SignalKind, signal};
use worker_sandbox::{Running, StdioSpec, Stream};

use super::terminal::Terminal;

/// A signal to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Interrupt,
    Terminate,
    HangUp,
    Quit,
}

impl Signal {
    pub(super) fn number(self) -> i32 {
        use rustix::process::Signal as Number;
        match self {
            Self::Interrupt => Number::INT,
            Self::Terminate => Number::TERM,
            Self::HangUp => Number::HUP,
            Self::Quit => Number::QUIT,
        }
        .as_raw()
    }

    /// Whether the sender wants us to end, and not only the command to be told.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::Terminate | Self::HangUp)
    }
}

/// The signals that are passed on.
pub(super) struct Signals {
    interrupt: Source,
    terminate: Source,
    hang_up: Source,
    quit: Source,
}

impl Signals {
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hang_up.recv() => Signal::HangUp,
            _ = self.quit.recv() => Signal::Quit,
        }
    }
}

/// A stream being copied.
type Copying<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// This process's streams as the command's.
pub(super) enum Streams {
    Terminal(Terminal),
    Plain,
}

impl Streams {
    /// Looks at this process's streams.
    pub(super) fn of_this_process() -> io::Result<(Self, StdioSpec)> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        if stdin.is_terminal() && stdout.is_terminal() {
            let (terminal, inner) = Terminal::open()?;
            return Ok((Self::Terminal(terminal), StdioSpec::terminal(inner)?));
        }
        let mut spec = StdioSpec::piped();
        // Reading a file or a pipe does no harm; the user's keyboard is not the agent's to read or to configure.
        if !stdin.is_terminal() {
            spec.stdin = Stream::Inherit;
        }
        if is_pipe(stdout.as_fd())? {
            spec.stdout = Stream::Inherit;
        }
        if is_pipe(stderr.as_fd())? {
            spec.stderr = Stream::Inherit;
        }
        Ok((Self::Plain, spec))
    }

    /// Input and output to be polled until they end. Input may never end; output ends with the sandbox.
    pub(super) fn carry<'a>(
        &'a mut self,
        running: &mut Running,
    ) -> io::Result<(Copying<'a>, Copying<'a>)> {
        match self {
            Self::Terminal(terminal) => {
                let terminal = &*terminal;
                Ok((Box::pin(terminal.input()), Box::pin(terminal.output())))
            }
            Self::Plain => {
                let own_in = own(io::stdin().as_fd())?;
                let (own_out, own_err) = (own(io::stdout().as_fd())?, own(io::stderr().as_fd())?);
                let (stdin, stdout, stderr) = (
                    running.stdin.take(),
                    running.stdout.take(),
                    running.stderr.take(),
                );
                let input = async move {
                    if let Some(stdin) = stdin {
                        copy(own_in, stdin).await;
                    }
                };
                let output = async move {
                    let out = async {
                        if let Some(stdout) = stdout {
                            copy(stdout, own_out).await;
                        }
                    };
                    let err = async {
                        if let Some(stderr) = stderr {
                            copy(stderr, own_err).await;
                        }
                    };
                    tokio::join!(out, err);
                };
                Ok((Box::pin(input), Box::pin(output)))
            }
        }
    }
}

/// Copies to the end. A reader that has gone is the end as well: the command then gets its SIGPIPE.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let _end = tokio::io::copy(&mut from, &mut to).await;
    let _end = to.flush().await;
}

/// One of this process's streams, read or written by the runtime's threads for blocking calls: a file cannot be polled, and a
/// terminal is shared with others who would be surprised to find it non-blocking.
pub(super) fn own(stream: BorrowedFd<'_>) -> io::Result<tokio::fs::File> {
    Ok(tokio::fs::File::from_std(File::from(
        stream.try_clone_to_owned()?,
    )))
}

fn is_pipe(stream: BorrowedFd<'_>) -> io::Result<bool> {
    let kind = File::from(stream.try_clone_to_owned()?)
        .metadata()?
        .file_type();
    Ok(kind.is_fifo() || kind.is_socket())
}

//! Where the agent's stdin, stdout and stderr go. It must not be bubblewrap's own: its messages and init's go to a pipe of ours,
//! so that what the agent prints is only what the agent prints.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

/// One stream of the agent.
#[derive(Debug)]
pub enum Stream {
    /// A pipe whose other end is in [`crate::Running`].
    Pipe,
    /// Nothing: reads end at once, writes vanish.
    Null,
    /// This process's own stream.
    Inherit,
    /// A descriptor of the caller. It must not be a folder: that would lead out of the sandbox.
    Descriptor(OwnedFd),
}

/// The agent's three streams.
#[derive(Debug)]
pub struct StdioSpec {
    /// Standard input.
    pub stdin: Stream,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
    pub(super) terminal: bool,
}

impl StdioSpec {
    /// Three pipes, for a program that speaks a protocol on stdio.
    pub fn piped() -> Self {
        Self {
            stdin: Stream::Pipe,
            stdout: Stream::Pipe,
            stderr: Stream::Pipe,
            terminal: false,
        }
    }

    /// This process's own streams.
    pub fn inherit() -> Self {
        Self {
            stdin: Stream::Inherit,
            stdout: Stream::Inherit,
            stderr: Stream::Inherit,
            terminal: false,
        }
    }

    /// Nothing in, nothing out.
    pub fn null() -> Self {
        Self {
            stdin: Stream::Null,
            stdout: Stream::Null,
            stderr: Stream::Null,
            terminal: false,
        }
    }

    /// The inner end of a pseudo-terminal (pty(7)), which becomes the agent's controlling terminal: job control works, and the
    /// user's own terminal stays out of reach.
    ///
    /// # Errors
    /// The descriptor cannot be duplicated.
    pub fn terminal(inner: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            stdin: Stream::Descriptor(inner.try_clone()?),
            stdout: Stream::Descriptor(inner.try_clone()?),
            stderr: Stream::Descriptor(inner),
            terminal: true,
        })
    }
}

/// Our ends of the pipes.
#[derive(Debug, Default)]
pub(super) struct Ours {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
}

impl StdioSpec {
    /// The agent's three descriptors and our ends.
    pub(super) fn open(self) -> io::Result<([OwnedFd; 3], Ours)> {
        let mut ours = Ours::default();
        let stdin = match self.stdin {
            Stream::Pipe => {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
                ours.stdin = Some(write);
                read
            }
            other => existing(other, io::stdin().as_fd())?,
        };
        let stdout = output(self.stdout, io::stdout().as_fd(), &mut ours.stdout)?;
        let stderr = output(self.stderr, io::stderr().as_fd(), &mut ours.stderr)?;
        Ok(([stdin, stdout, stderr], ours))
    }
}

fn output(
    stream: Stream,
    own: std::os::fd::BorrowedFd<'_>,
    ours: &mut Option<OwnedFd>,
) -> io::Result<OwnedFd> {
    if matches!(stream, Stream::Pipe) {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        *ours = Some(read);
        return Ok(write);
    }
    existing(stream, own)
}

fn existing(stream: Stream, own: std::os::fd::BorrowedFd<'_>) -> io::Result<OwnedFd> {
    match stream {
        Stream::Descriptor(fd) => Ok(fd),
        Stream::Inherit => own.try_clone_to_owned(),
        Stream::Null | Stream::Pipe => Ok(rustix::fs::open(
            "/dev/null",
            OFlags::RDWR | OFlags::CLOEXEC,
            Mode::empty(),
        )?),
    }
}

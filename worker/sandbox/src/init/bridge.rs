//! The bridge from a loopback port to the gateway's unix socket: copies bytes both ways, understands none of them. Part of init's
//! one poll loop, so that it costs no thread (threads count as processes in the control group). It must not buffer more than one
//! block per direction: a slow side slows the other.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::policy::GATEWAY_SOCKET;

/// One block per direction and connection.
const BLOCK: usize = 16 << 10;
/// Connections at a time; more wait in the listener's queue. An agent with its tools uses a handful; 256 bound the bridge to
/// 8 MiB.
const MAX_CONNECTIONS: usize = 256;
/// Descriptors that init itself needs, and room to spare.
const OWN_DESCRIPTORS: usize = 32;

pub(super) struct Bridge {
    listener: TcpListener,
    /// Most connections at a time.
    capacity: usize,
    connections: Vec<Connection>,
}

struct Connection {
    near: TcpStream,
    far: UnixStream,
    out: Flow,
    back: Flow,
}

/// One direction: at most one block that was read and not yet written.
struct Flow {
    block: Vec<u8>,
    sent: usize,
    /// The source has ended; once the block is written, so is the target.
    ended: bool,
    closed: bool,
}

impl Flow {
    fn new() -> Self {
        Self {
            block: Vec::with_capacity(BLOCK),
            sent: 0,
            ended: false,
            closed: false,
        }
    }

    fn pending(&self) -> bool {
        self.sent < self.block.len()
    }

    fn wants_input(&self) -> bool {
        !self.ended && !self.pending()
    }

    /// Moves one block as far as both sides allow.
    fn advance(
        &mut self,
        from: &mut impl Read,
        to: &mut impl Write,
        close: impl FnOnce(),
    ) -> io::Result<()> {
        if self.wants_input() {
            self.block.resize(BLOCK, 0);
            self.sent = 0;
            let read = from.read(&mut self.block);
            self.block.truncate(*read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if again(&error) => {}
                Err(error) => return Err(error),
            }
        }
        while self.pending() {
            match to.write(&self.block[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if again(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.ended && !self.closed {
            self.closed = true;
            close();
        }
        Ok(())
    }
}

fn again(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

impl Connection {
    fn open(near: TcpStream) -> io::Result<Self> {
        near.set_nonblocking(true)?;
        // Small frames of a token stream must not wait for each other.
        near.set_nodelay(true)?;
        // Non-blocking from the start: a gateway whose queue is full refuses instead of stopping init.
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let far = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&far, &SocketAddrUnix::new(GATEWAY_SOCKET)?)?;
        Ok(Self {
            near,
            far: UnixStream::from(far),
            out: Flow::new(),
            back: Flow::new(),
        })
    }

    fn interests(&self) -> (PollFlags, PollFlags) {
        let of = |reads: &Flow, writes: &Flow| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, reads.wants_input());
            flags.set(PollFlags::OUT, writes.pending());
            flags
        };
        (of(&self.out, &self.back), of(&self.back, &self.out))
    }

    /// Copies what can be copied; `false` when the connection is over.
    fn advance(&mut self) -> bool {
        let Self {
            near,
            far,
            out,
            back,
        } = self;
        let (near, far): (&TcpStream, &UnixStream) = (near, far);
        let moved = out
            .advance(&mut &*near, &mut &*far, || {
                drop(far.shutdown(Shutdown::Write))
            })
            .and_then(|()| {
                back.advance(&mut &*far, &mut &*near, || {
                    drop(near.shutdown(Shutdown::Write))
                })
            });
        moved.is_ok() && !(out.closed && back.closed)
    }
}

impl Bridge {
    /// `max_open_files` is init's own limit, the same as the agent's: a bridge that ran into it would be woken for a connection
    /// that it cannot accept, again and again.
    pub(super) fn new(listener: TcpListener, max_open_files: u64) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let descriptors = usize::try_from(max_open_files).unwrap_or(usize::MAX);
        let capacity = (descriptors.saturating_sub(OWN_DESCRIPTORS) / 2).clamp(1, MAX_CONNECTIONS);
        Ok(Self {
            listener,
            capacity,
            connections: Vec::new(),
        })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.listener.as_raw_fd()
    }

    /// Adds what the bridge waits for: the listener, then each side of a connection that waits for something. A side that waits
    /// for nothing is left out, since poll(2) reports a hang-up even to those who did not ask, again and again.
    pub(super) fn interests<'fd>(&'fd self, fds: &mut Vec<PollFd<'fd>>) {
        let accept = if self.connections.len() < self.capacity {
            PollFlags::IN
        } else {
            PollFlags::empty()
        };
        fds.push(PollFd::from_borrowed_fd(self.listener.as_fd(), accept));
        for connection in &self.connections {
            let (near, far) = connection.interests();
            let sides = [
                (connection.near.as_fd(), near),
                (connection.far.as_fd(), far),
            ];
            fds.extend(
                sides
                    .into_iter()
                    .filter(|(_, flags)| !flags.is_empty())
                    .map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)),
            );
        }
    }

    /// Serves what is ready; `ready` is in the order of [`Bridge::interests`], and nothing has changed since.
    pub(super) fn serve(&mut self, ready: &[PollFlags]) {
        let mut events = ready.iter().skip(1);
        self.connections.retain_mut(|connection| {
            let (near, far) = connection.interests();
            let waiting = [near, far]
                .into_iter()
                .filter(|flags| !flags.is_empty())
                .count();
            let mut woken = false;
            for event in events.by_ref().take(waiting) {
                woken |= !event.is_empty();
            }
            !woken || connection.advance()
        });
        if ready
            .first()
            .is_some_and(|listener| listener.contains(PollFlags::IN))
        {
            self.accept();
        }
    }

    fn accept(&mut self) {
        while self.connections.len() < self.capacity {
            let Ok((near, _)) = self.listener.accept() else {
                return;
            };
            // No gateway: closing tells the client.
            if let Ok(mut connection) = Connection::open(near)
                && connection.advance()
            {
                self.connections.push(connection);
            }
        }
    }
}

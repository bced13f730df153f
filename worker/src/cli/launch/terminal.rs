//! A pseudo-terminal for the command (pty(7)): job control, window size and Ctrl-C work inside, while the user's own terminal is
//! never handed over. It must leave the user's terminal as it found it, however the command ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

use super::streams::own;

/// One screen is some kilobytes.
const BLOCK: usize = 16 << 10;

/// The outer end of the pseudo-terminal, and what the user's terminal was before.
pub(super) struct Terminal {
    outer: OwnedFd,
    before: Termios,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that has gone needs no restoring.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

impl Terminal {
    /// Makes the pair and switches the user's terminal to raw. The second value is the command's end.
    pub(super) fn open() -> io::Result<(Self, OwnedFd)> {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&outer)?;
        unlockpt(&outer)?;
        let name = ptsname(&outer, Vec::new())?;
        let inner = rustix::fs::open(
            name,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let before = tcgetattr(io::stdin())?;
        let terminal = Self { outer, before };
        terminal.resize();
        let mut raw = terminal.before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok((terminal, inner))
    }

    /// Gives the pseudo-terminal the size of the user's; the kernel tells the command.
    fn resize(&self) {
        // A terminal without a size keeps the default.
        let _no_size = tcgetwinsize(io::stdin()).and_then(|size| tcsetwinsize(&self.outer, size));
    }

    /// Keys and changes of size, until the user's terminal ends.
    pub(super) async fn input(&self) {
        let streams = (
            own(io::stdin().as_fd()),
            own(self.outer.as_fd()),
            signal(SignalKind::window_change()),
        );
        let (Ok(mut keys), Ok(mut outer), Ok(mut sizes)) = streams else {
            return;
        };
        let mut block = [0; 1024];
        loop {
            let count = tokio::select! {
                _ = sizes.recv() => {
                    self.resize();
                    continue;
                }
                read = keys.read(&mut block) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(count) => count,
                },
            };
            let keys = block.get(..count).unwrap_or_default();
            if outer.write_all(keys).await.is_err() || outer.flush().await.is_err() {
                return;
            }
        }
    }

    /// What the command shows, until its end of the pair is closed (EIO).
    pub(super) async fn output(&self) {
        let (Ok(mut outer), Ok(mut screen)) = (own(self.outer.as_fd()), own(io::stdout().as_fd()))
        else {
            return;
        };
        let mut block = vec![0; BLOCK];
        while let Ok(count @ 1..) = outer.read(&mut block).await {
            let shown = block.get(..count).unwrap_or_default();
            if screen.write_all(shown).await.is_err() || screen.flush().await.is_err() {
                return;
            }
        }
    }
}

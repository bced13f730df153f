//! The identity of a process that survives pid wrap-around. A pid alone is re-used within minutes on a busy machine;
//! together with the start time from `/proc/PID/stat` it names one process for as long as the machine is up. Nothing
//! signals a process of another session without checking this first.

use std::fs;
use std::io;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/PID/stat`, see proc(5).
    pub started: u64,
}

impl ProcessIdentity {
    /// The identity of the process that has `pid` now; `None` when there is none, or only a zombie.
    pub fn of(pid: u32) -> Option<Self> {
        Self::read(pid).and_then(|(identity, ended)| (!ended).then_some(identity))
    }

    /// The identity of a child of this process that was not waited for yet: it has one even when it ended already.
    pub fn of_child(pid: u32) -> Option<Self> {
        Self::read(pid).map(|(identity, _)| identity)
    }

    /// The process that has `pid` now, and whether it is only a zombie.
    fn read(pid: u32) -> Option<(Self, bool)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses and may contain spaces and parentheses itself.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ended = matches!(fields.first(), Some(&("Z" | "X")));
        // `rest` begins at field 3.
        let started = fields.get(22 - 3)?.parse().ok()?;
        Some((Self { pid, started }, ended))
    }

    /// The identity of this process.
    pub fn current() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Whether this very process still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    /// Sends `signal` to this very process and to no other that may have got its pid meanwhile.
    /// Returns whether the process was there.
    ///
    /// # Errors
    ///
    /// What the system said, for example that the process belongs to another user.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(false);
        };
        // The descriptor is opened first and the identity checked second: from then on it names this process only.
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if !self.is_alive() {
            return Ok(false);
        }
        match pidfd_send_signal(&descriptor, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_start_time_is_another_process() {
        let this = ProcessIdentity::current().unwrap();
        assert!(this.is_alive());
        let earlier = ProcessIdentity {
            started: this.started.wrapping_sub(1),
            ..this
        };
        assert!(!earlier.is_alive());
        assert!(!earlier.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn child_that_ended_has_an_identity_until_it_is_waited_for() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let identity = ProcessIdentity::of_child(child.id()).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while identity.is_alive() {
            assert!(std::time::Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        }
        assert_eq!(ProcessIdentity::of(child.id()), None);
        assert_eq!(ProcessIdentity::of_child(child.id()), Some(identity));
        child.wait().unwrap();
        assert_eq!(ProcessIdentity::of_child(child.id()), None);
    }

    #[test]
    fn absent_process_is_not_alive() {
        let absent = ProcessIdentity {
            pid: u32::MAX,
            started: 1,
        };
        assert!(!absent.is_alive());
        assert!(!absent.signal(Signal::TERM).unwrap());
    }
}

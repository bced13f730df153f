//! The few system calls that need `unsafe`, each behind a safe function with its argument checked by type. Here so that one file
//! can be audited. It must hold no decisions: what to call and when is decided elsewhere.
#![expect(
    unsafe_code,
    reason = "the one module of the workspace that may call the system without a safe wrapper"
)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The lowest descriptor that is not stdin, stdout or stderr.
const FIRST_EXTRA_FD: libc::c_uint = 3;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Takes ownership of an inherited descriptor whose number was passed to this process.
///
/// # Errors
/// `EBADF` when no such descriptor is open.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only reads the flags of a descriptor number; a bad number gives EBADF.
    check(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: the descriptor is open (just checked), and init adopts each inherited number once, before it opens anything else.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Marks every descriptor but stdin, stdout and stderr close-on-exec, so that a program started later inherits none of them.
/// See close_range(2); needs Linux 5.11.
pub(crate) fn close_extra_on_exec() -> io::Result<()> {
    // SAFETY: changes only flags of this process's descriptors; no memory is passed.
    check(unsafe {
        libc::close_range(
            FIRST_EXTRA_FD,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC as libc::c_int,
        )
    })?;
    Ok(())
}

/// Closes the descriptors `first..=last`, where none of them belongs to a Rust object.
pub(crate) fn close_inherited(first: RawFd, last: RawFd) -> io::Result<()> {
    let (Ok(first), Ok(last)) = (u32::try_from(first), u32::try_from(last)) else {
        return Ok(());
    };
    if first > last {
        return Ok(());
    }
    // SAFETY: init calls this before it has opened anything and leaves out the numbers that it adopted.
    check(unsafe { libc::close_range(first, last, 0) })?;
    Ok(())
}

/// Blocks the signals for this thread and returns a descriptor that becomes readable when one is pending (signalfd(2)).
pub(crate) fn signal_descriptor(signals: &[libc::c_int]) -> io::Result<OwnedFd> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the whole set, before anything reads it; all pointers are to this local.
    unsafe {
        check(libc::sigemptyset(set.as_mut_ptr()))?;
        for &signal in signals {
            check(libc::sigaddset(set.as_mut_ptr(), signal))?;
        }
        let blocked = libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        if blocked != 0 {
            return Err(io::Error::from_raw_os_error(blocked));
        }
        let fd = check(libc::signalfd(
            -1,
            set.as_ptr(),
            libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
        ))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// The signal number in one record read from [`signal_descriptor`]; `None` for a short read. `ssi_signo` is the first field of
/// `struct signalfd_siginfo`, a u32 in native byte order.
pub(crate) fn signal_number(record: &[u8]) -> Option<libc::c_int> {
    let bytes: [u8; 4] = record.get(..4)?.try_into().ok()?;
    i32::try_from(u32::from_ne_bytes(bytes)).ok()
}

/// The size of one record of [`signal_descriptor`].
pub(crate) const SIGNAL_RECORD: usize = size_of::<libc::signalfd_siginfo>();

/// Tries to make a user namespace for the calling thread. In a good sandbox this fails.
pub(crate) fn try_new_user_namespace() -> io::Result<()> {
    // SAFETY: no memory is passed; on success only the caller's credentials change, and then the start is refused.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER) })?;
    Ok(())
}

/// The landlock ABI of this kernel (landlock_create_ruleset(2) with `LANDLOCK_CREATE_RULESET_VERSION`).
///
/// # Errors
/// `ENOSYS` = not built in, `EOPNOTSUPP` = switched off at boot.
pub(crate) fn landlock_abi() -> io::Result<u32> {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with the version flag the kernel demands a null pointer and size 0, and reads no memory.
    let abi = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0_usize,
            VERSION,
        )
    };
    u32::try_from(abi).map_err(|_| io::Error::last_os_error())
}

/// Lets the child inherit `keep`, and moves it into control groups by writing "0" to each of `groups` (an open `tasks` or
/// `cgroup.procs` file; "0" = the writer, cgroups(7)) before it becomes another program.
///
/// The child does it itself since a task that moves itself in cgroup v1 needs no lock over the whole machine, which costs
/// several milliseconds, and since nothing it starts can then be outside.
pub(crate) fn before_exec(command: &mut Command, keep: Vec<RawFd>, groups: Vec<OwnedFd>) {
    let hook = move || {
        for &fd in &keep {
            // SAFETY: fcntl on a number; async-signal-safe (signal-safety(7)).
            check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })?;
        }
        for group in &groups {
            // A refusal is seen afterwards in /proc/PID/cgroup and judged by the policy, so it does not end the start here.
            // SAFETY: write from a static byte; async-signal-safe.
            let _written = unsafe { libc::write(group.as_raw_fd(), b"0".as_ptr().cast(), 1) };
        }
        Ok(())
    };
    // SAFETY: between fork and exec the hook makes only async-signal-safe calls and does not allocate.
    unsafe { command.pre_exec(hook) };
}

/// Gives the child init's blocked signals back (a mask is inherited over exec, signal(7)) and, if it has a terminal, makes it the
/// leader of a session of its own with its stdin as controlling terminal (tty_ioctl(4), TIOCSCTTY).
pub(crate) fn as_agent(command: &mut Command, terminal: bool) {
    let hook = move || {
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set before it is read; all calls are async-signal-safe.
        unsafe {
            check(libc::sigemptyset(none.as_mut_ptr()))?;
            let unblocked =
                libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
            if unblocked != 0 {
                return Err(io::Error::from_raw_os_error(unblocked));
            }
            if terminal {
                check(libc::setsid())?;
                check(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
            }
        }
        Ok(())
    };
    // SAFETY: the hook makes only async-signal-safe calls and does not allocate.
    unsafe { command.pre_exec(hook) };
}

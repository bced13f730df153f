//! The public list of exit codes, shared by both binaries so that scripts can rely on them. The numbers follow
//! `sysexits.h` where it has one. A code never changes its meaning; new ones may be added.

use std::process::ExitCode;

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Ok,
    /// The work itself failed: the job, the agent, or the command in the sandbox.
    WorkFailed,
    /// The command line was wrong.
    Usage,
    /// A configuration or input file was wrong.
    BadInput,
    /// Something that is needed is not there: a port, a program, a model, a running captain.
    Unavailable,
    /// A defect of this program.
    Internal,
    /// Reading or writing failed, for example because the disk is full.
    Io,
    /// Not permitted: missing or wrong credentials, or a sandbox that the kernel refuses.
    NotPermitted,
    /// Stopped by a signal of the user.
    Interrupted,
    /// The exit code of a command that was run for the user, passed through.
    Passed(u8),
}

impl Exit {
    /// The number that the parent process sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::WorkFailed => 1,
            Self::Usage => 2,
            Self::BadInput => 64,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Io => 74,
            Self::NotPermitted => 77,
            Self::Interrupted => 130,
            Self::Passed(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

//! Why a sandbox did not start or did not end: one variant per step, each with what to do. It must not hold the environment or
//! the agent's arguments, which may be confidential.

use std::io;
use std::time::Duration;

use crate::bwrap::BwrapError;
use crate::policy::PolicyError;
use crate::report::Mismatch;
use crate::seccomp::SeccompError;

/// Why a sandbox did not start, or could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The policy does not fit this machine or contradicts itself.
    #[error("the sandbox policy cannot be used")]
    Policy(#[from] PolicyError),
    /// bubblewrap is not usable.
    #[error("bubblewrap is not usable")]
    Bwrap(#[from] BwrapError),
    /// The system call filter could not be built.
    #[error("cannot build the system call filter")]
    Seccomp(#[from] SeccompError),
    /// Descriptors, pipes or the thread for the sandbox could not be made.
    #[error("cannot prepare the start of the sandbox: {step}")]
    Prepare {
        /// What was being made.
        step: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// bubblewrap could not be started.
    #[error("cannot start bubblewrap")]
    Spawn(#[source] io::Error),
    /// The kernel refuses user namespaces to this user.
    #[error("the kernel refuses namespaces to bubblewrap: {detail}")]
    NamespacesRefused {
        /// What bubblewrap said.
        detail: String,
    },
    /// bubblewrap gave up for another reason.
    #[error("bubblewrap could not build the sandbox: {detail}")]
    Setup {
        /// What bubblewrap said.
        detail: String,
    },
    /// A step of our init inside failed.
    #[error("the sandbox could not be completed inside: {step}: {detail}")]
    Inside {
        /// What init was doing.
        step: &'static str,
        /// What the system said.
        detail: String,
    },
    /// Required layers do not hold; nothing was run.
    #[error(
        "the sandbox is weaker than its policy, so nothing was started: {}",
        list(mismatches)
    )]
    NotEnforced {
        /// Each layer that does not hold.
        mismatches: Vec<Mismatch>,
    },
    /// The agent's program could not be started.
    #[error("cannot start {program:?} inside the sandbox: {detail}")]
    Agent {
        /// The program's name.
        program: String,
        /// What the system said.
        detail: String,
    },
    /// The start took too long and was given up.
    #[error("the sandbox did not start within {} s", limit.as_secs())]
    StartTimeout {
        /// The time that was allowed.
        limit: Duration,
    },
    /// The connection to init failed.
    #[error("lost the connection to the sandbox's init")]
    Control(#[source] io::Error),
    /// Processes of the sandbox did not die.
    #[error("processes of the sandbox are still there {} s after SIGKILL", limit.as_secs())]
    KillTimeout {
        /// The time that was allowed.
        limit: Duration,
    },
}

fn list(mismatches: &[Mismatch]) -> String {
    mismatches
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

impl SandboxError {
    /// What to do about it, in one sentence; `None` where the message already says it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NamespacesRefused { .. } => Some(crate::doctor::USER_NAMESPACE_REMEDY),
            Self::Setup { .. } | Self::Inside { .. } | Self::Seccomp(_) => {
                Some("run `worker doctor`: it tries each layer and says which one fails")
            }
            Self::Prepare { .. } | Self::Spawn(_) => {
                Some("check the limits on open files and processes of this user")
            }
            Self::Agent { .. } => Some(
                "check that the program exists inside the sandbox: only system paths and the binds of the policy are there",
            ),
            Self::StartTimeout { .. } | Self::KillTimeout { .. } => Some(
                "the machine may be overloaded or a disk may hang; look at its load and kernel log",
            ),
            Self::Bwrap(_) => Some(crate::bwrap::INSTALL_REMEDY),
            Self::Policy(_) | Self::NotEnforced { .. } | Self::Control(_) => None,
        }
    }
}

//! The sandbox contract: a policy as data, the layers that enforce it, and a report of what really holds.
//!
//! The supervisor (trusted) calls [`Sandbox::start`]; bubblewrap builds the namespaces and the file tree; inside, our own
//! executable runs as PID 1 ([`init`]), adds landlock and resource limits, measures what is in force, reports it, and starts the
//! agent only after the supervisor has checked the report. A layer that was asked for and does not hold stops the start.
//!
//! This is the only crate with `unsafe`, and all of it is in the private module `sys`. It must not know A2A, agents or models.
//!
//! ```no_run
//! use worker_sandbox::{Sandbox, SandboxPolicy, StdioSpec};
//!
//! # async fn run() -> Result<(), worker_sandbox::SandboxError> {
//! let policy = SandboxPolicy::new("alpha-001", "/srv/agents/alpha-001", vec!["git".to_owned(), "status".to_owned()]);
//! let mut running = Sandbox::locate(None)?.start(policy, StdioSpec::inherit()).await?;
//! let exit = running.wait().await;
//! # let _ = exit; Ok(())
//! # }
//! ```

pub mod bwrap;
pub mod cgroup;
pub mod doctor;
mod error;
pub mod init;
mod landlock;
mod launch;
mod policy;
mod protocol;
mod report;
pub mod seccomp;
mod sys;

pub use bwrap::{Bwrap, BwrapError};
pub use cgroup::{LimitState, LimitsReport};
pub use error::SandboxError;
pub use launch::{Exit, Killer, Running, Sandbox, StdioSpec, Stream};
pub use policy::{
    AGENT_HOME, GATEWAY_SOCKET, GatewayBridge, Home, INIT_PATH, InitProgram, Layer, Limits,
    PolicyError, ReadOnlyBind, SandboxPolicy, Scratch, SystemPath, TcpRule, WORKSPACE,
    system_paths,
};
pub use report::{
    Capabilities, FileIdentity, InsideReport, LandlockReport, Mismatch, Probe, SandboxReport,
};

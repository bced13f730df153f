//! The process shell that captain and worker share and that is not protocol: exit codes, telemetry, background
//! tasks, the two-phase stop, state files, the rule for listen addresses. Nothing here knows what a job or an agent
//! is; each binary wires these parts in its own `app`.

pub mod a2a;
pub mod cli;
pub mod conformance;
pub mod exit;
pub mod lifecycle;
pub mod listen;
pub mod notify;
pub mod process;
pub mod serve;
pub mod state;
pub mod tasks;
pub mod telemetry;
pub mod tls;

//! The second wall behind the mounts: landlock rules for init and all it starts. Everything in the tree may be read and run (the
//! mounts decide what is in the tree), only the named folders may be written. Descriptors that lead out of the tree are useless,
//! since no rule covers what they reach. It must not fail open: the caller gets a report of what is really enforced.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};

use crate::policy::{AGENT_HOME, TcpRule, WORKSPACE};
use crate::report::LandlockReport;

/// The newest ABI whose rules were tried here. A newer kernel gets these rules too.
const TESTED: ABI = ABI::V7;

/// Where files may be created and changed.
const WRITABLE: &[&str] = &[WORKSPACE, AGENT_HOME, "/tmp", "/run", "/dev/shm"];

/// Why landlock could not be applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LandlockError {
    /// The rules were refused.
    #[error("{0}")]
    Rules(#[from] RulesetError),
    /// A folder of the rules cannot be opened.
    #[error("{0}")]
    Path(#[from] landlock::PathFdError),
}

/// Restricts this thread and everything it starts; what the kernel lacks is left out and reported.
pub(crate) fn apply(tcp: &TcpRule) -> Result<LandlockReport, LandlockError> {
    let read = AccessFs::from_read(TESTED);
    let all = AccessFs::from_all(TESTED);
    let mut ruleset = Ruleset::default()
        .handle_access(all)?
        .scope(Scope::from_all(TESTED))?;
    if matches!(tcp, TcpRule::Only(_)) {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
    }
    let mut rules = ruleset
        .create()?
        .add_rule(PathBeneath::new(PathFd::new("/")?, read))?;
    for folder in WRITABLE {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(folder)?, all))?;
    }
    // Terminals, /dev/null and the like: open for writing and ioctl, but no new files beside them.
    let device: BitFlags<AccessFs> =
        read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    rules = rules.add_rule(PathBeneath::new(PathFd::new("/dev")?, device))?;
    if let TcpRule::Only(ports) = tcp {
        for &port in ports {
            rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
    }
    Ok(report(&rules.restrict_self()?, tcp))
}

fn report(status: &RestrictionStatus, tcp: &TcpRule) -> LandlockReport {
    let (abi, detail) = match status.landlock {
        LandlockStatus::NotEnabled => (0, "it is built in but not switched on at boot".to_owned()),
        LandlockStatus::NotImplemented => (0, "the kernel does not have it".to_owned()),
        LandlockStatus::Available {
            effective_abi,
            kernel_abi,
        } => (
            kernel_abi.unwrap_or(effective_abi as i32).unsigned_abs(),
            String::new(),
        ),
    };
    let enforced = status.ruleset != RulesetStatus::NotEnforced;
    LandlockReport {
        abi,
        files: enforced && abi >= 1,
        tcp_ports: match tcp {
            TcpRule::Only(ports) if enforced && abi >= ABI::V4 as u32 => Some(ports.clone()),
            TcpRule::Only(_) | TcpRule::OwnLoopback => None,
        },
        scoped: enforced && abi >= ABI::V6 as u32,
        detail,
    }
}

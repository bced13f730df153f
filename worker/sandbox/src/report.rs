//! What is really in force, measured from inside, and the comparison with the policy. Here because launcher, doctor and the
//! worker's audit log all read it. It must not measure anything itself: `init::measure` does, and the supervisor only compares.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cgroup::LimitsReport;
use crate::policy::{Layer, SandboxPolicy, TcpRule};

/// The whole truth about one sandbox: what init measured inside and which limits the supervisor set outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// Measured by PID 1 inside, before the agent was started.
    pub inside: InsideReport,
    /// Control group limits, set outside.
    pub limits: LimitsReport,
}

/// Facts measured by PID 1 of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsideReport {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Own process id; 1 in a PID namespace of its own.
    pub pid: u32,
    /// Processes visible in /proc, init included; 1 before the agent starts.
    pub visible_processes: u32,
    /// The five capability sets.
    pub capabilities: Capabilities,
    /// `NoNewPrivs` of /proc/self/status.
    pub no_new_privileges: bool,
    /// `Seccomp` of /proc/self/status; 2 = filter.
    pub seccomp_mode: u32,
    /// Names of all network interfaces.
    pub interfaces: Vec<String>,
    /// Inode number of each namespace, by the name in /proc/self/ns.
    pub namespaces: BTreeMap<String, u64>,
    /// What landlock enforces.
    pub landlock: LandlockReport,
    /// An attempt to create a file in the root folder.
    pub write_root: Probe,
    /// An attempt to create a file in /usr.
    pub write_system: Probe,
    /// An attempt to open a kernel setting (/proc/sys/kernel/core_pattern) for writing.
    pub write_kernel: Probe,
    /// An attempt to make a user namespace.
    pub new_user_namespace: Probe,
    /// An attempt to mount a file system.
    pub mount: Probe,
    /// The folder at the workspace's path inside.
    pub workspace: FileIdentity,
    /// Descriptors open in init beyond the agent's stdio and the control socket; must be empty, a leaked one may lead outside.
    pub leaked_descriptors: Vec<u32>,
    /// `RLIMIT_NOFILE` in force.
    pub max_open_files: u64,
    /// `RLIMIT_CORE` in force, in bytes; 0.
    pub core_size: u64,
}

/// The five capability sets as bit masks (capabilities(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// `CapInh`.
    pub inheritable: u64,
    /// `CapPrm`.
    pub permitted: u64,
    /// `CapEff`.
    pub effective: u64,
    /// `CapBnd`.
    pub bounding: u64,
    /// `CapAmb`.
    pub ambient: u64,
}

/// What landlock enforces; see landlock(7) for the ABI versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandlockReport {
    /// The version in use; 0 = landlock is not available.
    pub abi: u32,
    /// File access is restricted.
    pub files: bool,
    /// TCP connections are restricted to these ports; `None` = not restricted by landlock.
    pub tcp_ports: Option<Vec<u16>>,
    /// Abstract unix sockets and signals are limited to the sandbox (ABI 6).
    pub scoped: bool,
    /// Why it is not available, in words; empty when it is.
    pub detail: String,
}

/// The outcome of an attempt that must fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Refused, with the name of the error.
    Refused(String),
    /// It worked: the layer does not hold.
    Allowed,
}

impl Probe {
    /// Whether the attempt was refused.
    pub fn refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Device and inode: two paths with the same pair are the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Device number (`st_dev`).
    pub device: u64,
    /// Inode number (`st_ino`).
    pub inode: u64,
}

impl FileIdentity {
    /// The identity in a stat result.
    pub(crate) fn of(stat: &rustix::fs::Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }
}

/// One layer that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// Which layer.
    pub layer: Layer,
    /// What was found instead.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.layer, self.found, self.remedy)
    }
}

/// What the supervisor knows from outside, to compare with the report.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    /// Inode numbers of the supervisor's own namespaces.
    pub(crate) namespaces: BTreeMap<String, u64>,
    /// The workspace folder that was checked and opened.
    pub(crate) workspace: FileIdentity,
}

const REPORT_BUG: &str = "this is a bug or an attack; do not run agents here and report it with the output of `worker doctor`";

/// Collects the layers that do not hold, leaving out those that the policy does not require.
struct Findings<'a> {
    policy: &'a SandboxPolicy,
    found: Vec<Mismatch>,
}

impl Findings<'_> {
    fn check(&mut self, layer: Layer, holds: bool, remedy: &str, found: impl FnOnce() -> String) {
        if !holds && self.policy.required.contains(&layer) {
            self.found.push(Mismatch {
                layer,
                found: found(),
                remedy: remedy.to_owned(),
            });
        }
    }
}

impl SandboxReport {
    /// Every required layer that does not hold; empty = the policy is in force.
    pub(crate) fn mismatches(&self, policy: &SandboxPolicy, outside: &Outside) -> Vec<Mismatch> {
        let mut findings = Findings {
            policy,
            found: self.layer_mismatches(policy),
        };
        let inside = &self.inside;
        for name in ["user", "pid", "net", "mnt", "ipc", "uts"] {
            let own = inside.namespaces.get(name);
            let shared = own.is_none() || own == outside.namespaces.get(name);
            findings.check(Layer::Namespaces, !shared, REPORT_BUG, || {
                format!("the {name} namespace is shared with the supervisor")
            });
        }
        findings.check(
            Layer::Namespaces,
            inside.workspace == outside.workspace,
            REPORT_BUG,
            || "the folder at /workspace is not the workspace that was checked".to_owned(),
        );
        findings.found
    }

    /// The same, as far as it can be judged from the report alone.
    pub(crate) fn layer_mismatches(&self, policy: &SandboxPolicy) -> Vec<Mismatch> {
        let mut findings = Findings {
            policy,
            found: Vec::new(),
        };
        let inside = &self.inside;
        let alone = inside.pid == 1 && inside.visible_processes == 1;
        findings.check(Layer::Namespaces, alone, REPORT_BUG, || {
            format!(
                "init has pid {} and sees {} processes",
                inside.pid, inside.visible_processes
            )
        });
        findings.check(
            Layer::Namespaces,
            inside.leaked_descriptors.is_empty(),
            REPORT_BUG,
            || {
                format!(
                    "descriptors {:?} leaked into the sandbox",
                    inside.leaked_descriptors
                )
            },
        );
        let identity = inside.uid == policy.uid && inside.gid == policy.gid;
        findings.check(Layer::Namespaces, identity, REPORT_BUG, || {
            format!(
                "uid {} and gid {} instead of {} and {}",
                inside.uid, inside.gid, policy.uid, policy.gid
            )
        });
        findings.check(
            Layer::NoNetwork,
            inside.interfaces == ["lo"],
            REPORT_BUG,
            || format!("network interfaces {:?}", inside.interfaces),
        );
        findings.check(
            Layer::ReadOnlySystem,
            inside.write_root.refused(),
            REPORT_BUG,
            || "a file could be created in /".to_owned(),
        );
        findings.check(
            Layer::ReadOnlySystem,
            inside.write_system.refused(),
            REPORT_BUG,
            || "a file could be created in /usr".to_owned(),
        );
        findings.check(
            Layer::ReadOnlySystem,
            inside.write_kernel.refused(),
            REPORT_BUG,
            || "kernel settings in /proc/sys could be written".to_owned(),
        );
        findings.check(
            Layer::NoCapabilities,
            inside.capabilities == Capabilities::default(),
            REPORT_BUG,
            || format!("capabilities {:x?}", inside.capabilities),
        );
        findings.check(
            Layer::NoNewPrivileges,
            inside.no_new_privileges,
            REPORT_BUG,
            || "NoNewPrivs is 0".to_owned(),
        );
        findings.check(
            Layer::Seccomp,
            inside.seccomp_mode == 2,
            "use a kernel with CONFIG_SECCOMP_FILTER",
            || format!("seccomp mode {}", inside.seccomp_mode),
        );
        findings.check(Layer::Seccomp, inside.mount.refused(), REPORT_BUG, || {
            "mount(2) was allowed".to_owned()
        });
        findings.check(
            Layer::NoNestedNamespaces,
            inside.new_user_namespace.refused(),
            "install bubblewrap 0.8 or newer",
            || "a user namespace could be made inside".to_owned(),
        );
        let landlock = &inside.landlock;
        findings.check(
            Layer::Landlock,
            landlock.files,
            "use Linux 5.13 or newer with landlock among the LSMs (boot option lsm=landlock,…)",
            || format!("landlock is not enforced: {}", landlock.detail),
        );
        if let TcpRule::Only(ports) = &policy.tcp {
            let exact = landlock.tcp_ports.as_ref() == Some(ports);
            findings.check(
                Layer::Landlock,
                exact,
                "use Linux 6.7 or newer, or do not restrict ports",
                || {
                    format!(
                        "TCP ports are not restricted (landlock ABI {})",
                        landlock.abi
                    )
                },
            );
        }
        for (layer, state) in self.limits.states() {
            findings.check(
                layer,
                state.enforced(),
                crate::doctor::DELEGATION_REMEDY,
                || state.to_string(),
            );
        }
        findings.found
    }

    /// What was seen of a layer that holds, in words.
    pub fn describe(&self, layer: Layer) -> String {
        let inside = &self.inside;
        match layer {
            Layer::Namespaces => format!(
                "own {}; uid {} inside",
                inside
                    .namespaces
                    .keys()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", "),
                inside.uid
            ),
            Layer::NoNetwork => format!("interfaces: {}", inside.interfaces.join(", ")),
            Layer::ReadOnlySystem => refusal("writing to /usr", &inside.write_system),
            Layer::NoCapabilities => "all five sets are empty".to_owned(),
            Layer::NoNewPrivileges => "set".to_owned(),
            Layer::Seccomp => format!(
                "mode {}; {}",
                inside.seccomp_mode,
                refusal("mounting", &inside.mount)
            ),
            Layer::Landlock => format!(
                "ABI {}: files{}",
                inside.landlock.abi,
                if inside.landlock.scoped {
                    ", signals, abstract sockets"
                } else {
                    ""
                }
            ),
            Layer::NoNestedNamespaces => {
                refusal("a new user namespace", &inside.new_user_namespace)
            }
            Layer::MemoryLimit => self.limits.memory.to_string(),
            Layer::ProcessLimit => self.limits.processes.to_string(),
            Layer::CpuWeight => self.limits.cpu.to_string(),
        }
    }
}

fn refusal(what: &str, probe: &Probe) -> String {
    match probe {
        Probe::Refused(reason) => format!("{what}: {reason}"),
        Probe::Allowed => format!("{what}: allowed"),
    }
}

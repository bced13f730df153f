//! What a sandbox may see and do, as data: every path with its reason, every limit with its unit. Here because the policy is
//! read by people as well as by the launcher. It must not touch the machine; `policy::check` does that, once, at the start.

mod check;
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::check::PolicyError;
pub(crate) use self::check::{Checked, SystemMount};
pub use self::system::{SystemPath, system_paths};

/// Where the workspace appears inside; the only host folder the agent may write (besides a persistent home).
pub const WORKSPACE: &str = "/workspace";
/// The agent's home inside: a tmpfs, or the worker-private folder of [`Home::Persistent`].
pub const AGENT_HOME: &str = "/home/agent";
/// Where the gateway's unix socket appears inside.
pub const GATEWAY_SOCKET: &str = "/run/gateway.sock";
/// Where our own executable appears inside, to run as PID 1.
pub const INIT_PATH: &str = "/run/sandbox-init";

/// One sandbox: what is bound in, what runs, and which layers must hold. Build it with [`SandboxPolicy::new`] and change fields.
///
/// There is no switch for the network: the sandbox has its own network namespace with a loopback interface and nothing else.
#[derive(Clone)]
pub struct SandboxPolicy {
    /// Names the control group and the host name; `^[a-z0-9-]{1,63}$`, as the agent ID card demands of `agent_id`.
    pub name: String,
    /// Absolute host path of the workspace; bound read-write at [`WORKSPACE`]. No component may be a symbolic link.
    pub workspace: PathBuf,
    /// What the agent's home is.
    pub home: Home,
    /// Read-only system paths; those that do not exist on this machine are left out. Default: [`system_paths`].
    pub system: Vec<SystemPath>,
    /// More read-only binds, for example the agent's binary. A missing source is an error.
    pub read_only: Vec<ReadOnlyBind>,
    /// The one way out: a unix socket, bridged from a loopback port. `None` = no way out at all.
    pub gateway: Option<GatewayBridge>,
    /// The agent's whole environment. It travels over a socket, so it never shows on a command line.
    pub env: BTreeMap<String, String>,
    /// Resource limits.
    pub limits: Limits,
    /// Sizes of the in-memory file systems.
    pub scratch: Scratch,
    /// The user id that the agent sees as its own. Not 0.
    pub uid: u32,
    /// The group id that the agent sees as its own. Not 0.
    pub gid: u32,
    /// Program and arguments; the program is looked up in `PATH` of [`SandboxPolicy::env`] unless it has a slash.
    pub argv: Vec<String>,
    /// Absolute path inside where the agent starts.
    pub cwd: PathBuf,
    /// Which TCP ports the agent may connect to.
    pub tcp: TcpRule,
    /// Layers without which the start is refused. Default: [`Layer::default_required`].
    pub required: BTreeSet<Layer>,
    /// The executable that runs as PID 1 inside.
    pub init: InitProgram,
}

impl SandboxPolicy {
    /// A policy with the default layers, limits and system paths, an empty environment but `PATH`, `HOME`, `USER` and `LANG`,
    /// a tmpfs home and no gateway.
    pub fn new(name: impl Into<String>, workspace: impl Into<PathBuf>, argv: Vec<String>) -> Self {
        let env = [
            (
                "PATH",
                "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
            ),
            ("HOME", AGENT_HOME),
            ("USER", "agent"),
            ("LANG", "C.UTF-8"),
        ];
        Self {
            name: name.into(),
            workspace: workspace.into(),
            home: Home::Tmpfs,
            system: system_paths(),
            read_only: Vec::new(),
            gateway: None,
            env: env
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            limits: Limits::default(),
            scratch: Scratch::default(),
            uid: 1000,
            gid: 1000,
            argv,
            cwd: PathBuf::from(WORKSPACE),
            tcp: TcpRule::OwnLoopback,
            required: Layer::default_required(),
            init: InitProgram::default(),
        }
    }
}

/// The environment may carry session secrets, so only its names are shown.
impl fmt::Debug for SandboxPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxPolicy")
            .field("name", &self.name)
            .field("workspace", &self.workspace)
            .field("home", &self.home)
            .field("read_only", &self.read_only)
            .field("gateway", &self.gateway)
            .field("env_names", &self.env.keys().collect::<Vec<_>>())
            .field("limits", &self.limits)
            .field("program", &self.argv.first())
            .field("cwd", &self.cwd)
            .field("tcp", &self.tcp)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

/// What is mounted at [`AGENT_HOME`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// In memory; gone when the sandbox ends.
    Tmpfs,
    /// A folder of the worker, private to this agent, that keeps its sessions over a restart. Absolute, no symbolic link.
    Persistent(PathBuf),
}

/// A host path that appears read-only at a path inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOnlyBind {
    /// Host path; symbolic links are followed, since the caller and not the agent chose it.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: PathBuf,
    /// Why the agent needs it.
    pub reason: String,
}

/// The gateway's unix socket on the host and the loopback port inside that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayBridge {
    /// Host path of a listening unix socket; bound in at [`GATEWAY_SOCKET`].
    pub socket: PathBuf,
    /// TCP port on 127.0.0.1 inside; not 0.
    pub port: u16,
}

/// Limits of one sandbox; the agent ID card's `resource_limits` (same names, same defaults).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in MiB, at least 16; control group.
    pub memory_mb: u64,
    /// Relative CPU weight on the scale of cgroup v1 (1024 = one share), 2 to 262144; control group.
    pub cpu_shares: u64,
    /// Tasks (processes and threads), at least 1; control group. bubblewrap and our init are added on top.
    pub max_processes: u64,
    /// Open files of each process, at least 64; `RLIMIT_NOFILE`, see getrlimit(2).
    pub max_open_files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mb: 4096,
            cpu_shares: 1024,
            max_processes: 512,
            max_open_files: 1024,
        }
    }
}

/// Sizes of the in-memory file systems in MiB; each counts towards the memory limit as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scratch {
    /// `/tmp`.
    pub tmp_mb: u64,
    /// `/run`.
    pub run_mb: u64,
    /// [`AGENT_HOME`] when it is [`Home::Tmpfs`].
    pub home_mb: u64,
    /// `/dev/shm`.
    pub shm_mb: u64,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            tmp_mb: 1024,
            run_mb: 16,
            home_mb: 1024,
            shm_mb: 256,
        }
    }
}

/// Which TCP ports the agent may connect to. Its network namespace holds only its own loopback interface in both cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TcpRule {
    /// Any port of its own loopback. The default: agents and the tests they run talk to servers that they start themselves
    /// (`opencode acp` does so on a random port).
    OwnLoopback,
    /// Only these ports, by landlock (ABI 4, Linux 6.7); the start is refused where the kernel cannot do it.
    Only(Vec<u16>),
}

/// The executable that bubblewrap starts as PID 1: the caller's own, which must call [`crate::init::main`] when it is run with
/// `args` and one more argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitProgram {
    /// Host path. Default `/proc/self/exe`: the very file that runs now, even if it was replaced on disk meanwhile.
    pub source: PathBuf,
    /// Arguments that select the hidden subcommand. Default `sandbox-init`.
    pub args: Vec<String>,
}

impl Default for InitProgram {
    fn default() -> Self {
        Self {
            source: PathBuf::from("/proc/self/exe"),
            args: vec!["sandbox-init".to_owned()],
        }
    }
}

/// One thing that the sandbox enforces, by its own mechanism. The order is the order of the doctor's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Own user, PID, network, mount, IPC and UTS namespaces (namespaces(7)).
    Namespaces,
    /// A network namespace with no interface but loopback.
    NoNetwork,
    /// The system and the root of the tree cannot be written.
    ReadOnlySystem,
    /// All five capability sets are empty (capabilities(7)).
    NoCapabilities,
    /// `no_new_privs` (prctl(2)): no set-uid program gains anything.
    NoNewPrivileges,
    /// The system call filter (seccomp(2)).
    Seccomp,
    /// File access by landlock(7), a second wall behind the mounts.
    Landlock,
    /// No user namespace can be made inside, so the kernel's namespace code cannot be attacked.
    NoNestedNamespaces,
    /// Memory limit by control group.
    MemoryLimit,
    /// Task limit by control group.
    ProcessLimit,
    /// CPU weight by control group.
    CpuWeight,
}

impl Layer {
    /// All layers but the control group's three: those depend on what the machine delegates, and are reported instead.
    pub fn default_required() -> BTreeSet<Self> {
        [
            Self::Namespaces,
            Self::NoNetwork,
            Self::ReadOnlySystem,
            Self::NoCapabilities,
            Self::NoNewPrivileges,
            Self::Seccomp,
            Self::Landlock,
            Self::NoNestedNamespaces,
        ]
        .into()
    }

    /// The name as it is written in reports and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::NoNetwork => "no_network",
            Self::ReadOnlySystem => "read_only_system",
            Self::NoCapabilities => "no_capabilities",
            Self::NoNewPrivileges => "no_new_privileges",
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
            Self::NoNestedNamespaces => "no_nested_namespaces",
            Self::MemoryLimit => "memory_limit",
            Self::ProcessLimit => "process_limit",
            Self::CpuWeight => "cpu_weight",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

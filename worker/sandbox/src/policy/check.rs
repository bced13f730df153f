//! Checks a policy against this machine and opens what it names. Everything the agent could try to swap (workspace, home) is
//! opened once, without following symbolic links, and bound by descriptor, so that what was checked is what is mounted.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::system::{FORBIDDEN, FORBIDDEN_TREES, RESERVED_TARGETS};
use super::{AGENT_HOME, Home, SandboxPolicy, WORKSPACE};
use crate::report::FileIdentity;

/// More arguments, variables or binds than any agent needs; a bound on what one start may cost.
const MAX_ITEMS: usize = 1024;

/// Why a policy cannot be enforced on this machine.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The name is not usable as a host name and as the name of a control group.
    #[error("the sandbox name {name:?} must match ^[a-z0-9-]{{1,63}}$")]
    Name {
        /// The name that was given.
        name: String,
    },
    /// A path must be absolute and free of `..`.
    #[error("{what} {path:?} must be an absolute path without \"..\"; write it out in full")]
    NotAbsolute {
        /// Which setting.
        what: &'static str,
        /// The path that was given.
        path: PathBuf,
    },
    /// A component of the path is a symbolic link.
    #[error("{what} {path:?} leads through a symbolic link; name the real folder{}", real.as_ref().map(|real| format!(" {}", real.display())).unwrap_or_default())]
    Symlink {
        /// Which setting.
        what: &'static str,
        /// The path that was given.
        path: PathBuf,
        /// Where it leads, if that is known.
        real: Option<PathBuf>,
    },
    /// The path does not exist.
    #[error("{what} {path:?} does not exist; create it or correct the path")]
    Missing {
        /// Which setting.
        what: &'static str,
        /// The path that was given.
        path: PathBuf,
    },
    /// The path is of the wrong kind.
    #[error("{what} {path:?} is not a {expected}")]
    WrongKind {
        /// Which setting.
        what: &'static str,
        /// The path that was given.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// The path is a system folder, or would cover one inside.
    #[error(
        "{what} {path:?} may not be a system folder; use a folder of its own, for example under /srv or your home"
    )]
    Forbidden {
        /// Which setting.
        what: &'static str,
        /// The path that was given.
        path: PathBuf,
    },
    /// The path cannot be opened or written by this user.
    #[error("cannot use {what} {path:?} as this user; check its owner and mode")]
    Access {
        /// Which setting.
        what: &'static str,
        /// The path that was given.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A number or text is out of its range.
    #[error("{what} must be {expected}")]
    Range {
        /// Which setting.
        what: &'static str,
        /// The range in words.
        expected: &'static str,
    },
}

/// A bind with its source already open.
#[derive(Debug)]
pub(crate) struct CheckedBind {
    /// `O_PATH` descriptor of the source.
    pub(crate) source: OwnedFd,
    /// Path inside.
    pub(crate) target: PathBuf,
}

/// What a policy names on this machine, opened.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) workspace: OwnedFd,
    pub(crate) workspace_identity: FileIdentity,
    pub(crate) home: Option<OwnedFd>,
    pub(crate) read_only: Vec<CheckedBind>,
    pub(crate) init: OwnedFd,
    pub(crate) gateway: Option<OwnedFd>,
    pub(crate) system: Vec<SystemMount>,
}

/// A system path as it is on this machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SystemMount {
    /// Bind read-only.
    Bind(PathBuf),
    /// Make the same symbolic link: target, path.
    Link(OsString, PathBuf),
}

impl SandboxPolicy {
    /// Checks every field and opens what is to be bound. Nothing is created or changed.
    pub(crate) fn check(&self) -> Result<Checked, PolicyError> {
        check_name(&self.name)?;
        check_numbers(self)?;
        check_command(self)?;
        let workspace = open_folder("the workspace", &self.workspace)?;
        let stat = rustix::fs::fstat(&workspace)
            .map_err(|source| access("the workspace", &self.workspace, source))?;
        let home = match &self.home {
            Home::Tmpfs => None,
            Home::Persistent(path) => Some(open_folder("the agent's home", path)?),
        };
        let mut read_only = Vec::with_capacity(self.read_only.len());
        for bind in &self.read_only {
            check_target(&bind.target)?;
            read_only.push(CheckedBind {
                source: open_path("the bind source", &bind.source)?,
                target: bind.target.clone(),
            });
        }
        let gateway = match &self.gateway {
            None => None,
            Some(gateway) => {
                let socket = open_path("the gateway socket", &gateway.socket)?;
                expect_kind(
                    &socket,
                    FileType::Socket,
                    "the gateway socket",
                    &gateway.socket,
                    "unix socket",
                )?;
                Some(socket)
            }
        };
        let init = open_path("the init program", &self.init.source)?;
        expect_kind(
            &init,
            FileType::RegularFile,
            "the init program",
            &self.init.source,
            "program file",
        )?;
        Ok(Checked {
            workspace,
            workspace_identity: FileIdentity::of(&stat),
            home,
            read_only,
            init,
            gateway,
            system: self
                .system
                .iter()
                .filter_map(|entry| system_mount(&entry.path))
                .collect(),
        })
    }
}

/// What stands at a system path on this machine; `None` if nothing does.
fn system_mount(path: &Path) -> Option<SystemMount> {
    let kind = std::fs::symlink_metadata(path).ok()?.file_type();
    if kind.is_symlink() {
        let target = std::fs::read_link(path).ok()?;
        return Some(SystemMount::Link(target.into_os_string(), path.to_owned()));
    }
    Some(SystemMount::Bind(path.to_owned()))
}

fn check_name(name: &str) -> Result<(), PolicyError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // 63 is the longest host name label (RFC 1123 section 2.1).
    if name.is_empty() || name.len() > 63 || !name.bytes().all(allowed) {
        return Err(PolicyError::Name {
            name: name.to_owned(),
        });
    }
    Ok(())
}

fn check_numbers(policy: &SandboxPolicy) -> Result<(), PolicyError> {
    let limits = policy.limits;
    let scratch = policy.scratch;
    let sizes = [
        scratch.tmp_mb,
        scratch.run_mb,
        scratch.home_mb,
        scratch.shm_mb,
    ];
    let ranges = [
        (
            limits.memory_mb >= 16 && limits.memory_mb <= 1 << 24,
            "memory_mb",
            "16 to 16777216",
        ),
        (
            (2..=262_144).contains(&limits.cpu_shares),
            "cpu_shares",
            "2 to 262144",
        ),
        (
            (1..=4_194_304).contains(&limits.max_processes),
            "max_processes",
            "1 to 4194304",
        ),
        (
            (64..=1_048_576).contains(&limits.max_open_files),
            "max_open_files",
            "64 to 1048576",
        ),
        (
            sizes.iter().all(|size| (1..=1 << 24).contains(size)),
            "the size of an in-memory file system",
            "1 to 16777216 MiB",
        ),
        (
            policy.uid != 0 && policy.gid != 0,
            "the user and group id inside",
            "greater than 0",
        ),
        (
            policy
                .gateway
                .as_ref()
                .is_none_or(|gateway| gateway.port != 0),
            "the gateway port",
            "1 to 65535",
        ),
    ];
    for (holds, what, expected) in ranges {
        if !holds {
            return Err(PolicyError::Range { what, expected });
        }
    }
    Ok(())
}

fn check_command(policy: &SandboxPolicy) -> Result<(), PolicyError> {
    let too_many = policy.argv.len() > MAX_ITEMS
        || policy.env.len() > MAX_ITEMS
        || policy.read_only.len() > MAX_ITEMS;
    if too_many {
        return Err(PolicyError::Range {
            what: "the number of arguments, variables and binds",
            expected: "at most 1024 each",
        });
    }
    if policy.argv.first().is_none_or(String::is_empty) {
        return Err(PolicyError::Range {
            what: "the command",
            expected: "at least a program name",
        });
    }
    if policy.argv.iter().any(|argument| argument.contains('\0')) {
        return Err(PolicyError::Range {
            what: "the command",
            expected: "free of NUL bytes",
        });
    }
    let bad_name = |name: &String| name.is_empty() || name.contains(['=', '\0']);
    if policy
        .env
        .iter()
        .any(|(name, value)| bad_name(name) || value.contains('\0'))
    {
        return Err(PolicyError::Range {
            what: "a variable",
            expected: "NAME=value without NUL, and no = in the name",
        });
    }
    absolute("the working directory", &policy.cwd)
}

fn absolute(what: &'static str, path: &Path) -> Result<(), PolicyError> {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain {
        return Err(PolicyError::NotAbsolute {
            what,
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn check_target(target: &Path) -> Result<(), PolicyError> {
    absolute("the bind target", target)?;
    let covers = RESERVED_TARGETS
        .iter()
        .chain(&[WORKSPACE, AGENT_HOME])
        .any(|reserved| Path::new(reserved).starts_with(target));
    let inside_kernel = ["/proc", "/sys", "/dev"]
        .iter()
        .any(|tree| target.starts_with(tree));
    if covers || inside_kernel {
        return Err(PolicyError::Forbidden {
            what: "the bind target",
            path: target.to_owned(),
        });
    }
    Ok(())
}

/// Opens a folder that the agent may write: no symbolic link anywhere in its path, and no system folder.
fn open_folder(what: &'static str, path: &Path) -> Result<OwnedFd, PolicyError> {
    absolute(what, path)?;
    let forbidden = FORBIDDEN.iter().any(|entry| path == Path::new(entry))
        || FORBIDDEN_TREES.iter().any(|tree| path.starts_with(tree));
    if forbidden {
        return Err(PolicyError::Forbidden {
            what,
            path: path.to_owned(),
        });
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat2(
        rustix::fs::CWD,
        path,
        flags,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    );
    let folder = opened.map_err(|errno| match errno {
        Errno::LOOP => PolicyError::Symlink {
            what,
            path: path.to_owned(),
            real: std::fs::canonicalize(path).ok(),
        },
        Errno::NOENT => PolicyError::Missing {
            what,
            path: path.to_owned(),
        },
        Errno::NOTDIR => PolicyError::WrongKind {
            what,
            path: path.to_owned(),
            expected: "folder",
        },
        other => access(what, path, other),
    })?;
    let wanted =
        rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::accessat(&folder, ".", wanted, AtFlags::EACCESS)
        .map_err(|errno| access(what, path, errno))?;
    Ok(folder)
}

/// Opens a path that the caller, not the agent, controls; symbolic links are followed.
fn open_path(what: &'static str, path: &Path) -> Result<OwnedFd, PolicyError> {
    absolute(what, path)?;
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| {
        match errno {
            Errno::NOENT | Errno::NOTDIR => PolicyError::Missing {
                what,
                path: path.to_owned(),
            },
            other => access(what, path, other),
        }
    })
}

fn expect_kind(
    file: &OwnedFd,
    kind: FileType,
    what: &'static str,
    path: &Path,
    expected: &'static str,
) -> Result<(), PolicyError> {
    let stat = rustix::fs::fstat(file).map_err(|errno| access(what, path, errno))?;
    if FileType::from_raw_mode(stat.st_mode) != kind {
        return Err(PolicyError::WrongKind {
            what,
            path: path.to_owned(),
            expected,
        });
    }
    Ok(())
}

fn access(what: &'static str, path: &Path, errno: Errno) -> PolicyError {
    PolicyError::Access {
        what,
        path: path.to_owned(),
        source: errno.into(),
    }
}

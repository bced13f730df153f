//! Turns a checked policy into bubblewrap's command line. Order matters: bubblewrap performs mounts in the order given, so what
//! covers comes after what is covered, and the root is made read-only last. No secret is on this command line: the environment
//! and the agent's arguments travel over the control socket.

use std::ffi::{OsStr, OsString};
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::MemfdFlags;

use super::Bwrap;
use crate::policy::{
    AGENT_HOME, Checked, GATEWAY_SOCKET, Home, INIT_PATH, SandboxPolicy, SystemMount, WORKSPACE,
};

/// The descriptors that init must find open, besides those that bubblewrap itself consumes.
#[derive(Debug)]
pub(crate) struct Descriptors {
    /// Init's end of the control socket.
    pub(crate) control: OwnedFd,
    /// The agent's stdin, stdout and stderr.
    pub(crate) stdio: [OwnedFd; 3],
    /// bubblewrap's end of the status pipe.
    pub(crate) status: OwnedFd,
}

/// A complete command line and the descriptors it refers to; they must stay open until the child runs.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) list: Vec<OsString>,
    pub(crate) keep: Vec<OwnedFd>,
}

impl Arguments {
    fn words<const N: usize>(&mut self, words: [&dyn AsOsStr; N]) {
        self.list
            .extend(words.iter().map(|word| word.as_os().to_owned()));
    }

    /// Keeps the descriptor for the child and returns its number.
    fn keep(&mut self, fd: OwnedFd) -> RawFd {
        let number = fd.as_raw_fd();
        self.keep.push(fd);
        number
    }

    /// A memory file with the content, for `--file` and `--seccomp`.
    fn data(&mut self, content: &[u8]) -> io::Result<String> {
        let mut file =
            std::fs::File::from(rustix::fs::memfd_create("sandbox", MemfdFlags::CLOEXEC)?);
        file.write_all(content)?;
        file.rewind()?;
        Ok(self.keep(OwnedFd::from(file)).to_string())
    }

    /// Binds an open file or folder: what was checked is what is mounted, whatever happens to its path meanwhile.
    fn bind_fd(&mut self, option: &str, fd: OwnedFd, target: &Path) {
        let number = self.keep(fd);
        self.words([&option, &format!("/proc/self/fd/{number}"), &target]);
    }
}

/// Text, path or owned text, as a word of a command line.
trait AsOsStr {
    fn as_os(&self) -> &OsStr;
}

impl<T: AsRef<OsStr>> AsOsStr for T {
    fn as_os(&self) -> &OsStr {
        self.as_ref()
    }
}

/// Minimal name service files: user, group and host names without the machine's own, which name its people and its neighbours.
fn synthetic_files(policy: &SandboxPolicy) -> [(&'static str, String); 4] {
    let (uid, gid) = (policy.uid, policy.gid);
    [
        (
            "/etc/passwd",
            format!(
                "agent:x:{uid}:{gid}:agent:{AGENT_HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
            ),
        ),
        ("/etc/group", format!("agent:x:{gid}:\nnogroup:x:65534:\n")),
        (
            "/etc/hosts",
            format!("127.0.0.1 localhost {}\n::1 localhost\n", policy.name),
        ),
        (
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files\n".to_owned(),
        ),
    ]
}

/// Builds the command line.
///
/// # Errors
/// Memory files could not be made.
pub(crate) fn arguments(
    bwrap: &Bwrap,
    policy: &SandboxPolicy,
    checked: Checked,
    filter: &[u8],
    descriptors: Descriptors,
) -> io::Result<Arguments> {
    let mut line = Arguments {
        list: Vec::with_capacity(160),
        keep: Vec::with_capacity(24),
    };
    line.words([
        &"--unshare-all",
        &"--unshare-user",
        &"--die-with-parent",
        &"--new-session",
        &"--as-pid-1",
        &"--clearenv",
    ]);
    line.words([
        &"--cap-drop",
        &"ALL",
        &"--uid",
        &policy.uid.to_string(),
        &"--gid",
        &policy.gid.to_string(),
    ]);
    line.words([&"--hostname", &policy.name]);
    for option in ["--disable-userns", "--assert-userns-disabled"] {
        if bwrap.has(option) {
            line.words([&option]);
        }
    }

    for mount in &checked.system {
        match mount {
            SystemMount::Bind(path) => line.words([&"--ro-bind", path, path]),
            SystemMount::Link(target, path) => line.words([&"--symlink", target, path]),
        }
    }
    for (path, content) in synthetic_files(policy) {
        let number = line.data(content.as_bytes())?;
        line.words([&"--perms", &"0444", &"--file", &number, &path]);
    }
    line.words([&"--proc", &"/proc", &"--dev", &"/dev"]);

    let scratch = policy.scratch;
    tmpfs(&mut line, bwrap, scratch.shm_mb, "1777", "/dev/shm");
    tmpfs(&mut line, bwrap, scratch.tmp_mb, "1777", "/tmp");
    tmpfs(&mut line, bwrap, scratch.run_mb, "0755", "/run");
    match (checked.home, &policy.home) {
        (Some(home), Home::Persistent(_)) => line.bind_fd("--bind", home, Path::new(AGENT_HOME)),
        (None | Some(_), _) => tmpfs(&mut line, bwrap, scratch.home_mb, "0700", AGENT_HOME),
    }
    line.bind_fd("--bind", checked.workspace, Path::new(WORKSPACE));
    for bind in checked.read_only {
        line.bind_fd("--ro-bind", bind.source, &bind.target);
    }
    line.bind_fd("--ro-bind", checked.init, Path::new(INIT_PATH));
    if let Some(socket) = checked.gateway {
        line.bind_fd("--ro-bind", socket, Path::new(GATEWAY_SOCKET));
    }
    // /proc too: when the supervisor is root, the agent's user maps to root, and files like /proc/sys/kernel/core_pattern ask
    // only for that user, not for a capability.
    line.words([
        &"--remount-ro",
        &"/proc",
        &"--remount-ro",
        &"/dev",
        &"--remount-ro",
        &"/",
        &"--chdir",
        &"/",
    ]);

    let filter = line.data(filter)?;
    line.words([&"--seccomp", &filter]);
    let status = line.keep(descriptors.status);
    line.words([&"--json-status-fd", &status.to_string(), &"--", &INIT_PATH]);
    line.list
        .extend(policy.init.args.iter().map(OsString::from));
    let control = line.keep(descriptors.control);
    line.words([&control.to_string()]);
    for fd in descriptors.stdio {
        let number = line.keep(fd);
        line.words([&number.to_string()]);
    }
    Ok(line)
}

/// bubblewrap before 0.7 cannot bound the size; there the memory limit of the control group is the only bound.
fn tmpfs(line: &mut Arguments, bwrap: &Bwrap, size_mb: u64, perms: &str, target: &str) {
    if bwrap.has("--size") {
        line.words([&"--size", &(size_mb << 20).to_string()]);
    }
    line.words([&"--perms", &perms, &"--tmpfs", &target]);
}

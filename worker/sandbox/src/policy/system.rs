//! The system paths an agent needs, each with its reason. Only named entries of /etc are here, never /etc itself: when the
//! supervisor is root, the sandbox's user maps to root, and files like /etc/shadow would be readable.

use std::path::PathBuf;

/// A host path that appears read-only at the same place inside, if it exists. A symbolic link on the host (`/bin` ->
/// `usr/bin`) becomes the same link inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemPath {
    /// Absolute path, the same outside and inside.
    pub path: PathBuf,
    /// Why the agent needs it.
    pub reason: &'static str,
}

/// Path and reason of every default entry.
const ENTRIES: &[(&str, &str)] = &[
    ("/usr", "programs, libraries, time zones, locales"),
    (
        "/bin",
        "shells and scripts name their interpreter by this path",
    ),
    ("/sbin", "on merged systems a link that scripts expect"),
    (
        "/lib",
        "the dynamic loader's path is compiled into every program",
    ),
    ("/lib32", "32-bit libraries on multi-architecture systems"),
    ("/lib64", "the dynamic loader's path on x86-64"),
    (
        "/nix/store",
        "programs and libraries on NixOS; world-readable by design",
    ),
    (
        "/etc/alternatives",
        "Debian's links behind awk, cc, editor, python",
    ),
    ("/etc/ld.so.cache", "library lookup without scanning"),
    (
        "/etc/ssl/certs",
        "certificate authorities; not /etc/ssl/private",
    ),
    (
        "/etc/ssl/openssl.cnf",
        "OpenSSL refuses some work without it",
    ),
    (
        "/etc/pki/ca-trust",
        "certificate authorities on Fedora and RHEL",
    ),
    (
        "/etc/pki/tls/certs",
        "certificate authorities on Fedora and RHEL; not tls/private",
    ),
    ("/etc/ca-certificates", "certificate authorities on Arch"),
    ("/etc/localtime", "local time"),
    ("/etc/timezone", "the name of the time zone"),
    ("/etc/protocols", "protocol names for resolvers"),
    ("/etc/services", "service names for resolvers"),
    (
        "/etc/os-release",
        "installers and test tools ask which system this is",
    ),
];

/// The default read-only system paths with their reasons.
pub fn system_paths() -> Vec<SystemPath> {
    ENTRIES
        .iter()
        .map(|&(path, reason)| SystemPath {
            path: PathBuf::from(path),
            reason,
        })
        .collect()
}

/// Host paths that may be neither a workspace nor a home: binding one would hand the machine to the agent.
pub(super) const FORBIDDEN: &[&str] = &[
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/mnt", "/nix", "/opt",
    "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var",
];

/// Trees of which no part may be a workspace or a home.
pub(super) const FORBIDDEN_TREES: &[&str] = &[
    "/boot",
    "/dev",
    "/etc",
    "/proc",
    "/sys",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/nix/store",
];

/// Paths inside that the launcher itself mounts: an extra bind may not cover them.
pub(super) const RESERVED_TARGETS: &[&str] =
    &["/", "/dev", "/proc", "/run", "/sys", "/tmp", "/usr", "/etc"];

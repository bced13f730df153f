//! Measures from inside what is in force: reads what the kernel says about this process, and tries what must fail. It must not
//! repeat what was asked for: a value here was seen, never assumed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::RawFd;

use rustix::mount::MountFlags;
use rustix::process::Resource;

use crate::policy::WORKSPACE;
use crate::report::{Capabilities, FileIdentity, InsideReport, LandlockReport, Probe};
use crate::sys;

/// More than a status file has (1.5 KiB), and than the two or three lines of a table of interfaces.
const PROC_FILE: usize = 8 << 10;

/// The whole report. `known` are the descriptors that may be open.
pub(super) fn report(landlock: LandlockReport, known: &[RawFd]) -> io::Result<InsideReport> {
    let status = read_small("/proc/self/status")?;
    let limit = |resource| {
        rustix::process::getrlimit(resource)
            .current
            .unwrap_or(u64::MAX)
    };
    Ok(InsideReport {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        pid: std::process::id(),
        visible_processes: visible_processes()?,
        capabilities: Capabilities {
            inheritable: hexadecimal(&status, "CapInh")?,
            permitted: hexadecimal(&status, "CapPrm")?,
            effective: hexadecimal(&status, "CapEff")?,
            bounding: hexadecimal(&status, "CapBnd")?,
            ambient: hexadecimal(&status, "CapAmb")?,
        },
        no_new_privileges: hexadecimal(&status, "NoNewPrivs")? == 1,
        seccomp_mode: u32::try_from(hexadecimal(&status, "Seccomp")?).unwrap_or(0),
        interfaces: interfaces()?,
        namespaces: namespaces()?,
        landlock,
        write_root: try_write("/.sandbox-probe"),
        write_system: try_write("/usr/.sandbox-probe"),
        write_kernel: probe(
            File::options()
                .write(true)
                .open("/proc/sys/kernel/core_pattern")
                .map(drop),
        ),
        new_user_namespace: probe(sys::try_new_user_namespace()),
        mount: probe(
            rustix::mount::mount("none", "/tmp", "tmpfs", MountFlags::empty(), None)
                .map_err(io::Error::from),
        ),
        workspace: FileIdentity::of(&rustix::fs::stat(WORKSPACE)?),
        leaked_descriptors: leaked(known)?,
        max_open_files: limit(Resource::Nofile),
        core_size: limit(Resource::Core),
    })
}

/// A file of /proc in one read: such files have no size, and reading them in growing pieces makes the kernel write them anew.
fn read_small(path: &str) -> io::Result<String> {
    let mut text = String::with_capacity(PROC_FILE);
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// A line `Key:\tvalue` of /proc/self/status; small decimal values read the same in base 16.
fn hexadecimal(status: &str, key: &str) -> io::Result<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let value = line.and_then(|value| u64::from_str_radix(value.trim(), 16).ok());
    value.ok_or_else(|| io::Error::other(format!("/proc/self/status has no {key}")))
}

fn visible_processes() -> io::Result<u32> {
    let mut count = 0;
    for entry in std::fs::read_dir("/proc")? {
        count += u32::from(
            entry?
                .file_name()
                .to_str()
                .is_some_and(|name| name.parse::<u32>().is_ok()),
        );
    }
    Ok(count)
}

fn interfaces() -> io::Result<Vec<String>> {
    let table = read_small("/proc/self/net/dev")?;
    // Two lines of headings.
    Ok(table
        .lines()
        .skip(2)
        .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
        .collect())
}

/// Inode numbers of this process's namespaces: the text of a link is `net:[4026531840]`.
pub(crate) fn namespaces() -> io::Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for name in ["user", "pid", "net", "mnt", "ipc", "uts", "cgroup"] {
        let link = std::fs::read_link(format!("/proc/self/ns/{name}"))?;
        let inode = link
            .to_str()
            .and_then(|text| text.split(['[', ']']).nth(1))
            .and_then(|number| number.parse().ok());
        let inode = inode.ok_or_else(|| {
            io::Error::other(format!("unreadable namespace link {}", link.display()))
        })?;
        found.insert(name.to_owned(), inode);
    }
    Ok(found)
}

fn probe(result: io::Result<()>) -> Probe {
    match result {
        Ok(()) => Probe::Allowed,
        Err(error) => Probe::Refused(error.to_string()),
    }
}

fn try_write(path: &str) -> Probe {
    let made = File::create_new(path).map(drop);
    if made.is_ok() {
        // The start is refused, so the probe does not matter any more; it is removed for tidiness.
        let _removed = std::fs::remove_file(path);
    }
    probe(made)
}

fn leaked(known: &[RawFd]) -> io::Result<Vec<u32>> {
    let mut leaked = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let expected =
            number <= 2 || i32::try_from(number).is_ok_and(|number| known.contains(&number));
        // The descriptor of this very listing.
        let own_listing =
            std::fs::read_link(entry.path()).is_ok_and(|target| target.ends_with("1/fd"));
        if !expected && !own_listing {
            leaked.push(number);
        }
    }
    Ok(leaked)
}

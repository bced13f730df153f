//! What processes there are, read from `/proc`.
//!
//! Here because "nothing is left behind" can only be proved by looking. Processes are held by pid and start time, so a
//! re-used pid is never taken for an old process. Must not signal anything but what the caller found by its own marker.

use std::{collections::BTreeMap, fs};

use daemon::process::ProcessIdentity;

/// All processes below `root`, itself first: children, their children, and so on.
#[must_use]
pub fn descendants(root: u32) -> Vec<ProcessIdentity> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in pids() {
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children.get(&pid).into_iter().flatten());
        next += 1;
    }
    found.into_iter().filter_map(ProcessIdentity::of).collect()
}

/// All processes whose command line contains `marker`, this one excluded.
#[must_use]
pub fn with_marker(marker: &str) -> Vec<ProcessIdentity> {
    let this = std::process::id();
    pids()
        .into_iter()
        .filter(|&pid| pid != this && command_line(pid).contains(marker))
        .filter_map(ProcessIdentity::of)
        .collect()
}

/// The command line of a process, arguments separated by blanks; empty when it is gone.
#[must_use]
pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// The resident memory of a process in bytes (`VmRSS` of proc(5)).
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    memory(pid, "VmRSS:")
}

/// The resident memory of a process at its highest, in bytes (`VmHWM` of proc(5)).
#[must_use]
pub fn peak_bytes(pid: u32) -> Option<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with(field))?;
    let kilobytes: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("proc is mounted");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("PPid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

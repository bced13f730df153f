//! One sandbox's control group: made, limited, joined by the child, emptied and removed. It must not outlive its sandbox; what a
//! killed supervisor left behind is removed by the next start.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::place::{CONTROLLERS, Places};
use super::{LimitState, LimitsReport};
use crate::policy::{Layer, Limits};

/// Every group of ours begins with this and goes on with the supervisor's pid.
const PREFIX: &str = "flotilla-";
/// bubblewrap's monitor and init are counted with the agent's tasks.
const OWN_TASKS: u64 = 2;
/// How long one killed process may take to vanish before we leave its group behind.
const DEATH: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The folders of one sandbox's group (one on v2, up to three on v1) and which limits they enforce.
#[derive(Debug)]
pub(crate) struct Group {
    folders: Vec<Folder>,
    states: [LimitState; 3],
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// File that a process writes to move itself: `tasks` on v1 (needs no machine-wide lock), `cgroup.procs` on v2.
    entry: &'static str,
    /// Indices of the limits that this folder carries.
    limits: Vec<usize>,
}

impl Group {
    /// Makes the group and sets the limits, as far as the machine lets us.
    pub(crate) fn create_in(places: &Places, name: &str, limits: &Limits) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder_name = format!("{PREFIX}{}-{number}-{name}", std::process::id());
        let mut group = Self {
            folders: Vec::new(),
            states: CONTROLLERS.map(|controller| {
                LimitState::Unavailable(format!("the {controller} controller is not mounted"))
            }),
        };
        let mut left = Vec::new();
        for (index, controller) in CONTROLLERS.into_iter().enumerate() {
            match places.v1.iter().find(|(name, _)| *name == controller) {
                Some((_, own)) => group.add_v1(index, &own.join(&folder_name), limits),
                None => left.push(index),
            }
        }
        if !left.is_empty() && places.v2.is_some() {
            group.add_v2(places, &left, &folder_name, limits);
        }
        group
    }

    fn add_v1(&mut self, index: usize, path: &Path, limits: &Limits) {
        // Several controllers may share one tree (cpu,cpuacct): then the folder is there already.
        if !self.folders.iter().any(|folder| folder.path == path) {
            if let Err(error) = std::fs::create_dir(path) {
                self.states[index] =
                    LimitState::Unavailable(format!("cannot make {}: {error}", path.display()));
                return;
            }
            self.folders.push(Folder {
                path: path.to_owned(),
                entry: "tasks",
                limits: Vec::new(),
            });
        }
        let settings: &[(&str, u64)] = match index {
            0 => &[("memory.limit_in_bytes", limits.memory_mb << 20)],
            1 => &[("pids.max", limits.max_processes + OWN_TASKS)],
            _ => &[("cpu.shares", limits.cpu_shares)],
        };
        self.set(index, path, settings);
        if index == 0 {
            // Swap is limited with memory where the kernel counts it; it often does not.
            let _not_counted = std::fs::write(
                path.join("memory.memsw.limit_in_bytes"),
                (limits.memory_mb << 20).to_string(),
            );
        }
    }

    fn add_v2(&mut self, places: &Places, left: &[usize], folder_name: &str, limits: &Limits) {
        let parent = match places.delegate() {
            Ok(parent) => parent,
            Err(reason) => {
                for &index in left {
                    self.states[index] = LimitState::Unavailable(reason.clone());
                }
                return;
            }
        };
        let path = parent.join(folder_name);
        if let Err(error) = std::fs::create_dir(&path) {
            for &index in left {
                self.states[index] =
                    LimitState::Unavailable(format!("cannot make {}: {error}", path.display()));
            }
            return;
        }
        self.folders.push(Folder {
            path: path.clone(),
            entry: "cgroup.procs",
            limits: Vec::new(),
        });
        for &index in left {
            let settings: &[(&str, u64)] = match index {
                0 => &[("memory.max", limits.memory_mb << 20)],
                1 => &[("pids.max", limits.max_processes + OWN_TASKS)],
                _ => &[("cpu.weight", weight(limits.cpu_shares))],
            };
            self.set(index, &path, settings);
        }
        // Swap is limited with memory where the kernel counts it.
        let _not_counted = std::fs::write(path.join("memory.swap.max"), "0");
    }

    fn set(&mut self, index: usize, path: &Path, settings: &[(&str, u64)]) {
        for (file, value) in settings {
            if let Err(error) = std::fs::write(path.join(file), value.to_string()) {
                self.states[index] = LimitState::Unavailable(format!(
                    "cannot write {}: {error}",
                    path.join(file).display()
                ));
                return;
            }
        }
        self.states[index] = LimitState::Enforced;
        if let Some(folder) = self.folders.iter_mut().find(|folder| folder.path == path) {
            folder.limits.push(index);
        }
    }

    /// Open files to which the child writes "0" to move itself in. A folder that cannot be joined loses its limits.
    pub(crate) fn entries(&mut self) -> Vec<OwnedFd> {
        let mut entries = Vec::with_capacity(self.folders.len());
        for folder in &self.folders {
            match File::options()
                .write(true)
                .open(folder.path.join(folder.entry))
            {
                Ok(file) => entries.push(OwnedFd::from(file)),
                Err(error) => {
                    for &index in &folder.limits {
                        self.states[index] = LimitState::Unavailable(format!(
                            "cannot join {}: {error}",
                            folder.path.display()
                        ));
                    }
                }
            }
        }
        entries
    }

    /// Looks from outside whether the process really is in the group; a limit whose group it is not in does not hold.
    pub(crate) fn confirm(&mut self, pid: Pid) {
        let text = pid.as_raw_nonzero().to_string();
        for folder in &self.folders {
            let inside =
                std::fs::read_to_string(folder.path.join("cgroup.procs")).unwrap_or_default();
            if !inside.lines().any(|line| line == text) {
                for &index in &folder.limits {
                    self.states[index] = LimitState::Unavailable(format!(
                        "the kernel did not let the sandbox join {}",
                        folder.path.display()
                    ));
                }
            }
        }
    }

    /// What holds.
    pub(crate) fn report(&self) -> LimitsReport {
        let [memory, processes, cpu] = self.states.clone();
        LimitsReport {
            memory,
            processes,
            cpu,
        }
    }

    /// The reason why a layer of the control group does not hold, if it does not.
    pub(crate) fn missing(&self, layer: Layer) -> Option<String> {
        self.report()
            .states()
            .into_iter()
            .find(|(of, state)| *of == layer && !state.enforced())
            .map(|(_, state)| state.to_string())
    }

    /// How often the kernel killed for lack of memory in this group.
    pub(crate) fn out_of_memory_kills(&self) -> u64 {
        let Some(folder) = self
            .folders
            .iter()
            .find(|folder| folder.limits.contains(&0))
        else {
            return 0;
        };
        let file = if folder.entry == "tasks" {
            "memory.oom_control"
        } else {
            "memory.events"
        };
        let text = std::fs::read_to_string(folder.path.join(file)).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix("oom_kill "))
            .and_then(|count| count.parse().ok())
            .unwrap_or(0)
    }

    /// Kills what is left in the group, waits until it is gone and removes the folders. Called when init is dead, so usually
    /// nothing is left.
    pub(crate) fn remove(self) {
        for folder in &self.folders {
            empty_and_remove(&folder.path);
        }
    }
}

fn empty_and_remove(path: &Path) {
    match std::fs::remove_dir(path) {
        Ok(()) => return,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(_) => {}
    }
    // v2 kills the whole group at once and without a race; v1 has no such file.
    let _v1 = std::fs::write(path.join("cgroup.kill"), "1");
    let list = std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let pids = list
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter_map(Pid::from_raw);
    for pid in pids {
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        let _gone = pidfd_send_signal(&process, Signal::KILL);
        let _waited = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&DEATH));
    }
    if let Err(error) = std::fs::remove_dir(path) {
        tracing::warn!(path = %path.display(), %error, "control group left behind");
    }
}

/// Removes groups whose supervisor is gone: a killed supervisor cannot do it. A group that still has processes stays.
pub(crate) fn remove_all_abandoned(places: &Places) {
    for (_, own) in &places.v1 {
        remove_abandoned(own);
    }
    if let Some((own, _)) = &places.v2 {
        remove_abandoned(own);
        if let Some(parent) = own.parent() {
            remove_abandoned(parent);
        }
    }
}

fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next());
        let Some(Ok(owner)) = owner.map(str::parse::<u32>) else {
            continue;
        };
        if !Path::new(&format!("/proc/{owner}")).exists() {
            let _busy = std::fs::remove_dir(entry.path());
        }
    }
}

/// cgroup v1 shares (1024 = normal) on v2's scale (1 to 10000, 100 = normal): normal stays normal, and twice stays twice.
fn weight(shares: u64) -> u64 {
    (shares * 100 / 1024).clamp(1, 10_000)
}

#[cfg(test)]
mod tests;

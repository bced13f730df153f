//! Where control groups of ours may be made: reads what the kernel says about mounts and our own membership. It changes nothing
//! except, on v2, what [`Places::delegate`] documents.

use std::io;
use std::path::{Path, PathBuf};

/// The three controllers we use, in the order of the report.
pub(super) const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// The leaf that a supervisor moves itself into, below the group that was delegated to it.
const LEAF: &str = "flotilla-supervisor";

/// How this machine mounts control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only v2: one tree.
    Unified,
    /// Controllers in v1 trees, with an empty v2 tree beside them.
    Hybrid,
    /// Only v1.
    Legacy,
    /// None mounted.
    None,
}

impl Mode {
    /// The name as it is written in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unified => "v2",
            Self::Hybrid => "v1 with v2 beside it",
            Self::Legacy => "v1",
            Self::None => "none",
        }
    }
}

/// Our own groups, as folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Folder of our own group in each v1 tree, by controller.
    pub(super) v1: Vec<(&'static str, PathBuf)>,
    /// Folder of our own group in the v2 tree, and the tree's mount point.
    pub(super) v2: Option<(PathBuf, PathBuf)>,
}

impl Places {
    /// Reads /proc/self/mountinfo and /proc/self/cgroup.
    ///
    /// # Errors
    /// /proc is not readable.
    pub fn find() -> io::Result<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let own = std::fs::read_to_string("/proc/self/cgroup")?;
        Ok(Self::parse(&mounts, &own))
    }

    /// The same from text; see proc_pid_mountinfo(5) and cgroups(7) for the formats.
    pub(super) fn parse(mounts: &str, own: &str) -> Self {
        let mut places = Self::default();
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else {
                continue;
            };
            let mut left = left.split(' ').skip(3);
            let (Some(root), Some(point)) = (left.next(), left.next()) else {
                continue;
            };
            let mut right = right.split(' ');
            let (kind, options) = (right.next(), right.nth(1).unwrap_or_default());
            match kind {
                Some("cgroup2") if places.v2.is_none() => {
                    if let Some(path) = membership(own, "") {
                        places.v2 = Some((folder(point, root, path), PathBuf::from(point)));
                    }
                }
                Some("cgroup") => {
                    let mounted = CONTROLLERS
                        .into_iter()
                        .filter(|wanted| options.split(',').any(|option| option == *wanted));
                    for controller in mounted {
                        if let Some(path) = membership(own, controller) {
                            places.v1.push((controller, folder(point, root, path)));
                        }
                    }
                }
                Some(_) | None => {}
            }
        }
        places
    }

    /// A machine whose v2 tree is this folder and nothing else.
    #[cfg(test)]
    pub(super) fn of_v2(root: &Path) -> Self {
        Self {
            v1: Vec::new(),
            v2: Some((root.to_owned(), root.to_owned())),
        }
    }

    /// How this machine mounts control groups.
    pub fn mode(&self) -> Mode {
        match (self.v1.is_empty(), self.v2.is_some()) {
            (true, true) => Mode::Unified,
            (false, true) => Mode::Hybrid,
            (false, false) => Mode::Legacy,
            (true, false) => Mode::None,
        }
    }

    /// The v2 folder under which a group with these controllers can be made, or why there is none.
    ///
    /// Tried in turn: our own group, if it already hands controllers down (the root group does); the group above the leaf that a
    /// supervisor was moved into; our own group, if it was delegated to us, after moving ourselves into a leaf (a group with
    /// processes cannot hand controllers down); the parent group, as in a user's systemd session.
    pub(super) fn delegate(&self) -> Result<PathBuf, String> {
        let Some((own, root)) = &self.v2 else {
            return Err("no cgroup v2 tree is mounted".to_owned());
        };
        if hands_down(own) && writable(own) {
            return Ok(own.clone());
        }
        let parent = own.parent().filter(|parent| {
            own != root
                && hands_down(parent)
                && writable(parent)
                && writable(&parent.join("cgroup.procs"))
        });
        let settled = own.file_name().is_some_and(|name| name == LEAF);
        let delegated = own != root
            && offers(own)
            && writable(own)
            && writable(&own.join("cgroup.subtree_control"));
        let mut reason = format!("{} is not delegated to this user", own.display());
        if delegated && !settled {
            match settle_in_leaf(own) {
                Ok(()) => return Ok(own.clone()),
                Err(error) => {
                    reason = format!("{} is shared with other processes: {error}", own.display())
                }
            }
        }
        parent.map(Path::to_owned).ok_or(reason)
    }
}

/// The path in the line of this controller; the v2 line has an empty controller list.
fn membership<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (list, path) = (fields.next()?, fields.next()?);
        let matches = if controller.is_empty() {
            list.is_empty()
        } else {
            list.split(',').any(|name| name == controller)
        };
        matches.then_some(path)
    })
}

/// A membership path is relative to the root of the hierarchy, a mount may show only a part of it.
fn folder(point: &str, root: &str, path: &str) -> PathBuf {
    let inside = Path::new(path)
        .strip_prefix(root)
        .or_else(|_| Path::new(path).strip_prefix("/"))
        .unwrap_or(Path::new(""));
    let joined = Path::new(point).join(inside);
    if inside.as_os_str().is_empty() {
        PathBuf::from(point)
    } else {
        joined
    }
}

fn words(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// The group gives its children the memory and pids controllers.
fn hands_down(group: &Path) -> bool {
    let list = words(&group.join("cgroup.subtree_control"));
    ["memory", "pids"]
        .iter()
        .all(|wanted| list.iter().any(|name| name == wanted))
}

/// The group has the memory and pids controllers to give.
fn offers(group: &Path) -> bool {
    let list = words(&group.join("cgroup.controllers"));
    ["memory", "pids"]
        .iter()
        .all(|wanted| list.iter().any(|name| name == wanted))
}

pub(super) fn writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Moves this process into a leaf below its own group and lets the group hand its controllers down. Fails, and moves back, when
/// other processes are in the group as well: they are not ours to move.
fn settle_in_leaf(own: &Path) -> io::Result<()> {
    let leaf = own.join(LEAF);
    match std::fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    std::fs::write(leaf.join("cgroup.procs"), "0")?;
    let available = words(&own.join("cgroup.controllers"));
    let enable: Vec<String> = CONTROLLERS
        .iter()
        .filter(|wanted| available.iter().any(|name| name == *wanted))
        .map(|name| format!("+{name}"))
        .collect();
    let enabled = std::fs::write(own.join("cgroup.subtree_control"), enable.join(" "));
    if enabled.is_err() {
        std::fs::write(own.join("cgroup.procs"), "0")?;
        let _left_behind = std::fs::remove_dir(&leaf);
    }
    enabled
}

#[cfg(test)]
mod tests;

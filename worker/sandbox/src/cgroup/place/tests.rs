//! Membership and mounts, as machines really show them.

use pretty_assertions::assert_eq;

use super::*;

fn places(mounts: &str, own: &str) -> Places {
    Places::parse(mounts, own)
}

#[test]
fn pure_v2_is_one_folder() {
    let found = places(
        "25 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate",
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope\n",
    );
    let root = PathBuf::from("/sys/fs/cgroup");
    let own = root.join("user.slice/user-1000.slice/user@1000.service/app.slice/a.scope");
    assert_eq!(found.v2, Some((own, root)));
    assert_eq!(found.mode(), Mode::Unified);
}

#[test]
fn v1_controllers_have_their_own_folders_and_may_share_a_mount() {
    let found = places(
        "30 1 0:25 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n31 1 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n32 1 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n33 1 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
        "4:memory:/a/b\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/\n",
    );
    assert_eq!(
        found.v1,
        [
            ("cpu", PathBuf::from("/sys/fs/cgroup/cpu,cpuacct")),
            ("memory", PathBuf::from("/sys/fs/cgroup/memory/a/b"))
        ]
    );
    assert_eq!(found.mode(), Mode::Hybrid);
}

#[test]
fn a_mount_that_shows_only_a_part_of_the_tree_is_understood() {
    // A container without a cgroup namespace: its own group is the mount's root.
    let found = places(
        "25 1 0:22 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
        "4:memory:/docker/abc/inner\n",
    );
    assert_eq!(
        found.v1,
        [("memory", PathBuf::from("/sys/fs/cgroup/memory/inner"))]
    );
    assert_eq!(places("", "0::/\n").mode(), Mode::None);
}

/// A folder that looks like a v2 group.
fn group(path: &Path, controllers: &str, handed_down: &str) {
    std::fs::create_dir_all(path).unwrap();
    std::fs::write(path.join("cgroup.controllers"), controllers).unwrap();
    std::fs::write(path.join("cgroup.subtree_control"), handed_down).unwrap();
    std::fs::write(path.join("cgroup.procs"), "").unwrap();
}

#[test]
fn the_own_group_is_used_when_it_hands_controllers_down() {
    let root = tempfile::TempDir::new().unwrap();
    group(root.path(), "cpu memory pids", "cpu memory pids");
    let found = Places {
        v1: Vec::new(),
        v2: Some((root.path().to_owned(), root.path().to_owned())),
    };
    assert_eq!(found.delegate(), Ok(root.path().to_owned()));
}

#[test]
fn a_delegated_group_is_used_from_a_leaf() {
    let root = tempfile::TempDir::new().unwrap();
    let own = root.path().join("worker.service");
    group(root.path(), "cpu memory pids io", "");
    group(&own, "cpu memory pids io", "");
    let found = Places {
        v1: Vec::new(),
        v2: Some((own.clone(), root.path().to_owned())),
    };
    assert_eq!(found.delegate(), Ok(own.clone()));
    assert_eq!(
        std::fs::read_to_string(own.join("flotilla-supervisor/cgroup.procs")).unwrap(),
        "0"
    );
    assert_eq!(
        std::fs::read_to_string(own.join("cgroup.subtree_control")).unwrap(),
        "+memory +pids +cpu"
    );
}

#[test]
fn a_supervisor_in_its_leaf_does_not_settle_deeper() {
    let root = tempfile::TempDir::new().unwrap();
    let service = root.path().join("worker.service");
    let leaf = service.join("flotilla-supervisor");
    group(&service, "cpu memory pids", "cpu memory pids");
    group(&leaf, "cpu memory pids", "");
    let found = Places {
        v1: Vec::new(),
        v2: Some((leaf.clone(), root.path().to_owned())),
    };
    assert_eq!(found.delegate(), Ok(service));
    assert!(!leaf.join("flotilla-supervisor").exists());
}

#[test]
fn the_parent_is_used_as_in_a_users_session_and_nothing_else() {
    let root = tempfile::TempDir::new().unwrap();
    let slice = root.path().join("app.slice");
    let own = slice.join("terminal.scope");
    group(&slice, "memory pids", "memory pids");
    group(&own, "", "");
    let found = Places {
        v1: Vec::new(),
        v2: Some((own.clone(), root.path().to_owned())),
    };
    assert_eq!(found.delegate(), Ok(slice.clone()));
    std::fs::write(slice.join("cgroup.subtree_control"), "").unwrap();
    assert_eq!(
        found.delegate(),
        Err(format!("{} is not delegated to this user", own.display()))
    );
}

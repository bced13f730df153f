//! What is written into a v2 group, in a folder that stands for one: the machine of the tests may have v1 only. The v1 side is
//! proved for real by the tests that run out of memory and processes.

use std::path::Path;

use pretty_assertions::assert_eq;

use super::*;

fn read(path: &Path, file: &str) -> String {
    std::fs::read_to_string(path.join(file)).unwrap_or_default()
}

#[test]
fn v2_limits_are_written_in_v2_units() {
    let root = tempfile::TempDir::new().unwrap();
    for file in ["cgroup.controllers", "cgroup.subtree_control"] {
        std::fs::write(root.path().join(file), "cpu memory pids").unwrap();
    }
    let places = Places::of_v2(root.path());
    let limits = Limits {
        memory_mb: 64,
        cpu_shares: 2048,
        max_processes: 50,
        max_open_files: 64,
    };
    let group = Group::create_in(&places, "alpha", &limits);
    assert!(
        group
            .report()
            .states()
            .iter()
            .all(|(_, state)| state.enforced()),
        "{group:?}"
    );
    let [folder] = &group.folders[..] else {
        panic!("{group:?}")
    };
    assert_eq!(read(&folder.path, "memory.max"), (64_u64 << 20).to_string());
    assert_eq!(read(&folder.path, "pids.max"), "52");
    assert_eq!(read(&folder.path, "cpu.weight"), "200");
}

#[test]
fn a_machine_without_control_groups_is_reported_and_not_an_error() {
    let mut group = Group::create_in(&Places::default(), "alpha", &Limits::default());
    assert_eq!(
        group.missing(Layer::MemoryLimit).as_deref(),
        Some("unavailable: the memory controller is not mounted")
    );
    assert_eq!((group.entries().len(), group.out_of_memory_kills()), (0, 0));
    group.remove();
}

#[test]
fn a_group_without_the_process_does_not_count() {
    let root = tempfile::TempDir::new().unwrap();
    for file in ["cgroup.controllers", "cgroup.subtree_control"] {
        std::fs::write(root.path().join(file), "cpu memory pids").unwrap();
    }
    let mut group = Group::create_in(&Places::of_v2(root.path()), "alpha", &Limits::default());
    group.confirm(Pid::from_raw(4242).unwrap());
    assert!(
        group
            .missing(Layer::ProcessLimit)
            .unwrap()
            .contains("did not let the sandbox join")
    );
}

#[test]
fn ordinary_cpu_share_is_ordinary_weight() {
    assert_eq!(
        [2, 512, 1024, 2048, 262_144].map(weight),
        [1, 50, 100, 200, 10_000]
    );
}

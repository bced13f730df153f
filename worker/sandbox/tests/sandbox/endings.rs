//! Nothing survives the end of a sandbox: not a daemon, not a control group, however the end comes.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{DEADLINE, bench, eventually, helper, own_groups, processes_with, start};
use pretty_assertions::assert_eq;
use worker_sandbox::StdioSpec;

/// A script that leaves daemons in every way a tool could, says "ready" and stays. The odd number marks its processes.
fn daemons(mark: &str) -> String {
    format!(
        "nohup sleep {mark} >/dev/null 2>&1 & setsid sleep {mark} & (setsid sh -c 'trap \"\" TERM HUP INT; sleep {mark}; true' &) ; echo ready; sleep {mark}; true"
    )
}

async fn ready(running: &mut worker_sandbox::Running, mark: &str) {
    use tokio::io::AsyncReadExt;
    let mut line = [0; 6];
    running
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut line)
        .await
        .unwrap();
    assert_eq!(&line, b"ready\n");
    eventually("four daemons", || {
        processes_with(&format!("sleep\0{mark}")).len() >= 4
    })
    .await;
}

#[tokio::test]
async fn kill_waits_until_no_process_and_no_group_is_left() {
    let mark = "710001";
    let mut running = start(bench(&daemons(mark)).policy).await.unwrap();
    ready(&mut running, mark).await;
    let exit = running.kill().await.unwrap();
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
    assert_eq!(processes_with(mark), Vec::<u32>::new());
    assert_eq!(own_groups(), Vec::<std::path::PathBuf>::new());
    // A second time is no error.
    assert_eq!(running.kill().await.unwrap(), exit);
}

#[tokio::test]
async fn end_of_the_agent_ends_its_daemons() {
    let mark = "710002";
    let mut running = start(bench(&format!("({}) & sleep 0.3; exit 3", daemons(mark))).policy)
        .await
        .unwrap();
    ready(&mut running, mark).await;
    let exit = tokio::time::timeout(DEADLINE, running.wait())
        .await
        .unwrap();
    assert_eq!(exit.code, Some(3));
    assert_eq!(processes_with(mark), Vec::<u32>::new());
}

#[tokio::test]
async fn stop_asks_first_and_kills_after_the_grace() {
    let mut polite = start(
        bench("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done").policy,
    )
    .await
    .unwrap();
    tokio::io::AsyncReadExt::read_exact(polite.stdout.as_mut().unwrap(), &mut [0; 6])
        .await
        .unwrap();
    assert_eq!(polite.stop(DEADLINE).await.unwrap().code, Some(5));

    let mark = "710003";
    let mut stubborn = start(bench(&format!("trap '' TERM; {}", daemons(mark))).policy)
        .await
        .unwrap();
    ready(&mut stubborn, mark).await;
    assert_eq!(
        stubborn
            .stop(Duration::from_millis(50))
            .await
            .unwrap()
            .signal,
        Some(9)
    );
    assert_eq!(processes_with(mark), Vec::<u32>::new());
}

#[tokio::test]
async fn signals_have_their_usual_effect_inside() {
    for number in [15, 2, 1, 3] {
        let mut running = start(crate::common::bench_of(&["sleep", "710007"]).policy)
            .await
            .unwrap();
        running.signal(number).unwrap();
        let exit = tokio::time::timeout(DEADLINE, running.wait())
            .await
            .unwrap();
        assert_eq!((exit.code, exit.signal), (None, Some(number)));
    }
}

#[tokio::test]
async fn dropping_it_kills_it() {
    let mark = "710004";
    let mut running = start(bench(&daemons(mark)).policy).await.unwrap();
    ready(&mut running, mark).await;
    drop(running);
    eventually("the end of all processes", || {
        processes_with(mark).is_empty()
    })
    .await;
    eventually("the end of the control group", || own_groups().is_empty()).await;
}

#[tokio::test]
async fn a_start_given_up_half_way_leaves_nothing() {
    let mark = "710005";
    for micros in [0, 200, 1000, 2000, 3000, 4000, 5000, 7000, 9000] {
        let starting = start(bench(&daemons(mark)).policy);
        // The start is dropped wherever it happens to be; if it was faster, the sandbox is.
        let _given_up = tokio::time::timeout(Duration::from_micros(micros), starting).await;
    }
    eventually("the end of all processes", || {
        processes_with(mark).is_empty()
            && processes_with("sandbox-init")
                .iter()
                .all(|pid| !is_ours(*pid))
    })
    .await;
    eventually("the end of the control groups", || own_groups().is_empty()).await;
}

/// Other tests run sandboxes at the same time: only those below this process count.
fn is_ours(mut pid: u32) -> bool {
    while pid > 1 {
        if pid == std::process::id() {
            return true;
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        pid = parent.unwrap_or(0);
    }
    false
}

#[tokio::test]
async fn a_killed_supervisor_takes_everything_with_it() {
    let mark = "710006";
    let bench = bench("true");
    let mut supervisor = Command::new(helper("sandbox_init"))
        .args([
            "supervise",
            bench.folder.path().to_str().unwrap(),
            "sh",
            "-c",
            &daemons(mark),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the daemons", || {
        processes_with(&format!("sleep\0{mark}")).len() >= 4
    })
    .await;
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    eventually("the end of all processes", || {
        processes_with(mark).is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_start_from_a_short_lived_thread_lives_on() {
    let bench = bench("sleep 0.3; exit 4");
    let policy = bench.policy.clone();
    // "Parent died" is about the thread that forked: the runtime's thread ends here, the sandbox must not.
    let starter = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(crate::common::sandbox().start(policy, StdioSpec::null()))
            .unwrap()
    });
    let mut running = starter.join().unwrap();
    let exit = tokio::time::timeout(DEADLINE, running.wait())
        .await
        .unwrap();
    assert_eq!(exit.code, Some(4));
}

#[tokio::test]
async fn groups_of_a_dead_supervisor_are_removed_by_the_next_start() {
    let places = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let Some(path) = places
        .lines()
        .find_map(|line| line.split_once(":pids:").map(|(_, path)| path))
    else {
        return;
    };
    // No process has pid 4194305: it is above the highest possible pid.
    let left = format!("/sys/fs/cgroup/pids{path}/flotilla-4194305-0-left");
    if std::fs::create_dir(&left).is_err() {
        return;
    }
    crate::common::succeed(bench("true").policy).await;
    assert!(!std::path::Path::new(&left).exists());
}

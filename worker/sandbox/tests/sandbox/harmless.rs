//! What coding agents run must work inside: shells, git, python, node, a compiler, servers on their own loopback.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{bench, bench_of, run, start, succeed};
use pretty_assertions::assert_eq;
use worker_sandbox::{Home, ReadOnlyBind, SandboxReport};

#[tokio::test]
async fn shell_runs_in_the_workspace_and_its_files_are_on_the_host() {
    let bench = bench(
        "pwd; id -u; echo $HOME; echo made > made.txt; echo x > ~/x && cat ~/x; echo y > /tmp/y && cat /tmp/y",
    );
    assert_eq!(
        succeed(bench.policy).await,
        "/workspace\n1000\n/home/agent\nx\ny\n"
    );
    assert_eq!(
        std::fs::read_to_string(bench.folder.path().join("made.txt")).unwrap(),
        "made\n"
    );
}

#[tokio::test]
async fn exit_codes_and_signals_are_passed_on() {
    let code = run(bench("exit 7").policy).await.exit;
    assert_eq!(
        (code.code, code.signal, code.shell_code()),
        (Some(7), None, 7)
    );
    let signal = run(bench("kill -ABRT $$").policy).await.exit;
    assert_eq!(
        (signal.code, signal.signal, signal.shell_code()),
        (None, Some(6), 134)
    );
}

#[tokio::test]
async fn environment_is_what_the_policy_says_and_nothing_else() {
    let mut bench = bench_of(&["env"]);
    bench.policy.env = [("PATH", "/usr/bin:/bin"), ("TOKEN", "a=b c")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    let mut lines: Vec<String> = succeed(bench.policy)
        .await
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    assert_eq!(lines, ["PATH=/usr/bin:/bin", "TOKEN=a=b c"]);
}

#[tokio::test]
async fn neither_environment_nor_arguments_are_on_bubblewraps_command_line() {
    let mut bench = bench_of(&["sh", "-c", "read line", "argument-hidden-77"]);
    bench
        .policy
        .env
        .insert("TOKEN".to_owned(), "secret-hidden-77".to_owned());
    let mut running = start(bench.policy).await.unwrap();
    assert_eq!(
        crate::common::processes_with("secret-hidden-77"),
        Vec::<u32>::new()
    );
    // The agent's own command line alone shows its arguments.
    assert_eq!(crate::common::processes_with("argument-hidden-77").len(), 1);
    running.kill().await.unwrap();
}

#[tokio::test]
async fn git_initialises_and_commits() {
    let script = "git init -q . && echo a > a && git add a && git -c user.name=a -c user.email=a@b commit -qm first && mkdir d && git mv a d/ && git log --format=%s";
    assert_eq!(succeed(bench(script).policy).await, "first\n");
}

#[tokio::test]
async fn python_runs_threads_and_subprocesses() {
    if !Path::new("/usr/bin/python3").exists() {
        return;
    }
    let script = "import threading,subprocess,tempfile,multiprocessing as m\nt=threading.Thread(target=lambda:None);t.start();t.join()\nq=m.Queue();p=m.Process(target=q.put,args=(5,));p.start();print(q.get());p.join()\nprint(subprocess.check_output(['echo','hi']).decode().strip())";
    assert_eq!(
        succeed(bench_of(&["/usr/bin/python3", "-c", script]).policy).await,
        "5\nhi\n"
    );
}

#[tokio::test]
async fn node_serves_and_fetches_on_its_own_loopback() {
    if !Path::new("/usr/bin/node").exists() {
        return;
    }
    let script = "const h=require('http');const s=h.createServer((q,r)=>r.end('ok')).listen(0,'127.0.0.1',()=>h.get({port:s.address().port,host:'127.0.0.1'},r=>r.on('data',d=>{console.log(String(d));require('child_process').execSync('true');require('os').networkInterfaces();s.close();process.exit(0)})))";
    assert_eq!(
        succeed(bench_of(&["/usr/bin/node", "-e", script]).policy).await,
        "ok\n"
    );
}

#[tokio::test]
async fn cargo_builds_and_runs_a_program() {
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .unwrap();
    let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout).unwrap().trim());
    let mut bench = bench("cargo init -q --vcs none --name hello . && cargo run -q --offline");
    bench.policy.read_only.push(ReadOnlyBind {
        source: sysroot,
        target: "/opt/rust".into(),
        reason: "the compiler".to_owned(),
    });
    bench
        .policy
        .env
        .insert("PATH".to_owned(), "/opt/rust/bin:/usr/bin:/bin".to_owned());
    assert_eq!(succeed(bench.policy).await, "Hello, world!\n");
}

#[tokio::test]
async fn persistent_home_survives_and_a_tmpfs_home_does_not() {
    let home = tempfile::TempDir::new().unwrap();
    let mut first = bench("echo kept > ~/state");
    first.policy.home = Home::Persistent(home.path().canonicalize().unwrap());
    succeed(first.policy).await;
    let mut second = bench("cat ~/state");
    second.policy.home = Home::Persistent(home.path().canonicalize().unwrap());
    assert_eq!(succeed(second.policy).await, "kept\n");
    assert!(!run(bench("cat ~/state").policy).await.exit.success());
}

#[tokio::test]
async fn orphans_are_reaped() {
    let script = "for i in 1 2 3 4 5; do (true & ) ; done; sleep 0.2; grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l";
    assert_eq!(succeed(bench(script).policy).await, "0\n");
}

#[tokio::test]
async fn report_says_what_was_measured() {
    let bench = bench("true");
    let limits = bench.policy.limits;
    let mut running = start(bench.policy).await.unwrap();
    running.wait().await;
    let SandboxReport { inside, .. } = &running.report;
    assert_eq!(
        (inside.uid, inside.gid, inside.pid, inside.visible_processes),
        (1000, 1000, 1, 1)
    );
    assert_eq!(inside.interfaces, ["lo"]);
    assert_eq!((inside.seccomp_mode, inside.no_new_privileges), (2, true));
    assert_eq!(
        (inside.max_open_files, inside.core_size),
        (limits.max_open_files, 0)
    );
    assert!(inside.landlock.files);
    assert_eq!(inside.leaked_descriptors, Vec::<u32>::new());
    let text = serde_json::to_string(&running.report).unwrap();
    assert_eq!(
        &serde_json::from_str::<SandboxReport>(&text).unwrap(),
        &running.report
    );
}

#[tokio::test]
async fn many_that_end_at_once_all_end_well() {
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..40 {
        // The workspace must live as long as the run.
        runs.spawn(async move {
            let bench = bench(&format!("exit {number}"));
            (number, run(bench.policy.clone()).await.exit.code)
        });
    }
    while let Some(result) = runs.join_next().await {
        let (number, code) = result.unwrap();
        assert_eq!(code, Some(number));
    }
}

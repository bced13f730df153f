//! What the sandbox tests share: a workspace of their own, the helper programs, and running a command to its end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use worker_sandbox::{Exit, InitProgram, Running, Sandbox, SandboxError, SandboxPolicy, StdioSpec};

/// Long enough for a busy machine; a test that waits this long has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A helper program of `examples/`, which cargo builds together with the tests.
pub(crate) fn helper(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo build --examples",
        path.display()
    );
    path
}

pub(crate) fn init_program() -> InitProgram {
    InitProgram {
        source: helper("sandbox_init"),
        args: vec!["sandbox-init".to_owned()],
    }
}

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) policy: SandboxPolicy,
}

/// A policy for `sh -c script` in a fresh workspace.
pub(crate) fn bench(script: &str) -> Bench {
    bench_of(&["sh", "-c", script])
}

pub(crate) fn bench_of(argv: &[&str]) -> Bench {
    let folder = TempDir::new().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let mut policy = SandboxPolicy::new(
        "test",
        path,
        argv.iter().map(|&word| word.to_owned()).collect(),
    );
    policy.init = init_program();
    Bench { folder, policy }
}

pub(crate) fn sandbox() -> Sandbox {
    Sandbox::locate(None).unwrap()
}

pub(crate) async fn start(policy: SandboxPolicy) -> Result<Running, SandboxError> {
    sandbox().start(policy, StdioSpec::piped()).await
}

pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs to the end.
pub(crate) async fn run(policy: SandboxPolicy) -> Outcome {
    let mut running = start(policy).await.unwrap();
    drop(running.stdin.take());
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let (mut out, mut err) = (
        running.stdout.take().unwrap(),
        running.stderr.take().unwrap(),
    );
    let (out, err) = tokio::join!(
        out.read_to_string(&mut stdout),
        err.read_to_string(&mut stderr)
    );
    out.unwrap();
    err.unwrap();
    let exit = tokio::time::timeout(DEADLINE, running.wait())
        .await
        .unwrap();
    Outcome {
        exit,
        stdout,
        stderr,
    }
}

/// Runs to the end and demands success.
pub(crate) async fn succeed(policy: SandboxPolicy) -> String {
    let outcome = run(policy).await;
    assert!(
        outcome.exit.success(),
        "{:?}\n{}\n{}",
        outcome.exit,
        outcome.stdout,
        outcome.stderr
    );
    outcome.stdout
}

/// Processes of this machine whose command line holds the mark.
pub(crate) fn processes_with(mark: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if pid != std::process::id() && String::from_utf8_lossy(&line).contains(mark) {
            found.push(pid);
        }
    }
    found
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(
            Instant::now() < deadline,
            "{what} did not happen within {DEADLINE:?}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Folders of control groups of this test process.
pub(crate) fn own_groups() -> Vec<PathBuf> {
    let prefix = format!("flotilla-{}-", std::process::id());
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

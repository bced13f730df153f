//! How long a start takes: bubblewrap with the same mounts, namespaces and filter running `true`, against [`Sandbox::start`] with
//! everything on top (landlock, control groups, report, hand-shake), both from the call to the end of `true`. Medians of 30.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use worker_sandbox::{Sandbox, SandboxPolicy, StdioSpec, system_paths};

const ROUNDS: usize = 30;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == "sandbox-init") {
        return worker_sandbox::init::main(arguments);
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _closed = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Box<dyn std::error::Error>> {
    let workspace = std::env::temp_dir().join(format!("flotilla-startup-{}", std::process::id()));
    std::fs::create_dir_all(&workspace)?;
    let filter = workspace.join("filter");
    std::fs::write(&filter, worker_sandbox::seccomp::program()?)?;
    let sandbox = Sandbox::locate(None)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut bare, mut whole, mut ready) = (Vec::new(), Vec::new(), Vec::new());
    // Taking turns, so that a busy moment of the machine hits both.
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        bare_bubblewrap(&workspace, &filter)?;
        bare.push(begin.elapsed());

        let policy = SandboxPolicy::new("startup", &workspace, vec!["true".to_owned()]);
        let begin = Instant::now();
        runtime.block_on(async {
            let mut running = sandbox.start(policy, StdioSpec::null()).await?;
            ready.push(begin.elapsed());
            running.wait().await;
            Ok::<_, worker_sandbox::SandboxError>(())
        })?;
        whole.push(begin.elapsed());
    }
    std::fs::remove_dir_all(&workspace)?;
    let (bare, whole, ready) = (median(&mut bare), median(&mut whole), median(&mut ready));
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "hardened bubblewrap alone, to the end of true: {bare:?}"
    )?;
    writeln!(
        out,
        "Sandbox::start, agent runs:                    {ready:?}"
    )?;
    writeln!(
        out,
        "Sandbox::start, to the end and cleaned up:     {whole:?}"
    )?;
    let ratio = |time: Duration| time.as_secs_f64() / bare.as_secs_f64();
    writeln!(
        out,
        "ratio: {:.2} until it runs, {:.2} to the end",
        ratio(ready),
        ratio(whole)
    )?;
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// What a careful person would type: the same namespaces, mounts and filter, and `true` instead of our init. The filter comes on
/// stdin, the one descriptor that needs no preparation.
fn bare_bubblewrap(workspace: &Path, filter: &Path) -> std::io::Result<()> {
    let mut command = Command::new("bwrap");
    command.args([
        "--unshare-all",
        "--unshare-user",
        "--die-with-parent",
        "--new-session",
        "--as-pid-1",
        "--clearenv",
    ]);
    command.args([
        "--cap-drop",
        "ALL",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--hostname",
        "startup",
    ]);
    command.args(["--disable-userns", "--assert-userns-disabled"]);
    for entry in system_paths() {
        match std::fs::read_link(&entry.path) {
            Ok(target) => command.arg("--symlink").arg(target).arg(&entry.path),
            Err(_) => command
                .arg("--ro-bind-try")
                .arg(&entry.path)
                .arg(&entry.path),
        };
    }
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    for folder in ["/dev/shm", "/tmp", "/run", "/home/agent"] {
        command.args(["--size", "16777216", "--tmpfs", folder]);
    }
    command.arg("--bind").arg(workspace).arg("/workspace");
    for folder in ["/proc", "/dev", "/"] {
        command.args(["--remount-ro", folder]);
    }
    command.args(["--seccomp", "0", "--chdir", "/workspace", "/usr/bin/true"]);
    command
        .stdin(std::fs::File::open(filter)?)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(std::io::Error::other(format!("bwrap ended with {status}")))
    }
}

//! What must not work inside, tried by a hostile program, as the user of the tests and, when that is root, as another user too.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;

use crate::common::{bench, bench_of, helper, run, succeed};
use pretty_assertions::assert_eq;
use worker_sandbox::{LimitState, ReadOnlyBind, SandboxError, TcpRule};

/// Things of the host that the attacker must not reach; they live as long as this.
struct Host {
    _tcp: TcpListener,
    _abstract: UnixListener,
    _file: UnixListener,
    folder: tempfile::TempDir,
    arguments: [String; 4],
}

fn host() -> Host {
    let folder = tempfile::TempDir::new().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("flotilla-test-{}", std::process::id());
    let abstract_name =
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let socket = folder.path().join("socket");
    let file = UnixListener::bind(&socket).unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let port = tcp.local_addr().unwrap().port().to_string();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let arguments = [port, name, text(&socket), text(&secret)];
    Host {
        _tcp: tcp,
        _abstract: abstract_name,
        _file: file,
        folder,
        arguments,
    }
}

fn allowed(output: &str) -> Vec<&str> {
    output
        .lines()
        .filter(|line| line.ends_with(": allowed"))
        .collect()
}

#[tokio::test]
async fn every_attack_is_refused() {
    let host = host();
    let mut bench = bench("true");
    bench.policy.argv = vec!["/opt/attacks".to_owned()];
    bench.policy.argv.extend(host.arguments.clone());
    bench.policy.read_only.push(ReadOnlyBind {
        source: helper("attacks"),
        target: "/opt/attacks".into(),
        reason: "the attacker".to_owned(),
    });
    let output = succeed(bench.policy).await;
    assert_eq!(allowed(&output), Vec::<&str>::new());
    // The list was really worked through.
    assert_eq!(output.lines().count(), 44, "{output}");
}

#[tokio::test]
async fn attacks_succeed_outside_so_the_test_proves_something() {
    let host = host();
    let output = Command::new(helper("attacks"))
        .args(&host.arguments)
        .current_dir(host.folder.path())
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    for what in [
        "read the host's /tmp",
        "connect to the host's loopback",
        "connect to an abstract socket of the host",
        "connect to a socket file of the host",
    ] {
        assert!(output.contains(&format!("{what}: allowed")), "{output}");
    }
}

/// Root's sandboxes are proved above; most users are not root.
#[test]
fn every_attack_is_refused_when_the_supervisor_is_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let host = host();
    let shared = tempfile::TempDir::new().unwrap();
    let path = shared.path().canonicalize().unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    for program in ["sandbox_init", "attacks"] {
        std::fs::copy(helper(program), path.join(program)).unwrap();
    }
    let workspace = path.join("workspace");
    std::fs::create_dir(&workspace).unwrap();
    std::os::unix::fs::chown(&workspace, Some(65532), Some(65532)).unwrap();
    std::fs::copy(helper("attacks"), workspace.join("attacks")).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65532", "--regid=65532", "--clear-groups", "--"])
        .arg(path.join("sandbox_init"))
        .args([
            "supervise",
            workspace.to_str().unwrap(),
            "/workspace/attacks",
        ])
        .args(&host.arguments)
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(allowed(&text), Vec::<&str>::new());
    assert_eq!(text.lines().count(), 44, "{text}");
}

#[tokio::test]
async fn only_the_named_tcp_ports_can_be_connected_to() {
    if !Path::new("/usr/bin/python3").exists() {
        return;
    }
    let script = "import socket\nfor p in (8001, 8002):\n  s=socket.create_server(('127.0.0.1',p))\n  try: socket.create_connection(('127.0.0.1',p),1); print(p,'ok')\n  except PermissionError: print(p,'refused')";
    let mut bench = bench_of(&["/usr/bin/python3", "-c", script]);
    bench.policy.tcp = TcpRule::Only(vec![8001]);
    match crate::common::start(bench.policy.clone()).await {
        // Linux older than 6.7.
        Err(SandboxError::NotEnforced { mismatches }) => {
            assert!(mismatches[0].found.contains("TCP ports"), "{mismatches:?}")
        }
        started => {
            drop(started.unwrap());
            assert_eq!(succeed(bench.policy).await, "8001 ok\n8002 refused\n");
        }
    }
}

#[tokio::test]
async fn memory_limit_ends_what_eats_too_much() {
    let mut bench = bench_of(&[
        "/usr/bin/perl",
        "-e",
        "my $x = 'x' x 200_000_000; sleep 1; print length $x",
    ]);
    bench.policy.limits.memory_mb = 64;
    let mut running = crate::common::start(bench.policy).await.unwrap();
    if running.report.limits.memory != LimitState::Enforced {
        return;
    }
    let exit = tokio::time::timeout(crate::common::DEADLINE, running.wait())
        .await
        .unwrap();
    assert_eq!((exit.signal, exit.out_of_memory), (Some(9), true));
}

#[tokio::test]
async fn process_limit_stops_a_fork_bomb() {
    let mut bench = bench("for i in $(seq 60); do sleep 5 & done 2>/dev/null; jobs -p | wc -l");
    bench.policy.limits.max_processes = 20;
    let mut running = crate::common::start(bench.policy).await.unwrap();
    if running.report.limits.processes != LimitState::Enforced {
        return;
    }
    let mut text = String::new();
    let mut errors = running.stderr.take().unwrap();
    tokio::io::AsyncReadExt::read_to_string(&mut errors, &mut text)
        .await
        .unwrap();
    assert!(!running.wait().await.success());
}

#[tokio::test]
async fn in_memory_file_systems_are_bounded() {
    let mut bench = bench(
        "dd if=/dev/zero of=/tmp/big bs=1M count=5 2>&1; dd if=/dev/zero of=/dev/shm/big bs=1M count=5 2>&1; true",
    );
    bench.policy.scratch.tmp_mb = 2;
    bench.policy.scratch.shm_mb = 2;
    let outcome = run(bench.policy).await;
    assert_eq!(
        outcome.stdout.matches("No space left on device").count(),
        2,
        "{}",
        outcome.stdout
    );
}

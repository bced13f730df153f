//! What the agent can see and do in its sandbox, seen from inside.
//!
//! Each test lets the agent try, and reads what it found from files in its workspace: facts and not words.

use std::{fs, path::Path};

use e2e::{Model, WorkerBuilder, model, worker};
use serde_json::json;

/// What the agent wrote into `name`; empty when there is no such file, which no test expects.
fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_sees_no_key_and_no_host() {
    let model = Model::start().await;
    let server = WorkerBuilder::opencode(&model).start().await;
    let frames = server.turn("look", "look around in the sandbox").await;
    assert_eq!(worker::status(&frames), "completed", "{:?}", frames.last());
    let workspace = server.workspace();
    let seen = |name: &str| read(&workspace, name);

    assert!(
        model
            .recorded()
            .requests
            .iter()
            .all(|r| r.key_ok == Some(true)),
        "the key is put in outside"
    );
    for file in ["env.txt", "all-env.txt"] {
        let text = seen(file);
        assert!(text.contains("PATH="), "{file} is what it says");
        assert!(
            !text.contains(model::KEY),
            "{file} holds the provider's key"
        );
    }
    let host = server.folder().display().to_string();
    assert!(
        !seen("all-env.txt").contains(&host),
        "no path of the host in an environment"
    );

    assert!(!workspace.join("home.txt").exists() || !seen("home.txt").contains(".ssh"));
    for file in ["write-usr.txt", "write-etc.txt"] {
        let text = seen(file);
        assert!(
            text.contains("Read-only") || text.contains("Permission denied"),
            "{file}: {text}"
        );
    }
    assert!(!Path::new("/usr/escape").exists() && !Path::new("/etc/escape").exists());

    let processes: usize = seen("processes.txt").trim().parse().unwrap();
    assert!(processes < 30, "only its own processes: {processes}");
    let status = seen("status.txt");
    for line in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.contains(line), "{status}");
    }
    assert!(
        !seen("unshare.txt").trim_end().ends_with('0'),
        "no namespaces of its own"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_has_no_network_but_its_gateway() {
    let model = Model::start().await;
    let server = WorkerBuilder::opencode(&model).start().await;
    let frames = server.turn("look", "look around in the sandbox").await;
    assert_eq!(worker::status(&frames), "completed");
    let workspace = server.workspace();
    let net = read(&workspace, "net.txt");
    assert!(
        net.contains("Error") && !net.contains("timed out"),
        "refused at once, not lost: {net}"
    );
    assert!(read(&workspace, "dns.txt").contains("gaierror"));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_the_host_cannot_be_reached() {
    let model = Model::start().await;
    let port = model
        .url()
        .rsplit(':')
        .next()
        .unwrap()
        .trim_end_matches("/v1")
        .to_owned();
    let server = WorkerBuilder::scripted().start().await;
    let probe = format!(
        "run python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 2)' 2> net.txt; true"
    );
    let frames = server.turn("probe", &probe).await;
    assert_eq!(worker::status(&frames), "completed");
    assert!(read(&server.workspace(), "net.txt").contains("refused"));
    assert_eq!(model.recorded().count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_is_not_allowed_is_refused_by_the_gateway() {
    let server = WorkerBuilder::scripted()
        .card("allowed_hosts", json!(["allowed.example"]))
        .start()
        .await;
    let probe = "run python3 -c 'import urllib.request; urllib.request.urlopen(\"https://forbidden.example/\", timeout=5)' 2> net.txt; true";
    let frames = server.turn("probe", probe).await;
    assert_eq!(worker::status(&frames), "completed");
    let net = read(&server.workspace(), "net.txt");
    assert!(net.contains("403"), "{net}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold() {
    let limits = json!({"memory_mb": 256, "max_processes": 64, "max_open_files": 128});
    let server = WorkerBuilder::scripted()
        .card("resource_limits", limits)
        .start()
        .await;
    let script = [
        "run ulimit -n > files.txt",
        "run python3 -c 'x = bytearray(1 << 30)' 2> memory.txt; echo $? >> memory.txt",
        "run python3 -c 'import os,time\nfor i in range(200): os.fork() or time.sleep(3)'",
    ];
    let _ = server.turn("limits", &script[..2].join("\n")).await;
    let workspace = server.workspace();
    assert_eq!(read(&workspace, "files.txt").trim(), "128");
    let memory = read(&workspace, "memory.txt");
    assert!(
        !memory.trim_end().ends_with("\n0") && memory.trim() != "0",
        "1 GiB in 256 MiB: {memory}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn symlink_out_of_the_workspace_brings_nothing_back() {
    let server = WorkerBuilder::scripted().start().await;
    let frames = server
        .turn(
            "link",
            "run ln -s /etc/passwd stolen; ln -s /root/.ssh ssh\nwrite good.txt good",
        )
        .await;
    assert_eq!(worker::status(&frames), "completed");
    let text = frames
        .iter()
        .map(|f| f.data.to_string())
        .collect::<String>();
    assert!(
        !text.contains("root:x:0"),
        "the file behind the link is not read"
    );
}

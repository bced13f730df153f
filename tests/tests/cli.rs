//! The command lines as people use them.

use std::{fs, path::Path};

use e2e::{
    CaptainBuilder, WorkerBuilder, process,
    process::run,
    programs,
    wait::{JOB, SOON},
};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn submit_watch_list_fetch_cancel() {
    let captain = CaptainBuilder::scripted().start().await;
    let cli = async |args: &[&str]| run(captain.cli(args), JOB).await;
    let submitted = cli(&["submit", "write hello.txt hello"]).await.exits(0);
    let id = submitted
        .stdout
        .split_ascii_whitespace()
        .last()
        .unwrap()
        .to_owned();
    let watched = cli(&["watch", &id]).await.exits(0);
    assert!(
        watched.stdout.contains("job: done, 1 file"),
        "{}",
        watched.stdout
    );
    assert!(cli(&["jobs"]).await.exits(0).stdout.contains(&id));
    let out = captain.folder().join("out");
    let _ = cli(&["artifacts", &id, "--out", out.to_str().unwrap()])
        .await
        .exits(0);
    assert_eq!(
        fs::read_to_string(out.join("hello.txt")).unwrap(),
        "hello\n"
    );
    let hanging = captain.submit_prompt("hang").await;
    let _ = cli(&["cancel", &hanging]).await.exits(0);
    captain.ends(&hanging, "cancelled", SOON).await;
    let _ = cli(&["watch", "no-such-job"])
        .await
        .exits(64)
        .says(&["no-such-job"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_job_is_exit_code_one() {
    let captain = CaptainBuilder::scripted().start().await;
    let finished = run(
        captain.cli(&["run", "fail because of a test", "--out", "out"]),
        JOB,
    )
    .await;
    let finished = finished.exits(1);
    let all = format!("{}{}", finished.stdout, finished.stderr);
    assert!(all.contains("because of a test"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_starts_a_captain_of_its_own_and_leaves_none() {
    let builder = CaptainBuilder::default();
    let folder = builder.folder();
    let mut command = process::command(&programs::captain(), folder);
    command.args([
        "run",
        "write a.txt one",
        "--driver",
        "scripted",
        "--out",
        "out",
        "--json",
        "--state-dir",
    ]);
    command
        .arg(folder.join("state"))
        .arg("--worker-bin")
        .arg(programs::worker());
    let finished = run(command, JOB).await.exits(0);
    assert_eq!(
        fs::read_to_string(folder.join("out/a.txt")).unwrap(),
        "one\n"
    );
    let lines: Vec<Value> = finished
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(lines.len() > 3, "one event a line: {}", finished.stdout);
    assert!(e2e::tree::with_marker(&folder.display().to_string()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn launch_runs_any_command_in_the_sandbox_and_passes_its_exit_code_on() {
    let builder = WorkerBuilder::scripted();
    // Writes the card.
    let _ = builder.command();
    let card = builder.folder().join("card.json");
    let launch = |script: &str| {
        let mut command = process::command(&programs::worker(), builder.folder());
        command
            .arg("launch")
            .arg(&card)
            .args(["--", "sh", "-c", script]);
        run(command, SOON)
    };
    let finished = launch("pwd; id -u; touch made; exit 7").await.exits(7);
    assert_eq!(finished.stdout, "/workspace\n1000\n");
    assert!(builder.workspace().join("made").exists());
    let _ = launch("exit 0").await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_listed_and_stopped() {
    let mut server = WorkerBuilder::scripted().start().await;
    let root = server.folder().join("workers");
    let worker = |args: &[&str], folder: &Path| {
        let mut command = process::command(&programs::worker(), server.folder());
        command.args(args).arg(folder);
        run(command, SOON)
    };
    let listed = worker(&["list", "--state-root"], &root).await.exits(0);
    assert!(listed.stdout.contains("e2e"), "{}", listed.stdout);
    let _ = worker(&["stop", "e2e", "--state-dir"], &root.join("e2e"))
        .await
        .exits(0);
    e2e::wait::until_true("the worker to end", SOON, || {
        server.process.ended().is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_which_layers_hold() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = process::command(&programs::worker(), folder.path());
    command.arg("doctor");
    let finished = run(command, SOON).await.exits(0);
    for layer in ["bubblewrap", "seccomp", "landlock", "network"] {
        assert!(
            finished.stdout.to_lowercase().contains(layer),
            "{}",
            finished.stdout
        );
    }
}

/// The task that an A2A event is about, wherever it says so.
fn task_id(event: &Value) -> Option<String> {
    let places = [
        "/statusUpdate/taskId",
        "/task/id",
        "/artifactUpdate/taskId",
        "/taskId",
    ];
    let found = places.iter().find_map(|place| event.pointer(place));
    found.and_then(Value::as_str).map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn captain_workers_speaks_the_words_of_the_design() {
    let captain = CaptainBuilder::scripted().start().await;
    let cli = async |args: &[&str]| run(captain.cli(args), JOB).await;
    let spawned = cli(&["workers", "spawn", "by-hand"]).await.exits(0);
    assert!(
        spawned.stdout.contains("http://127.0.0.1:"),
        "{}",
        spawned.stdout
    );
    assert!(
        cli(&["workers", "list"])
            .await
            .exits(0)
            .stdout
            .contains("by-hand")
    );
    let sent = cli(&["workers", "send", "by-hand", "say hello there", "--json"])
        .await
        .exits(0);
    assert!(sent.stdout.contains("hello there"), "{}", sent.stdout);
    let events = sent
        .stdout
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok());
    let task = events
        .filter_map(|e| task_id(&e))
        .next()
        .expect("an event names its task");
    let status = cli(&["workers", "status", "by-hand", &task]).await.exits(0);
    assert!(status.stdout.contains("completed"), "{}", status.stdout);
    let _ = cli(&["workers", "terminate", "by-hand"]).await.exits(0);
    assert!(captain.workers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_command_line_is_exit_code_two() {
    let folder = tempfile::tempdir().unwrap();
    for program in [programs::captain(), programs::worker()] {
        let mut command = process::command(&program, folder.path());
        command.arg("--no-such-flag");
        let _ = run(command, SOON)
            .await
            .exits(2)
            .says(&["--no-such-flag", "Usage"]);
        let mut command = process::command(&program, folder.path());
        command.arg("--help");
        assert!(run(command, SOON).await.exits(0).stdout.contains("Usage"));
    }
}

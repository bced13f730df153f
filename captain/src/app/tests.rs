//! A whole captain, with a worker program that is only there to be found.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use a2a_proto::client::{HttpOptions, http_client};
use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::*;
use daemon::exit::Exit;

fn config(dir: &TempDir) -> Config {
    let worker = dir.path().join("worker");
    std::fs::write(&worker, "#!/bin/sh\nexit 69\n").unwrap();
    std::fs::set_permissions(&worker, std::fs::Permissions::from_mode(0o755)).unwrap();
    Config {
        state_dir: Some(dir.path().join("state")),
        worker_bin: Some(worker),
        ..Config::default()
    }
}

async fn run(config: &Config) -> (Result<Captain, StartError>, Tasks, CancellationToken) {
    let stop = CancellationToken::new();
    let tasks = Tasks::new(stop.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let started = start(config, listener, &tasks, &stop).await;
    (started, tasks, stop)
}

async fn end(tasks: Tasks, stop: CancellationToken) {
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(30), tasks.wait()).await;
    ended.unwrap_or_else(|_| panic!("still running: {:?}", tasks.pending()));
    assert_eq!(tasks.failed(), None);
}

#[tokio::test]
async fn captain_announces_itself_answers_and_withdraws() {
    let dir = tempfile::tempdir().unwrap();
    let (captain, tasks, stop) = run(&config(&dir)).await;
    let captain = captain.unwrap();
    let found = Endpoint::find(&captain.dir).unwrap().unwrap();
    assert_eq!(found.url, captain.url);
    let client = http_client(&HttpOptions::default()).unwrap();
    let call = |path: &str| client.get(format!("{}{path}", captain.url));
    assert_eq!(call("/readyz").send().await.unwrap().status(), 200);
    assert_eq!(call("/jobs").send().await.unwrap().status(), 401);
    let token = captain.token.as_ref().unwrap().expose_secret();
    let jobs = call("/jobs").bearer_auth(token).send().await.unwrap();
    assert_eq!(jobs.status(), 200);
    end(tasks, stop).await;
    assert_eq!(Endpoint::read(&captain.dir).unwrap(), None);
}

#[tokio::test]
async fn files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let (captain, tasks, stop) = run(&config(&dir)).await;
    let captain = captain.unwrap();
    for entry in std::fs::read_dir(&captain.dir).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", entry.path());
    }
    end(tasks, stop).await;
}

#[tokio::test]
async fn second_captain_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir);
    let (first, tasks, stop) = run(&config).await;
    let first = first.unwrap();
    let (second, _, _) = run(&config).await;
    let error = second.unwrap_err();
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    assert_eq!(error.exit(), Exit::Unavailable);
    end(tasks, stop).await;
    let token = first.token.clone().unwrap();
    drop(first);
    let (third, tasks, stop) = run(&config).await;
    let third = third.unwrap();
    assert_eq!(
        third.token.as_ref().unwrap().expose_secret(),
        token.expose_secret()
    );
    end(tasks, stop).await;
}

#[tokio::test]
async fn missing_worker_program_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        worker_bin: Some(dir.path().join("no-such-worker")),
        ..config(&dir)
    };
    let (captain, tasks, stop) = run(&config).await;
    let error = captain.unwrap_err();
    assert!(error.to_string().contains("no-such-worker"), "{error}");
    end(tasks, stop).await;
    assert!(!dir.path().join("state/endpoint.json").exists());
}

#[tokio::test]
async fn provider_key_goes_into_a_private_file_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        provider_key: Some(SecretString::from("sk-very-secret")),
        ..config(&dir)
    };
    let (captain, tasks, stop) = run(&config).await;
    let captain = captain.unwrap();
    let path = captain.dir.join(PROVIDER_KEY_FILE);
    assert_eq!(daemon::state::read_secret(&path).unwrap(), "sk-very-secret");
    end(tasks, stop).await;
}

#[test]
fn address_for_everywhere_is_announced_as_loopback() {
    for (address, url) in [
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("192.0.2.1:80", "http://192.0.2.1:80"),
    ] {
        assert_eq!(url_of("http", address.parse().unwrap()), url);
    }
}

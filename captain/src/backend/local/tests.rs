//! The local backend against real processes. The worker is a small shell program that stands in for the real one, so that a
//! test decides when it announces itself, what its last words are and how it ends.

use std::os::unix::fs::PermissionsExt as _;

use captain_core::plan::SubtaskLimits;
use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::super::contract;
use super::*;

/// A stand-in for the worker program: it announces itself as the real one does and waits. `{body}` runs before that.
fn stand_in(dir: &Path, body: &str) -> PathBuf {
    let path = dir.join("worker");
    let script = format!(
        r#"#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in --state-dir) state=$2; shift ;; esac
  shift
done
env > "$state/environment"
{body}
started=$(cut -d ' ' -f 22 "/proc/$$/stat")
printf '{{"url":"http://127.0.0.1:9","pid":%s,"started":%s,"version":"0"}}' $$ "$started" > "$state/endpoint.tmp"
mv "$state/endpoint.tmp" "$state/endpoint.json"
exec sleep 600
"#
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn options(dir: &Path, worker_bin: PathBuf) -> LocalOptions {
    LocalOptions {
        workers_dir: dir.join("workers"),
        workspaces_dir: dir.join("workspaces"),
        worker_bin,
        trust: b"{\"keys\":[]}".to_vec(),
        agent: AgentConfig::default(),
        max_workers: 4,
        start_timeout: Duration::from_secs(30),
        keep_folders: false,
        tracker: TaskTracker::new(),
    }
}

fn backend(body: &str) -> (TempDir, LocalBackend) {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), stand_in(dir.path(), body));
    let backend = LocalBackend::new(options).unwrap();
    (dir, backend)
}

const GRACE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn local_backend_keeps_the_contract() {
    let (dir, backend) = backend("");
    contract::check(&backend, dir.path()).await;
}

#[tokio::test]
async fn early_end_is_told_with_the_last_words_and_says_whether_to_retry() {
    for (code, hopeless) in [(64, true), (69, true), (77, true), (70, false)] {
        let (dir, backend) = backend(&format!("echo 'error: no such agent' >&2; exit {code}"));
        let error = backend
            .launch(&contract::spec(dir.path(), 1))
            .await
            .unwrap_err();
        assert_eq!(
            matches!(error, BackendError::Refused { .. }),
            hopeless,
            "{error:?}"
        );
        let text = error.to_string();
        assert!(text.contains(&format!("exit code {code}")), "{text}");
        assert!(text.contains("error: no such agent"), "{text}");
    }
}

#[tokio::test]
async fn silent_worker_is_stopped_at_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), stand_in(dir.path(), "exec sleep 600"));
    options.start_timeout = Duration::from_millis(200);
    let backend = LocalBackend::new(options).unwrap();
    let error = backend
        .launch(&contract::spec(dir.path(), 1))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("did not listen"), "{error}");
    let states: Vec<Observed> = backend
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|seen| seen.state)
        .collect();
    assert!(
        matches!(states.as_slice(), [Observed::Exited { .. }]),
        "{states:?}"
    );
}

#[tokio::test]
async fn another_captain_finds_watches_and_stops_the_worker() {
    let (dir, first) = backend("");
    let spec = contract::spec(dir.path(), 1);
    let instance = first.launch(&spec).await.unwrap();
    let second = LocalBackend::new(options(dir.path(), dir.path().join("worker"))).unwrap();
    let mut changes = second.watch();
    assert_eq!(second.launch(&spec).await.unwrap(), instance);
    assert_eq!(second.list().await.unwrap().len(), 1);
    first.stop(&spec.worker, GRACE).await.unwrap();
    contract::next(&mut changes, &spec.worker, |state| {
        matches!(state, Observed::Exited { .. })
    })
    .await;
}

#[tokio::test]
async fn death_is_told_with_the_signal() {
    let (dir, backend) = backend("");
    let spec = contract::spec(dir.path(), 1);
    let mut changes = backend.watch();
    backend.launch(&spec).await.unwrap();
    let folder = InstanceDir::of(&dir.path().join("workers"), &spec.worker);
    folder
        .process()
        .unwrap()
        .signal(rustix::process::Signal::KILL)
        .unwrap();
    let state = contract::next(&mut changes, &spec.worker, |state| {
        matches!(state, Observed::Exited { .. })
    })
    .await;
    let Observed::Exited { message } = state else {
        unreachable!()
    };
    assert!(message.contains("signal 9"), "{message}");
    // The same attempt may be launched again, although the folder is still there.
    backend.launch(&spec).await.unwrap();
    backend.stop(&spec.worker, GRACE).await.unwrap();
}

#[tokio::test]
async fn number_of_workers_started_by_hand_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), stand_in(dir.path(), ""));
    options.max_workers = 1;
    let backend = LocalBackend::new(options).unwrap();
    let card = |id: &str| StandAloneCard {
        worker: WorkerId::parse(id).unwrap(),
        card: Map::new(),
    };
    let (first, second) = (card("one"), card("two"));
    backend.launch_card(&first).await.unwrap();
    let error = backend.launch_card(&second).await.unwrap_err();
    assert!(error.to_string().contains("limits.max_workers"), "{error}");
    backend.stop(&first.worker, GRACE).await.unwrap();
    backend.launch_card(&second).await.unwrap();
    backend.stop(&second.worker, GRACE).await.unwrap();
}

#[tokio::test]
async fn environment_is_made_from_nothing_and_files_are_private() {
    let (dir, backend) = backend("");
    let spec = contract::spec(dir.path(), 1);
    backend.launch(&spec).await.unwrap();
    let folder = dir.path().join("workers").join(spec.worker.as_str());
    let environment = std::fs::read_to_string(folder.join("environment")).unwrap();
    for line in environment.lines() {
        let name = line.split('=').next().unwrap();
        let known = [
            "PATH",
            "HOME",
            "LANG",
            "LC_ALL",
            "TZ",
            "TMPDIR",
            "XDG_RUNTIME_DIR",
        ];
        // The last two are the shell's own.
        assert!(
            known.contains(&name) || ["PWD", "_", "SHLVL", "OLDPWD"].contains(&name),
            "{line}"
        );
    }
    for name in [
        "agent-id-card.json",
        "captain-keys.json",
        "instance.json",
        "worker.log",
    ] {
        let mode = folder.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    backend.stop(&spec.worker, GRACE).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["worker.log"], "only the log is kept");
}

#[test]
fn card_joins_plan_job_and_captain() {
    let agent = AgentConfig {
        api_provider: Some("custom".to_owned()),
        model: Some("small".to_owned()),
        base_url: Some("http://127.0.0.1:1/v1".to_owned()),
        allowed_hosts: vec!["example.com".to_owned()],
        ..AgentConfig::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let spec = LaunchSpec {
        hosts: vec!["example.org".to_owned(), "example.com".to_owned()],
        limits: SubtaskLimits {
            time_seconds: Some(60),
            steps: Some(5),
            attempts: None,
            ..SubtaskLimits::default()
        },
        agent: serde_json::json!({"model": "large", "resource_limits": {"memory_mb": 512}}),
        ..contract::spec(dir.path(), 1)
    };
    let card = Value::from(card::for_attempt(&agent, &spec).unwrap());
    assert_eq!(
        card,
        serde_json::json!({
            "agent_id": spec.worker.as_str(),
            "workspace": spec.workspace.to_str().unwrap(),
            "api_provider": "custom",
            "model": "large",
            "base_url": "http://127.0.0.1:1/v1",
            "allowed_hosts": ["example.com", "example.org"],
            "environment": {},
            "resource_limits": {"memory_mb": 512},
            "ttl_seconds": 960,
            "watchdog": {"max_steps": 5, "turn_seconds": 60},
        })
    );
}

#[test]
fn given_provider_does_not_get_the_captains_key() {
    let agent = AgentConfig {
        api_provider: Some("anthropic".to_owned()),
        api_key_file: Some(PathBuf::from("/keys/anthropic")),
        model: Some("m".to_owned()),
        ..AgentConfig::default()
    };
    let worker = WorkerId::parse("hand").unwrap();
    for given in [
        serde_json::json!({"api_provider": "custom", "base_url": "http://evil.example/v1"}),
        serde_json::json!({"base_url": "http://evil.example/v1"}),
    ] {
        let given = given.as_object().unwrap();
        let card = card::stand_alone(&agent, &worker, Path::new("/w"), given);
        assert!(!card.contains_key("api_key_file"), "{card:?}");
        assert_eq!(card["base_url"], "http://evil.example/v1");
    }
    let card = card::stand_alone(&agent, &worker, Path::new("/w"), &Map::new());
    assert_eq!(card["api_key_file"], "/keys/anthropic");
}

#[test]
fn cards_are_what_the_worker_reads() {
    let dir = tempfile::tempdir().unwrap();
    let agent = AgentConfig {
        api_provider: Some("anthropic".to_owned()),
        model: Some("m".to_owned()),
        base_url: Some("http://127.0.0.1:1/v1".to_owned()),
        api_key_file: Some(PathBuf::from("/keys/anthropic")),
        allowed_hosts: vec!["example.com".to_owned()],
        ..AgentConfig::default()
    };
    let spec = LaunchSpec {
        limits: SubtaskLimits {
            time_seconds: Some(60),
            steps: Some(5),
            attempts: Some(2),
            ..SubtaskLimits::default()
        },
        agent: serde_json::json!({
            "environment": {"A": "b"},
            "resource_limits": {"memory_mb": 512, "cpu_shares": 100, "max_processes": 64, "max_open_files": 256},
        }),
        ..contract::spec(dir.path(), 1)
    };
    let path = dir.path().join("card.json");
    let worker = WorkerId::parse("hand").unwrap();
    for card in [
        card::for_attempt(&agent, &spec).unwrap(),
        card::for_attempt(&AgentConfig::default(), &contract::spec(dir.path(), 2)).unwrap(),
        card::stand_alone(&agent, &worker, Path::new("/w"), &Map::new()),
    ] {
        std::fs::write(&path, serde_json::to_vec(&card).unwrap()).unwrap();
        worker::card::AgentIdCard::read(&path).unwrap();
    }
}

#[test]
fn overgrown_log_keeps_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let line = "0123456789abcdef\n".repeat(300_000);
    std::fs::write(dir.path().join(spawn::LOG_FILE), line + "the end\n").unwrap();
    spawn::bound_log(dir.path()).unwrap();
    assert_eq!(
        std::fs::metadata(dir.path().join(spawn::LOG_FILE))
            .unwrap()
            .len(),
        0
    );
    let kept = std::fs::read_to_string(dir.path().join("worker.log.1")).unwrap();
    assert!(kept.len() <= 256 * 1024 && kept.ends_with("the end\n"));
}

//! Bad input, one test for each kind: a clear error that says what to do, the right status or exit code, nothing half-started.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use e2e::{
    Captain, CaptainBuilder, Model, WorkerBuilder, http, model,
    process::{self, run},
    tree,
    wait::{JOB, SOON},
    worker,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The default limit of a request body.
const BODY: usize = 8 * 1024 * 1024;

async fn raw(captain: &Captain, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
    let request = captain
        .api()
        .request(Method::POST, "/jobs")
        .header("Content-Type", "application/json");
    let answer = http::answer(request.body(body)).await;
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

async fn nothing_started(captain: &Captain) {
    assert_eq!(captain.api().get("/jobs").await["jobs"], json!([]));
    assert!(captain.workers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_says_where() {
    let captain = CaptainBuilder::scripted().start().await;
    let (status, body) = raw(&captain, "{\"goal\": ").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.to_string().contains("line 1"), "{body}");
    nothing_started(&captain).await;

    let server = WorkerBuilder::scripted().start().await;
    for path in ["/", "/tasks/send", "/message:send"] {
        let request = server
            .api()
            .request(Method::POST, path)
            .header("Content-Type", "application/json");
        let answer = http::answer(request.body("{\"id\": ")).await;
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        let parse_error = status == StatusCode::BAD_REQUEST || body.contains("-32700");
        assert!(parse_error, "{path}: {status} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_types_and_unknown_fields_name_the_field() {
    let captain = CaptainBuilder::scripted().start().await;
    for (body, field) in [
        (json!({"goal": 7}), "goal"),
        (json!({"goal": "x", "gaol": "y"}), "gaol"),
        (json!({}), "goal"),
        (
            json!({"goal": "x", "limits": {"max_parallel": -1}}),
            "max_parallel",
        ),
        (
            json!({"goal": "x", "plan": {"subtasks": [{"id": "a", "promt": "x"}]}}),
            "promt",
        ),
    ] {
        let (status, answer) = raw(&captain, body.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert!(answer.to_string().contains(field), "{body}: {answer}");
    }
    nothing_started(&captain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_methods_and_paths_are_told_apart() {
    let captain = CaptainBuilder::scripted().start().await;
    assert_eq!(
        captain.api().get_raw("/nothing").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        captain.api().get_raw("/jobs/unknown").await.status(),
        StatusCode::NOT_FOUND
    );
    let put = http::answer(captain.api().request(Method::PUT, "/jobs")).await;
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);

    let server = WorkerBuilder::scripted().start().await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "DoMagic", "params": {}});
    let answer: Value = server
        .api()
        .post_raw("/", &call)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    assert_eq!(
        server.api().get_raw("/tasks/unknown").await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_body_is_refused() {
    let captain = CaptainBuilder::scripted().start().await;
    let huge = json!({"goal": "x".repeat(BODY)}).to_string();
    let status = http::upload(captain.api(), "/jobs", &huge).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    nothing_started(&captain).await;
    let server = WorkerBuilder::scripted().start().await;
    for path in ["/", "/tasks/send", "/message:send"] {
        let status = http::upload(server.api(), path, &huge).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_plan_names_everything_that_is_wrong() {
    let captain = CaptainBuilder::scripted().start().await;
    let subtask = |id: &str, after: &[&str]| json!({"id": id, "prompt": "x", "depends_on": after});
    for (subtasks, parts) in [
        (
            json!([subtask("a", &["b"]), subtask("b", &["a"])]),
            &["a -> b -> a"][..],
        ),
        (json!([subtask("a", &["ghost"])]), &["a", "ghost"]),
        (
            json!([subtask("twin", &[]), subtask("twin", &[])]),
            &["twin"],
        ),
        (json!([subtask("Bad Name", &[])]), &["Bad Name"]),
        (json!([]), &["subtask"]),
    ] {
        let body = json!({"goal": "x", "plan": {"subtasks": subtasks}});
        let (status, answer) = raw(&captain, body.to_string()).await;
        assert!(
            matches!(status.as_u16(), 400 | 422),
            "{body}: {status} {answer}"
        );
        for part in parts {
            assert!(
                answer.to_string().contains(part),
                "{part:?} is missing: {answer}"
            );
        }
    }
    nothing_started(&captain).await;

    let file = captain.folder().join("cycle.toml");
    fs::write(
        &file,
        "goal = \"x\"\n[[subtasks]]\nid = \"a\"\nprompt = \"x\"\ndepends_on = [\"a\"]\n",
    )
    .unwrap();
    let finished = run(captain.cli(&["submit", "-f", file.to_str().unwrap()]), SOON).await;
    let _ = finished.exits(64).says(&["error:", "a"]);
    fs::write(&file, "[[subtasks]]\nid = 7\n").unwrap();
    let finished = run(captain.cli(&["submit", "-f", file.to_str().unwrap()]), SOON).await;
    let _ = finished.exits(64).says(&["cycle.toml:2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_id_card_does_not_start_and_names_the_field() {
    for (key, value, part) in [
        ("workspace", json!("relative/path"), "absolute"),
        ("workspace", json!("/usr"), "system folder"),
        ("agent_id", json!("Bad Id"), "agent_id"),
        ("agent_id", json!(""), "agent_id"),
        ("resource_limits", json!({"memory_mb": -1}), "memory_mb"),
        ("resource_limits", json!({"memory_gb": 1}), "memory_gb"),
        ("ttl_seconds", json!(-5), "ttl_seconds"),
        (
            "environment",
            json!({"LD_PRELOAD": "/evil.so"}),
            "LD_PRELOAD",
        ),
        (
            "allowed_hosts",
            json!(["http://not a host"]),
            "allowed_hosts",
        ),
        ("api_provider", json!("oracle"), "api_provider"),
        ("colour", json!("blue"), "colour"),
    ] {
        let finished = WorkerBuilder::scripted()
            .card(key, value.clone())
            .fails()
            .await;
        assert_eq!(finished.code, 64, "{key} = {value}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(part),
            "{key} = {value}: {}",
            finished.stderr
        );
    }
    let missing = WorkerBuilder::scripted();
    let mut command = process::command(&e2e::programs::worker(), missing.folder());
    command.args(["serve", "--card", "/no/such/card.json"]);
    let _ = run(command, SOON)
        .await
        .exits(64)
        .says(&["/no/such/card.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn workspace_through_a_symlink_or_outside_the_root_is_refused() {
    let builder = WorkerBuilder::scripted();
    let link = builder.folder().join("link");
    symlink(builder.workspace(), &link).unwrap();
    let _ = builder
        .card("workspace", json!(link))
        .fails()
        .await
        .exits(64)
        .says(&["symbolic link"]);

    let builder = WorkerBuilder::scripted();
    let root = builder.folder().join("root");
    fs::create_dir(&root).unwrap();
    let builder = builder.arg("--workspace-root", root.to_str().unwrap());
    let _ = builder.fails().await.exits(64).says(&["workspace", "root"]);

    let _ = WorkerBuilder::scripted()
        .card("workspace", json!("/etc"))
        .fails()
        .await
        .exits(64)
        .says(&["/etc"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_file_that_others_can_read_is_refused() {
    let builder = WorkerBuilder::scripted();
    let key = builder.folder().join("key");
    fs::write(&key, "secret").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let finished = builder.card("api_key_file", json!(key)).fails().await;
    assert!(matches!(finished.code, 64 | 77), "{finished:?}");
    let _ = finished.says(&["chmod 600"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_agent_says_how_to_get_one() {
    let model = Model::start().await;
    let builder = WorkerBuilder::opencode(&model).arg("--agent-bin", "/no/such/opencode");
    let _ = builder
        .fails()
        .await
        .exits(69)
        .says(&["/no/such/opencode", "hint:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_bubblewrap_says_how_to_get_it() {
    let builder = WorkerBuilder::scripted();
    let mut command = builder.command();
    command.env("PATH", builder.folder());
    let _ = run(command, SOON)
        .await
        .exits(69)
        .says(&["no program bwrap", "hint:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_bubblewrap_stops_the_start() {
    let builder = WorkerBuilder::scripted();
    let bwrap = builder.folder().join("bwrap");
    fs::write(&bwrap, "#!/bin/sh\ncase $1 in --version|--help) exec /usr/bin/bwrap \"$@\" ;; esac\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&bwrap, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = builder.command();
    command.env(
        "PATH",
        format!("{}:/usr/bin:/bin", builder.folder().display()),
    );
    let finished = run(command, SOON).await;
    let _ = finished.exits(77).says(&["namespace", "hint:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn occupied_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let port = taken.local_addr().unwrap().port().to_string();
    let captain = CaptainBuilder::scripted().arg("--listen", &address);
    let folder = captain.folder().display().to_string();
    let _ = captain
        .fails()
        .await
        .exits(69)
        .says(&["error:", &port, "in use"]);
    assert!(tree::with_marker(&folder).is_empty());
    let worker = WorkerBuilder::scripted().arg("--listen", &address);
    let _ = worker
        .fails()
        .await
        .exits(69)
        .says(&["error:", &port, "in use"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_captain_on_the_same_state_is_refused() {
    let captain = CaptainBuilder::scripted().start().await;
    let second = captain.cli(&["serve", "--listen", "127.0.0.1:0"]);
    let _ = run(second, SOON)
        .await
        .exits(69)
        .says(&["another captain", "--state-dir"]);
    let _ = captain.api().get("/jobs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_stops_the_start_and_says_so() {
    let captain = CaptainBuilder::scripted();
    let state = captain.folder().join("state");
    fs::create_dir(&state).unwrap();
    let command = process::on_a_small_disk(&captain.command(), &state, 8);
    let _ = run(command, SOON)
        .await
        .exits(74)
        .says(&["disk is full", "hint:"]);

    let worker = WorkerBuilder::scripted();
    let state = worker.state_dir();
    fs::create_dir_all(&state).unwrap();
    let command = process::on_a_small_disk(&worker.command(), &state, 8);
    let _ = run(command, SOON)
        .await
        .exits(74)
        .says(&["no space left", "hint:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_model_fails_the_task_and_names_the_address() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let model = Model::start().await;
    let url = format!("http://{unused}/v1");
    let builder = WorkerBuilder::opencode(&model).card("base_url", json!(url));
    let server = builder
        .card("watchdog", json!({"silence_seconds": 20}))
        .start()
        .await;
    let frames = server.turn("dead", "just say pong").await;
    assert_eq!(worker::status(&frames), "failed");
    let last = frames.last().unwrap().data.to_string();
    assert!(last.contains("model"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_key_fails_the_job_and_is_not_shown() {
    let model = Model::start().await;
    let builder = CaptainBuilder::opencode(&model);
    daemon::state::write_private(&builder.folder().join("key"), b"sk-this-is-another-key").unwrap();
    let captain = builder.start().await;
    let id = captain.submit_prompt("just say pong").await;
    let job = captain.ends(&id, "failed", JOB).await;
    let message = job["message"].as_str().unwrap();
    assert!(message.contains("key"), "{message}");
    let log = captain.process.log();
    for text in [job.to_string(), log] {
        assert!(
            !text.contains("sk-this-is-another-key") && !text.contains(model::KEY),
            "{text}"
        );
    }
    assert!(model.recorded().refused > 0);
}

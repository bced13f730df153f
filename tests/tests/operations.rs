//! What operators do and what happens to them: back up, prune, look for trouble, stop, restart, run out of disk, start two
//! captains on one file, and set the clock back.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use daemon::state::Endpoint;
use e2e::http::{self, Api};
use e2e::process::{self, Running};
use e2e::wait::{JOB, SOON, until, until_true};
use e2e::{CaptainBuilder, run};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A job that waits for its approval: it is stored, and nothing runs.
fn waiting_job() -> Value {
    let plan = json!({"subtasks": [{"id": "task", "prompt": "say one"}]});
    json!({"goal": "wait", "plan": plan, "approval": "manual"})
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_a_running_captain_is_where_another_begins() {
    let captain = CaptainBuilder::scripted().start().await;
    let job = captain.submit_prompt("say one").await;
    captain.ends(&job, "completed", JOB).await;
    let to = captain.folder().join("backup");
    let backup = captain.cli(&["backup", &to.display().to_string()]);
    let _ = run(backup, SOON).await.exits(0);
    let again = captain.cli(&["backup", &to.display().to_string()]);
    let _ = run(again, SOON).await.exits(64).says(&["is not empty"]);
    // What comes after is not in it.
    captain.submit(&waiting_job()).await;

    let second = CaptainBuilder::scripted();
    let state = second.folder().join("state");
    daemon::state::create_private_dir(&state).unwrap();
    for name in ["captain.sqlite", "tasks.sqlite"] {
        fs::copy(to.join(name), state.join(name)).unwrap();
    }
    let second = second.start().await;
    let jobs = second.api().get("/jobs").await;
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1, "{jobs:#}");
    assert_eq!(jobs["jobs"][0]["id"], json!(job));
    let task = second.api().get(&format!("/tasks/{job}")).await;
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED");
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_forgets_what_ended_and_nothing_that_runs() {
    let mut captain = CaptainBuilder::scripted().start().await;
    let ended = captain.submit_prompt("say one").await;
    captain.ends(&ended, "completed", JOB).await;
    let waits = captain.submit(&waiting_job()).await;
    let pruned = run(
        captain.cli(&["prune", "--older-than", "1h", "--json"]),
        SOON,
    )
    .await
    .exits(0);
    assert!(pruned.stdout.contains("\"jobs\":0"), "{}", pruned.stdout);
    let pruned = run(
        captain.cli(&["prune", "--older-than", "0s", "--json"]),
        SOON,
    )
    .await
    .exits(0);
    let forgotten: Value = serde_json::from_str(&pruned.stdout).unwrap();
    assert_eq!(
        (&forgotten["jobs"], &forgotten["tasks"]),
        (&json!(1), &json!(1))
    );
    let answer = captain.api().get_raw(&format!("/jobs/{ended}")).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let answer = captain.api().get_raw(&format!("/tasks/{ended}")).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(!captain.state_dir().join("jobs").join(&ended).exists());
    assert_eq!(captain.job(&waits).await["state"], "awaiting_approval");
    // Without a captain the command does it by itself.
    captain.kill_hard();
    let _ = run(captain.cli(&["prune", "--older-than", "0s"]), SOON)
        .await
        .exits(0);
    captain.restart().await;
    assert_eq!(captain.job(&waits).await["state"], "awaiting_approval");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_a_damaged_database_and_saves_what_it_holds() {
    let mut captain = CaptainBuilder::scripted().start().await;
    let mut jobs = Vec::new();
    for _ in 0..30 {
        jobs.push(captain.submit(&waiting_job()).await);
    }
    let doctor = ["doctor", "--json", "--driver", "scripted"];
    let well = run(captain.cli(&doctor), JOB).await;
    let report: Value = serde_json::from_str(&well.stdout).expect("the report is JSON");
    for name in [
        "settings",
        "state folder",
        "captain",
        "database",
        "task log",
    ] {
        let rows = report["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == name).unwrap();
        assert_eq!(row["status"], "ok", "{report:#}");
    }
    assert_eq!(captain.process.terminate(SOON).await, 0);

    let path = captain.state_dir().join("captain.sqlite");
    let beside = || ["-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", path.display())));
    assert!(
        beside().iter().all(|file| !file.exists()),
        "an orderly end leaves one file"
    );
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let _ = run(captain.cli(&doctor), JOB).await.exits(69);
    let saved = captain.folder().join("saved.sqlite");
    let repair = captain.cli(&["doctor", "--json", "--repair", &saved.display().to_string()]);
    let told = run(repair, SOON).await;
    let report: Value = serde_json::from_str(&told.stdout).expect("the report is JSON");
    let whole = usize::try_from(report["whole"].as_u64().unwrap()).unwrap();
    assert!(whole >= 20, "{report:#}");
    assert_eq!(
        fs::read(&path).unwrap(),
        bytes,
        "the damaged file was touched"
    );

    for file in beside() {
        let _ = fs::remove_file(file);
    }
    fs::rename(&saved, &path).unwrap();
    captain.restart().await;
    let left = captain.api().get("/jobs").await;
    let cut = report["cut"].as_array().unwrap().len();
    assert_eq!(left["jobs"].as_array().unwrap().len(), whole + cut);
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_database_is_refused_and_left_alone() {
    let mut captain = CaptainBuilder::scripted().start().await;
    captain.submit(&waiting_job()).await;
    assert_eq!(captain.process.terminate(SOON).await, 0);
    let path = captain.state_dir().join("captain.sqlite");
    // The number of the format stands at byte 60 (SQLite's file format, section 1.3).
    let mut bytes = fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&path, &bytes).unwrap();
    let serve = captain.cli(&["serve", "--listen", "127.0.0.1:0", "--driver", "scripted"]);
    let _ = run(serve, SOON)
        .await
        .exits(74)
        .says(&["has format 99", "knows up to"]);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_captains_on_one_file_are_told_apart_until_the_first_is_gone() {
    let mut first = CaptainBuilder::scripted().start().await;
    let second = CaptainBuilder::scripted();
    let state = second.folder().join("state");
    daemon::state::create_private_dir(&state).unwrap();
    std::os::unix::fs::symlink(
        first.state_dir().join("captain.sqlite"),
        state.join("captain.sqlite"),
    )
    .unwrap();
    let _ = run(second.command(), SOON)
        .await
        .exits(69)
        .says(&["another captain uses the database"]);
    first.kill_hard();
    // The lock went with the process.
    let second = second.start().await;
    let _ = second.api().get("/jobs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_manager_is_told_and_answers_are_finished_before_the_end() {
    let builder = CaptainBuilder::scripted();
    let socket = builder.folder().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let hear = move |wanted: &str| {
        let mut bytes = [0; 256];
        loop {
            let size = manager
                .recv(&mut bytes)
                .unwrap_or_else(|error| panic!("{wanted}: {error}"));
            if String::from_utf8_lossy(&bytes[..size]).contains(wanted) {
                return;
            }
        }
    };
    let mut command = builder.command();
    command
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "400000");
    let mut captain = Running::start(command, "captain", builder.folder());
    let hear = tokio::task::spawn_blocking(move || {
        hear("READY=1");
        hear("WATCHDOG=1");
        hear
    })
    .await
    .unwrap();
    assert_eq!(captain.terminate(SOON).await, 0);
    tokio::task::spawn_blocking(move || hear("STOPPING=1"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_is_read_only_and_passes() {
    let builder = CaptainBuilder::scripted();
    let state = builder.folder().join("state");
    fs::create_dir(&state).unwrap();
    let command = process::on_a_small_disk(&builder.command(), &state, 32 * 1024);
    let mut captain = Running::start(command, "captain", builder.folder());
    // The same folder as the captain sees it.
    let inside = PathBuf::from(format!("/proc/{}/root{}", captain.pid(), state.display()));
    until_true("the captain's endpoint file", SOON, || {
        assert_eq!(captain.ended(), None, "{}", captain.log());
        inside.join("endpoint.json").exists()
    })
    .await;
    let endpoint = Endpoint::read(&inside).unwrap().unwrap();
    let token = fs::read_to_string(inside.join("token")).unwrap();
    let api = Api::new(&endpoint.url, Some(token.trim()));
    let submit = || async { api.post_raw("/jobs", &waiting_job()).await };
    let mut taken = Vec::new();
    let answer = submit().await;
    taken.push(http::json(answer, StatusCode::CREATED).await["id"].clone());

    let mut filler = fs::File::create(inside.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    drop(filler);
    let mut refused = 0;
    for _ in 0..200 {
        let answer = submit().await;
        match answer.status() {
            StatusCode::CREATED => {
                taken.push(http::json(answer, StatusCode::CREATED).await["id"].clone());
            }
            StatusCode::INSUFFICIENT_STORAGE => {
                let body: Value = answer.json().await.unwrap();
                assert_eq!(body["error"]["code"], "disk_full", "{body}");
                refused += 1;
            }
            status => panic!("{status}"),
        }
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "{}", captain.log());
    // What is there can be read, and what is the matter is said.
    let jobs = api.get("/jobs?limit=200").await;
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), taken.len());
    let ready: Value = api
        .request(Method::GET, "/readyz")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(ready["status"], "not ready");
    assert!(ready["missing"].to_string().contains("full"), "{ready}");
    let message =
        json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "- [ ] x"}]}});
    let answer = api.post_raw("/message:send", &message).await;
    assert!(answer.status().is_server_error(), "{}", answer.status());
    let told = answer.text().await.unwrap();
    assert!(told.contains("full") || told.contains("space"), "{told}");

    // There is space again: it goes on by itself.
    fs::remove_file(inside.join("filler")).unwrap();
    let answer = until("a job to be taken", SOON, submit, |answer| {
        answer.status() == StatusCode::CREATED
    })
    .await;
    taken.push(http::json(answer, StatusCode::CREATED).await["id"].clone());
    assert_eq!(api.get_raw("/readyz").await.status(), StatusCode::OK);
    for job in &taken {
        let job = api.get(&format!("/jobs/{}", job.as_str().unwrap())).await;
        assert_eq!(job["state"], "awaiting_approval");
    }
    assert_eq!(captain.terminate(Duration::from_secs(30)).await, 0);
}

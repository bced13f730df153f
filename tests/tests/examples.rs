//! Every example runs: what the documentation shows is what works.

use std::{fs, path::Path};

use e2e::{
    CaptainBuilder, Running, WorkerBuilder,
    http::Api,
    process,
    process::run,
    programs,
    wait::{JOB, SOON, until_true},
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn job_is_submitted_and_followed_to_its_end() {
    let captain = CaptainBuilder::scripted().start().await;
    let token = captain.state_dir().join("token");
    let example = |name: &str, arguments: &[&str]| {
        let mut command = process::command(&programs::example(name), captain.folder());
        command.arg(captain.api().url()).arg(&token).args(arguments);
        run(command, JOB)
    };
    let submitted = example("submit_job", &["write a.txt one"]).await.exits(0);
    let job = submitted.stdout.trim();
    let followed = example("follow_events", &[job]).await.exits(0).stdout;
    let last = followed.lines().last().unwrap();
    assert!(
        followed.contains("job.submitted") && last.ends_with("job.completed"),
        "{followed}"
    );
    let tail = example("follow_events", &[job, "1"]).await.exits(0).stdout;
    assert_eq!(
        tail.lines().count() + 1,
        followed.lines().count(),
        "strictly after the first"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_agent_echoes() {
    let folder = tempfile::tempdir().unwrap();
    let echo = Running::start(
        process::command(&programs::example("echo_agent"), folder.path()),
        "echo",
        folder.path(),
    );
    until_true("its address", SOON, || echo.log().ends_with('\n')).await;
    let api = Api::new(echo.log().trim(), None);
    assert_eq!(
        api.get("/.well-known/agent-card.json").await["name"],
        "echo"
    );
    let message = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]});
    let answer: Value = api
        .post_raw("/message:send", &json!({"message": message}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        answer["task"]["status"]["message"]["parts"][0]["text"], "hello",
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_talks_to_a_worker() {
    let server = WorkerBuilder::scripted().start().await;
    let token = server.folder().join("token");
    fs::write(&token, server.token(&[]).await).unwrap();
    let client = programs::project().join("examples/python/client.py");
    let mut command = process::command(Path::new("/usr/bin/python3"), server.folder());
    command.arg("-B").arg(client).arg(server.api().url());
    command.arg("say Creating database models...\nwrite models.py class User: pass");
    command
        .arg("--token-file")
        .arg(&token)
        .args(["--id", "task-123"]);
    let said = run(command, JOB).await.exits(0).stdout;
    for part in [
        "skills: ",
        "status: running",
        "Creating database models...",
        "artifact: models.py",
        "server says: completed",
    ] {
        assert!(said.contains(part), "{part:?} is missing:\n{said}");
    }
}

#[test]
fn example_card_follows_the_schema() {
    let read = |name: &str| {
        let text = fs::read_to_string(programs::project().join(name)).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let schema = jsonschema::validator_for(&read("worker/agent-id-card.schema.json")).unwrap();
    let card = read("examples/agent-id-card.json");
    let errors: Vec<String> = schema.iter_errors(&card).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

//! The captain as one A2A agent, with real workers: jobs as messages, a `kill -9` in mid-job, questions, cancel; and the
//! command line for any agent.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by failing the test"
)]

use e2e::{
    Captain, CaptainBuilder, WorkerBuilder, http, run,
    sse::{Frame, Frames},
    tree,
    wait::{JOB, SOON, until_true},
};
use pretty_assertions::assert_eq;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The key of the captain's data in the metadata of events.
const JOB_URI: &str = "urn:flotilla:ext:job:v1";
/// Stands in the command line of a loop that a script starts.
const LOOP: &str = "flotilla-a2a-loop";

/// A message with a plan of one subtask whose worker plays `script`.
fn message(id: &str, script: &str) -> Value {
    let plan = json!({"subtasks": [{"id": "task", "prompt": script, "limits": {"attempts": 1}}]});
    json!({"message": {"messageId": id, "role": "ROLE_USER", "parts": [
        {"text": "play it"}, {"data": {"plan": plan}}
    ]}})
}

fn follow_up(task: &str, id: &str, text: &str) -> Value {
    json!({"message": {"messageId": id, "taskId": task, "role": "ROLE_USER", "parts": [{"text": text}]}})
}

async fn send(captain: &Captain, message: &Value) -> Value {
    let request = captain.api().request(Method::POST, "/message:send");
    let answer = request.json(message).timeout(JOB).send().await.unwrap();
    http::json(answer, StatusCode::OK).await["task"].clone()
}

async fn stream(captain: &Captain, message: &Value) -> Frames {
    let request = captain.api().request(Method::POST, "/message:stream");
    Frames::new(http::answer(request.json(message)).await)
}

async fn resume(captain: &Captain, task: &str, after: u64) -> Frames {
    let path = format!("/tasks/{task}:subscribe");
    let request = captain.api().request(Method::POST, &path);
    let request = request.header("Last-Event-ID", after).json(&json!({}));
    Frames::new(http::answer(request).await)
}

fn task_of(frames: &[Frame]) -> String {
    frames[0].data["task"]["id"].as_str().unwrap().to_owned()
}

/// The text of a status event; empty for others.
fn text(frame: &Frame) -> &str {
    let message = &frame.data["statusUpdate"]["status"]["message"];
    message["parts"][0]["text"].as_str().unwrap_or_default()
}

fn state(frame: &Frame) -> &str {
    let state = &frame.data["statusUpdate"]["status"]["state"];
    state.as_str().unwrap_or_default()
}

/// The chunks of an artifact, which must begin, go on and end.
fn chunks<'a>(frames: &'a [Frame], id: &str) -> Vec<&'a Value> {
    let updates = frames.iter().map(|frame| &frame.data["artifactUpdate"]);
    let chunks: Vec<&Value> = updates
        .filter(|update| update["artifact"]["artifactId"] == id)
        .collect();
    for (at, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk["append"] == true, at > 0, "{id}");
        assert_eq!(chunk["lastChunk"] == true, at + 1 == chunks.len(), "{id}");
    }
    chunks
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_captain_tells_its_client_everything_once() {
    let mut captain = CaptainBuilder::scripted().start().await;
    // The file is large enough for several chunks and small enough to come inline.
    let script =
        "say one\nsleep 4000\nsay two\nrun head -c 200000 /dev/zero > big.bin\nwrite out.txt hello";
    let mut events = stream(&captain, &message("m-1", script)).await;
    let mut seen = Vec::new();
    while !seen
        .last()
        .is_some_and(|frame: &Frame| text(frame).starts_with("one"))
    {
        seen.push(events.next(JOB).await.expect("the agent says one"));
    }
    let id = task_of(&seen);
    captain.kill_hard();
    // What was on its way still comes.
    while let Some(frame) = events.next(SOON).await {
        seen.push(frame);
    }
    captain.restart().await;
    let last = seen.last().and_then(|frame| frame.id).unwrap();
    seen.extend(resume(&captain, &id, last).await.rest(JOB).await);

    let ids: Vec<u64> = seen.iter().filter_map(|frame| frame.id).collect();
    let expected: Vec<u64> = (1..=u64::try_from(ids.len()).unwrap()).collect();
    assert_eq!(ids, expected, "nothing twice, nothing left out");
    for word in ["one", "two"] {
        let said = seen.iter().filter(|frame| text(frame).trim() == word);
        assert_eq!(said.count(), 1, "{word}");
    }
    assert_eq!(state(seen.last().unwrap()), "TASK_STATE_COMPLETED");

    // The task tells the job's log, and nothing of it twice.
    let places: Vec<(u64, u64)> = seen
        .iter()
        .filter_map(|frame| {
            let event = frame.data.as_object()?.values().next()?;
            let data = &event["metadata"][JOB_URI];
            Some((data["seq"].as_u64()?, data["piece"].as_u64().unwrap_or(0)))
        })
        .collect();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    let job = captain.job(&id).await;
    assert_eq!(job["state"], "completed");
    assert_eq!(job["subtasks"][0]["attempt"], 1, "nothing ran twice");
    let jobs_events = captain.events(&id, None).await.rest(SOON).await;
    assert_eq!(
        places.last().map(|place| place.0),
        jobs_events.last().and_then(|frame| frame.id)
    );

    assert_eq!(
        chunks(&seen, "file:big.bin").len(),
        200_000_usize.div_ceil(64 * 1024)
    );
    assert_eq!(
        chunks(&seen, "file:out.txt")[0]["artifact"]["parts"][0]["raw"],
        "aGVsbG8K"
    );
    assert_eq!(chunks(&seen, "patch").len(), 1);
    let archive = &chunks(&seen, "archive")[0]["artifact"]["parts"][0]["url"];
    let url = archive.as_str().unwrap();
    assert!(
        url.ends_with(&format!("/jobs/{id}/artifacts/result.tar.gz")),
        "{url}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_reaches_the_agent_that_asks() {
    let captain = CaptainBuilder::scripted().start().await;
    let task = send(
        &captain,
        &message("m-1", "input which colour?\nwrite end.txt done"),
    )
    .await;
    assert_eq!(
        task["status"]["state"], "TASK_STATE_INPUT_REQUIRED",
        "{task:#}"
    );
    let question = task["status"]["message"]["parts"][0]["text"]
        .as_str()
        .unwrap();
    assert_eq!(question, "task asks: which colour?");
    let id = task["id"].as_str().unwrap();
    assert_eq!(
        captain.job(id).await["subtasks"][0]["state"],
        "input_required"
    );

    let task = send(&captain, &follow_up(id, "m-2", "write answer.txt blue")).await;
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED", "{task:#}");
    assert_eq!(captain.file(id, "answer.txt").await, b"blue\n");
    assert_eq!(captain.file(id, "end.txt").await, b"done\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_over_rest_and_command_line_reaches_the_agent() {
    let captain = CaptainBuilder::scripted().start().await;
    let id = captain.submit_prompt("input first?\ninput second?").await;
    let asks = |question: &'static str| {
        move |job: &Value| job["subtasks"][0]["message"].as_str() == Some(question)
    };
    captain
        .until(&id, "the first question", asks("first?"))
        .await;
    let reply = json!({"text": "write first.txt 1"});
    let path = format!("/jobs/{id}/reply");
    http::json(captain.api().post_raw(&path, &reply).await, StatusCode::OK).await;
    captain
        .until(&id, "the second question", asks("second?"))
        .await;
    let command = captain.cli(&["reply", &id, "write second.txt 2"]);
    assert_eq!(run(command, SOON).await.exits(0).stdout, "taken\n");
    captain.ends(&id, "completed", JOB).await;
    assert_eq!(captain.file(&id, "first.txt").await, b"1\n");
    assert_eq!(captain.file(&id, "second.txt").await, b"2\n");
    let late = run(captain.cli(&["reply", &id, "too late"]), SOON).await;
    let _ = late
        .exits(64)
        .says(&["to send it a message is not possible"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn question_survives_a_killed_captain() {
    let mut captain = CaptainBuilder::scripted().start().await;
    let task = send(
        &captain,
        &message("m-1", "input which colour?\nwrite end.txt done"),
    )
    .await;
    let id = task["id"].as_str().unwrap();
    captain.kill_hard();
    captain.restart().await;
    let task = send(&captain, &follow_up(id, "m-2", "write answer.txt blue")).await;
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED", "{task:#}");
    assert_eq!(captain.file(id, "answer.txt").await, b"blue\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_task_has_no_process_left_when_the_answer_comes() {
    let captain = CaptainBuilder::scripted().start().await;
    let script = format!("run sh -c 'while :; do sleep 1; done' {LOOP}");
    let mut events = stream(&captain, &message("m-1", &script)).await;
    let first = events.next(SOON).await.unwrap();
    let id = task_of(&[first]);
    captain.until_process(&id, LOOP).await;
    let path = format!("/tasks/{id}:cancel");
    let answer = captain.api().post_raw(&path, &json!({})).await;
    let task = http::json(answer, StatusCode::OK).await;
    assert_eq!(task["status"]["state"], "TASK_STATE_CANCELED", "{task:#}");
    assert!(tree::with_marker(LOOP).is_empty(), "nothing of it runs");
    assert_eq!(captain.job(&id).await["state"], "cancelled");
    let rest = events.rest(SOON).await;
    assert_eq!(state(rest.last().unwrap()), "TASK_STATE_CANCELED");
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_talks_to_a_captain() {
    let captain = CaptainBuilder::scripted().start().await;
    let url = captain.api().url().to_owned();
    let cli = async |args: &[&str]| run(captain.cli(args), JOB).await;

    let card = cli(&["a2a", "card", &url]).await.exits(0);
    for part in ["captain ", "JSONRPC 1.0", "HTTP+JSON 1.0", "skill job:"] {
        assert!(card.stdout.contains(part), "{part} in {}", card.stdout);
    }
    let told = cli(&["a2a", "stream", &url, "say hello\nwrite a.txt x"])
        .await
        .exits(0);
    for part in [
        "hello",
        "the job is done: 1 file changed",
        "made a.txt  2 B",
    ] {
        assert!(told.stdout.contains(part), "{part} in {}", told.stdout);
    }
    for binding in ["jsonrpc", "http+json"] {
        let args = [
            "a2a",
            "send",
            &url,
            "write a.txt x",
            "--binding",
            binding,
            "--json",
        ];
        let sent = cli(&args).await.exits(0);
        let sent: Value = serde_json::from_str(sent.stdout.trim()).unwrap();
        assert_eq!(
            sent["task"]["status"]["state"], "TASK_STATE_COMPLETED",
            "{binding}"
        );
    }
    let failed = cli(&["a2a", "send", &url, "fail no luck"]).await.exits(1);
    assert!(failed.stderr.contains("no luck"), "{}", failed.stderr);
    let listed = cli(&["a2a", "list", &url, "--json"]).await.exits(0);
    assert_eq!(listed.stdout.lines().count(), 4);
    let one = cli(&["a2a", "list", &url, "--limit", "1", "--state", "completed"])
        .await
        .exits(0);
    assert_eq!(one.stdout.lines().count(), 1, "{}", one.stdout);

    let plan = captain.folder().join("plan.toml");
    let text = "[[subtasks]]\nid = \"a\"\nprompt = \"hang\"\n";
    std::fs::write(&plan, text).unwrap();
    let plan = plan.display().to_string();
    let begun = [
        "a2a",
        "send",
        &url,
        "hang on",
        "--file",
        &plan,
        "--return-immediately",
    ];
    let begun = cli(&begun).await.exits(0);
    let task = begun.stdout.split_whitespace().next().unwrap().to_owned();
    assert!(
        begun
            .stderr
            .contains(&format!("captain a2a subscribe {url}")),
        "{}",
        begun.stderr
    );
    let shown = cli(&["a2a", "get", &url, &task]).await.exits(0);
    assert!(shown.stdout.contains("you: hang on"), "{}", shown.stdout);
    let cancelled = cli(&["a2a", "cancel", &url, &task]).await.exits(0);
    assert!(
        cancelled.stdout.contains("cancelled"),
        "{}",
        cancelled.stdout
    );
    let followed = cli(&["a2a", "subscribe", &url, &task, "--after", "1", "--json"]).await;
    let followed = followed.exits(1);
    assert!(followed.stdout.lines().count() > 3, "{}", followed.stdout);

    let wrong = "0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01";
    let nowhere = "http://127.0.0.1:1/";
    for (args, code, says) in [
        (&["get", &url, wrong][..], 64, "does not exist"),
        (
            &["get", &url, &task, "--token", "wrong"],
            77,
            "--token-file",
        ),
        (&["get", &url, &task, "--binding", "pigeon"], 2, "pigeon"),
        (
            &["get", &url, &task, "--protocol", "7.0"],
            69,
            "does not offer that",
        ),
        (&["card", nowhere], 69, "cannot reach the agent"),
    ] {
        let args: Vec<&str> = ["a2a"].iter().chain(args).copied().collect();
        let _ = cli(&args).await.exits(code).says(&[says]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_talks_to_a_worker() {
    let worker = WorkerBuilder::scripted().start().await;
    let captain = CaptainBuilder::scripted();
    let token = captain.folder().join("token");
    daemon::state::write_private(&token, worker.token(&[]).await.as_bytes()).unwrap();
    let url = worker.api().url().to_owned();
    let home = captain.folder().to_owned();
    let cli = async |args: &[&str]| {
        let mut command = e2e::process::command(&e2e::programs::captain(), &home);
        command.args(args).arg("--token-file").arg(&token);
        run(command, JOB).await
    };
    let told = cli(&["a2a", "stream", &url, "say hello\ninput why?"])
        .await
        .exits(0);
    assert!(told.stdout.contains("hello"), "{}", told.stdout);
    assert!(
        told.stderr
            .contains("waits for an answer: captain a2a stream"),
        "{}",
        told.stderr
    );
    let listed = cli(&["a2a", "list", &url, "--json"]).await.exits(0);
    let task: Value = serde_json::from_str(listed.stdout.trim()).unwrap();
    let id = task["id"].as_str().unwrap();
    let told = cli(&["a2a", "send", &url, "--task", id, "say because"])
        .await
        .exits(0);
    assert!(told.stdout.contains("completed"), "{}", told.stdout);
    until_true("the worker to be there still", SOON, || {
        worker.process.identity().is_alive()
    })
    .await;
}

//! A worker with the scripted agent, used as a client uses it: tasks, streams, artifacts, cancel, restart. The sandbox
//! and the workspace are real.

use crate::common::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

fn raw(artifact: &Value) -> String {
    String::from_utf8(
        STANDARD
            .decode(artifact["parts"][0]["raw"].as_str().unwrap())
            .unwrap(),
    )
    .unwrap()
}

/// The example of the original design: `POST /tasks/send` answering an event stream, then `GET /tasks/{id}`.
#[tokio::test]
async fn the_original_example_works() {
    let home = Home::new();
    let worker = home.scripted();
    let body = json!({ "id": "task-1", "message": { "role": "user", "parts": [{ "type": "text", "text": "say Hello\nwrite hello.txt hi" }] } });
    let client = Worker::client();
    let answer = client
        .post(format!("{}/tasks/send", worker.url))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .split(';')
            .next(),
        Some("text/event-stream")
    );
    let text = answer.text().await.unwrap();
    for expected in [
        "event: task.status",
        "event: task.message",
        "event: task.artifact",
        "\"completed\"",
        "Hello",
        "id: ",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let task: Value = client
        .get(format!("{}/tasks/task-1", worker.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(task["status"]["state"], "completed");
    assert!(
        task["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|artifact| artifact["name"] == "hello.txt"),
        "{task}"
    );
    let card: Value = client
        .get(format!("{}/.well-known/agent.json", worker.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(card["name"], "test-1");
}

#[tokio::test]
async fn a_task_streams_activity_and_ends_with_files_patch_bundle_and_result() {
    let home = Home::new();
    let worker = home.scripted();
    let script = "think first look\nsay I begin.\nwrite src/a.txt <<END\none\ntwo\nEND\nrun echo out; echo err >&2; touch 'made by run'\nsay All done.";
    let events = worker.stream(message(script)).await;
    assert_eq!(activity(&events, "thought")[0]["delta"], "first look");
    assert_eq!(text(&events), "I begin.\nAll done.\n");
    assert_eq!(output(&events), "out\nerr\n");
    let mut states: Vec<&Value> = activity(&events, "tool")
        .iter()
        .map(|tool| &tool["state"])
        .collect();
    // How many pieces the output comes in is the system's choice.
    states.dedup();
    assert_eq!(
        states,
        ["pending", "completed", "pending", "running", "completed"]
    );
    let artifacts = artifacts(&events);
    assert_eq!(
        artifacts.keys().collect::<Vec<_>>(),
        ["bundle", "file:made by run", "file:src/a.txt", "patch"]
    );
    assert_eq!(raw(&artifacts["file:src/a.txt"]), "one\ntwo\n");
    assert!(raw(&artifacts["patch"]).contains("+++ b/src/a.txt"));
    let last = last_status(&events);
    assert_eq!(last["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(last["status"]["message"]["parts"][0]["text"], "All done.");
    let result = &last["metadata"]["urn:flotilla:ext:result:v1"];
    assert_eq!(
        (&result["stopReason"], &result["steps"]),
        (&"end_turn".into(), &2.into())
    );
    assert!(
        result["commit"].as_str().unwrap().len() == 40 && result["commit"] != result["baseCommit"]
    );
    // Activity never fills the history.
    let task = worker.task(last["taskId"].as_str().unwrap()).await;
    assert!(
        task["history"]
            .as_array()
            .is_none_or(|history| history.len() <= 2),
        "{}",
        task["history"]
    );
}

#[tokio::test]
async fn follow_ups_in_a_context_continue_the_session_and_other_contexts_do_not() {
    let home = Home::new();
    let worker = home.scripted();
    let first = worker
        .stream(message("say remember me\nwrite a.txt 1"))
        .await;
    let context = last_status(&first)["contextId"].clone();
    let second = worker
        .stream(follow_up("recall\nwrite b.txt 2", "contextId", &context))
        .await;
    assert_eq!(
        text(&second),
        "turn 2 of this session; the first message was: say remember me\n"
    );
    assert_eq!(
        artifacts(&second).keys().collect::<Vec<_>>(),
        ["bundle", "file:b.txt", "patch"]
    );
    let other = worker.stream(message("recall")).await;
    assert!(text(&other).starts_with("turn 1 "), "{}", text(&other));
    // A context of the same name that belongs to another tenant is another one.
    let foreign = follow_up("recall", "contextId", &context);
    let foreign = worker.stream_for("acme", foreign).await;
    assert!(text(&foreign).starts_with("turn 1 "), "{}", text(&foreign));
}

#[tokio::test]
async fn a_question_waits_for_its_answer_and_the_task_goes_on() {
    let home = Home::new();
    let worker = home.scripted();
    let id = worker
        .begin(message("write a.txt 1\ninput Which colour?\nsay thank you"))
        .await;
    let task = worker.wait_for(&id, "TASK_STATE_INPUT_REQUIRED").await;
    assert_eq!(
        task["status"]["message"]["parts"][0]["text"],
        "Which colour?"
    );
    let events = worker
        .stream(follow_up(
            "say blue it is\nwrite b.txt 2",
            "taskId",
            &json!(id),
        ))
        .await;
    assert_eq!(text(&events), "blue it is\nthank you\n");
    // Both turns are this task's work.
    assert_eq!(
        artifacts(&events).keys().collect::<Vec<_>>(),
        ["bundle", "file:a.txt", "file:b.txt", "patch"]
    );
}

#[tokio::test]
async fn a_message_to_a_working_task_is_taken_up_before_the_task_ends() {
    let home = Home::new();
    let worker = home.scripted();
    let id = worker.begin(message("say first\nsleep 700")).await;
    worker.wait_for(&id, "TASK_STATE_WORKING").await;
    let events = worker
        .stream(follow_up("recall", "taskId", &json!(id)))
        .await;
    assert!(
        text(&events).contains("turn 2 of this session"),
        "{}",
        text(&events)
    );
    assert_eq!(
        last_status(&events)["status"]["state"],
        "TASK_STATE_COMPLETED"
    );
}

#[tokio::test]
async fn failure_has_the_agents_words_and_keeps_what_was_done() {
    let home = Home::new();
    let worker = home.scripted();
    let events = worker
        .stream(message("write half.txt done\nfail out of ideas"))
        .await;
    let last = last_status(&events);
    assert_eq!(last["status"]["state"], "TASK_STATE_FAILED");
    assert_eq!(
        last["status"]["message"]["parts"][0]["text"],
        "out of ideas"
    );
    assert!(artifacts(&events).contains_key("file:half.txt"));
}

#[tokio::test]
async fn large_results_are_fetched_in_ranges_by_their_owner_only() {
    let home = Home::new();
    let mut worker = home.serve(&["--driver", "scripted"]);
    worker.token = Some(token(&home, "alice"));
    let events = worker
        .stream(message("run seq 1 100000 > 'big file.txt'"))
        .await;
    let artifacts = artifacts(&events);
    let url = artifacts["file:big file.txt"]["parts"][0]["url"]
        .as_str()
        .unwrap();
    assert!(
        url.starts_with(&worker.url) && url.ends_with("/big%20file.txt"),
        "{url}"
    );
    let whole = worker.request("GET", url).send().await.unwrap();
    assert_eq!(whole.headers()["content-disposition"], "attachment");
    let whole = whole.text().await.unwrap();
    assert_eq!(whole.len(), 588_895);

    for (range, status, content_range, expected) in [
        ("bytes=0-3", 206, "bytes 0-3/588895", &whole[..4]),
        (
            "bytes=588890-",
            206,
            "bytes 588890-588894/588895",
            &whole[588_890..],
        ),
        (
            "bytes=-7",
            206,
            "bytes 588888-588894/588895",
            &whole[588_888..],
        ),
        (
            "bytes=588890-999999",
            206,
            "bytes 588890-588894/588895",
            &whole[588_890..],
        ),
        ("bytes=588895-", 416, "bytes */588895", ""),
        ("bytes=5-2", 200, "", &whole),
        ("lines=1-2", 200, "", &whole),
    ] {
        let answer = worker
            .request("GET", url)
            .header("Range", range)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{range}");
        let header = answer
            .headers()
            .get("content-range")
            .map_or("", |value| value.to_str().unwrap());
        assert_eq!(header, content_range, "{range}");
        assert!(answer.text().await.unwrap() == expected, "{range}");
    }

    worker.token = Some(token(&home, "bob"));
    assert_eq!(
        worker.request("GET", url).send().await.unwrap().status(),
        404
    );
    worker.token = None;
    assert_eq!(
        worker.request("GET", url).send().await.unwrap().status(),
        401
    );
    assert_eq!(
        worker
            .request("POST", "/message:send")
            .json(&json!({ "message": message("x") }))
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    worker.token = Some("x.y.z".to_owned());
    assert_eq!(
        worker
            .request("GET", "/tasks")
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    // The card needs no token, and says that everything else does.
    worker.token = None;
    let card = worker.get("/.well-known/agent-card.json").await;
    assert!(card["securitySchemes"]["bearer"].is_object(), "{card}");
}

fn token(home: &Home, subject: &str) -> String {
    let output = home
        .command("token")
        .args(["--subject", subject])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_workspace_with_a_repository_gives_commits_on_top_of_its_head() {
    let home = Home::new();
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        let output = command
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(arguments)
            .current_dir(home.workspace())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["commit", "-q", "--allow-empty", "-m", "start"]);
    let head = git(&["rev-parse", "HEAD"]);
    let worker = home.scripted();
    let events = worker
        .stream(message(
            "run git log --oneline; git config core.fsmonitor 'touch /tmp/never'\nwrite x.txt 1",
        ))
        .await;
    let bundle = artifacts(&events)["bundle"].clone();
    assert_eq!(bundle["metadata"]["prerequisite"], json!(head));
    assert_eq!(bundle["parts"][0]["mediaType"], "application/x-git-bundle");
    let file = home.path("result.bundle");
    std::fs::write(
        &file,
        STANDARD
            .decode(bundle["parts"][0]["raw"].as_str().unwrap())
            .unwrap(),
    )
    .unwrap();
    git(&["config", "--unset", "core.fsmonitor"]);
    git(&[
        "fetch",
        "-q",
        file.to_str().unwrap(),
        "refs/heads/flotilla/result:refs/heads/result",
    ]);
    assert_eq!(git(&["rev-parse", "result~1"]), head);
    assert_eq!(git(&["show", "result:x.txt"]), "1");
}

#[tokio::test]
async fn many_pieces_arrive_whole_and_in_order() {
    let home = Home::new();
    let worker = home.scripted();
    let events = worker.stream(message("spam 5000")).await;
    let expected: String = (1..=5000)
        .map(|number| format!("chunk {number}\n"))
        .collect();
    assert!(text(&events) == expected);
}

#[tokio::test]
async fn unusable_messages_are_refused_before_a_task_is_made() {
    let home = Home::new();
    let worker = home.scripted();
    for parts in [
        json!([{ "raw": "aGk=", "mediaType": "image/png" }]),
        json!([{ "text": "  " }]),
    ] {
        let message = json!({ "messageId": "m", "role": "ROLE_USER", "parts": parts });
        let answer = worker
            .request("POST", "/message:send")
            .json(&json!({ "message": message }))
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_client_error(),
            "{parts}: {}",
            answer.status()
        );
    }
    assert_eq!(worker.get("/tasks").await["tasks"], json!([]));
}

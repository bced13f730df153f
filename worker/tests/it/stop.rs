//! Everything that ends work: cancel, watchdogs, signals, the time to live, `kill -9`. What counts is what is left: no process,
//! and a task whose state is the truth.

use pretty_assertions::assert_eq;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::*;

#[tokio::test]
async fn cancel_kills_everything_before_it_says_so() {
    let home = Home::new();
    let worker = home.scripted();
    let marker = format!("31{:07}", std::process::id());
    // The second process leaves its session and ignores polite signals.
    let id = worker
        .begin(message(&format!(
            "run setsid sh -c \"trap '' TERM HUP; sleep {marker}.1\" & sleep {marker}.2"
        )))
        .await;
    until("both processes run", || {
        processes(&marker)
            .iter()
            .filter(|line| line.starts_with("sleep"))
            .count()
            == 2
    })
    .await;
    let answer: Value = worker
        .request("POST", &format!("/tasks/{id}:cancel"))
        .json(&json!({}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["status"]["state"], "TASK_STATE_CANCELED", "{answer}");
    assert_eq!(processes(&marker), Vec::<String>::new());
    // The worker works on.
    let events = worker.stream(message("say still here")).await;
    assert_eq!(text(&events), "still here\n");
}

#[tokio::test]
async fn a_waiting_task_can_be_cancelled_and_the_running_one_goes_on() {
    let home = Home::new();
    let worker = home.scripted();
    let first = worker.begin(message("hang")).await;
    worker.wait_for(&first, "TASK_STATE_WORKING").await;
    let second = worker.begin(message("say never")).await;
    let cancel = |id: String| {
        worker
            .request("POST", &format!("/tasks/{id}:cancel"))
            .json(&json!({}))
            .send()
    };
    assert!(cancel(second.clone()).await.unwrap().status().is_success());
    worker.wait_for(&second, "TASK_STATE_CANCELED").await;
    assert_eq!(
        worker.task(&first).await["status"]["state"],
        "TASK_STATE_WORKING"
    );
    assert!(cancel(first.clone()).await.unwrap().status().is_success());
    worker.wait_for(&first, "TASK_STATE_CANCELED").await;
}

#[tokio::test]
async fn kill_nine_leaves_no_process_and_a_restart_fails_the_task() {
    let home = Home::new();
    let mut worker = home.scripted();
    let marker = format!("32{:07}", std::process::id());
    let id = worker
        .begin(message(&format!("say begun\nrun setsid sleep {marker}")))
        .await;
    until("the process runs", || {
        !processes(&format!("sleep {marker}")).is_empty()
    })
    .await;
    worker.signal(Signal::KILL);
    assert_eq!(worker.exit_code(), None);
    until("nothing is left", || processes(&marker).is_empty()).await;

    let worker = home.scripted();
    let task = worker.task(&id).await;
    assert_eq!(task["status"]["state"], "TASK_STATE_FAILED");
    assert!(
        task["status"]["message"]["parts"][0]["text"]
            .as_str()
            .unwrap()
            .contains("restarted"),
        "{task}"
    );
}

#[tokio::test]
async fn a_term_signal_ends_agents_tasks_and_process() {
    let home = Home::new();
    let mut worker = home.scripted();
    let marker = format!("33{:07}", std::process::id());
    let id = worker.begin(message(&format!("run sleep {marker}"))).await;
    until("the process runs", || {
        !processes(&format!("sleep {marker}")).is_empty()
    })
    .await;
    assert!(home.path("state/endpoint.json").exists());
    worker.signal(Signal::TERM);
    assert_eq!(worker.exit_code(), Some(0));
    assert_eq!(processes(&marker), Vec::<String>::new());
    assert!(!home.path("state/endpoint.json").exists());
    let worker = home.scripted();
    let task = worker.task(&id).await;
    assert_eq!(task["status"]["state"], "TASK_STATE_FAILED", "{task}");
}

#[tokio::test]
async fn a_worker_ends_itself_when_its_time_is_over() {
    let mut home = Home::new();
    home.card["ttl_seconds"] = json!(1);
    let mut worker = home.scripted();
    worker.begin(message("hang")).await;
    assert_eq!(worker.exit_code(), Some(0));
}

#[tokio::test]
async fn time_and_silence_watchdogs_stop_a_turn_with_a_reason() {
    for (field, text) in [
        ("turn_seconds", "watchdog.turn_seconds"),
        ("silence_seconds", "without a sign of life"),
    ] {
        let mut home = Home::new();
        home.card["watchdog"] = json!({ field: 1 });
        let worker = home.scripted();
        let events = worker.stream(message("write a.txt 1\nhang")).await;
        let last = last_status(&events);
        assert_eq!(last["status"]["state"], "TASK_STATE_FAILED");
        let said = last["status"]["message"]["parts"][0]["text"]
            .as_str()
            .unwrap();
        assert!(said.contains(text), "{said}");
        assert!(artifacts(&events).contains_key("file:a.txt"));
    }
}

#[tokio::test]
async fn a_loop_of_steps_is_stopped() {
    let mut home = Home::new();
    home.card["watchdog"] = json!({ "max_steps": 3 });
    let worker = home.scripted();
    let events = worker.stream(message(&"run true\n".repeat(20))).await;
    let said = last_status(&events)["status"]["message"]["parts"][0]["text"]
        .as_str()
        .unwrap();
    assert!(said.starts_with("stopped after 3 steps"), "{said}");
}

#[tokio::test]
async fn a_full_line_is_told_to_come_back() {
    let home = Home::new();
    let worker = home.scripted();
    for _ in 0..17 {
        worker.begin(message("hang")).await;
    }
    let answer = worker
        .request("POST", "/message:send")
        .json(&json!({ "message": message("hang") }))
        .send()
        .await
        .unwrap();
    assert!(
        matches!(answer.status().as_u16(), 429 | 503),
        "{}",
        answer.status()
    );
    assert_eq!(answer.headers()["retry-after"], "10");
}

#[tokio::test]
async fn cancelling_a_task_that_waits_for_an_answer_ends_its_agent() {
    let home = Home::new();
    let worker = home.scripted();
    let id = worker.begin(message("input Go on?")).await;
    let task = worker.wait_for(&id, "TASK_STATE_INPUT_REQUIRED").await;
    let cancel = worker
        .request("POST", &format!("/tasks/{id}:cancel"))
        .json(&json!({}));
    assert!(cancel.send().await.unwrap().status().is_success());
    let events = worker
        .stream(follow_up("recall", "contextId", &task["contextId"]))
        .await;
    assert!(
        text(&events).starts_with("turn 1 "),
        "the old agent is still there: {}",
        text(&events)
    );
}

//! Cancel means stopped: the agent, its shell and everything the shell started are gone when the answer comes.

use e2e::{
    CaptainBuilder, Model, WorkerBuilder, http, tree,
    wait::{JOB, SOON, until_true},
};
use reqwest::StatusCode;
use serde_json::json;

/// Stands in the command line of the shell loop that the scenario starts.
const LOOP: &str = "flotilla-long-run";

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_job_leaves_no_process() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain.submit_prompt("run for a long time").await;
    captain.until_process(&id, LOOP).await;
    let before: Vec<_> = captain
        .workers()
        .iter()
        .flat_map(|w| tree::descendants(w.pid))
        .collect();
    assert!(
        before.len() > 3,
        "supervisor, sandbox, agent, shell: {before:?}"
    );

    let answer = captain
        .api()
        .post_raw(&format!("/jobs/{id}/cancel"), &json!({}))
        .await;
    assert!(answer.status().is_success(), "{}", answer.status());
    let job = captain.ends(&id, "cancelled", SOON).await;
    assert_eq!(job["subtasks"][0]["state"], "cancelled");
    until_true("all of it to be gone", SOON, || {
        before.iter().all(|p| !p.is_alive())
    })
    .await;
    assert!(tree::with_marker(LOOP).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_task_stops_its_shell_before_the_answer() {
    let model = Model::start().await;
    let worker = WorkerBuilder::opencode(&model).start().await;
    let mut events = worker.send("long", "run for a long time").await;
    until_true("the agent's shell", JOB, || {
        !tree::with_marker(LOOP).is_empty()
    })
    .await;

    let tasks = worker.api().get("/tasks").await;
    let id = tasks["tasks"][0]["id"].as_str().unwrap();
    let answer = worker
        .api()
        .post_raw(&format!("/tasks/{id}:cancel"), &json!({}))
        .await;
    let task = http::json(answer, StatusCode::OK).await;
    assert_eq!(task["status"]["state"], "TASK_STATE_CANCELED");
    assert!(tree::with_marker(LOOP).is_empty(), "gone before the answer");
    let mut last = None;
    while let Some(frame) = events.next(SOON).await {
        last = Some(frame);
    }
    assert_eq!(last.unwrap().data["status"], "canceled");
    assert!(worker.process.identity().is_alive(), "the worker lives on");
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_job_cannot_be_cancelled() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain.submit_prompt("just say pong").await;
    captain.ends(&id, "completed", JOB).await;
    let answer = captain
        .api()
        .post_raw(&format!("/jobs/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(captain.job(&id).await["state"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn daemon_of_an_agent_does_not_outlive_its_worker() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain
        .submit_prompt("leave a background process behind")
        .await;
    captain.ends(&id, "completed", JOB).await;
    until_true("the daemon to be gone", SOON, || {
        tree::with_marker("flotilla-left-behind").is_empty()
    })
    .await;
}

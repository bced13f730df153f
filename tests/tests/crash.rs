//! `kill -9` of each part in mid-task, and models that fail: nothing is left behind, nothing runs twice, the end is clear.

use e2e::{
    CaptainBuilder, Model, WorkerBuilder, tree,
    wait::{JOB, SOON, until_true},
    worker,
};
use rustix::process::Signal;
use serde_json::json;

const LOOP: &str = "flotilla-long-run";

#[tokio::test(flavor = "multi_thread")]
async fn killed_worker_leaves_no_process_and_a_clear_failure() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain.submit_prompt("run for a long time").await;
    captain.until_process(&id, LOOP).await;
    let supervisor = captain.workers().pop().unwrap();
    let all = tree::descendants(supervisor.pid);

    assert!(supervisor.signal(Signal::KILL).unwrap());
    until_true("everything in the sandbox to be gone", SOON, || {
        tree::with_marker(LOOP).is_empty() && all.iter().all(|p| !p.is_alive())
    })
    .await;
    let job = captain.ends(&id, "failed", SOON).await;
    let message = job["message"].as_str().unwrap();
    assert!(
        message.contains("subtask task failed: the worker is gone"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_captain_takes_its_workers_up_again() {
    let model = Model::start().await;
    let mut captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain.submit_prompt("fault: slow").await;
    let asked = || model.recorded().requests.iter().any(|r| r.script.is_some());
    captain.until(&id, "the model is asked", |_| asked()).await;
    let workers = captain.workers();
    assert_eq!(workers.len(), 1);

    captain.kill_hard();
    assert!(workers[0].is_alive(), "a worker outlives its captain");
    captain.restart().await;
    let job = captain.ends(&id, "completed", JOB).await;
    assert_eq!(job["subtasks"][0]["attempt"], 1, "nothing ran twice");

    let frames = captain.events(&id, None).await.rest(SOON).await;
    let ids: Vec<u64> = frames.iter().filter_map(|f| f.id).collect();
    let expected: Vec<u64> = (1..=u64::try_from(ids.len()).unwrap()).collect();
    assert_eq!(ids, expected, "one history without a gap");
    let text: String = frames.iter().map(|f| f.data.to_string()).collect();
    assert_eq!(text.matches("seven ").count(), 1, "every word once");
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_that_died_with_the_captain_is_found_dead() {
    let model = Model::start().await;
    let mut captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain.submit_prompt("run for a long time").await;
    captain.until_process(&id, LOOP).await;
    let workers = captain.workers();
    captain.kill_hard();
    for worker in &workers {
        assert!(worker.signal(Signal::KILL).unwrap());
    }
    captain.restart().await;
    captain.ends(&id, "failed", SOON).await;
    assert!(tree::with_marker(LOOP).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_agent_is_ended_by_its_step_limit() {
    let model = Model::start().await;
    let server = WorkerBuilder::opencode(&model)
        .card("watchdog", json!({"max_steps": 8}))
        .start()
        .await;
    for prompt in ["fault: no finish reason", "fault: never done"] {
        let frames = server
            .turn(prompt.rsplit(' ').next().unwrap(), prompt)
            .await;
        assert_eq!(worker::status(&frames), "failed", "{prompt}");
        let last = frames.last().unwrap().data.to_string();
        assert!(last.contains("steps"), "{last}");
    }
    let asked = model
        .recorded()
        .requests
        .iter()
        .filter(|r| r.script.is_some())
        .count();
    assert!(asked <= 2 * 10, "{asked} model calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_model_is_given_up() {
    let model = Model::start().await;
    let server = WorkerBuilder::opencode(&model)
        .card("watchdog", json!({"silence_seconds": 3}))
        .start()
        .await;
    let frames = server.turn("hang", "fault: hang").await;
    assert_eq!(worker::status(&frames), "failed");
    let last = frames.last().unwrap().data.to_string();
    assert!(
        last.contains("silen") || last.contains("sign of life"),
        "{last}"
    );
    assert!(server.process.identity().is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn model_that_fails_once_is_asked_again() {
    let model = Model::start().await;
    let server = WorkerBuilder::opencode(&model).start().await;
    for prompt in ["fault: busy once", "fault: cut once"] {
        let frames = server.turn(prompt.split(' ').nth(1).unwrap(), prompt).await;
        assert_eq!(worker::status(&frames), "completed", "{frames:?}");
    }
}

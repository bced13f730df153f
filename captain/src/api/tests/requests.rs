//! What is answered, and what is refused and how.

use pretty_assertions::assert_eq;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{TOKEN, World, json as body, world, world_with};
use crate::backend::contract;
use crate::engine::ports::{Backend as _, BackendError};

async fn refused(world: &World, path: &str, request: &Value) -> (u16, Value) {
    let (status, answer) = world.post(path, request).await;
    (status, answer["error"].clone())
}

#[tokio::test]
async fn job_is_taken_run_and_shown() {
    let world = world().await;
    let request = json!({"goal": "say hello"});
    let response = world
        .request(Method::POST, "/jobs")
        .json(&request)
        .send()
        .await
        .unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, job) = body(response).await;
    assert_eq!(status, 201);
    let id = job["id"].as_str().unwrap();
    assert_eq!(location, format!("/jobs/{id}"));
    let done = world.reaches(id, "completed").await;
    assert_eq!(done["goal"], "say hello");
    assert_eq!(done["subtasks"][0]["state"], "done");
    let (status, list) = world.get(&format!("/jobs/{id}/artifacts")).await;
    assert_eq!((status, &list["commit"]), (200, &done["result"]["commit"]));
    assert_eq!(list["files"], json!([]));
}

#[tokio::test]
async fn health_needs_no_token_and_everything_else_does() {
    let world = world().await;
    for path in ["/healthz", "/readyz"] {
        let response = world.anonymous(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
    for (token, challenge) in [
        (None, "Bearer"),
        (Some("wrong"), "Bearer error=\"invalid_token\""),
    ] {
        for path in ["/jobs", "/workers", "/jobs/x/events", "/jobs/x/nothing"] {
            let mut request = world.anonymous(Method::GET, path);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.headers()["www-authenticate"], challenge);
            let (status, answer) = body(response).await;
            assert_eq!(
                (status, &answer["error"]["code"]),
                (401, &json!("unauthenticated"))
            );
            assert!(!answer.to_string().contains(TOKEN));
        }
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_with_the_place() {
    let world = world().await;
    for (request, code, field) in [
        (json!({"goal": 7}), "invalid_request", "goal"),
        (
            json!({"goal": "x", "limits": {"max_parallel": "two"}}),
            "invalid_request",
            "limits.max_parallel",
        ),
        (
            json!({"goal": "x", "limits": {"time_seconds": -1}}),
            "invalid_request",
            "limits.time_seconds",
        ),
        (
            json!({"goal": "x", "agent": {"modell": "m"}}),
            "invalid_request",
            "agent.modell",
        ),
        (
            json!({"plan": {"subtasks": [{"id": "a"}]}}),
            "invalid_request",
            "plan.subtasks[0]",
        ),
        (
            json!({"goal": "x", "base": "main"}),
            "invalid_request",
            "base",
        ),
        (
            json!({"goal": "x", "planner": "magic"}),
            "invalid_request",
            "planner",
        ),
        (
            json!({"goal": "x", "repo": "relative/path"}),
            "invalid_request",
            "repo",
        ),
        (
            json!({"goal": "x", "repo": "/nowhere"}),
            "invalid_request",
            "repo",
        ),
        (json!({"goal": "  "}), "invalid_request", "goal"),
        (json!({}), "invalid_request", "goal"),
    ] {
        let (status, error) = refused(&world, "/jobs", &request).await;
        assert_eq!(
            (status, error["code"].as_str().unwrap()),
            (400, code),
            "{request}: {error}"
        );
        assert_eq!(error["details"][0]["field"], field, "{request}: {error}");
    }
    let (_, page) = world.get("/jobs").await;
    assert_eq!(page["jobs"], json!([]), "nothing is left of a refused job");
}

#[tokio::test]
async fn bad_plan_names_every_problem() {
    let world = world().await;
    let plan = json!({"subtasks": [
        {"id": "a", "prompt": "x", "depends_on": ["b"]},
        {"id": "b", "prompt": "x", "depends_on": ["a", "ghost"]},
    ]});
    let (status, error) = refused(&world, "/jobs", &json!({"plan": plan})).await;
    assert_eq!((status, &error["code"]), (400, &json!("invalid_request")));
    let text = error["details"].to_string();
    assert!(text.contains("ghost"), "{error}");
}

#[tokio::test]
async fn what_is_not_json_is_told_apart() {
    let world = world().await;
    let send = async |content_type: &'static str, text: &'static str| {
        let request = world
            .request(Method::POST, "/jobs")
            .header("content-type", content_type);
        let (status, answer) = body(request.body(text).send().await.unwrap()).await;
        (status, answer["error"]["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(
        send("application/json", "{\"goal\":").await,
        (400, "malformed_json".to_owned())
    );
    assert_eq!(
        send("application/json", "").await,
        (400, "malformed_json".to_owned())
    );
    assert_eq!(send("text/plain", "{}").await, (415, "not_json".to_owned()));
}

#[tokio::test]
async fn oversized_body_is_refused_with_the_limit() {
    let world = world().await;
    let (status, error) = refused(&world, "/jobs", &json!({"goal": "x".repeat(70_000)})).await;
    assert_eq!((status, &error["code"]), (413, &json!("too_large")));
    assert!(
        error["message"].as_str().unwrap().contains("65536"),
        "{error}"
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_answer_in_json() {
    let world = world().await;
    let (status, answer) = world.get("/jobs/x/nothing").await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &json!("unknown_path"))
    );
    let response = world.request(Method::PUT, "/jobs").send().await.unwrap();
    assert!(response.headers().contains_key("allow"));
    let (status, answer) = body(response).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (405, &json!("method_not_allowed"))
    );
}

#[tokio::test]
async fn other_peoples_jobs_do_not_exist() {
    let world = world().await;
    for path in [
        "/jobs/0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01",
        "/jobs/nonsense",
        "/jobs/..%2fetc/events",
        "/jobs/0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01/artifacts",
    ] {
        let (status, answer) = world.get(path).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (404, &json!("not_found")),
            "{path}"
        );
    }
    // The same captain, another caller.
    let job = world.submit("mine").await;
    world.reaches(&job, "completed").await;
    let theirs = world_with(|state| {
        state.auth = std::sync::Arc::new(a2a_proto::server::AnyCaller);
    })
    .await;
    let (_, page) = theirs.get("/jobs").await;
    assert_eq!(page["jobs"], json!([]));
}

#[tokio::test]
async fn lists_are_paged_newest_first() {
    let world = world().await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(world.submit(&format!("job {number}")).await);
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut path = "/jobs?limit=2".to_owned();
    loop {
        let (status, page) = world.get(&path).await;
        assert_eq!(status, 200);
        let jobs = page["jobs"].as_array().unwrap();
        assert!(jobs.len() <= 2);
        seen.extend(
            jobs.iter()
                .map(|job| job["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/jobs?limit=2&cursor={next}");
    }
    assert_eq!(seen, made);
    for query in [
        "limit=0",
        "limit=x",
        "limit=999",
        "state=odd",
        "cursor=odd",
        "page=2",
    ] {
        let (status, _) = world.get(&format!("/jobs?{query}")).await;
        assert_eq!(status, 400, "{query}");
    }
}

#[tokio::test]
async fn cancel_answers_when_nothing_runs_any_more() {
    let world = world().await;
    let job = world.submit("hang").await;
    world.reaches(&job, "running").await;
    let (status, view) = world.post(&format!("/jobs/{job}/cancel"), &json!({})).await;
    assert_eq!((status, &view["state"]), (200, &json!("cancelled")));
    assert!(world.backend.list().await.unwrap().is_empty());
    // Asking again changes nothing; a job that ended otherwise cannot be cancelled.
    let (status, _) = world.post(&format!("/jobs/{job}/cancel"), &json!({})).await;
    assert_eq!(status, 200);
    let done = world.submit("done").await;
    world.reaches(&done, "completed").await;
    let (status, answer) = world
        .post(&format!("/jobs/{done}/cancel"), &json!({}))
        .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (409, &json!("conflict"))
    );
}

#[tokio::test]
async fn result_of_an_unfinished_job_is_a_conflict() {
    let world = world().await;
    let job = world.submit("hang").await;
    for what in ["changes.patch", "result.tar.gz", "files/a.txt"] {
        let (status, answer) = world.get(&format!("/jobs/{job}/artifacts/{what}")).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (409, &json!("conflict")),
            "{what}"
        );
    }
    let (status, list) = world.get(&format!("/jobs/{job}/artifacts")).await;
    assert_eq!((status, &list["files"]), (200, &json!([])));
}

#[tokio::test]
async fn files_patch_and_archive_of_a_repository_are_served() {
    let world = world().await;
    let dir = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let status = std::process::Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(arguments)
            .current_dir(dir.path())
            .status()
            .unwrap();
        assert!(status.success());
    };
    git(&["init", "--quiet"]);
    std::fs::write(dir.path().join("a b.txt"), "hello\n").unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "start"]);
    let request = json!({"goal": "look", "repo": dir.path()});
    let (status, job) = world.post("/jobs", &request).await;
    assert_eq!(status, 201, "{job}");
    let id = job["id"].as_str().unwrap();
    world.reaches(id, "completed").await;
    let fetch = async |what: &str| {
        let path = format!("/jobs/{id}/artifacts/{what}");
        let response = world.request(Method::GET, &path).send().await.unwrap();
        let safe = response.headers()["x-content-type-options"].clone();
        assert_eq!(
            (response.status().as_u16(), safe.to_str().unwrap()),
            (200, "nosniff")
        );
        response.bytes().await.unwrap()
    };
    assert_eq!(&fetch("files/a%20b.txt").await[..], b"hello\n");
    assert_eq!(&fetch("changes.patch").await[..], b"");
    assert_eq!(fetch("result.tar.gz").await[..2], [0x1f, 0x8b]);
    for bad in [
        "files/none.txt",
        "files/..%2f..%2fetc%2fpasswd",
        "files/.git/config",
    ] {
        let (status, _) = world.get(&format!("/jobs/{id}/artifacts/{bad}")).await;
        assert_eq!(status, 404, "{bad}");
    }
}

#[tokio::test]
async fn workers_without_a_job_are_started_called_and_stopped() {
    let world = world().await;
    world.backend.next_endpoint("http://127.0.0.1:9");
    let (status, worker) = world.post("/workers", &json!({"agent_id": "hand"})).await;
    assert_eq!(
        (status, &worker["url"]),
        (201, &json!("http://127.0.0.1:9"))
    );
    let (status, again) = refused(&world, "/workers", &json!({"agent_id": "hand"})).await;
    assert_eq!((status, &again["code"]), (409, &json!("conflict")));
    let (status, token) = world.post("/workers/hand/token", &Value::Null).await;
    assert_eq!((status, &token["url"]), (200, &json!("http://127.0.0.1:9")));
    assert!(token["token"].as_str().unwrap().split('.').count() == 3);
    let (_, list) = world.get("/workers").await;
    assert_eq!(list["workers"][0]["state"], "running");
    let response = world
        .request(Method::DELETE, "/workers/hand")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 204);
    let (status, _) = world.get("/workers/hand").await;
    assert_eq!(status, 404);
    for (card, field) in [
        (json!({}), "agent_id"),
        (json!({"agent_id": 7}), "agent_id"),
        (json!({"agent_id": "Bad Id"}), "agent_id"),
        (json!({"agent_id": "x".repeat(64)}), "agent_id"),
    ] {
        let (status, error) = refused(&world, "/workers", &card).await;
        assert_eq!(
            (status, &error["details"][0]["field"]),
            (400, &json!(field)),
            "{card}"
        );
    }
}

#[tokio::test]
async fn failed_start_of_a_worker_says_why() {
    let world = world().await;
    world.backend.fail_next(BackendError::Refused {
        message: "the worker ended with exit code 69; its last words:\nno bubblewrap".to_owned(),
        source: None,
    });
    let (status, error) = refused(&world, "/workers", &json!({"agent_id": "hand"})).await;
    assert_eq!((status, &error["code"]), (502, &json!("worker_failed")));
    assert!(error["message"].as_str().unwrap().contains("no bubblewrap"));
}

#[tokio::test]
async fn worker_of_a_job_is_not_stopped_by_hand() {
    let world = world().await;
    let job = world.submit("hang").await;
    world.reaches_subtask(&job, "running").await;
    let (_, list) = world.get("/workers").await;
    assert_eq!(list["workers"][0]["job"], job);
    let path = format!("/workers/{}", list["workers"][0]["id"].as_str().unwrap());
    let response = world.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(response.status(), 409);
}

#[tokio::test]
async fn worker_of_somebody_elses_job_does_not_exist() {
    let world = world().await;
    let dir = tempfile::tempdir().unwrap();
    let spec = contract::spec(dir.path(), 1);
    world.backend.launch(&spec).await.unwrap();
    let path = format!("/workers/{}", spec.worker);
    assert_eq!(world.get(&path).await.0, 404);
    let (status, _) = world.post(&format!("{path}/token"), &Value::Null).await;
    assert_eq!(status, 404);
    let (_, list) = world.get("/workers").await;
    assert_eq!(list["workers"], json!([]));
}

//! The whole path: a goal goes in, merged files come out, through the real agent in the real sandbox.

use std::{collections::BTreeSet, fs, path::Path};

use e2e::{CaptainBuilder, Model, WorkerBuilder, process, programs, wait::JOB, worker};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn three_subtasks_become_one_tested_result() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let out = captain.folder().join("out");
    let plan = programs::project().join("examples/user-api.toml");
    let run = captain.cli(&[
        "run",
        "-f",
        plan.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    let finished = process::run(run, JOB).await.exits(0);

    let mut files = BTreeSet::new();
    for folder in ["", "users_api", "tests"] {
        for entry in fs::read_dir(out.join(folder)).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                files.insert(
                    Path::new(folder)
                        .join(entry.file_name())
                        .display()
                        .to_string(),
                );
            }
        }
    }
    let expected = [
        ".flotilla.json",
        ".gitignore",
        "README.md",
        "tests/__init__.py",
        "tests/test_users_api.py",
        "users_api/__init__.py",
        "users_api/__main__.py",
        "users_api/server.py",
        "users_api/store.py",
    ];
    assert_eq!(
        files,
        expected.map(str::to_owned).into(),
        "{}",
        finished.stdout
    );
    let mut tests = process::command(Path::new("/usr/bin/python3"), &out);
    let tests = tests.args(["-B", "-m", "unittest"]).output().unwrap();
    let said = String::from_utf8_lossy(&tests.stderr);
    assert!(
        tests.status.success() && said.contains("Ran 11 tests"),
        "{said}"
    );

    let recorded = model.recorded();
    assert_eq!(
        recorded.refused, 0,
        "the gateway puts the key into every request"
    );
    assert!(recorded.requests.iter().all(|r| r.key_ok == Some(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn goal_without_a_plan_is_one_subtask() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain
        .submit(&json!({"goal": "Write hello.txt please"}))
        .await;
    let job = captain.ends(&id, "completed", JOB).await;
    assert_eq!(job["subtasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(job["result"]["files"], json!(["hello.txt"]));
    assert_eq!(
        captain.file(&id, "hello.txt").await,
        b"hello from the rehearsal\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn job_starts_from_a_repository_and_leaves_it_alone() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let repo = captain.folder().join("repo");
    fs::create_dir(&repo).unwrap();
    let git = |args: &[&str]| {
        let mut git = process::command(Path::new("/usr/bin/git"), &repo);
        git.args(["-c", "user.name=e2e", "-c", "user.email=e2e@localhost"])
            .args(args);
        let output = git.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    fs::write(repo.join("colour.txt"), "blue\n").unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=colour"]);
    let before = git(&["for-each-ref"]);

    let job = json!({"goal": "turn three: change it to green", "repo": repo});
    let id = captain.submit(&job).await;
    let job = captain.ends(&id, "completed", JOB).await;
    assert_eq!(job["result"]["files"], json!(["colour.txt"]));
    assert_eq!(captain.file(&id, "colour.txt").await, b"green\n");
    assert_eq!(git(&["for-each-ref"]), before);
    assert_eq!(
        fs::read_to_string(repo.join("colour.txt")).unwrap(),
        "blue\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn conflict_fails_the_job_and_names_files_and_subtasks() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let plan = json!({"subtasks": [
        {"id": "left", "prompt": "conflict: write left into shared.txt"},
        {"id": "right", "prompt": "conflict: write right into shared.txt"},
    ]});
    let id = captain
        .submit(&json!({"goal": "conflict", "plan": plan}))
        .await;
    let job = captain.ends(&id, "failed", JOB).await;
    let message = job["message"].as_str().unwrap();
    for part in ["left", "right", "shared.txt"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_kind_come_back_as_they_are() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain.submit_prompt("make files of every kind").await;
    captain.ends(&id, "completed", JOB).await;
    assert_eq!(
        captain.file(&id, "a%20folder/deep/with%20space.txt").await,
        b"plain\n"
    );
    assert_eq!(captain.file(&id, "binary.bin").await, [0, 1, 0xff]);
    assert_eq!(captain.file(&id, "big.txt").await, vec![b'x'; 400_000]);
    assert_eq!(captain.file(&id, "empty.txt").await, b"");
    assert_eq!(captain.file(&id, "gr%C3%B6%C3%9Fe.txt").await, b"umlaut\n");

    let out = captain.folder().join("out");
    let fetch = captain.cli(&["artifacts", &id, "--out", out.to_str().unwrap()]);
    let _ = process::run(fetch, JOB).await.exits(0);
    let run = process::run(process::command(&out.join("run.sh"), captain.folder()), JOB).await;
    assert_eq!(run.exits(0).stdout, "run\n", "the executable bit is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn later_messages_continue_the_same_session() {
    let model = Model::start().await;
    let server = WorkerBuilder::opencode(&model).start().await;
    let first = server
        .turn("colours", "turn one: note the colour blue")
        .await;
    assert_eq!(worker::status(&first), "completed");
    let second = server.turn("colours-2", "turn two: which colour").await;
    assert_eq!(worker::status(&second), "completed");
    assert!(worker::said(&second).contains("It is blue."), "{second:?}");
    assert_eq!(
        fs::read_to_string(server.workspace().join("colour.txt")).unwrap(),
        "blue\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_output_is_seen_while_the_tool_runs() {
    let model = Model::start().await;
    let captain = CaptainBuilder::opencode(&model).start().await;
    let id = captain.submit_prompt("print slowly").await;
    let mut events = captain.events(&id, None).await;
    let mut seen_before_the_end = false;
    while let Some(frame) = events.next(JOB).await {
        let text = frame.data.to_string();
        seen_before_the_end |= text.contains("tick 2") && !text.contains("tick 6");
    }
    assert!(seen_before_the_end);
    captain.ends(&id, "completed", JOB).await;
}

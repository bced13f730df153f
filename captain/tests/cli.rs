//! The program from outside: what is printed where, and the exit codes that scripts rely on. The worker program is
//! `false` here, so every attempt fails at once; jobs that succeed are the end-to-end tests' matter.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by failing the test"
)]

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(30);

fn captain(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_captain"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("CAPTAIN_STATE_DIR", state)
        .current_dir(state);
    command
}

fn run(state: &Path, args: &[&str]) -> Output {
    captain(state)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Exit code, standard output, standard error.
fn told(state: &Path, args: &[&str]) -> (i32, String, String) {
    let output = run(state, args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A captain that is stopped when the test ends, however it ends.
struct Serving(Child);

impl Serving {
    fn start(state: &Path) -> Self {
        let mut command = captain(state);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--worker-bin",
            "/bin/false",
        ]);
        let child = command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let serving = Self(child);
        let start = Instant::now();
        while run(state, &["jobs"]).status.code() != Some(0) {
            assert!(start.elapsed() < DEADLINE, "the captain did not start");
        }
        serving
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_a_captain_the_user_is_told_what_to_do() {
    let dir = TempDir::new().unwrap();
    for args in [
        &["jobs"][..],
        &["watch", "x"],
        &["cancel", "x"],
        &["workers", "list"],
        &["submit", "x"],
    ] {
        let (code, out, err) = told(dir.path(), args);
        assert_eq!((code, out.as_str()), (69, ""), "{args:?}: {err}");
        assert_eq!(
            err,
            "error: no captain is running on this machine\nhint: start one with `captain serve`, or name another with --url\n"
        );
    }
    let (code, _, err) = told(dir.path(), &["jobs", "--url", "http://127.0.0.1:1"]);
    assert_eq!(code, 69, "{err}");
    assert!(
        err.starts_with("error: cannot reach the captain at http://127.0.0.1:1/: "),
        "{err}"
    );
    let (code, _, err) = told(dir.path(), &["token"]);
    assert_eq!(code, 69, "{err}");
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[test]
fn wrong_words_and_wrong_plans_have_their_codes() {
    let dir = TempDir::new().unwrap();
    std::fs::write(
        dir.path().join("bad.toml"),
        "[[subtasks]]\nid = \"a\"\npromt = \"x\"\n",
    )
    .unwrap();
    for (args, code, part) in [
        (&["frobnicate"][..], 2, "unrecognized subcommand"),
        (&["run"], 2, "required"),
        (
            &["run", "-f", "bad.toml"],
            64,
            "error: bad.toml:3:1: unknown field `promt`",
        ),
        (&["run", "-f", "none.md"], 64, "error: cannot read none.md"),
        (
            &["run", "x", "--worker-bin", "/nonexistent"],
            64,
            "error: setting worker_bin: there is no file /nonexistent",
        ),
        (
            &["run", "x", "--repo", "/nonexistent"],
            64,
            "error: cannot use the repository /nonexistent",
        ),
        (&["run", "x", "--log", "=="], 2, "error: log filter"),
        (
            &["artifacts", "x"],
            64,
            "error: there is no job \"x\" on this machine",
        ),
        (
            &["serve", "--listen", "0.0.0.0:0", "--no-auth"],
            64,
            "error: setting listen",
        ),
    ] {
        let (found, out, err) = told(dir.path(), args);
        assert_eq!((found, out.as_str()), (code, ""), "{args:?}: {err}");
        assert!(err.contains(part), "{args:?}: {err}");
    }
}

#[test]
fn a_foreign_folder_is_refused_before_the_work() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir(dir.path().join("out")).unwrap();
    std::fs::write(dir.path().join("out/mine"), "x").unwrap();
    let (code, out, err) = told(
        dir.path(),
        &["run", "x", "--out", "out", "--worker-bin", "/bin/false"],
    );
    assert_eq!((code, out.as_str()), (64, ""), "{err}");
    assert_eq!(
        err,
        "error: out holds files that did not come from a job: mine\n\
         hint: name an empty or new folder, or add --force to write there all the same\n"
    );
}

#[test]
fn a_job_of_an_own_captain_fails_with_its_reason() {
    let dir = TempDir::new().unwrap();
    let (code, out, err) = told(dir.path(), &["run", "Do it", "--worker-bin", "/bin/false"]);
    assert_eq!(code, 1, "{err}");
    assert!(
        out.contains("do-it: started\n") && out.contains("job: failed, because of do-it\n"),
        "{out}"
    );
    assert!(
        err.starts_with("error: the job failed: subtask do-it failed: the worker did not start"),
        "{err}"
    );
    assert!(
        !dir.path().join("endpoint.json").exists(),
        "the captain has left"
    );

    let (code, out, _) = told(
        dir.path(),
        &["run", "Do it", "--worker-bin", "/bin/false", "--json"],
    );
    assert_eq!(code, 1);
    let events: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(events.last().unwrap()["event"]["type"], "job.failed");

    let (code, out, err) = told(
        dir.path(),
        &["run", "Do it", "--worker-bin", "/bin/false", "-q"],
    );
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
}

#[test]
fn a_running_captain_is_found_and_asked() {
    let dir = TempDir::new().unwrap();
    let state = dir.path();
    let _serving = Serving::start(state);
    let (code, out, err) = told(state, &["submit", "# Shop\n- Cart\n- Tests (after: cart)"]);
    assert_eq!(code, 0, "{err}");
    let job = out.trim();
    let (code, out, err) = told(state, &["watch", job]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("plan: tests: Tests (after cart)\n"), "{out}");
    assert!(
        out.contains("tests: skipped, because cart failed\n"),
        "{out}"
    );
    let last = told(state, &["watch", job, "--json"])
        .1
        .lines()
        .count()
        .to_string();
    let (_, out, _) = told(
        state,
        &[
            "watch",
            job,
            "--json",
            "--after",
            &(last.parse::<u64>().unwrap() - 1).to_string(),
        ],
    );
    assert_eq!(out.lines().count(), 1, "{out}");
    assert_eq!(told(state, &["watch", job, "--after", "9999"]).0, 64);

    let (code, out, _) = told(state, &["jobs"]);
    assert!(
        code == 0
            && out.starts_with(job)
            && out.contains("  failed  ")
            && out.ends_with("  Shop\n"),
        "{out}"
    );
    let (code, out, _) = told(state, &["jobs", "--json"]);
    assert_eq!(
        (
            code,
            serde_json::from_str::<serde_json::Value>(&out).unwrap()["id"].as_str()
        ),
        (0, Some(job))
    );

    let (code, _, err) = told(state, &["watch", "nope"]);
    assert_eq!(
        (code, err.as_str()),
        (64, "error: there is no job \"nope\"\n")
    );
    let (code, _, err) = told(state, &["jobs", "--token", "wrong", "--url", &url(state)]);
    assert_eq!(code, 77, "{err}");
    let (code, out, _) = told(state, &["token"]);
    assert!(code == 0 && out.trim().len() >= 16);
    let (code, _, err) = told(
        state,
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--worker-bin",
            "/bin/false",
        ],
    );
    assert!(
        code == 69 && err.contains("another captain uses the state folder"),
        "{err}"
    );
}

fn url(state: &Path) -> String {
    let text = std::fs::read(state.join("endpoint.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&text).unwrap()["url"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    let dir = TempDir::new().unwrap();
    let mut command = captain(dir.path());
    command
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    child.wait().unwrap();
    assert_eq!(err, "");
}

#[test]
fn man_pages_and_completions_are_written() {
    let dir = TempDir::new().unwrap();
    assert_eq!(told(dir.path(), &["man", "pages/man1"]).0, 0);
    let page = std::fs::read_to_string(dir.path().join("pages/man1/captain-run.1")).unwrap();
    assert!(page.contains("Ctrl\\-C"), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = told(dir.path(), &["completions", shell]);
        assert!(code == 0 && out.contains("artifacts"), "{shell}");
    }
}

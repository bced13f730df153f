//! `worker launch`, `list`, `stop` and `doctor`, run as programs: streams, exit codes, time to live, terminal, and who may run at
//! the same time.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use pretty_assertions::assert_eq;
use tempfile::TempDir;

struct Bench {
    folder: TempDir,
    card: PathBuf,
}

fn bench(more: &str) -> Bench {
    let folder = TempDir::new().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let card = root.join("card.json");
    let workspace = root.join("workspace");
    std::fs::write(
        &card,
        format!(r#"{{"agent_id": "alpha-1", "workspace": {workspace:?}{more}}}"#),
    )
    .unwrap();
    Bench { folder, card }
}

impl Bench {
    fn worker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .args(arguments);
        command
    }

    fn launch(&self, words: &[&str]) -> Command {
        let mut command = self.worker(&["launch", self.card.to_str().unwrap(), "--"]);
        command.args(words).stdin(Stdio::null());
        command
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn result(output: &Output) -> (Option<i32>, &str, &str) {
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn streams_and_exit_code_are_passed_through() {
    let bench = bench("");
    let output = bench
        .launch(&[
            "sh",
            "-c",
            "echo out; echo err >/dev/stderr; pwd > made; exit 7",
        ])
        .output()
        .unwrap();
    assert_eq!(result(&output), (Some(7), "out\n", "err\n"));
    assert_eq!(
        std::fs::read_to_string(bench.folder.path().join("workspace/made")).unwrap(),
        "/workspace\n"
    );

    let mut cat = bench
        .launch(&["cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    cat.stdin.take().unwrap().write_all(b"through\n").unwrap();
    assert_eq!(
        result(&cat.wait_with_output().unwrap()),
        (Some(0), "through\n", "")
    );
}

#[test]
fn output_to_a_file_can_be_opened_anew_inside() {
    let bench = bench("");
    let log = bench.folder.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let status = bench
        .launch(&["sh", "-c", "echo one; echo two > /dev/stdout"])
        .stdout(file)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(log).unwrap(), "one\ntwo\n");
}

#[test]
fn a_terminal_is_a_terminal_inside_and_not_the_users() {
    if !Path::new("/usr/bin/script").exists() {
        return;
    }
    let bench = bench("");
    // Fields of /proc/PID/stat, proc(5): a session leader whose group is the terminal's foreground one.
    let inside = "test -t 0 && test -t 1 && stty size && \
        read pid comm state parent group session terminal foreground rest < /proc/self/stat && \
        test $pid = $session && test $group = $foreground && echo leader";
    let line = format!(
        "stty rows 40 cols 100; {} launch {} -- sh -c '{inside}'",
        env!("CARGO_BIN_EXE_worker"),
        bench.card.display()
    );
    let mut script = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("XDG_STATE_HOME", bench.folder.path().join("state"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Open to the end: at its end `script` types a character, whose echo would stand among the output.
    let _input = script.stdin.take();
    let output = script.wait_with_output().unwrap();
    assert!(
        text(&output.stdout).contains("40 100\r\nleader\r\n"),
        "{output:?}"
    );
}

#[test]
fn time_to_live_ends_it() {
    let bench = bench(r#", "ttl_seconds": 1"#);
    let output = bench.launch(&["sleep", "60"]).output().unwrap();
    assert_eq!(
        result(&output),
        (
            Some(124),
            "",
            "error: stopped after ttl_seconds = 1, as the agent ID card says\n"
        )
    );
}

#[test]
fn what_is_missing_is_told() {
    let bench = bench("");
    let output = bench.launch(&["no-such-program"]).output().unwrap();
    let (code, _, error) = result(&output);
    assert_eq!(code, Some(69));
    assert!(
        error.starts_with(
            "error: cannot start \"no-such-program\" inside the sandbox: No such file"
        ),
        "{error}"
    );

    let output = bench
        .launch(&["true"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let (code, _, error) = result(&output);
    assert_eq!(
        (code, error),
        (
            Some(69),
            "error: bubblewrap is not usable: no program bwrap in PATH (/nowhere)\nhint: install it, for example: sudo apt-get install bubblewrap\n"
        )
    );

    let output = bench
        .worker(&["launch", "/nowhere/card.json", "--", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let output = bench
        .worker(&["launch", "/nowhere/card.json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn list_shows_it_and_stop_ends_it_with_everything() {
    let bench = bench("");
    let mark = "720001";
    let script =
        format!("nohup setsid sleep {mark} >/dev/null 2>&1 & echo ready; exec sleep {mark}");
    let mut launch = bench
        .launch(&["sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(launch.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");

    let list = bench.worker(&["list", "--json"]).output().unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(
        (
            &list[0]["agent_id"],
            &list[0]["pid"],
            &list[0]["kind"],
            &list[0]["program"]
        ),
        (
            &"alpha-1".into(),
            &launch.id().into(),
            &"launch".into(),
            &"sh".into()
        )
    );
    let second = bench.launch(&["true"]).output().unwrap();
    assert_eq!(
        (second.status.code(), text(&second.stderr).lines().next()),
        (
            Some(69),
            Some("error: a worker with this agent_id is running already")
        )
    );

    let stop = bench.worker(&["stop", "alpha-1"]).output().unwrap();
    assert_eq!(result(&stop), (Some(0), "stopped alpha-1\n", ""));
    assert_eq!(launch.wait().unwrap().code(), Some(128 + 15));
    let left = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            std::fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
        });
    assert_eq!(left.count(), 0);
    assert_eq!(
        text(&bench.worker(&["list"]).output().unwrap().stdout),
        "no worker is running\n"
    );
    let again = bench.worker(&["stop", "alpha-1"]).output().unwrap();
    assert_eq!(
        result(&again),
        (
            Some(69),
            "",
            "error: no worker alpha-1 is running\nhint: `worker list` shows the workers that run\n"
        )
    );
    assert!(
        !bench
            .folder
            .path()
            .join("state/flotilla/workers/alpha-1/gateway.sock")
            .exists()
    );
}

#[test]
fn doctor_tells_each_layer_and_its_exit_code_is_the_answer() {
    let bench = bench("");
    let output = bench.worker(&["doctor", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["usable"], true, "{report}");
    let layers: Vec<&str> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["layer"].as_str())
        .collect();
    for layer in [
        "bubblewrap",
        "namespaces",
        "no_network",
        "seccomp",
        "landlock",
        "memory_limit",
        "git",
        "opencode",
    ] {
        assert!(layers.contains(&layer), "{layers:?}");
    }
    let without = bench
        .worker(&["doctor"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    assert_eq!(without.status.code(), Some(69));
    let first = text(&without.stdout).lines().next().unwrap_or_default();
    let words: Vec<&str> = first.split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "bubblewrap MISSING no program bwrap in PATH (/nowhere)"
    );
}

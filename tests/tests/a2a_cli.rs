//! `captain a2a` in every version and binding against both programs: the same commands, the same answers.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by failing the test"
)]

use std::path::Path;
use std::time::Duration;

use e2e::{
    CaptainBuilder, WorkerBuilder,
    process::{self, Finished},
    programs, run,
    wait::{JOB, SOON},
    webhook::Webhook,
};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

const LOOPBACK: &str = "127.0.0.1";
const VERSIONS: [&str; 2] = ["1.0", "0.3"];
const BINDINGS: [&str; 3] = ["jsonrpc", "http+json", "grpc"];

/// The command line against one agent over one binding of one version.
struct Line<'a> {
    home: &'a Path,
    url: &'a str,
    version: &'a str,
    binding: &'a str,
}

impl Line<'_> {
    /// Runs `captain a2a COMMAND URL …`, where `COMMAND` may be two words.
    async fn a2a(&self, command: &[&str], rest: &[&str]) -> Finished {
        let mut line = process::command(&programs::captain(), self.home);
        line.arg("a2a").args(command).arg(self.url).args(rest);
        line.args(["--protocol", self.version, "--binding", self.binding]);
        run(line, JOB).await
    }

    /// The same, and reads its one line of JSON.
    async fn json(&self, command: &[&str], rest: &[&str]) -> Value {
        let rest: Vec<&str> = rest.iter().copied().chain(["--json"]).collect();
        let told = self.a2a(command, &rest).await.exits(0);
        serde_json::from_str(told.stdout.trim()).unwrap()
    }

    fn what(&self) -> String {
        format!("{} {}", self.version, self.binding)
    }

    /// Everything that can be said to an agent that plays scripts.
    async fn all(&self) {
        let what = self.what();
        let sent = self.json(&["send"], &["say hello\nwrite a.txt x"]).await;
        let done = &sent["task"];
        assert_eq!(done["status"]["state"], "TASK_STATE_COMPLETED", "{what}");
        let id = done["id"].as_str().unwrap();
        let got = self.json(&["get"], &[id]).await;
        assert_eq!(got["id"], id, "{what}");
        assert_eq!(got["status"]["state"], "TASK_STATE_COMPLETED", "{what}");

        // Something new each time: an agent tells of what changed.
        let script = format!("say hello\nwrite b.txt {what}");
        let told = self.a2a(&["stream"], &[&script]).await.exits(0);
        assert!(told.stdout.contains("hello"), "{what}: {}", told.stdout);
        assert!(told.stdout.contains("b.txt"), "{what}: {}", told.stdout);

        let listed = self.a2a(&["list"], &["--json", "--limit", "2"]).await;
        match (self.version, self.binding) {
            ("0.3", "jsonrpc" | "grpc") => {
                let _ = listed.exits(64).says(&["ListTasks"]);
            }
            _ => assert_eq!(listed.exits(0).stdout.lines().count(), 2, "{what}"),
        }

        let begun = self.json(&["send"], &["hang", "--return-immediately"]);
        let begun = begun.await;
        let id = begun["task"]["id"].as_str().unwrap();
        let ids = [id];
        let after = [id, "--after", "1", "--json"];
        let follow = self.a2a(&["subscribe"], &after);
        let (followed, cancelled) = tokio::join!(follow, self.json(&["cancel"], &ids));
        assert_eq!(
            cancelled["status"]["state"], "TASK_STATE_CANCELED",
            "{what}"
        );
        let last = followed.exits(1).stdout;
        let last = last.lines().last().unwrap_or_default();
        assert!(last.contains("TASK_STATE_CANCELED"), "{what}: {last}");

        let missing = self.a2a(&["get"], &["0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01"]);
        let _ = missing.await.exits(64).says(&["does not exist"]);
    }

    /// Everything about the webhooks of a task that waits for an answer; `hook` is told of its end.
    async fn push(&self, hook: &Webhook) {
        let what = self.what();
        let asked = self.json(&["send"], &["input why?"]).await;
        let id = asked["task"]["id"].as_str().unwrap().to_owned();
        let token = self.home.join("hook-token");
        if !token.exists() {
            daemon::state::write_private(&token, b"hook-token").unwrap();
        }
        let token = token.display().to_string();
        let (ours, address) = ("--hook-token-file", hook.url());
        let made = [&id, address, "--id", "one", ours, &token];
        let made = self.json(&["push", "set"], &made).await;
        let expected = json!({"id": "one", "taskId": id, "url": address, "token": "hook-token"});
        assert_eq!(made, expected, "{what}");
        let got = self.json(&["push", "get"], &[&id, "one"]).await;
        assert_eq!(got, expected, "{what}");

        let second = self.a2a(&["push", "set"], &[&id, address]).await.exits(0);
        let second = second.stdout.split_whitespace().next().unwrap().to_owned();
        let listed = self.a2a(&["push", "list"], &[&id]).await.exits(0);
        assert_eq!(listed.stdout.lines().count(), 2, "{what}");
        let _ = self
            .a2a(&["push", "delete"], &[&id, &second])
            .await
            .exits(0);
        let listed = self.json(&["push", "list"], &[&id]).await;
        assert_eq!(listed, expected, "{what}");

        let answer = ["--task", &id, "write answer.txt because"];
        let _ = self.a2a(&["send"], &answer).await.exits(0);
        let told = hook
            .until("the end of the task", SOON, |all| {
                all.iter().any(|note| {
                    let text = note.body.to_string();
                    let end =
                        text.contains("TASK_STATE_COMPLETED") || text.contains("\"completed\"");
                    end && text.contains(&id)
                })
            })
            .await;
        assert_eq!(
            told.last().unwrap().header("x-a2a-notification-token"),
            Some("hook-token"),
            "{what}"
        );
    }
}

async fn everything(home: &Path, url: &str) {
    let hook = Webhook::start(Duration::ZERO).await;
    for version in VERSIONS {
        for binding in BINDINGS {
            let line = Line {
                home,
                url,
                version,
                binding,
            };
            line.all().await;
            line.push(&hook).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_talks_to_a_worker_in_every_version_and_binding() {
    let worker = WorkerBuilder::scripted()
        .flag("--no-auth")
        .card("push_allow", json!([LOOPBACK]))
        .start()
        .await;
    let home = tempfile::tempdir().unwrap();
    everything(home.path(), worker.api().url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_talks_to_a_captain_in_every_version_and_binding() {
    let captain = CaptainBuilder::scripted()
        .flag("--no-auth")
        .arg("--push-allow", LOOPBACK)
        .start()
        .await;
    let home = tempfile::tempdir().unwrap();
    everything(home.path(), captain.api().url()).await;
}

#[tokio::test]
async fn help_shows_how_to_ask_for_webhooks() {
    let home = tempfile::tempdir().unwrap();
    for (command, example) in [
        ("set", "captain a2a push set URL TASK https://"),
        ("get", "captain a2a push get URL TASK ci"),
        ("list", "captain a2a push list URL TASK"),
        ("delete", "captain a2a push delete URL TASK ci"),
    ] {
        let mut line = process::command(&programs::captain(), home.path());
        line.args(["a2a", "push", command, "--help"]);
        let told = run(line, SOON).await.exits(0);
        assert!(told.stdout.contains(example), "{}", told.stdout);
    }
}

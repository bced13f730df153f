//! A worker with the real opencode in the real sandbox; only the model is scripted. One test per trap of opencode that
//! the driver, the session or the gateway has to handle.

use std::net::SocketAddr;

use crate::common::*;
use pretty_assertions::assert_eq;
use rehearsal::{Library, Options, Rehearsal};
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

struct Fixture {
    home: Home,
    worker: Worker,
    model: Rehearsal,
    _stop: DropGuard,
}

impl Fixture {
    async fn new(options: Options, change: impl FnOnce(&mut Home, SocketAddr)) -> Self {
        let stop = CancellationToken::new();
        let model = Rehearsal::new(
            Library::load(&rehearsal::shipped_scenarios()).unwrap(),
            options,
            stop.clone(),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        TaskTracker::new().spawn(model.clone().serve(listener));
        let mut home = Home::new();
        home.card["api_provider"] = json!("custom");
        home.card["base_url"] = json!(format!("http://{address}/v1"));
        home.card["model"] = json!("rehearsal");
        change(&mut home, address);
        let worker = home.serve(&["--no-auth"]);
        Self {
            home,
            worker,
            model,
            _stop: stop.drop_guard(),
        }
    }

    async fn plain() -> Self {
        Self::new(Options::default(), |_, _| {}).await
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.home.workspace().join(file)).unwrap_or_default()
    }
}

fn said(events: &[serde_json::Value]) -> (&str, &str) {
    let status = &last_status(events)["status"];
    (
        status["state"].as_str().unwrap(),
        status["message"]["parts"][0]["text"]
            .as_str()
            .unwrap_or_default(),
    )
}

#[tokio::test]
async fn opencode_writes_a_file_and_says_so() {
    let fixture = Fixture::plain().await;
    let events = fixture.worker.stream(message("Write hello.txt")).await;
    assert_eq!(
        said(&events),
        ("TASK_STATE_COMPLETED", "hello.txt is written.")
    );
    assert_eq!(fixture.read("hello.txt"), "hello from the rehearsal\n");
    assert_eq!(
        artifacts(&events).keys().collect::<Vec<_>>(),
        ["bundle", "file:hello.txt", "patch"]
    );
    assert!(!activity(&events, "thought").is_empty() && !activity(&events, "usage").is_empty());
    let states: Vec<_> = activity(&events, "tool")
        .iter()
        .map(|tool| tool["state"].as_str().unwrap())
        .collect();
    assert_eq!(
        (states.first(), states.last()),
        (Some(&"pending"), Some(&"completed"))
    );
    let result = &last_status(&events)["metadata"]["urn:flotilla:ext:result:v1"];
    assert!(result["steps"].as_u64().unwrap() >= 2, "{result}");
}

#[tokio::test]
async fn a_conversation_goes_on_over_messages_and_over_a_new_process() {
    let mut fixture = Fixture::plain().await;
    let first = fixture
        .worker
        .stream(message("turn one: note the colour blue"))
        .await;
    let context = last_status(&first)["contextId"].clone();
    let second = fixture
        .worker
        .stream(follow_up("turn two: which colour", "contextId", &context))
        .await;
    assert_eq!(said(&second).1, "It is blue.");
    fixture.worker.signal(rustix::process::Signal::TERM);
    assert_eq!(fixture.worker.exit_code(), Some(0));
    fixture.worker = fixture.home.serve(&["--no-auth"]);
    let third = fixture
        .worker
        .stream(follow_up(
            "turn three: change it to green",
            "contextId",
            &context,
        ))
        .await;
    assert_eq!(said(&third).1, "Now it is green.");
    assert_eq!(fixture.read("colour.txt").trim(), "green");
    // The model saw the first message again: the session went on and did not begin anew.
    let recorded = fixture.model.recorded();
    let session = |seen: &rehearsal::Seen| seen.headers.get("x-session-affinity").cloned();
    assert!(session(&recorded.requests[0]).is_some());
    assert_eq!(
        session(&recorded.requests[0]),
        session(recorded.requests.back().unwrap())
    );
}

#[tokio::test]
async fn tool_output_streams_while_the_tool_runs_and_nothing_comes_twice() {
    let fixture = Fixture::plain().await;
    let events = fixture.worker.stream(message("print slowly")).await;
    assert_eq!(
        output(&events),
        "tick 1\ntick 2\ntick 3\ntick 4\ntick 5\ntick 6\n"
    );
    let pieces = activity(&events, "tool")
        .iter()
        .filter(|tool| !tool["outputDelta"].is_null())
        .count();
    assert!(pieces >= 3, "{pieces} pieces");
}

#[tokio::test]
async fn cancel_ends_opencode_its_tools_and_what_they_left_behind() {
    let fixture = Fixture::plain().await;
    let first = fixture
        .worker
        .stream(message("leave a background process behind"))
        .await;
    let context = last_status(&first)["contextId"].clone();
    until("the daemon runs", || {
        !processes("flotilla-left-behind").is_empty()
    })
    .await;
    let id = fixture
        .worker
        .begin(follow_up("run for a long time", "contextId", &context))
        .await;
    until("the tool runs", || {
        fixture.read("started.txt") == "started\n"
    })
    .await;
    let answer = fixture
        .worker
        .request("POST", &format!("/tasks/{id}:cancel"))
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
    let folder = fixture.home.workspace().to_str().unwrap().to_owned();
    for marker in ["flotilla-left-behind", "flotilla-long-run", &folder] {
        let left: Vec<_> = processes(marker)
            .into_iter()
            .filter(|line| !line.contains(" serve "))
            .collect();
        assert_eq!(left, Vec::<String>::new(), "{marker}");
    }
    // And the conversation goes on with a new process.
    let events = fixture
        .worker
        .stream(follow_up(
            "turn one: note the colour blue",
            "contextId",
            &context,
        ))
        .await;
    assert_eq!(said(&events).0, "TASK_STATE_COMPLETED");
}

#[tokio::test]
async fn an_endless_loop_of_model_calls_is_stopped_by_the_step_watchdog() {
    let fixture = Fixture::new(Options::default(), |home, _| {
        home.card["watchdog"] = json!({ "max_steps": 8 });
    })
    .await;
    let events = fixture
        .worker
        .stream(message("fault: no finish reason"))
        .await;
    let (state, text) = said(&events);
    assert_eq!(state, "TASK_STATE_FAILED");
    assert!(text.starts_with("stopped after 8 steps"), "{text}");
    assert!(fixture.model.recorded().count < 30);
}

#[tokio::test]
async fn a_silent_model_is_stopped_by_the_silence_watchdog() {
    let fixture = Fixture::new(Options::default(), |home, _| {
        home.card["watchdog"] = json!({ "silence_seconds": 3 });
    })
    .await;
    let events = fixture.worker.stream(message("fault: hang")).await;
    assert!(
        said(&events).1.contains("without a sign of life"),
        "{:?}",
        said(&events)
    );
}

#[tokio::test]
async fn a_wrong_key_fails_at_once_with_the_providers_words() {
    let options = Options {
        require_key: Some("right".to_owned()),
        ..Options::default()
    };
    let fixture = Fixture::new(options, |home, _| {
        let key = home.path("key");
        daemon::state::write_private(&key, b"wrong\n").unwrap();
        home.card["api_key_file"] = json!(key);
    })
    .await;
    let events = fixture.worker.stream(message("Write hello.txt")).await;
    assert_eq!(said(&events).0, "TASK_STATE_FAILED", "{:?}", said(&events));
    // Nothing tries again what cannot get better.
    let recorded = fixture.model.recorded();
    assert!(
        recorded.refused == recorded.count && recorded.count < 5,
        "{recorded:?}"
    );
}

#[tokio::test]
async fn the_right_key_is_added_outside_and_is_nowhere_inside() {
    let options = Options {
        require_key: Some("right-key-7281".to_owned()),
        ..Options::default()
    };
    let fixture = Fixture::new(options, |home, _| {
        let key = home.path("key");
        daemon::state::write_private(&key, b"right-key-7281\n").unwrap();
        home.card["api_key_file"] = json!(key);
    })
    .await;
    let events = fixture
        .worker
        .stream(message("look around in the sandbox"))
        .await;
    assert_eq!(
        said(&events).0,
        "TASK_STATE_COMPLETED",
        "{:?}",
        said(&events)
    );
    for file in ["env.txt", "all-env.txt"] {
        assert!(
            !fixture.read(file).is_empty() && !fixture.read(file).contains("right-key-7281"),
            "{file}"
        );
    }
    assert!(
        fixture.read("net.txt").contains("Network is unreachable"),
        "{}",
        fixture.read("net.txt")
    );
    assert!(!fixture.home.workspace().join("../../usr/escape").exists());
    let audit = std::fs::read_to_string(fixture.home.path("state/audit.jsonl")).unwrap();
    assert!(audit.contains("/v1/chat/completions") && !audit.contains("right-key-7281"));
}

#[tokio::test]
async fn a_dead_model_fails_with_the_remedy() {
    let fixture = Fixture::new(Options::default(), |home, _| {
        home.card["base_url"] = json!("http://127.0.0.1:9/v1");
    })
    .await;
    let events = fixture.worker.stream(message("Write hello.txt")).await;
    let (state, text) = said(&events);
    assert_eq!(state, "TASK_STATE_FAILED");
    assert!(
        text.starts_with("the model at http://127.0.0.1:9 cannot be reached")
            && text.contains("base_url"),
        "{text}"
    );
}

#[tokio::test]
async fn files_of_every_kind_come_back() {
    let fixture = Fixture::plain().await;
    let events = fixture
        .worker
        .stream(message("make files of every kind"))
        .await;
    let artifacts = artifacts(&events);
    let names = [
        "bundle",
        "file:a folder/deep/with space.txt",
        "file:big.txt",
        "file:binary.bin",
        "file:empty.txt",
        "file:größe.txt",
        "file:run.sh",
        "patch",
    ];
    assert_eq!(artifacts.keys().collect::<Vec<_>>(), names);
    assert_eq!(artifacts["file:binary.bin"]["parts"][0]["raw"], "AAH/");
    assert_eq!(artifacts["file:empty.txt"]["parts"][0]["raw"], "");
    let url = artifacts["file:big.txt"]["parts"][0]["url"]
        .as_str()
        .unwrap();
    assert_eq!(
        fixture
            .worker
            .request("GET", url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .len(),
        400_000
    );
}

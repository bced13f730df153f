//! Agents other than opencode: anything that speaks the Agent Client Protocol, here a shell script that behaves well or badly on
//! demand. What it sees and what it is refused is the same as for opencode.

use std::os::unix::fs::PermissionsExt;

use pretty_assertions::assert_eq;
use serde_json::json;

use crate::common::*;

/// One session; a prompt makes it ask for permission twice and say what was decided.
const AGENT: &str = r#"#!/bin/sh
id_of() { printf %s "$1" | sed 's/.*"id":\("[^"]*"\|[0-9]*\).*/\1/'; }
say() { printf '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"%s\\n"}}}}\n' "$1"; }
ask() {
    printf '{"jsonrpc":"2.0","id":"ask","method":"session/request_permission","params":{"sessionId":"s1","toolCall":{"toolCallId":"c","title":"touch %s","locations":[{"path":"%s"}]},"options":[{"optionId":"yes","name":"yes","kind":"allow_once"},{"optionId":"no","name":"no","kind":"reject_once"}]}}\n' "$1" "$1"
    read -r answer
    case $answer in *'"yes"'*) say "allowed $1";; *'"no"'*) say "denied $1";; *) say "neither";; esac
}
while read -r line; do
    case $line in
        *'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":1}}\n' "$(id_of "$line")";;
        *'"session/new"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"sessionId":"s1"}}\n' "$(id_of "$line")";;
        *'please die'*) echo 'out of luck' >&2; exit 3;;
        *'"session/prompt"'*)
            id=$(id_of "$line")
            say "model at $OPENAI_BASE_URL"
            ask /workspace/a
            ask /etc/passwd
            printf '{"jsonrpc":"2.0","id":%s,"result":{"stopReason":"end_turn"}}\n' "$id";;
    esac
done
"#;

fn home(agent: &str) -> Home {
    let mut home = Home::new();
    let program = home.path("agent.sh");
    std::fs::write(&program, agent).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    home.card["agent"] = json!({ "command": [program] });
    home
}

#[tokio::test]
async fn any_agent_runs_and_its_permission_asks_are_decided_at_once() {
    let home = home(AGENT);
    let worker = home.serve(&["--no-auth"]);
    let events = worker.stream(message("go")).await;
    assert_eq!(
        text(&events),
        "model at http://127.0.0.1:18080/v1\nallowed /workspace/a\ndenied /etc/passwd\n"
    );
    assert_eq!(
        last_status(&events)["status"]["state"],
        "TASK_STATE_COMPLETED"
    );
}

#[tokio::test]
async fn an_agent_that_dies_fails_the_task_with_its_last_words_and_the_next_task_gets_a_new_one() {
    let home = home(AGENT);
    let worker = home.serve(&["--no-auth", "--warm"]);
    let events = worker.stream(message("please die")).await;
    let last = last_status(&events);
    assert_eq!(last["status"]["state"], "TASK_STATE_FAILED");
    let said = last["status"]["message"]["parts"][0]["text"]
        .as_str()
        .unwrap();
    assert!(said.contains("out of luck"), "{said}");
    let again = worker
        .stream(follow_up("go", "contextId", &last["contextId"]))
        .await;
    assert_eq!(
        last_status(&again)["status"]["state"],
        "TASK_STATE_COMPLETED"
    );
}

#[tokio::test]
async fn a_program_that_is_no_agent_fails_the_task_and_says_why() {
    let home = home("#!/bin/sh\necho 'no licence found' >&2\nexit 1\n");
    let worker = home.serve(&["--no-auth"]);
    let events = worker.stream(message("go")).await;
    let said = last_status(&events)["status"]["message"]["parts"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        said.starts_with("the agent cannot be started") && said.contains("no licence found"),
        "{said}"
    );
}

//! What `worker serve` says and with which code it ends when it cannot start. Nothing may be left half-started.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::*;
use serde_json::json;

/// Runs to the end; exit code and standard error.
fn outcome(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn check(home: &Home, command: Command, code: i32, words: &[&str]) {
    let (found, said) = outcome(command);
    assert_eq!(found, code, "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert!(said.lines().count() <= 24, "more than one screen: {said}");
    assert!(!home.path("state/endpoint.json").exists(), "{said}");
}

fn serve(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command("serve");
    command
        .args(["--driver", "scripted", "--listen", "127.0.0.1:0"])
        .args(arguments);
    command
}

#[test]
fn a_bad_card_is_told_whole() {
    let mut home = Home::new();
    home.card = json!({ "agent_id": "Bad Id", "workspace": "relative", "resource_limits": { "memory_mb": -1 }, "x": 1 });
    check(
        &home,
        serve(&home, &[]),
        64,
        &[
            "has 4 problems",
            "agent_id: ",
            "workspace: ",
            "resource_limits.memory_mb: ",
            "x: ",
            "hint: ",
        ],
    );
    std::fs::remove_file(home.path("card.json")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.args(["serve", "--card", "/nonexistent.json"]);
    check(&home, command, 64, &["/nonexistent.json", "No such file"]);
}

#[test]
fn a_workspace_outside_the_root_or_behind_a_link_is_refused() {
    let mut home = Home::new();
    std::fs::create_dir(home.path("root")).unwrap();
    let root = home.path("root").to_str().unwrap().to_owned();
    check(
        &home,
        serve(&home, &["--workspace-root", &root]),
        64,
        &["workspace: ", "is not inside"],
    );
    std::os::unix::fs::symlink(home.workspace(), home.path("root/link")).unwrap();
    home.card["workspace"] = json!(home.path("root/link"));
    check(
        &home,
        serve(&home, &["--workspace-root", &root]),
        64,
        &["is a symbolic link"],
    );
}

#[test]
fn a_missing_agent_program_is_named() {
    let mut home = Home::new();
    let mut command = home.command("serve");
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--agent-bin",
        "/nonexistent/opencode",
    ]);
    check(
        &home,
        command,
        69,
        &["/nonexistent/opencode", "make setup", "--agent-bin"],
    );
    home.card["agent"] = json!({ "command": ["/nonexistent/agent"] });
    let mut command = home.command("serve");
    command.args(["--listen", "127.0.0.1:0"]);
    check(&home, command, 69, &["/nonexistent/agent", "agent.command"]);
}

#[test]
fn missing_bubblewrap_is_unavailable_and_a_refusing_kernel_is_not_permitted() {
    let home = Home::new();
    let empty = home.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut command = serve(&home, &[]);
    command.env("PATH", &empty);
    check(&home, command, 69, &["no program bwrap", "install"]);

    // A bubblewrap that answers for its options and fails as it does where the kernel forbids user namespaces.
    let real = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap();
    let refusing = empty.join("bwrap");
    let script = format!(
        "#!/bin/sh\nfor a; do case $a in --help|--version) exec {real} \"$@\";; esac; done\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n"
    );
    std::fs::write(&refusing, script).unwrap();
    std::fs::set_permissions(&refusing, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = serve(&home, &[]);
    command.env("PATH", format!("{}:/usr/bin:/bin", empty.display()));
    check(
        &home,
        command,
        77,
        &["the kernel refuses namespaces", "No permissions", "sysctl"],
    );
}

#[test]
fn an_occupied_port_and_a_public_one_without_authentication_are_refused() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = home.command("serve");
    command.args(["--driver", "scripted", "--listen", &address]);
    check(
        &home,
        command,
        69,
        &["is in use by another process", "port 0"],
    );
    let mut command = home.command("serve");
    command.args(["--driver", "scripted", "--no-auth", "--listen", "0.0.0.0:0"]);
    check(&home, command, 2, &["without authentication"]);
}

#[test]
fn a_second_worker_with_the_same_state_is_refused_and_the_first_works_on() {
    let home = Home::new();
    let worker = home.scripted();
    let (code, said) = outcome(serve(&home, &[]));
    assert_eq!(code, 69, "{said}");
    assert!(
        said.contains("is running already (process ") && said.contains(&worker.url),
        "{said}"
    );
    assert!(home.path("state/endpoint.json").exists());
}

#[test]
fn an_unusable_state_folder_is_an_io_error() {
    let home = Home::new();
    std::fs::write(home.path("state"), "a file").unwrap();
    check(
        &home,
        serve(&home, &[]),
        74,
        &["cannot create the folder", "free space"],
    );
}

#[test]
fn unusable_keys_are_refused() {
    let mut home = Home::new();
    let file = home.path("keys.json");
    for (content, word) in [("{", "EOF"), ("{\"keys\":[]}", "holds no key")] {
        std::fs::write(&file, content).unwrap();
        check(
            &home,
            serve(&home, &["--trust", file.to_str().unwrap()]),
            64,
            &["keys.json", word, "JWK"],
        );
    }
    std::fs::write(&file, "two words").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    home.card["api_key_file"] = json!(file);
    check(&home, serve(&home, &[]), 64, &["holds spaces"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    check(&home, serve(&home, &[]), 64, &["mode 0644", "chmod 600"]);
}

#[test]
fn usage_errors_and_help_end_as_scripts_expect() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    assert_eq!(run(&["serve"]).0, Some(2));
    assert_eq!(run(&["serve", "--no-sandbox"]).0, Some(2));
    assert_eq!(run(&["--help"]).0, Some(0));
    let (code, schema) = run(&["schema"]);
    assert_eq!(code, Some(0));
    assert_eq!(schema, include_str!("../../agent-id-card.schema.json"));
}

#[test]
fn a_missing_workspace_is_made() {
    let mut home = Home::new();
    home.card["workspace"] = json!(home.path("new/workspace"));
    let _worker = home.scripted();
    assert!(home.path("new/workspace").is_dir());
}

/// bubblewrap serves here as the tool that makes a disk of 128 KiB.
#[test]
fn a_full_disk_is_told_before_anything_is_served() {
    let home = Home::new();
    let state = home.path("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
    let inner = serve(&home, &[]);
    let mut command = Command::new("bwrap");
    command
        .args(["--dev-bind", "/", "/", "--size", "16384", "--tmpfs"])
        .arg(&state)
        .arg("--");
    command.arg(inner.get_program()).args(inner.get_args());
    check(&home, command, 74, &["free space"]);
}

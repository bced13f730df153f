//! Policies that cannot be enforced are refused with a clear reason, and nothing is left behind.

use std::path::PathBuf;

use crate::common::{Bench, bench, own_groups, start};
use pretty_assertions::assert_eq;
use worker_sandbox::{
    GatewayBridge, Home, InitProgram, Layer, PolicyError, ReadOnlyBind, Sandbox, SandboxError,
    SandboxPolicy,
};

/// The policy error of a changed policy, in words.
async fn refusal(change: impl FnOnce(&mut SandboxPolicy, &Bench)) -> String {
    let original = bench("true");
    let mut policy = original.policy.clone();
    change(&mut policy, &original);
    let error = start(policy).await.unwrap_err();
    assert_eq!(own_groups(), Vec::<PathBuf>::new());
    match error {
        SandboxError::Policy(reason) => reason.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bad_folders_are_named_with_what_to_do() {
    let relative = refusal(|policy, _| policy.workspace = "some/where".into()).await;
    assert_eq!(
        relative,
        "the workspace \"some/where\" must be an absolute path without \"..\"; write it out in full"
    );
    let dots = refusal(|policy, _| policy.workspace = "/srv/../etc".into()).await;
    assert!(dots.contains("without \"..\""), "{dots}");
    let missing =
        refusal(|policy, bench| policy.workspace = bench.folder.path().join("missing")).await;
    assert!(
        missing.ends_with("does not exist; create it or correct the path"),
        "{missing}"
    );
    let system = refusal(|policy, _| policy.workspace = "/etc/ssl".into()).await;
    assert!(system.contains("may not be a system folder"), "{system}");
    let home = refusal(|policy, _| policy.home = Home::Persistent("/root".into())).await;
    assert!(
        home.contains("the agent's home \"/root\" may not be a system folder"),
        "{home}"
    );
    let file = refusal(|policy, bench| {
        policy.workspace = bench.folder.path().join("file");
        std::fs::write(&policy.workspace, "").unwrap();
    })
    .await;
    assert!(file.ends_with("is not a folder"), "{file}");
}

#[tokio::test]
async fn symbolic_links_anywhere_in_the_workspace_path_are_refused() {
    let link = refusal(|policy, bench| {
        let link = bench.folder.path().join("link");
        std::fs::create_dir_all(bench.folder.path().join("real/deep")).unwrap();
        std::os::unix::fs::symlink(bench.folder.path().join("real"), &link).unwrap();
        policy.workspace = link.join("deep");
    })
    .await;
    assert!(
        link.contains("leads through a symbolic link; name the real folder")
            && link.ends_with("real/deep"),
        "{link}"
    );
}

#[tokio::test]
async fn bad_values_are_named_with_their_range() {
    assert!(
        refusal(|policy, _| policy.name = "Bad Name".into())
            .await
            .contains("^[a-z0-9-]{1,63}$")
    );
    assert_eq!(
        refusal(|policy, _| policy.limits.memory_mb = 0).await,
        "memory_mb must be 16 to 16777216"
    );
    assert_eq!(
        refusal(|policy, _| policy.uid = 0).await,
        "the user and group id inside must be greater than 0"
    );
    assert_eq!(
        refusal(|policy, _| policy.argv.clear()).await,
        "the command must be at least a program name"
    );
    let variable = refusal(|policy, _| drop(policy.env.insert("A=B".into(), String::new()))).await;
    assert!(
        variable.starts_with("a variable must be NAME=value"),
        "{variable}"
    );
    let source = refusal(|policy, _| {
        policy.read_only.push(ReadOnlyBind {
            source: "/nowhere/opencode".into(),
            target: "/opt/opencode".into(),
            reason: String::new(),
        })
    })
    .await;
    assert_eq!(
        source,
        "the bind source \"/nowhere/opencode\" does not exist; create it or correct the path"
    );
    let target = refusal(|policy, _| {
        policy.read_only.push(ReadOnlyBind {
            source: "/usr/bin/env".into(),
            target: "/proc/x".into(),
            reason: String::new(),
        })
    })
    .await;
    assert!(
        target.starts_with("the bind target \"/proc/x\" may not be"),
        "{target}"
    );
    let socket = refusal(|policy, _| {
        policy.gateway = Some(GatewayBridge {
            socket: "/usr/bin/env".into(),
            port: 1,
        })
    })
    .await;
    assert_eq!(
        socket,
        "the gateway socket \"/usr/bin/env\" is not a unix socket"
    );
}

#[tokio::test]
async fn missing_programs_are_named() {
    let error = Sandbox::locate(Some("/nowhere/bwrap".into())).unwrap_err();
    let SandboxError::Bwrap(reason) = error else {
        panic!("{error:?}")
    };
    assert!(
        reason
            .to_string()
            .starts_with("no program bwrap in /nowhere/bwrap"),
        "{reason}"
    );

    let error = start(crate::common::bench_of(&["no-such-agent"]).policy)
        .await
        .unwrap_err();
    let SandboxError::Agent { program, detail } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (program.as_str(), detail.as_str()),
        ("no-such-agent", "No such file or directory (os error 2)")
    );
    assert!(error.remedy().is_some());
    assert_eq!(own_groups(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_program_that_is_not_bubblewrap_is_refused() {
    let error = Sandbox::locate(Some("/usr/bin/true".into())).unwrap_err();
    let SandboxError::Bwrap(reason) = error else {
        panic!("{error:?}")
    };
    assert!(
        reason.to_string().contains("lacks --unshare-all"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_working_directory_that_is_not_there_is_named() {
    let mut bench = bench("true");
    bench.policy.cwd = "/workspace/missing".into();
    let SandboxError::Agent { detail, .. } = start(bench.policy).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(
        detail,
        "the working directory /workspace/missing does not exist inside"
    );
}

#[tokio::test]
async fn what_bubblewrap_says_reaches_the_error() {
    let mut bench = bench("true");
    // A bind below a file cannot work.
    bench.policy.read_only.push(ReadOnlyBind {
        source: "/usr/bin/env".into(),
        target: "/bin/env/below".into(),
        reason: String::new(),
    });
    let SandboxError::Setup { detail } = start(bench.policy).await.unwrap_err() else {
        panic!()
    };
    assert!(detail.starts_with("bwrap: "), "{detail}");
    assert_eq!(own_groups(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_init_that_does_not_speak_is_an_error() {
    let mut bench = bench("true");
    bench.policy.init = InitProgram {
        source: "/usr/bin/true".into(),
        args: Vec::new(),
    };
    assert!(matches!(
        start(bench.policy).await.unwrap_err(),
        SandboxError::Control(_)
    ));
}

#[tokio::test]
async fn a_required_limit_that_cannot_be_had_stops_the_start() {
    let mut bench = bench("true");
    bench.policy.required.insert(Layer::MemoryLimit);
    // More than the kernel's largest value is refused where limits work, and where they do not, the layer is missing anyway.
    match start(bench.policy).await {
        Ok(running) => assert!(running.report.limits.memory.enforced()),
        Err(SandboxError::NotEnforced { mismatches }) => {
            assert_eq!(mismatches[0].layer, Layer::MemoryLimit)
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn debug_output_hides_the_environment() {
    let mut policy = SandboxPolicy::new("a", "/srv/a", vec!["x".to_owned()]);
    policy
        .env
        .insert("TOKEN".to_owned(), "very-secret".to_owned());
    let text = format!("{policy:?}");
    assert!(
        text.contains("TOKEN") && !text.contains("very-secret"),
        "{text}"
    );
    assert!(matches!(
        PolicyError::Name {
            name: "x".to_owned()
        }
        .to_string()
        .as_str(),
        "the sandbox name \"x\" must match ^[a-z0-9-]{1,63}$"
    ));
}

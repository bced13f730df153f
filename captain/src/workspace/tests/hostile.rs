//! Bundles made to do harm, or made wrong.

use std::io::Write;
use std::process::Stdio;

use pretty_assertions::assert_eq;

use super::*;

/// Makes an object exactly as given, past the checks that `git` makes on the way in.
fn object(folder: &Path, kind: &str, content: &[u8]) -> String {
    let mut child = Command::new("git")
        .args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A tree with one entry.
fn tree(folder: &Path, mode: &str, name: &str, object_id: &str) -> String {
    let mut content = format!("{mode} {name}\0").into_bytes();
    content.extend(
        (0..40)
            .step_by(2)
            .map(|i| u8::from_str_radix(&object_id[i..i + 2], 16).unwrap()),
    );
    object(folder, "tree", &content)
}

/// A bundle whose commit has a tree with one hand-made entry.
async fn crafted(
    lab: &Lab,
    name: &str,
    entry: impl FnOnce(&Path) -> (&'static str, String, String),
) -> PathBuf {
    let prepared = lab
        .repository
        .prepare(&id(name), Attempt(1), &[])
        .await
        .unwrap();
    let w = &prepared.workspace;
    let (mode, file, object_id) = entry(w);
    let root = tree(w, mode, &file, &object_id);
    let commit = git(
        w,
        &[
            "commit-tree",
            "-p",
            prepared.commit.as_str(),
            "-m",
            "x",
            &root,
        ],
    );
    git(w, &["update-ref", BUNDLE_REF, &commit]);
    let bundle = lab.dir.path().join(format!("{name}.bundle"));
    git(
        w,
        &[
            "bundle",
            "create",
            "-q",
            bundle.to_str().unwrap(),
            BUNDLE_REF,
            &format!("^{}", prepared.commit),
        ],
    );
    bundle
}

#[tokio::test]
async fn paths_that_lead_elsewhere_are_refused() {
    for (i, name) in [
        "..",
        ".",
        ".git",
        ".GIT",
        "../evil",
        "/etc/evil",
        "git~1",
        ".g\u{200c}it",
    ]
    .into_iter()
    .enumerate()
    {
        let lab = Lab::empty().await;
        let subtask = format!("s{i}");
        let bundle = crafted(&lab, &subtask, |w| {
            ("100644", name.to_owned(), object(w, "blob", b"evil"))
        })
        .await;
        let error = lab.import(&subtask, &bundle).await.unwrap_err();
        assert!(
            matches!(
                error,
                BundleError::BadPath { .. } | BundleError::Malformed(_)
            ),
            "{name:?}: {error:?}"
        );
        lab.assert_no_trace(&subtask);
    }
}

#[tokio::test]
async fn a_git_folder_below_is_refused() {
    let lab = Lab::empty().await;
    let bundle = crafted(&lab, "deep", |w| {
        let hooks = tree(
            w,
            "100755",
            "post-checkout",
            &object(w, "blob", b"#!/bin/sh\nevil\n"),
        );
        (
            "40000",
            ".Git".to_owned(),
            tree(w, "40000", "hooks", &hooks),
        )
    })
    .await;
    let error = lab.import("deep", &bundle).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the bundle changes ".Git/hooks/post-checkout": it lies in a .git folder"#
    );
    lab.assert_no_trace("deep");
}

#[tokio::test]
async fn a_submodule_is_refused() {
    let lab = Lab::empty().await;
    let bundle = crafted(&lab, "sub", |_| {
        ("160000", "vendor".to_owned(), "1".repeat(40))
    })
    .await;
    assert_eq!(
        lab.import("sub", &bundle).await.unwrap_err().to_string(),
        r#"the bundle changes "vendor": it is a submodule"#
    );
    lab.assert_no_trace("sub");
}

#[tokio::test]
async fn a_link_to_the_outside_stays_data() {
    let lab = Lab::empty().await;
    let evil = lab
        .attempt("link", &[], |w| {
            std::os::unix::fs::symlink("/etc", w.join("etc")).unwrap();
            std::os::unix::fs::symlink("../../../..", w.join("up")).unwrap();
        })
        .await;
    // The next one puts a folder where the link was; nothing may be written through it.
    let next = lab
        .attempt("next", &[&evil], |w| {
            std::fs::remove_file(w.join("up")).unwrap();
            write(w, "up/file", "inside");
        })
        .await;
    let other = lab
        .attempt("other", &[&evil], |w| write(w, "other", "o"))
        .await;
    let result = lab.repository.finish(&[next, other]).await.unwrap();
    assert_eq!(lab.read(&result, "etc").await, b"/etc");
    assert_eq!(lab.read(&result, "up/file").await, b"inside");
}

#[tokio::test]
async fn a_commit_that_does_not_build_on_the_prepared_one_is_refused() {
    let lab = Lab::empty().await;
    let root = lab.attempt("root", &[], |w| write(w, "f", "1")).await;
    let prepared = lab
        .repository
        .prepare(&id("lost"), Attempt(1), std::slice::from_ref(&root))
        .await
        .unwrap();
    let w = &prepared.workspace;
    git(w, &["checkout", "-q", "--orphan", "other"]);
    write(w, "f", "2");
    commit_all(w, "orphan");
    let bundle = lab.dir.path().join("lost.bundle");
    git(w, &["update-ref", BUNDLE_REF, "HEAD"]);
    git(
        w,
        &[
            "bundle",
            "create",
            "-q",
            bundle.to_str().unwrap(),
            BUNDLE_REF,
        ],
    );
    let error = lab.import("lost", &bundle).await.unwrap_err();
    assert!(
        matches!(error, BundleError::NotDescendant { .. }),
        "{error}"
    );
    lab.assert_no_trace("lost");
}

#[tokio::test]
async fn a_bundle_that_rests_on_unknown_commits_is_refused() {
    let lab = Lab::empty().await;
    let prepared = lab
        .repository
        .prepare(&id("a"), Attempt(1), &[])
        .await
        .unwrap();
    let w = &prepared.workspace;
    write(w, "f", "1");
    commit_all(w, "hidden");
    let hidden = git(w, &["rev-parse", "HEAD"]);
    write(w, "f", "2");
    commit_all(w, "shown");
    let bundle = lab.pack(w, "a", &hidden);
    let error = lab.import("a", &bundle).await.unwrap_err();
    assert!(error.to_string().contains(&hidden), "{error}");
    lab.assert_no_trace("a");
}

#[tokio::test]
async fn other_branches_are_refused() {
    let lab = Lab::empty().await;
    let (prepared, bundle) = lab.bundle("a", &[], |w| write(w, "f", "1")).await;
    let bundle = bundle.unwrap();
    let w = &prepared.workspace;
    let make = |refs: &[&str]| {
        let mut args = vec!["bundle", "create", "-q", bundle.to_str().unwrap()];
        args.extend_from_slice(refs);
        let since = format!("^{}", prepared.commit);
        args.push(&since);
        git(w, &args);
    };
    git(w, &["update-ref", "refs/heads/base", "HEAD"]);
    for refs in [
        &["refs/heads/base"][..],
        &["HEAD"],
        &[BUNDLE_REF, "refs/heads/base"],
    ] {
        make(refs);
        let error = lab.import("a", &bundle).await.unwrap_err();
        assert!(matches!(error, BundleError::Branches { .. }), "{error}");
        lab.assert_no_trace("a");
    }
    make(&[BUNDLE_REF]);
    let commit = lab.import("a", &bundle).await.unwrap();
    assert_eq!(
        lab.import("a", &bundle).await.unwrap(),
        commit,
        "taken once, it is the same again"
    );
}

#[tokio::test]
async fn what_is_no_bundle_is_refused() {
    let lab = Lab::empty().await;
    lab.repository
        .prepare(&id("a"), Attempt(1), &[])
        .await
        .unwrap();
    let place = lab.dir.path();
    write(place, "noise", vec![0x5a; 4096]);
    write(place, "empty", "");
    write(place, "cut", "# v2 git bundle\n");
    std::os::unix::fs::symlink(lab.repository.path().join("config"), place.join("link")).unwrap();
    for name in ["noise", "empty", "cut"] {
        let error = lab.import("a", &place.join(name)).await.unwrap_err();
        assert!(
            matches!(
                error,
                BundleError::Malformed(_) | BundleError::Branches { .. }
            ),
            "{name}: {error:?}"
        );
    }
    for name in ["link", "."] {
        let error = lab.import("a", &place.join(name)).await.unwrap_err();
        assert!(
            matches!(error, BundleError::NotAFile(_)),
            "{name}: {error:?}"
        );
    }
    lab.assert_no_trace("a");
}

#[tokio::test]
async fn a_cut_bundle_is_refused() {
    let lab = Lab::empty().await;
    let (_, bundle) = lab
        .bundle("a", &[], |w| write(w, "f", "some text\n".repeat(1000)))
        .await;
    let bundle = bundle.unwrap();
    let bytes = std::fs::read(&bundle).unwrap();
    std::fs::write(&bundle, &bytes[..bytes.len() - 30]).unwrap();
    let error = lab.import("a", &bundle).await.unwrap_err();
    assert!(matches!(error, BundleError::Malformed(_)), "{error:?}");
    lab.assert_no_trace("a");
}

#[tokio::test]
async fn each_limit_holds() {
    let lab = Lab::empty().await;
    let (_, bundle) = lab
        .bundle("a", &[], |w| {
            write(w, "one", vec![b'x'; 100_000]);
            write(w, "two", "2");
            commit_all(w, "first");
            write(w, "three", "3");
        })
        .await;
    let bundle = bundle.unwrap();
    let all = ImportLimits::default();
    for (limits, part) in [
        (
            ImportLimits {
                bundle_bytes: 100,
                ..all
            },
            "bytes, at most 100 are allowed",
        ),
        (
            ImportLimits { files: 2, ..all },
            "3 changed files, at most 2",
        ),
        (
            ImportLimits {
                unpacked_bytes: 100_001,
                ..all
            },
            "100002 bytes in changed files, at most 100001",
        ),
        (ImportLimits { commits: 1, ..all }, "2 commits, at most 1"),
    ] {
        let error = lab
            .repository
            .import(&id("a"), Attempt(1), &bundle, &limits)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        lab.assert_no_trace("a");
    }
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let lab = Lab::empty().await;
    let (_, bundle) = lab
        .bundle("a", &[], |w| {
            std::fs::write(w.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "x").unwrap();
        })
        .await;
    let error = lab.import("a", &bundle.unwrap()).await.unwrap_err();
    assert!(
        matches!(
            error,
            BundleError::BadPath {
                problem: "the name is not UTF-8",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_comes_back_from_an_attempt_that_was_never_prepared() {
    let lab = Lab::empty().await;
    let (_, bundle) = lab.bundle("a", &[], |w| write(w, "f", "1")).await;
    let error = lab.import("b", &bundle.unwrap()).await.unwrap_err();
    assert!(matches!(error, BundleError::NotPrepared), "{error}");
}

#[tokio::test]
async fn settings_and_hooks_in_a_workspace_never_run() {
    let lab = Lab::empty().await;
    let prepared = lab
        .repository
        .prepare(&id("a"), Attempt(1), &[])
        .await
        .unwrap();
    let w = &prepared.workspace;
    let proof = lab.dir.path().join("ran");
    let evil = format!("touch {}", proof.display());
    for (key, value) in [
        ("core.fsmonitor", &evil),
        ("uploadpack.packObjectsHook", &evil),
        ("core.sshCommand", &evil),
    ] {
        git(w, &["config", key, value]);
    }
    std::fs::create_dir(w.join(".git/hooks")).unwrap();
    write(
        w,
        ".git/hooks/reference-transaction",
        format!("#!/bin/sh\n{evil}\n"),
    );
    // The captain asks again and throws it away: neither may run anything that lies there.
    lab.repository
        .prepare(&id("a"), Attempt(1), &[])
        .await
        .unwrap();
    lab.repository.discard(&id("a"), Attempt(1)).await.unwrap();
    assert!(!proof.exists());
}

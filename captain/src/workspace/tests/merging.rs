//! Where subtasks start and how their results come together.

use pretty_assertions::assert_eq;

use super::*;

#[tokio::test]
async fn a_diamond_comes_together_in_dependency_order() {
    let lab = Lab::empty().await;
    let root = lab
        .attempt("root", &[], |w| {
            write(w, "shared.txt", "one\ntwo\nthree\nfour\nfive\n");
        })
        .await;
    let left = lab
        .attempt("left", &[&root], |w| {
            write(w, "shared.txt", "ONE\ntwo\nthree\nfour\nfive\n");
            write(w, "left.txt", "l");
        })
        .await;
    let right = lab
        .attempt("right", &[&root], |w| {
            write(w, "shared.txt", "one\ntwo\nthree\nfour\nFIVE\n");
        })
        .await;
    let join = lab
        .attempt("join", &[&left, &right], |w| {
            assert_eq!(
                std::fs::read_to_string(w.join("shared.txt")).unwrap(),
                "ONE\ntwo\nthree\nfour\nFIVE\n"
            );
            write(w, "join.txt", "j");
        })
        .await;
    let result = lab
        .repository
        .finish(std::slice::from_ref(&join))
        .await
        .unwrap();
    assert_eq!(result, join.commit, "one leaf is the result itself");
    assert_eq!(lab.repository.result().await.unwrap(), Some(result.clone()));
    let log = git(
        &lab.repository.path(),
        &["log", "--format=%s|%an", "--topo-order", result.as_str()],
    );
    assert!(log.contains("Merge subtask right|flotilla"), "{log}");
}

#[tokio::test]
async fn the_same_inputs_give_the_same_commit() {
    let lab = Lab::empty().await;
    let a = lab.attempt("a", &[], |w| write(w, "a", "a")).await;
    let b = lab.attempt("b", &[], |w| write(w, "b", "b")).await;
    let inputs = [a, b];
    let first = lab.repository.merge("x", &inputs).await.unwrap();
    let again = lab.repository.merge("y", &inputs).await.unwrap();
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_conflict_names_the_files_and_the_subtasks() {
    let lab = Lab::empty().await;
    let api = lab
        .attempt("api", &[], |w| write(w, "src/app.py", "api\n"))
        .await;
    let docs = lab
        .attempt("docs", &[], |w| write(w, "docs.md", "docs\n"))
        .await;
    let tests = lab
        .attempt("tests", &[], |w| write(w, "src/app.py", "tests\n"))
        .await;
    let MergeError::Conflict(conflict) = lab
        .repository
        .finish(&[api, docs, tests])
        .await
        .unwrap_err()
    else {
        panic!("not a conflict")
    };
    assert_eq!(
        conflict.to_string(),
        "the results of api, tests conflict in src/app.py"
    );
    assert_eq!(
        lab.repository.result().await.unwrap(),
        None,
        "no result is left"
    );
    assert_eq!(
        std::fs::read_dir(lab.repository.folder.join("tmp"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn a_file_changed_here_and_deleted_there_is_a_conflict() {
    let lab = Lab::empty().await;
    let root = lab
        .attempt("root", &[], |w| write(w, "f with space", "1\n"))
        .await;
    let edit = lab
        .attempt("edit", &[&root], |w| write(w, "f with space", "2\n"))
        .await;
    let drop = lab
        .attempt("drop", &[&root], |w| {
            std::fs::remove_file(w.join("f with space")).unwrap();
        })
        .await;
    let error = lab.repository.finish(&[edit, drop]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the results of edit, drop conflict in f with space"
    );
}

#[tokio::test]
async fn an_empty_change_and_no_subtask_at_all_give_the_base() {
    let lab = Lab::empty().await;
    let base = lab.repository.base().await.unwrap();
    let idle = lab.attempt("idle", &[], |_| ()).await;
    assert_eq!(idle.commit, base);
    assert_eq!(lab.repository.finish(&[idle]).await.unwrap(), base);
    assert_eq!(lab.repository.merge("none", &[]).await.unwrap(), base);
    assert_eq!(lab.repository.changes(&base, &base).await.unwrap(), []);
}

#[tokio::test]
async fn line_ends_and_attributes_of_the_repository_change_no_byte() {
    let lab = Lab::empty().await;
    let crlf = b"a\r\nb\r\n$Id$\n";
    let root = lab
        .attempt("root", &[], |w| {
            write(w, "raw.txt", crlf);
            write(w, "hidden.txt", "h");
            git(w, &["add", "-A"]);
            git(w, &["commit", "-q", "-m", "raw"]);
            write(
                w,
                ".gitattributes",
                "* text=auto eol=crlf ident\nhidden.txt export-ignore\n",
            );
            git(w, &["add", ".gitattributes"]);
            git(w, &["commit", "-q", "-m", "attributes"]);
            git(w, &["reset", "-q", "--hard"]);
        })
        .await;
    let a = lab.repository.import_as(&root, "a", &lab, "x").await;
    let b = lab.repository.import_as(&root, "b", &lab, "y").await;
    let result = lab.repository.finish(&[a, b]).await.unwrap();
    assert_eq!(lab.read(&result, "raw.txt").await, crlf);
    assert_eq!(lab.read(&result, "x").await, b"x");
    assert_eq!(lab.read(&result, "y").await, b"y");
}

impl JobRepository {
    /// An attempt that adds one file and touches nothing else, whatever the attributes do to its work tree.
    async fn import_as(&self, from: &Input, name: &str, lab: &Lab, file: &str) -> Input {
        let prepared = self
            .prepare(&id(name), Attempt(1), std::slice::from_ref(from))
            .await
            .unwrap();
        write(&prepared.workspace, file, file);
        git(&prepared.workspace, &["add", file]);
        git(&prepared.workspace, &["commit", "-q", "-m", name]);
        let bundle = lab.pack(&prepared.workspace, name, prepared.commit.as_str());
        Input {
            subtask: id(name),
            commit: lab.import(name, &bundle).await.unwrap(),
        }
    }
}

#[tokio::test]
async fn preparing_again_gives_the_same_and_leaves_the_work_alone() {
    let lab = Lab::empty().await;
    let first = lab
        .repository
        .prepare(&id("a"), Attempt(1), &[])
        .await
        .unwrap();
    write(&first.workspace, "under-way", "x");
    let again = lab
        .repository
        .prepare(&id("a"), Attempt(1), &[])
        .await
        .unwrap();
    assert_eq!(first, again);
    assert!(again.workspace.join("under-way").exists());
    let other = lab
        .repository
        .prepare(&id("a"), Attempt(2), &[])
        .await
        .unwrap();
    assert_ne!(other.workspace, again.workspace);
    lab.repository.discard(&id("a"), Attempt(1)).await.unwrap();
    lab.repository.discard(&id("a"), Attempt(1)).await.unwrap();
    assert!(!first.workspace.exists());
}

#[tokio::test]
async fn a_workspace_stands_alone() {
    let lab = Lab::empty().await;
    let root = lab.attempt("root", &[], |w| write(w, "f", "1")).await;
    let prepared = lab
        .repository
        .prepare(&id("next"), Attempt(1), &[root])
        .await
        .unwrap();
    let here = &prepared.workspace;
    assert_eq!(git(here, &["remote"]), "");
    assert_eq!(
        git(here, &["for-each-ref", "--format=%(refname)"]),
        "refs/heads/main"
    );
    assert_eq!(git(here, &["status", "--porcelain"]), "");
    assert!(!here.join(".git/objects/info/alternates").exists());
    assert!(!here.join(".git/hooks").exists());
    let text = std::fs::read_to_string(here.join(".git/config")).unwrap();
    assert!(
        !text.contains(lab.repository.path().to_str().unwrap()),
        "{text}"
    );
}

#[tokio::test]
async fn a_folder_that_nobody_may_enter_is_removed_too() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::empty().await;
    let prepared = lab
        .repository
        .prepare(&id("a"), Attempt(1), &[])
        .await
        .unwrap();
    write(&prepared.workspace, "locked/deep/file", "x");
    let outside = lab.dir.path().join("outside");
    write(&outside, "kept", "x");
    std::os::unix::fs::symlink(&outside, prepared.workspace.join("link")).unwrap();
    let locked = prepared.workspace.join("locked");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    lab.repository.discard(&id("a"), Attempt(1)).await.unwrap();
    assert!(!prepared.workspace.exists());
    assert!(outside.join("kept").exists());
}

#[tokio::test]
async fn a_users_repository_is_copied_and_never_written() {
    let lab = Lab::unmade();
    let user = lab.user_repository();
    git(&user, &["tag", "v1"]);
    write(&user, "README", "second\n");
    commit_all(&user, "second");
    let second = git(&user, &["rev-parse", "HEAD"]);
    write(&user, "sub/dirty", "not committed");
    let before = listing(&user);

    let source = Source::Repository {
        path: user.join("sub"),
        revision: None,
    };
    let base = lab.repository.create(&source, 0).await.unwrap();
    assert_eq!(base.as_str(), second);
    assert_eq!(lab.read(&base, "README").await, b"second\n");
    assert_eq!(
        lab.repository.create(&source, 0).await.unwrap(),
        base,
        "asked again it answers the same"
    );
    assert_eq!(listing(&user), before);

    for (revision, text) in [
        ("v1", "hello\n"),
        ("HEAD~1", "hello\n"),
        ("trunk", "second\n"),
    ] {
        let other = JobRepository::new(
            lab.repository.git.clone(),
            lab.dir.path().join(format!("jobs/{revision}")),
        );
        let source = Source::Repository {
            path: user.clone(),
            revision: Some(revision.to_owned()),
        };
        let base = other.create(&source, 0).await.unwrap();
        assert_eq!(
            drain(other.file(&base, "README").await.unwrap().bytes)
                .await
                .unwrap(),
            text.as_bytes()
        );
    }
}

#[tokio::test]
async fn a_repository_that_cannot_be_used_is_told_in_words() {
    let lab = Lab::unmade();
    let user = lab.user_repository();
    let (plain, fresh) = (lab.dir.path().join("plain"), lab.dir.path().join("fresh"));
    std::fs::create_dir(&plain).unwrap();
    std::fs::create_dir(&fresh).unwrap();
    git(&fresh, &["init", "-q"]);
    for (path, revision, problem) in [
        (lab.dir.path().join("none"), None, "there is no such folder"),
        (
            plain,
            None,
            "it is not a git repository; run `git init` there and commit what is to be worked on",
        ),
        (
            fresh,
            None,
            "it has no commit yet; commit what is to be worked on",
        ),
        (
            user.clone(),
            Some("nope"),
            "it has no branch, tag or commit \"nope\"",
        ),
        (
            user,
            Some("--exec=x"),
            "\"--exec=x\" is not the name of a branch, tag or commit",
        ),
    ] {
        let source = Source::Repository {
            path,
            revision: revision.map(str::to_owned),
        };
        let WorkspaceError::BadSource { problem: told, .. } =
            lab.repository.create(&source, 0).await.unwrap_err()
        else {
            panic!("another error")
        };
        assert_eq!(told, problem);
        assert!(!lab.repository.path().exists());
    }
}

#[tokio::test]
async fn a_shallow_copy_of_a_user_will_do() {
    let lab = Lab::unmade();
    let user = lab.user_repository();
    write(&user, "README", "second\n");
    commit_all(&user, "second");
    let shallow = lab.dir.path().join("shallow");
    git(
        lab.dir.path(),
        &[
            "clone",
            "-q",
            "--depth=1",
            &format!("file://{}", user.display()),
            shallow.to_str().unwrap(),
        ],
    );
    lab.repository
        .create(
            &Source::Repository {
                path: shallow,
                revision: None,
            },
            0,
        )
        .await
        .unwrap();
    let a = lab.attempt("a", &[], |w| write(w, "a", "a")).await;
    let b = lab.attempt("b", &[], |w| write(w, "b", "b")).await;
    let result = lab.repository.finish(&[a, b]).await.unwrap();
    assert_eq!(lab.read(&result, "README").await, b"second\n");
}

#[tokio::test]
async fn a_long_history_comes_in_part_and_the_result_still_fits() {
    let lab = Lab::unmade();
    let user = lab.user_repository();
    for i in 0..60 {
        git(
            &user,
            &["commit", "-q", "--allow-empty", "-m", &i.to_string()],
        );
    }
    lab.repository
        .create(
            &Source::Repository {
                path: user,
                revision: None,
            },
            0,
        )
        .await
        .unwrap();
    let a = lab
        .attempt("a", &[], |w| {
            assert_eq!(git(w, &["rev-list", "--count", "HEAD"]), "50");
            write(w, "a", "a");
        })
        .await;
    let result = lab.repository.finish(&[a]).await.unwrap();
    assert_eq!(
        git(
            &lab.repository.path(),
            &["rev-list", "--count", result.as_str()]
        ),
        "62"
    );
}

/// Every file with its size and time, the `.git` folder included.
fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if meta.is_dir() {
                open.push(entry.path());
            } else {
                found.push(format!(
                    "{} {} {:?}",
                    entry.path().display(),
                    meta.len(),
                    meta.modified().unwrap()
                ));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_missing_git_is_told_in_words() {
    let dir = TempDir::new().unwrap();
    let repository = JobRepository::new(Git::new("/nonexistent"), dir.path().join("job"));
    let error = repository.create(&Source::Empty, 0).await.unwrap_err();
    assert!(
        error.to_string().contains("install git 2.34 or newer"),
        "{error}"
    );
}

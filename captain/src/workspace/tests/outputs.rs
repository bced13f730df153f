//! What can be taken from a result.

use std::os::unix::fs::PermissionsExt;

use futures_util::TryStreamExt;
use pretty_assertions::assert_eq;

use super::*;

const BINARY: &[u8] = &[0, 159, 146, 150, 0, 255, 13, 10];

async fn finished() -> (Lab, CommitId, CommitId) {
    let lab = Lab::unmade();
    let user = lab.user_repository();
    write(
        &user,
        "old name.txt",
        "a long enough text\nthat is found again\nunder its new name\n",
    );
    write(&user, "gone.txt", "x\n");
    commit_all(&user, "more");
    let base = lab
        .repository
        .create(
            &Source::Repository {
                path: user,
                revision: None,
            },
            0,
        )
        .await
        .unwrap();
    let all = lab
        .attempt("all", &[], |w| {
            std::fs::rename(w.join("old name.txt"), w.join("новое имя.txt")).unwrap();
            std::fs::remove_file(w.join("gone.txt")).unwrap();
            write(w, "README", "changed\n");
            write(w, "bin/data.bin", BINARY);
            write(w, "run.sh", "#!/bin/sh\n");
            std::fs::set_permissions(w.join("run.sh"), std::fs::Permissions::from_mode(0o755))
                .unwrap();
            std::os::unix::fs::symlink("/etc/passwd", w.join("link")).unwrap();
        })
        .await;
    let result = lab.repository.finish(&[all]).await.unwrap();
    (lab, base, result)
}

#[tokio::test]
async fn the_list_tells_what_happened_to_each_file() {
    let (lab, base, result) = finished().await;
    let change = |path: &str, kind, size| Change {
        path: path.to_owned(),
        kind,
        size,
        executable: false,
        link: false,
    };
    assert_eq!(
        lab.repository.changes(&base, &result).await.unwrap(),
        [
            change("README", ChangeKind::Modified, 8),
            change("bin/data.bin", ChangeKind::Added, 8),
            change("gone.txt", ChangeKind::Deleted, 0),
            Change {
                link: true,
                ..change("link", ChangeKind::Added, 11)
            },
            Change {
                executable: true,
                ..change("run.sh", ChangeKind::Added, 10)
            },
            change(
                "новое имя.txt",
                ChangeKind::Renamed {
                    from: "old name.txt".to_owned()
                },
                58
            ),
        ]
    );
}

#[tokio::test]
async fn single_files_come_as_they_are() {
    let (lab, _, result) = finished().await;
    assert_eq!(lab.read(&result, "bin/data.bin").await, BINARY);
    assert_eq!(
        lab.read(&result, "link").await,
        b"/etc/passwd",
        "a link is data, never followed"
    );
    let script = lab.repository.file(&result, "run.sh").await.unwrap();
    assert_eq!((script.size, script.executable), (10, true));
    for path in [
        "",
        "bin",
        "bin/",
        "none",
        "../README",
        "/etc/passwd",
        "*",
        ":/README",
        "link/x",
        ".git/config",
    ] {
        let error = lab.repository.file(&result, path).await.unwrap_err();
        assert!(
            matches!(error, WorkspaceError::NoSuchFile(_)),
            "{path:?}: {error}"
        );
    }
}

#[tokio::test]
async fn the_patch_makes_the_result_from_the_base() {
    let (lab, base, result) = finished().await;
    let patch = drain(lab.repository.patch(&base, &result).unwrap())
        .await
        .unwrap();
    let place = lab.dir.path().join("apply");
    git(
        lab.dir.path(),
        &[
            "clone",
            "-q",
            "-b",
            "base",
            lab.repository.path().to_str().unwrap(),
            "apply",
        ],
    );
    write(lab.dir.path(), "all.patch", &patch);
    git(&place, &["apply", "--index", "../all.patch"]);
    assert_eq!(
        git(&place, &["write-tree"]),
        git(
            &lab.repository.path(),
            &["rev-parse", &format!("{result}^{{tree}}")]
        )
    );
}

#[tokio::test]
async fn the_archive_holds_every_file_also_those_marked_to_be_left_out() {
    let lab = Lab::empty().await;
    let all = lab
        .attempt("all", &[], |w| {
            write(w, ".gitattributes", "* export-ignore export-subst\n");
            write(w, "f", "$Format:%H$");
        })
        .await;
    let result = lab.repository.finish(&[all]).await.unwrap();
    let chunks: Vec<bytes::Bytes> = lab
        .repository
        .archive(&result)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let packed = chunks.concat();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&packed[..]));
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        found.push((entry.path().unwrap().display().to_string(), text));
    }
    found.retain(|(path, _)| path == "f");
    assert_eq!(found, [("f".to_owned(), "$Format:%H$".to_owned())]);
}

#[tokio::test]
async fn the_bundle_can_be_fetched_by_the_user() {
    let (lab, base, result) = finished().await;
    let bundle = drain(lab.repository.bundle(Some(&base)).unwrap())
        .await
        .unwrap();
    write(lab.dir.path(), "result.bundle", &bundle);
    let user = lab.dir.path().join("user");
    git(
        &user,
        &["fetch", "-q", "../result.bundle", "result:flotilla"],
    );
    assert_eq!(git(&user, &["rev-parse", "flotilla"]), result.as_str());
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error() {
    let lab = Lab::empty().await;
    let none = CommitId::parse("1".repeat(40)).unwrap();
    let error = drain(lab.repository.patch(&none, &none).unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("`git diff"), "{error}");
    let mut archive = lab.repository.archive(&none).unwrap();
    assert!(archive.try_next().await.is_err());
}

//! What changed in a workspace, found with real git, in folders that a hostile agent has prepared too.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use pretty_assertions::assert_eq;

use super::*;

struct Fixture {
    folder: tempfile::TempDir,
    workspace: Workspace,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["w", "state"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let workspace = Workspace::new(&folder.path().join("w"), &folder.path().join("state"));
        Self { folder, workspace }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("w").join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.folder.path().join("w"), arguments)
    }

    fn commit_all(&self) -> String {
        self.git(&["init", "-q"]);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "start"]);
        self.git(&["rev-parse", "HEAD"])
    }

    async fn collect(&self) -> Changes {
        self.workspace.collect("t1", "me", "work").await.unwrap()
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@example.org",
            "-c",
            "commit.gpgSign=false",
        ])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn listed(changes: &Changes) -> Vec<(&str, u64)> {
    changes
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.size))
        .collect()
}

#[tokio::test]
async fn changes_of_a_prepared_repository_come_as_files_patch_and_importable_bundle() {
    let fixture = Fixture::new();
    fixture.write("keep.txt", "keep\n");
    fixture.write("change.txt", "old\n");
    fixture.write("delete.txt", "gone\n");
    fixture.write(".gitignore", "target/\n");
    let head = fixture.commit_all();
    fixture.workspace.begin("t1").await.unwrap();

    fixture.write("change.txt", "new\n");
    fixture.write("src/with space.rs", "fn main() {}\n");
    fixture.write("target/ignored", "x");
    std::fs::remove_file(fixture.path("delete.txt")).unwrap();
    let changes = fixture.collect().await;

    assert_eq!(changes.origin.as_deref(), Some(head.as_str()));
    assert_eq!(changes.base, head);
    assert_eq!(
        listed(&changes),
        [("change.txt", 4), ("src/with space.rs", 13)]
    );
    assert_eq!(changes.files[0].content.as_deref(), Some(&b"new\n"[..]));
    assert_eq!(changes.deleted, ["delete.txt"]);
    assert!(changes.skipped.is_empty());

    // The captain's side: its own copy of the repository takes the bundle and gets the same files.
    let captain = fixture.folder.path().join("captain");
    git(fixture.folder.path(), &["clone", "-q", "w", "captain"]);
    let bundle = fixture
        .folder
        .path()
        .join("state/artifacts/t1/result.bundle");
    git(
        &captain,
        &[
            "fetch",
            "-q",
            bundle.to_str().unwrap(),
            &format!("{RESULT}:refs/heads/result"),
        ],
    );
    assert_eq!(git(&captain, &["rev-parse", "result"]), changes.commit);
    assert_eq!(git(&captain, &["rev-parse", "result~1"]), head);
    assert_eq!(
        git(&captain, &["show", "result:src/with space.rs"]),
        "fn main() {}"
    );
    assert_eq!(
        git(&captain, &["log", "-1", "--format=%an <%ae> %s", "result"]),
        "Flotilla worker <worker@flotilla.invalid> work"
    );
    // And the patch applies to the base.
    let patch = fixture
        .folder
        .path()
        .join("state/artifacts/t1/changes.patch");
    git(&captain, &["apply", "--check", patch.to_str().unwrap()]);
    // The workspace's own repository was not touched.
    assert_eq!(fixture.git(&["rev-parse", "HEAD"]), head);
}

#[tokio::test]
async fn a_plain_folder_gives_a_bundle_without_prerequisites() {
    let fixture = Fixture::new();
    fixture.write("there.txt", "before\n");
    fixture.workspace.begin("t1").await.unwrap();
    fixture.write("new.txt", "after\n");
    let changes = fixture.collect().await;
    assert_eq!(changes.origin, None);
    assert_eq!(listed(&changes), [("new.txt", 6)]);
    let bundle = fixture
        .folder
        .path()
        .join("state/artifacts/t1/result.bundle");
    git(
        fixture.folder.path(),
        &[
            "clone",
            "-q",
            "-b",
            "flotilla/result",
            bundle.to_str().unwrap(),
            "copy",
        ],
    );
    assert!(fixture.folder.path().join("copy/there.txt").exists());
}

#[tokio::test]
async fn no_change_means_no_artifacts_and_the_base_as_result() {
    let fixture = Fixture::new();
    fixture.write("a", "a");
    let head = fixture.commit_all();
    fixture.workspace.begin("t1").await.unwrap();
    let changes = fixture.collect().await;
    assert_eq!(
        (changes.commit.as_str(), changes.base.as_str()),
        (head.as_str(), head.as_str())
    );
    assert!(changes.files.is_empty() && changes.patch.is_none() && changes.bundle.is_none());
}

#[tokio::test]
async fn uncommitted_work_found_at_the_start_is_not_the_tasks_work() {
    let fixture = Fixture::new();
    fixture.write("a", "a");
    let head = fixture.commit_all();
    fixture.write("dirty", "was here before\n");
    fixture.workspace.begin("t1").await.unwrap();
    fixture.write("b", "b");
    let changes = fixture.collect().await;
    assert_eq!(listed(&changes), [("b", 1)]);
    assert_ne!(changes.base, head);
    assert_eq!(changes.origin.as_deref(), Some(head.as_str()));
}

#[tokio::test]
async fn a_second_task_starts_from_the_first_ones_result_and_a_second_turn_keeps_its_base() {
    let fixture = Fixture::new();
    fixture.workspace.begin("t1").await.unwrap();
    fixture.write("one", "1");
    let first = fixture.collect().await;
    fixture.workspace.begin("t2").await.unwrap();
    fixture.write("two", "2");
    fixture.workspace.begin("t2").await.unwrap();
    fixture.write("three", "3");
    let second = fixture.workspace.collect("t2", "me", "more").await.unwrap();
    assert_eq!(second.base, first.commit);
    assert_eq!(listed(&second), [("three", 1), ("two", 1)]);
}

#[tokio::test]
async fn links_are_recorded_and_not_followed() {
    let fixture = Fixture::new();
    let secret = fixture.folder.path().join("secret");
    std::fs::write(&secret, "outside").unwrap();
    std::fs::create_dir(fixture.folder.path().join("outside")).unwrap();
    std::fs::write(fixture.folder.path().join("outside/file"), "outside").unwrap();
    fixture.write("was-a-folder/file", "inside");
    fixture.workspace.begin("t1").await.unwrap();
    symlink(&secret, fixture.path("link")).unwrap();
    std::fs::remove_dir_all(fixture.path("was-a-folder")).unwrap();
    symlink(
        fixture.folder.path().join("outside"),
        fixture.path("was-a-folder"),
    )
    .unwrap();
    let changes = fixture.collect().await;
    assert!(changes.files.is_empty(), "{:?}", changes.files);
    assert_eq!(changes.deleted, ["was-a-folder/file"]);
    let patch = String::from_utf8(changes.patch.unwrap().content.unwrap().to_vec()).unwrap();
    assert!(patch.contains("new file mode 120000"), "{patch}");
    assert!(!patch.contains("+outside\n"), "{patch}");
}

#[tokio::test]
async fn nothing_of_a_hostile_repository_runs() {
    let fixture = Fixture::new();
    fixture.write("a", "a");
    fixture.commit_all();
    fixture.workspace.begin("t1").await.unwrap();

    // The agent turns its repository into a trap, plants another one below, and names a filter.
    let trap = fixture.folder.path().join("sprung");
    let script = fixture.path("trap.sh");
    fixture.write(
        "trap.sh",
        format!("#!/bin/sh\ntouch {}\ncat\n", trap.display()),
    );
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = script.to_str().unwrap().to_owned();
    for folder in [fixture.path(""), fixture.path("nested")] {
        std::fs::create_dir_all(&folder).unwrap();
        git(&folder, &["init", "-q"]);
        git(&folder, &["commit", "-q", "--allow-empty", "-m", "x"]);
        for setting in [
            "core.fsmonitor",
            "filter.evil.clean",
            "filter.evil.process",
            "diff.evil.textconv",
            "core.sshCommand",
        ] {
            git(&folder, &["config", setting, &run]);
        }
        git(&folder, &["config", "core.worktree", "/"]);
    }
    fixture.write("nested/inner.txt", "x");
    fixture.write(
        ".gitattributes",
        "* filter=evil diff=evil\n*.txt working-tree-encoding=UTF-16\n",
    );
    fixture.write("b.txt", "b\n");
    std::fs::create_dir_all(fixture.path(".git/hooks")).unwrap();
    for hook in ["post-index-change", "reference-transaction", "pre-auto-gc"] {
        std::fs::copy(&script, fixture.path(".git/hooks").join(hook)).unwrap();
    }
    let changes = fixture.collect().await;

    assert!(
        !trap.exists(),
        "a command of the agent ran outside the sandbox"
    );
    assert_eq!(
        listed(&changes)
            .iter()
            .map(|(path, _)| *path)
            .collect::<Vec<_>>(),
        [".gitattributes", "b.txt", "trap.sh"]
    );
    assert_eq!(changes.files[1].content.as_deref(), Some(&b"b\n"[..]));
    assert_eq!(
        changes.skipped,
        [Skipped::new("nested/", "it is a git repository of its own")]
    );
    // A restart does not read it either.
    let again = Workspace::new(&fixture.path(""), &fixture.folder.path().join("state"));
    again.begin("t2").await.unwrap();
    assert!(!trap.exists());
}

#[tokio::test]
async fn large_files_are_listed_without_content_and_pipes_are_left_out() {
    let fixture = Fixture::new();
    fixture.workspace.begin("t1").await.unwrap();
    fixture.write("large", vec![7; usize::try_from(MAX_INLINE).unwrap() + 1]);
    fixture.write("limit", vec![7; usize::try_from(MAX_INLINE).unwrap()]);
    let pipe = fixture.path("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let changes = fixture.collect().await;
    assert_eq!(
        listed(&changes),
        [("large", MAX_INLINE + 1), ("limit", MAX_INLINE)]
    );
    assert!(changes.files[0].content.is_none());
    assert_eq!(
        changes.files[1].content.as_ref().map(Bytes::len),
        Some(256 * 1024)
    );
}

#[tokio::test]
async fn a_link_in_the_place_of_the_repository_is_not_followed() {
    let fixture = Fixture::new();
    let other = fixture.folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    git(&other, &["init", "-q"]);
    git(&other, &["commit", "-q", "--allow-empty", "-m", "private"]);
    symlink(other.join(".git"), fixture.path(".git")).unwrap();
    fixture.workspace.begin("t1").await.unwrap();
    assert_eq!(fixture.collect().await.origin, None);
}

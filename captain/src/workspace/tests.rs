//! The job's repository against the real `git`: what good workers, careless ones and hostile ones can do to it.

mod hostile;
mod merging;
mod outputs;
mod port;

use std::path::{Path, PathBuf};
use std::process::Command;

use captain_core::{Attempt, CommitId, SubtaskId};
use tempfile::TempDir;

use super::import::{BUNDLE_REF, ImportLimits};
use super::*;

/// A job's repository in a folder of its own, and what a worker would do with a workspace.
struct Lab {
    dir: TempDir,
    repository: JobRepository,
}

impl Lab {
    async fn empty() -> Self {
        Self::from(Source::Empty).await
    }

    async fn from(source: Source) -> Self {
        let lab = Self::unmade();
        lab.repository.create(&source, 1_700_000_000).await.unwrap();
        lab
    }

    fn unmade() -> Self {
        let dir = TempDir::new().unwrap();
        let git = Git::new(std::env::var_os("PATH").unwrap());
        let repository = JobRepository::new(git, dir.path().join("jobs/one"));
        Self { dir, repository }
    }

    /// A repository of a user, with one file.
    fn user_repository(&self) -> PathBuf {
        let path = self.dir.path().join("user");
        std::fs::create_dir(&path).unwrap();
        git(&path, &["init", "-q", "-b", "trunk"]);
        std::fs::write(path.join("README"), "hello\n").unwrap();
        commit_all(&path, "first");
        path
    }

    /// A whole attempt: prepared from `inputs`, changed by `work`, taken back.
    async fn attempt(&self, name: &str, inputs: &[&Input], work: impl FnOnce(&Path)) -> Input {
        let (prepared, bundle) = self.bundle(name, inputs, work).await;
        let subtask = id(name);
        let commit = match bundle {
            Some(bundle) => self
                .repository
                .import(&subtask, Attempt(1), &bundle, &ImportLimits::default())
                .await
                .unwrap(),
            None => self
                .repository
                .import_unchanged(&subtask, Attempt(1))
                .await
                .unwrap(),
        };
        assert!(bundle_free(&prepared.workspace));
        Input { subtask, commit }
    }

    /// Prepares a workspace, lets `work` change it, and bundles what is new; nothing if nothing is.
    async fn bundle(
        &self,
        name: &str,
        inputs: &[&Input],
        work: impl FnOnce(&Path),
    ) -> (Prepared, Option<PathBuf>) {
        let inputs: Vec<Input> = inputs.iter().map(|&input| input.clone()).collect();
        let prepared = self
            .repository
            .prepare(&id(name), Attempt(1), &inputs)
            .await
            .unwrap();
        work(&prepared.workspace);
        commit_all(&prepared.workspace, name);
        let head = git(&prepared.workspace, &["rev-parse", "HEAD"]);
        if head == prepared.commit.as_str() {
            return (prepared, None);
        }
        let bundle = self.pack(&prepared.workspace, name, prepared.commit.as_str());
        (prepared, Some(bundle))
    }

    /// Bundles what HEAD has and `since` has not.
    fn pack(&self, workspace: &Path, name: &str, since: &str) -> PathBuf {
        let bundle = self.dir.path().join(format!("{name}.bundle"));
        git(workspace, &["update-ref", BUNDLE_REF, "HEAD"]);
        git(
            workspace,
            &[
                "bundle",
                "create",
                "-q",
                bundle.to_str().unwrap(),
                BUNDLE_REF,
                &format!("^{since}"),
            ],
        );
        bundle
    }

    async fn import(&self, name: &str, bundle: &Path) -> Result<CommitId, BundleError> {
        self.repository
            .import(&id(name), Attempt(1), bundle, &ImportLimits::default())
            .await
    }

    async fn read(&self, commit: &CommitId, path: &str) -> Vec<u8> {
        drain(self.repository.file(commit, path).await.unwrap().bytes)
            .await
            .unwrap()
    }

    /// The job's folder holds nothing that is under way, and no branch of `name`.
    fn assert_no_trace(&self, name: &str) {
        let scratch: Vec<_> = std::fs::read_dir(self.repository.folder.join("tmp"))
            .unwrap()
            .collect();
        assert!(scratch.is_empty(), "{scratch:?}");
        let branches = git(
            &self.repository.path(),
            &["for-each-ref", &format!("refs/heads/subtask/{name}")],
        );
        assert_eq!(branches, "");
    }
}

fn id(name: &str) -> SubtaskId {
    SubtaskId::parse(name).unwrap()
}

fn bundle_free(workspace: &Path) -> bool {
    !workspace.join(".git/objects/info/alternates").exists()
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=u",
            "-c",
            "user.email=u@example.com",
            "-c",
            "safe.directory=*",
        ])
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

fn commit_all(folder: &Path, message: &str) {
    git(folder, &["add", "-A"]);
    if !git(folder, &["status", "--porcelain"]).is_empty() {
        git(folder, &["commit", "-q", "-m", message]);
    }
}

fn write(folder: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

async fn drain(mut stream: GitStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await?;
    Ok(bytes)
}

//! The workspace of one attempt: a small repository of its own whose one commit of interest is the merge of the
//! dependencies' results. It has no remote and shares no object with ours: whatever the agent does to it stays in it.

use std::path::{Path, PathBuf};

use captain_core::{Attempt, CommitId, SubtaskId};

use super::error::{MergeError, WorkspaceError, io_error};
use super::git::{AUTHOR_EMAIL, AUTHOR_NAME};
use super::merge::Input;
use super::repository::{JobRepository, exists, make_folder, remove_tree};

/// How much history a workspace gets: enough to see how people commit here, bounded so that a long history does not cost
/// each subtask a full copy.
const HISTORY_DEPTH: &str = "--depth=50";

/// The one branch of a workspace.
const BRANCH: &str = "main";

/// What an attempt starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The workspace's folder, checked out.
    pub workspace: PathBuf,
    /// The commit that is checked out; the result must build on it.
    pub commit: CommitId,
}

impl JobRepository {
    /// Merges `inputs` and checks the result out for an attempt. Done already, it gives the same answer and does not
    /// touch the workspace: a worker may be at work there.
    pub async fn prepare(
        &self,
        subtask: &SubtaskId,
        attempt: Attempt,
        inputs: &[Input],
    ) -> Result<Prepared, MergeError> {
        let name = prepared_ref(subtask, attempt);
        let commit = match self.resolve(&name).await? {
            Some(commit) => commit,
            None => {
                let commit = self.merge(&format!("{subtask}-{attempt}"), inputs).await?;
                self.set_ref(&name, &commit).await?;
                commit
            }
        };
        let workspace = self.workspace(subtask, attempt);
        if !exists(&workspace).await? {
            let new = self
                .scratch()
                .await?
                .join(format!("work-{subtask}-{attempt}"));
            remove_tree(&new).await?;
            make_folder(&new).await?;
            self.check_out(&new, &name).await?;
            make_folder(&self.folder.join("work")).await?;
            tokio::fs::rename(&new, &workspace)
                .await
                .map_err(io_error("move into place", &workspace))?;
        }
        Ok(Prepared { workspace, commit })
    }

    /// What [`JobRepository::prepare`] gave this attempt.
    pub(super) async fn prepared(
        &self,
        subtask: &SubtaskId,
        attempt: Attempt,
    ) -> Result<Option<CommitId>, WorkspaceError> {
        self.resolve(&prepared_ref(subtask, attempt)).await
    }

    /// Removes an attempt's workspace; gone already is fine.
    pub async fn discard(
        &self,
        subtask: &SubtaskId,
        attempt: Attempt,
    ) -> Result<(), WorkspaceError> {
        remove_tree(&self.workspace(subtask, attempt)).await
    }

    /// The folder of an attempt's workspace.
    pub fn workspace(&self, subtask: &SubtaskId, attempt: Attempt) -> PathBuf {
        self.folder
            .join("work")
            .join(format!("{subtask}-{attempt}"))
    }

    async fn check_out(&self, folder: &Path, name: &str) -> Result<(), WorkspaceError> {
        self.init(folder, &["--initial-branch=main"]).await?;
        let here = || self.git.inside(folder);
        here()
            .args([
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--update-shallow",
                "--update-head-ok",
                HISTORY_DEPTH,
                "--",
            ])
            .arg(self.path())
            .arg(format!("{name}:refs/heads/{BRANCH}"))
            .run()
            .await?;
        // The agent runs without any settings of this machine, so it needs a name to commit under.
        here()
            .args(["config", "user.name", AUTHOR_NAME])
            .run()
            .await?;
        here()
            .args(["config", "user.email", AUTHOR_EMAIL])
            .run()
            .await?;
        here()
            .args(["reset", "--quiet", "--hard", BRANCH])
            .run()
            .await?;
        Ok(())
    }
}

fn prepared_ref(subtask: &SubtaskId, attempt: Attempt) -> String {
    format!("refs/prepared/{subtask}/{attempt}")
}

//! Merging results, one after the other, in the order given. The work is done by `git merge` in a repository
//! of its own, which every git since 2.34 does alike; it is only made where two results really went apart.

use std::collections::BTreeSet;
use std::path::PathBuf;

use captain_core::{CommitId, Conflict, SubtaskId};

use super::error::{MergeError, WorkspaceError};
use super::git::{Answer, Call, Git};
use super::outputs::split_nul;
use super::repository::{
    JobRepository, RESULT_REF, commit_id, make_folder, remove_tree, write_attributes,
};

/// One result to merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Who made it.
    pub subtask: SubtaskId,
    /// What was made.
    pub commit: CommitId,
}

impl JobRepository {
    /// The merge of `inputs` in their order; the job's base if there are none. The same inputs always give the same
    /// commit. `name` tells merges apart that run at the same time.
    pub async fn merge(&self, name: &str, inputs: &[Input]) -> Result<CommitId, MergeError> {
        let Some((first, rest)) = inputs.split_first() else {
            return Ok(self.base().await?);
        };
        let mut current = first.commit.clone();
        let mut bench: Option<Bench> = None;
        let mut result = Ok(());
        for (i, input) in rest.iter().enumerate() {
            let merged = self
                .merge_one(
                    name,
                    &mut bench,
                    &current,
                    inputs.get(..=i).unwrap_or_default(),
                    input,
                )
                .await;
            match merged {
                Ok(commit) => current = commit,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        if let Some(bench) = bench {
            remove_tree(&bench.place).await?;
        }
        result.map(|()| current)
    }

    /// Makes the branch `result`: the merge of the plan's leaves.
    pub async fn finish(&self, leaves: &[Input]) -> Result<CommitId, MergeError> {
        let commit = self.merge("result", leaves).await?;
        self.set_ref(RESULT_REF, &commit).await?;
        Ok(commit)
    }

    async fn merge_one(
        &self,
        name: &str,
        bench: &mut Option<Bench>,
        current: &CommitId,
        merged: &[Input],
        input: &Input,
    ) -> Result<CommitId, MergeError> {
        if self.is_ancestor(&input.commit, current).await? {
            return Ok(current.clone());
        }
        if self.is_ancestor(current, &input.commit).await? {
            return Ok(input.commit.clone());
        }
        let bench = match bench {
            Some(bench) => bench,
            None => bench.insert(self.add_bench(name).await?),
        };
        // An earlier step may have moved on without the bench.
        bench
            .call(&self.git)
            .args(["reset", "--quiet", "--hard", current.as_str()])
            .run()
            .await
            .map_err(WorkspaceError::from)?;
        let subject = format!("Merge subtask {}", input.subtask);
        let seconds = self
            .date(current)
            .await?
            .max(self.date(&input.commit).await?);
        let answer = bench
            .call(&self.git)
            .args([
                "merge",
                "--quiet",
                "--no-ff",
                "--no-verify",
                "--no-rerere-autoupdate",
                "-m",
                &subject,
            ])
            .arg(input.commit.as_str())
            .dated(seconds)
            .accept(&[0, 1])
            .run()
            .await?;
        if answer.code == 0 {
            let head = bench
                .call(&self.git)
                .args(["rev-parse", "HEAD"])
                .run()
                .await?;
            return Ok(commit_id("rev-parse", &head.line())?);
        }
        let listed = bench
            .call(&self.git)
            .args(["ls-files", "--unmerged", "-z"])
            .run()
            .await?;
        let files = unmerged(&listed);
        if files.is_empty() {
            let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
            return Err(WorkspaceError::Answer {
                what: "merge",
                answer,
            }
            .into());
        }
        Err(MergeError::Conflict(
            self.explain(files, merged, input).await?,
        ))
    }

    /// Who is involved: `input`, and those merged before that touched one of the files since they went apart from it.
    async fn explain(
        &self,
        files: BTreeSet<String>,
        merged: &[Input],
        input: &Input,
    ) -> Result<Conflict, WorkspaceError> {
        let mut subtasks = Vec::new();
        for earlier in merged {
            let range = format!("{}...{}", input.commit, earlier.commit);
            let answer = self
                .call()
                .args(["diff", "--name-only", "--no-renames", "-z", &range])
                .run()
                .await?;
            if split_nul(&answer.stdout).any(|path| files.contains(&*String::from_utf8_lossy(path)))
            {
                subtasks.push(earlier.subtask.clone());
            }
        }
        if subtasks.is_empty() {
            // A rename can put the conflict under a name that nobody touched.
            subtasks.extend(merged.iter().map(|earlier| earlier.subtask.clone()));
        }
        subtasks.push(input.subtask.clone());
        Ok(Conflict {
            files: files.into_iter().collect(),
            subtasks,
        })
    }

    /// Whether `descendant` is `ancestor` or builds on it.
    pub(super) async fn is_ancestor(
        &self,
        ancestor: &CommitId,
        descendant: &CommitId,
    ) -> Result<bool, WorkspaceError> {
        let call = self.call().args([
            "merge-base",
            "--is-ancestor",
            ancestor.as_str(),
            descendant.as_str(),
        ]);
        Ok(call.accept(&[0, 1]).run().await?.code == 0)
    }

    /// A commit's date in seconds since 1970.
    async fn date(&self, commit: &CommitId) -> Result<i64, WorkspaceError> {
        let line = self
            .call()
            .args(["show", "--no-patch", "--format=%ct", commit.as_str()])
            .run()
            .await?
            .line();
        line.parse().map_err(|_| WorkspaceError::Answer {
            what: "show",
            answer: line,
        })
    }

    /// Makes the folder: a repository of its own that keeps its objects in ours. (`git worktree` would do, but several
    /// of its calls at the same time disturb each other.)
    async fn add_bench(&self, name: &str) -> Result<Bench, WorkspaceError> {
        let place = self.scratch().await?.join(format!("merge-{name}"));
        // Left over by a captain that died.
        remove_tree(&place).await?;
        make_folder(&place).await?;
        self.init(&place, &["--initial-branch=merge"]).await?;
        let own = place.join(".git");
        write_attributes(&own).await?;
        self.share_cut(&own).await?;
        Ok(Bench {
            place,
            objects: self.path().join("objects"),
        })
    }
}

/// Where results are merged.
struct Bench {
    place: PathBuf,
    objects: PathBuf,
}

impl Bench {
    fn call<'a>(&self, git: &'a Git) -> Call<'a> {
        git.inside(&self.place).objects(&self.objects)
    }
}

/// The paths in `<mode> <object> <stage>\t<path>` lines that end with NUL.
fn unmerged(answer: &Answer) -> BTreeSet<String> {
    split_nul(&answer.stdout)
        .filter_map(|line| line.splitn(2, |&byte| byte == b'\t').nth(1))
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect()
}

//! The workspaces of all jobs, as the engine wants them: translates between its requests and the jobs' repositories,
//! and turns errors into words for users.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use captain_core::{JobId, JobResult, SubtaskId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::error::{BundleError, MergeError, WorkspaceError};
use super::git::Git;
use super::import::ImportLimits;
use super::merge::Input;
use super::repository::{JobRepository, Source};
use crate::engine::ports;
use crate::engine::ports::{FinishRequest, ImportRequest, Imported, Labels, PrepareRequest};

/// The branch that holds a job's result.
const RESULT_BRANCH: &str = "result";

/// The repositories and workspaces of all jobs, below one folder.
#[derive(Debug, Clone)]
pub struct Workspaces {
    git: Git,
    jobs: PathBuf,
    limits: ImportLimits,
    keep: bool,
    making: Making,
}

/// The jobs whose repositories are being made, each with the lock that its subtasks wait at: the first one makes it,
/// the others find it.
#[derive(Debug, Clone, Default)]
struct Making(Arc<Mutex<BTreeMap<JobId, Weak<tokio::sync::Mutex<()>>>>>);

impl Making {
    fn lock(&self, job: &JobId) -> Arc<tokio::sync::Mutex<()>> {
        let mut making = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = making.get(job).and_then(Weak::upgrade) {
            return lock;
        }
        making.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        making.insert(job.clone(), Arc::downgrade(&lock));
        lock
    }
}

impl Workspaces {
    /// Jobs live in `jobs`; with `keep` the attempts' workspaces stay after their end.
    pub fn new(git: Git, jobs: PathBuf, limits: ImportLimits, keep: bool) -> Self {
        Self {
            git,
            jobs,
            limits,
            keep,
            making: Making::default(),
        }
    }

    /// The repository of one job, whether it has been made or not.
    pub fn repository(&self, job: &JobId) -> JobRepository {
        JobRepository::new(self.git.clone(), self.jobs.join(job.as_str()))
    }

    async fn make(&self, request: &PrepareRequest) -> Result<ports::Prepared, MergeError> {
        let repository = self.repository(&request.labels.job);
        let source = match &request.repo {
            None => Source::Empty,
            Some(path) => Source::Repository {
                path: PathBuf::from(path),
                revision: request.base.clone(),
            },
        };
        let making = self.making.lock(&request.labels.job);
        {
            let _alone = making.lock().await;
            let made = repository.create(&source, request.submitted.as_second());
            made.await?;
        }
        let inputs = inputs(&request.from);
        let prepared = repository
            .prepare(&request.labels.subtask, request.labels.attempt, &inputs)
            .await?;
        Ok(ports::Prepared {
            workspace: prepared.workspace,
            base: prepared.commit,
        })
    }

    async fn take(&self, request: &ImportRequest) -> Result<Imported, BundleError> {
        let Labels {
            job,
            subtask,
            attempt,
        } = &request.labels;
        let repository = self.repository(job);
        let commit = match &request.bundle {
            Some(bundle) => {
                repository
                    .import(subtask, *attempt, bundle, &self.limits)
                    .await?
            }
            None => repository.import_unchanged(subtask, *attempt).await?,
        };
        let prepared = repository.prepared(subtask, *attempt).await?;
        let base = prepared.ok_or(BundleError::NotPrepared)?;
        let changes = repository.changes(&base, &commit).await?;
        Ok(Imported {
            commit,
            files: changes.into_iter().map(|change| change.path).collect(),
        })
    }

    async fn put_together(&self, request: &FinishRequest) -> Result<JobResult, MergeError> {
        let repository = self.repository(&request.job);
        let commit = repository.finish(&inputs(&request.leaves)).await?;
        let base = repository.base().await?;
        let changes = repository.changes(&base, &commit).await?;
        Ok(JobResult {
            commit,
            branch: RESULT_BRANCH.to_owned(),
            files: changes.into_iter().map(|change| change.path).collect(),
        })
    }
}

impl ports::Workspace for Workspaces {
    fn prepare<'a>(
        &'a self,
        request: &'a PrepareRequest,
    ) -> BoxFuture<'a, Result<ports::Prepared, ports::WorkspaceError>> {
        self.make(request)
            .map(|made| made.map_err(Into::into))
            .boxed()
    }

    fn import<'a>(
        &'a self,
        request: &'a ImportRequest,
    ) -> BoxFuture<'a, Result<Imported, ports::WorkspaceError>> {
        self.take(request)
            .map(|taken| taken.map_err(Into::into))
            .boxed()
    }

    fn finish<'a>(
        &'a self,
        request: &'a FinishRequest,
    ) -> BoxFuture<'a, Result<JobResult, ports::WorkspaceError>> {
        self.put_together(request)
            .map(|made| made.map_err(Into::into))
            .boxed()
    }

    fn discard<'a>(
        &'a self,
        labels: &'a Labels,
    ) -> BoxFuture<'a, Result<(), ports::WorkspaceError>> {
        async move {
            if self.keep {
                return Ok(());
            }
            let repository = self.repository(&labels.job);
            let gone = repository.discard(&labels.subtask, labels.attempt).await;
            gone.map_err(Into::into)
        }
        .boxed()
    }
}

fn inputs(from: &[(SubtaskId, captain_core::CommitId)]) -> Vec<Input> {
    from.iter()
        .map(|(subtask, commit)| Input {
            subtask: subtask.clone(),
            commit: commit.clone(),
        })
        .collect()
}

impl From<WorkspaceError> for ports::WorkspaceError {
    fn from(error: WorkspaceError) -> Self {
        Self::Failed {
            message: daemon::cli::chain(&error),
            source: Some(Box::new(error)),
        }
    }
}

impl From<MergeError> for ports::WorkspaceError {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::Conflict(conflict) => Self::Conflict(conflict),
            MergeError::Workspace(error) => error.into(),
        }
    }
}

impl From<BundleError> for ports::WorkspaceError {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Workspace(error) => error.into(),
            refused => Self::Failed {
                message: format!("the result was refused: {refused}"),
                source: Some(Box::new(refused)),
            },
        }
    }
}

//! Making and opening a job's repository, and the few questions that all parts ask it. It is made aside and moved into
//! place, so that a captain that dies in between finds either none or a whole one.

use std::io;
use std::path::{Path, PathBuf};

use captain_core::{Attempt, CommitId, SubtaskId};

use super::error::{WorkspaceError, io_error};
use super::git::{Call, Git};

/// Where the job starts.
pub(super) const BASE_REF: &str = "refs/heads/base";
/// Where the job's result is put.
pub(super) const RESULT_REF: &str = "refs/heads/result";

/// Attributes in a repository's own files can change bytes on the way in and out (line ends, encodings, keywords,
/// files left out of an archive). This file outranks them: in the captain's repository, bytes are bytes.
const ATTRIBUTES: &str =
    "* -text !eol -ident !filter !working-tree-encoding -export-ignore -export-subst\n";

/// What a job's repository starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nothing: one root commit without files.
    Empty,
    /// A commit of a repository on this machine, which is only read.
    Repository {
        /// A folder inside it.
        path: PathBuf,
        /// A branch, tag or commit; what is checked out when missing.
        revision: Option<String>,
    },
}

/// The repository of one job.
#[derive(Debug, Clone)]
pub struct JobRepository {
    pub(super) git: Git,
    /// The job's folder.
    pub(super) folder: PathBuf,
}

impl JobRepository {
    /// The repository in `folder`, which [`JobRepository::create`] makes; nothing is touched yet.
    pub fn new(git: Git, folder: PathBuf) -> Self {
        Self { git, folder }
    }

    /// Makes the repository and says where the job starts. Done already, it only says so: a captain that died in
    /// between may ask again. `seconds` since 1970 date the root commit.
    pub async fn create(&self, source: &Source, seconds: i64) -> Result<CommitId, WorkspaceError> {
        if let Some(base) = self.resolve(BASE_REF).await? {
            return Ok(base);
        }
        let origin = match source {
            Source::Empty => None,
            Source::Repository { path, revision } => {
                Some(self.locate(path, revision.as_deref()).await?)
            }
        };
        let (path, new) = (self.path(), self.folder.join("repo.git.new"));
        make_folder(&self.folder).await?;
        remove_tree(&new).await?;
        make_folder(&new).await?;
        self.init(&new, &["--bare", "--initial-branch=result"])
            .await?;
        write_attributes(&new).await?;
        match origin {
            None => self.plant(&new, seconds).await?,
            Some(origin) => self.copy(&new, &origin).await?,
        }
        tokio::fs::rename(&new, &path)
            .await
            .map_err(io_error("move into place", &path))?;
        self.resolve(BASE_REF)
            .await?
            .ok_or(WorkspaceError::NoRepository(path))
    }

    /// The commit that the job starts from.
    pub async fn base(&self) -> Result<CommitId, WorkspaceError> {
        self.resolve(BASE_REF)
            .await?
            .ok_or_else(|| WorkspaceError::NoRepository(self.path()))
    }

    /// The commit of the branch `result`; none before the job's last merge.
    pub async fn result(&self) -> Result<Option<CommitId>, WorkspaceError> {
        self.resolve(RESULT_REF).await
    }

    /// The repository's folder.
    pub fn path(&self) -> PathBuf {
        self.folder.join("repo.git")
    }

    /// The folder of things under way, made if missing.
    pub(super) async fn scratch(&self) -> Result<PathBuf, WorkspaceError> {
        let path = self.folder.join("tmp");
        make_folder(&path).await?;
        Ok(path)
    }

    /// Tells another repository that reads our objects where our history was cut off, if the user's copy had it only
    /// in part.
    pub(super) async fn share_cut(&self, git_dir: &Path) -> Result<(), WorkspaceError> {
        let cut = self.path().join("shallow");
        if exists(&cut).await? {
            let copied = tokio::fs::copy(&cut, git_dir.join("shallow")).await;
            copied.map_err(io_error("copy", &cut))?;
        }
        Ok(())
    }

    pub(super) fn call(&self) -> Call<'_> {
        self.git.bare(&self.path())
    }

    /// Makes an empty repository in an existing folder; no templates, so no hooks of this machine.
    pub(super) async fn init(&self, folder: &Path, flags: &[&str]) -> Result<(), WorkspaceError> {
        self.git
            .inside(folder)
            .args(["init", "--quiet", "--template="])
            .args(flags)
            .arg(folder)
            .run()
            .await?;
        Ok(())
    }

    /// The commit that a ref points at, if it is there.
    pub(super) async fn resolve(&self, name: &str) -> Result<Option<CommitId>, WorkspaceError> {
        if !exists(&self.path()).await? {
            return Ok(None);
        }
        let answer = self
            .call()
            .args(["rev-parse", "--quiet", "--verify", name])
            .accept(&[0, 1])
            .run()
            .await?;
        if answer.code == 0 {
            commit_id("rev-parse", &answer.line()).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(super) async fn set_ref(
        &self,
        name: &str,
        commit: &CommitId,
    ) -> Result<(), WorkspaceError> {
        self.call()
            .args(["update-ref", name, commit.as_str()])
            .run()
            .await?;
        Ok(())
    }

    /// Finds the repository that `path` belongs to and the commit that is meant. Runs `git` in the user's folder, but
    /// only to read.
    async fn locate(&self, path: &Path, revision: Option<&str>) -> Result<Origin, WorkspaceError> {
        let bad = |problem: String| WorkspaceError::BadSource {
            path: path.to_owned(),
            problem,
        };
        if !tokio::fs::metadata(path)
            .await
            .is_ok_and(|found| found.is_dir())
        {
            return Err(bad("there is no such folder".to_owned()));
        }
        let asked = self
            .git
            .inside(path)
            .args(["rev-parse", "--path-format=absolute", "--git-common-dir"])
            .run()
            .await;
        let folder = match asked {
            Ok(answer) => PathBuf::from(answer.line()),
            Err(error) => {
                return Err(match error.stderr() {
                    Some(text) if text.contains("not a git repository") => {
                        bad("it is not a git repository; run `git init` there and commit what is to be worked on".to_owned())
                    }
                    Some(text) if text.contains("dubious ownership") => {
                        bad("it belongs to another user; run the captain as that user or make a copy".to_owned())
                    }
                    Some(_) | None => error.into(),
                });
            }
        };
        let name = revision.unwrap_or("HEAD");
        if name.is_empty() || name.starts_with('-') || name.contains(char::is_control) {
            return Err(bad(format!(
                "{name:?} is not the name of a branch, tag or commit"
            )));
        }
        let wanted = format!("{name}^{{commit}}");
        let call = self.git.inside(path).args([
            "rev-parse",
            "--quiet",
            "--verify",
            "--end-of-options",
            &wanted,
        ]);
        let answer = call.accept(&[0, 1, 128]).run().await?;
        if answer.code != 0 {
            return Err(bad(match revision {
                None => "it has no commit yet; commit what is to be worked on".to_owned(),
                Some(name) => format!("it has no branch, tag or commit {name:?}"),
            }));
        }
        Ok(Origin {
            folder,
            commit: commit_id("rev-parse", &answer.line())?,
        })
    }

    /// The root commit of a job without a repository.
    async fn plant(&self, new: &Path, seconds: i64) -> Result<(), WorkspaceError> {
        let bare = || self.git.bare(new);
        let tree = bare()
            .args(["hash-object", "-t", "tree", "-w", "--stdin"])
            .run()
            .await?
            .line();
        let call = bare()
            .args(["commit-tree", "-m", "Start of the job", &tree])
            .dated(seconds);
        let commit = call.run().await?.line();
        bare().args(["update-ref", BASE_REF, &commit]).run().await?;
        Ok(())
    }

    /// Copies the wanted commit and its history. The other side hands out any commit by its id, since the one that was
    /// looked up need not be the tip of a branch (any more).
    async fn copy(&self, new: &Path, origin: &Origin) -> Result<(), WorkspaceError> {
        let bare = || self.git.bare(new);
        bare()
            .args([
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--update-shallow",
            ])
            .arg("--upload-pack=git -c uploadpack.allowAnySHA1InWant=true upload-pack")
            .arg("--")
            .arg(&origin.folder)
            .arg(format!("{}:{BASE_REF}", origin.commit))
            .run()
            .await?;
        Ok(())
    }
}

/// A commit of the user's repository.
struct Origin {
    folder: PathBuf,
    commit: CommitId,
}

/// Makes a repository of ours treat bytes as bytes.
pub(super) async fn write_attributes(git_dir: &Path) -> Result<(), WorkspaceError> {
    let info = git_dir.join("info");
    make_folder(&info).await?;
    let file = info.join("attributes");
    tokio::fs::write(&file, ATTRIBUTES)
        .await
        .map_err(io_error("write", &file))
}

/// The branch of an attempt's result.
pub(super) fn subtask_ref(subtask: &SubtaskId, attempt: Attempt) -> String {
    format!("refs/heads/subtask/{subtask}/{attempt}")
}

pub(super) fn commit_id(what: &'static str, answer: &str) -> Result<CommitId, WorkspaceError> {
    CommitId::parse(answer).map_err(|_| WorkspaceError::Answer {
        what,
        answer: answer.to_owned(),
    })
}

pub(super) async fn exists(path: &Path) -> Result<bool, WorkspaceError> {
    tokio::fs::try_exists(path)
        .await
        .map_err(io_error("look for", path))
}

/// Makes a folder that only we may enter, and its parents.
pub(super) async fn make_folder(path: &Path) -> Result<(), WorkspaceError> {
    let mut builder = tokio::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(path)
        .await
        .map_err(io_error("make the folder", path))
}

/// Removes a folder and all it holds, never through a symbolic link. Agents may leave folders that nobody may enter;
/// those are opened first.
pub(super) async fn remove_tree(path: &Path) -> Result<(), WorkspaceError> {
    let owned = path.to_owned();
    let removed = tokio::task::spawn_blocking(move || match std::fs::remove_dir_all(&owned) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(&owned)?;
            std::fs::remove_dir_all(&owned)
        }
        other => other,
    });
    match removed
        .await
        .map_err(io::Error::other)
        .and_then(|result| result)
    {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn open_up(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

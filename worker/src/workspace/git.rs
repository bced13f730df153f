//! The `git` program, driven against the shadow repository and nothing else.
//!
//! Every call has an environment made from nothing, a configuration that does not come from the workspace, a limit on its
//! time and a limit on its output. The one call that reads the workspace's own repository is [`Git::import`], which runs
//! before any agent does.

mod command;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use thiserror::Error;

use command::{Bounded, command};

/// Why a git command gave no result.
#[derive(Debug, Error)]
pub(crate) enum GitError {
    /// The program could not be started.
    #[error("cannot run git: install it")]
    Start(#[source] io::Error),
    /// Talking to it failed.
    #[error("cannot exchange data with git")]
    Pipe(#[source] io::Error),
    /// A file of the shadow repository could not be used.
    #[error("cannot use {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It ended with an error.
    #[error("git {command} failed: {text}")]
    Failed { command: String, text: String },
    /// It took too long.
    #[error("git {command} did not end within 120 seconds")]
    TimedOut { command: String },
    /// It printed too much.
    #[error("git {command} printed more than 64 MiB")]
    TooMuch { command: String },
    /// It printed something unexpected.
    #[error("git {command} printed something that is not its documented format")]
    Format { command: String },
}

/// The shadow repository with its work tree.
#[derive(Debug)]
pub(crate) struct Git {
    dir: PathBuf,
    work_tree: PathBuf,
}

/// One difference between two trees.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DiffEntry {
    pub(crate) path: Vec<u8>,
    pub(crate) object: String,
    pub(crate) deleted: bool,
    /// A regular file, and not a symbolic link or a nested repository.
    pub(crate) regular: bool,
}

impl Git {
    pub(crate) fn new(work_tree: &Path, dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            work_tree: work_tree.to_owned(),
        }
    }

    pub(crate) fn work_tree(&self) -> &Path {
        &self.work_tree
    }

    /// True once [`Git::set_ready`] was called, also in an earlier life of this worker.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready_marker().exists()
    }

    pub(crate) fn set_ready(&self) -> Result<(), GitError> {
        let path = self.ready_marker();
        match File::create(&path) {
            Ok(_) => Ok(()),
            Err(source) => Err(GitError::File { path, source }),
        }
    }

    fn ready_marker(&self) -> PathBuf {
        self.dir.join("flotilla-ready")
    }

    /// Makes an empty repository, over a half-made one if need be.
    pub(crate) async fn init(&self) -> Result<(), GitError> {
        let file_error = |path: &Path| {
            let path = path.to_owned();
            move |source| GitError::File { path, source }
        };
        if self.dir.exists() {
            std::fs::remove_dir_all(&self.dir).map_err(file_error(&self.dir))?;
        }
        std::fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&self.dir)
            .map_err(file_error(&self.dir))?;
        self.run(
            &[
                "init",
                "--quiet",
                "--template=",
                "--initial-branch=flotilla/shadow",
            ],
            None,
        )
        .await?;
        // Attributes here win over the workspace's: no filter program may be named there.
        let info = self.dir.join("info");
        std::fs::create_dir_all(&info).map_err(file_error(&info))?;
        let attributes = info.join("attributes");
        std::fs::write(&attributes, "* -filter -working-tree-encoding\n")
            .map_err(file_error(&attributes))
    }

    /// Copies the workspace's own HEAD commit here under `name`. `None` where the workspace is no repository or has no
    /// commit. Reads the workspace's `.git`, so it must run before the agent does.
    pub(crate) async fn import(&self, name: &str) -> Result<Option<String>, GitError> {
        let repository = self.work_tree.join(".git");
        // A file or a link there points to a repository elsewhere, which was not given to this agent.
        if !repository
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir())
        {
            return Ok(None);
        }
        let mut address = std::ffi::OsString::from("file://");
        address.push(&repository);
        let mut refspec = std::ffi::OsString::from("+HEAD:");
        refspec.push(name);
        let fetched = command(
            &self.dir,
            &self.work_tree,
            &[
                "-c",
                "protocol.file.allow=always",
                "fetch",
                "--quiet",
                "--depth=1",
                "--no-tags",
                "--no-write-fetch-head",
            ],
        )
        .args(["--no-recurse-submodules", "--no-auto-maintenance", "--"])
        .arg(address)
        .arg(refspec)
        .spawn_and_collect(None, "fetch")
        .await;
        match fetched {
            Ok(_) => self.resolve(name).await,
            Err(GitError::Failed { text, .. })
                if text.contains("couldn't find remote ref HEAD") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The commit of a ref, if there is one.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Option<String>, GitError> {
        match self
            .run(&["rev-parse", "--verify", "--quiet", name], None)
            .await
        {
            Ok(output) => Ok(Some(text(&output))),
            Err(GitError::Failed { text, .. }) if text.is_empty() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn update_ref(&self, name: &str, commit: &str) -> Result<(), GitError> {
        self.run(&["update-ref", name, commit], None)
            .await
            .map(drop)
    }

    /// Loads a commit into the index, without touching the work tree.
    pub(crate) async fn read_tree(&self, commit: &str) -> Result<(), GitError> {
        self.run(&["read-tree", commit], None).await.map(drop)
    }

    pub(crate) async fn write_tree(&self) -> Result<String, GitError> {
        self.run(&["write-tree"], None)
            .await
            .map(|output| text(&output))
    }

    pub(crate) async fn tree_of(&self, commit: &str) -> Result<String, GitError> {
        let name = format!("{commit}^{{tree}}");
        self.run(&["rev-parse", "--verify", "--quiet", &name], None)
            .await
            .map(|output| text(&output))
    }

    pub(crate) async fn commit(
        &self,
        tree: &str,
        parent: Option<&str>,
        message: &str,
    ) -> Result<String, GitError> {
        let mut arguments = vec!["commit-tree", tree];
        if let Some(parent) = parent {
            arguments.extend(["-p", parent]);
        }
        self.run(&arguments, Some(message.as_bytes()))
            .await
            .map(|output| text(&output))
    }

    /// What the index holds: path and whether it is a nested repository.
    pub(crate) async fn tracked(&self) -> Result<Vec<(Vec<u8>, bool)>, GitError> {
        let output = self.run(&["ls-files", "-z", "--stage"], None).await?;
        fields(&output)
            .map(|entry| {
                let tab = entry.iter().position(|byte| *byte == b'\t');
                let tab = tab.ok_or_else(|| GitError::Format {
                    command: "ls-files".to_owned(),
                })?;
                Ok((entry[tab + 1..].to_vec(), entry.starts_with(b"160000 ")))
            })
            .collect()
    }

    /// Files that are in the work tree, not in the index, and not ignored. A nested repository ends in `/`.
    pub(crate) async fn untracked(&self) -> Result<Vec<Vec<u8>>, GitError> {
        let output = self
            .run(&["ls-files", "-z", "--others", "--exclude-standard"], None)
            .await?;
        Ok(fields(&output).map(<[u8]>::to_vec).collect())
    }

    /// Takes the given paths into the index as they are in the work tree; missing ones are removed from it.
    pub(crate) async fn add(&self, paths: &[Vec<u8>]) -> Result<(), GitError> {
        self.run(
            &["update-index", "-z", "--add", "--remove", "--stdin"],
            Some(&joined(paths)),
        )
        .await
        .map(drop)
    }

    /// Removes the given paths from the index.
    pub(crate) async fn remove(&self, paths: &[Vec<u8>]) -> Result<(), GitError> {
        self.run(
            &["update-index", "-z", "--force-remove", "--stdin"],
            Some(&joined(paths)),
        )
        .await
        .map(drop)
    }

    pub(crate) async fn diff_tree(
        &self,
        base: &str,
        commit: &str,
    ) -> Result<Vec<DiffEntry>, GitError> {
        let output = self
            .run(
                &[
                    "diff-tree",
                    "-r",
                    "-z",
                    "--raw",
                    "--no-renames",
                    "--no-commit-id",
                    base,
                    commit,
                ],
                None,
            )
            .await?;
        let wrong = || GitError::Format {
            command: "diff-tree".to_owned(),
        };
        let mut entries = Vec::new();
        let mut parts = fields(&output);
        while let Some(head) = parts.next() {
            let path = parts.next().ok_or_else(wrong)?.to_vec();
            let head = std::str::from_utf8(head).map_err(|_| wrong())?;
            let columns: Vec<&str> = head.trim_start_matches(':').split(' ').collect();
            let [_, mode, _, object, status] = columns.as_slice() else {
                return Err(wrong());
            };
            entries.push(DiffEntry {
                path,
                object: (*object).to_owned(),
                deleted: *status == "D",
                regular: mode.starts_with("100"),
            });
        }
        Ok(entries)
    }

    /// The sizes of objects, in order.
    pub(crate) async fn sizes(&self, objects: &[&str]) -> Result<Vec<u64>, GitError> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let output = self
            .run(
                &["cat-file", "--batch-check=%(objectsize)"],
                Some(objects.join("\n").as_bytes()),
            )
            .await?;
        text(&output)
            .lines()
            .map(|line| {
                line.parse().map_err(|_| GitError::Format {
                    command: "cat-file".to_owned(),
                })
            })
            .collect()
    }

    /// The contents of objects, in order.
    pub(crate) async fn contents(&self, objects: &[&str]) -> Result<Vec<Bytes>, GitError> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let output = self
            .run(
                &["cat-file", "--batch"],
                Some(objects.join("\n").as_bytes()),
            )
            .await?;
        let mut output = Bytes::from(output);
        let wrong = || GitError::Format {
            command: "cat-file".to_owned(),
        };
        let mut contents = Vec::with_capacity(objects.len());
        for _ in objects {
            // `<object> blob <size>\n<content>\n`
            let end = output
                .iter()
                .position(|byte| *byte == b'\n')
                .ok_or_else(wrong)?;
            let head = output.split_to(end + 1);
            let size = text(&head)
                .rsplit(' ')
                .next()
                .and_then(|size| size.parse::<usize>().ok())
                .ok_or_else(wrong)?;
            if output.len() < size + 1 {
                return Err(wrong());
            }
            contents.push(output.split_to(size));
            drop(output.split_to(1));
        }
        Ok(contents)
    }

    /// Writes one object's content into a file.
    pub(crate) async fn write_object(&self, object: &str, file: &Path) -> Result<(), GitError> {
        self.run_into(&["cat-file", "blob", object], file).await
    }

    pub(crate) async fn write_patch(
        &self,
        base: &str,
        commit: &str,
        file: &Path,
    ) -> Result<(), GitError> {
        let arguments = [
            "diff-tree",
            "-r",
            "-p",
            "--binary",
            "--full-index",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            base,
            commit,
        ];
        self.run_into(&arguments, file).await
    }

    /// Writes a bundle of `name` without what `prerequisite` already has.
    pub(crate) async fn write_bundle(
        &self,
        name: &str,
        prerequisite: Option<&str>,
        file: &Path,
    ) -> Result<(), GitError> {
        let mut command = command(&self.dir, &self.work_tree, &["bundle", "create", "--quiet"]);
        command.arg(file).arg(name);
        if let Some(prerequisite) = prerequisite {
            command.arg(format!("^{prerequisite}"));
        }
        command.spawn_and_collect(None, "bundle").await.map(drop)
    }

    async fn run(&self, arguments: &[&str], stdin: Option<&[u8]>) -> Result<Vec<u8>, GitError> {
        let name = arguments.first().copied().unwrap_or_default();
        command(&self.dir, &self.work_tree, arguments)
            .spawn_and_collect(stdin, name)
            .await
    }

    async fn run_into(&self, arguments: &[&str], path: &Path) -> Result<(), GitError> {
        let file_error = |source| GitError::File {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(file_error)?;
        let name = arguments.first().copied().unwrap_or_default();
        let mut command = command(&self.dir, &self.work_tree, arguments);
        command.stdout(file);
        command.spawn_and_collect(None, name).await.map(drop)
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

/// The non-empty parts between zero bytes.
fn fields(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output
        .split(|byte| *byte == 0)
        .filter(|field| !field.is_empty())
}

fn joined(paths: &[Vec<u8>]) -> Vec<u8> {
    let mut all = paths.join(&0);
    all.push(0);
    all
}

/// A path of the work tree as the system's calls want it.
pub(crate) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

//! `captain artifacts`: what a job made, as a list, a file, a patch, an archive or a folder.

use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;

use bytes::Bytes;
use captain_core::{CommitId, JobId};
use daemon::cli::Failure;
use daemon::exit::Exit;
use futures_util::{StreamExt, TryStreamExt};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use super::args::{ArtifactsArgs, CaptainArgs, Cli, OutArgs};
use super::client::{Client, ClientError};
use super::out::{OutError, Written, unpack};
use super::text::{clean, count, size};
use super::wire::{ArtifactList, FileEntry};
use super::{connect, output};
use crate::workspace::{Change, ChangeKind, Git, JobRepository, WorkspaceError};

/// Pieces of an archive between the network and the disk; the slower one sets the pace.
const PIECES: usize = 16;

/// Where results come from: a captain, or the state folder of one that does not run just now.
enum Source {
    Captain(Client),
    Folder(JobRepository),
}

/// Something large, piece by piece.
type Stream = Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, Failure>> + Send>>;

/// Runs the command.
pub(crate) async fn run(cli: &Cli, args: &ArtifactsArgs) -> Result<Exit, Failure> {
    let source = Source::find(&args.captain, &args.job)?;
    let job = args.job.as_str();
    let what = &args.what;
    if args.out.out.is_some() {
        write(
            source.archive(job).await?,
            job,
            &args.out,
            cli.quiet || cli.json,
        )
        .await?;
    } else if let Some(path) = &what.get {
        save(source.file(job, path).await?, args.output.as_deref()).await?;
    } else if what.tar {
        save(source.archive(job).await?, args.output.as_deref()).await?;
    } else if what.patch {
        save(source.patch(job).await?, args.output.as_deref()).await?;
    } else {
        source.list(cli, job).await?;
    }
    Ok(Exit::Ok)
}

impl Source {
    /// The captain that was named or runs here; else the folder of its last run, if the job is in there.
    fn find(args: &CaptainArgs, job: &str) -> Result<Self, Failure> {
        let folder = connect::state_dir(args.state_dir.as_deref())?;
        if let Some(client) = connect::find(&args.remote, &folder)? {
            return Ok(Self::Captain(client));
        }
        let place = JobId::parse(job)
            .ok()
            .map(|id| folder.join("jobs").join(id.as_str()));
        match place.filter(|place| place.is_dir()) {
            Some(place) => {
                let git = Git::new(std::env::var_os("PATH").unwrap_or_default());
                Ok(Self::Folder(JobRepository::new(git, place)))
            }
            None => Err(Failure::new(
                Exit::BadInput,
                format!("there is no job {job:?} on this machine"),
            )
            .with_hint("`captain jobs` lists the jobs of a running captain")),
        }
    }

    async fn list(&self, cli: &Cli, job: &str) -> Result<(), Failure> {
        let path = ["jobs", job, "artifacts"];
        match self {
            Self::Captain(client) if cli.json => {
                let list: serde_json::Value = client.get(&path).await?;
                output::line(&list.to_string())
            }
            Self::Captain(client) => list_files(&client.get(&path).await?, cli.quiet),
            Self::Folder(repository) => {
                let (base, commit) = result(repository).await?;
                let changes = repository
                    .changes(&base, &commit)
                    .await
                    .map_err(|error| broken(&error))?;
                let list = ArtifactList {
                    files: changes.into_iter().map(FileEntry::from).collect(),
                };
                if cli.json {
                    output::line(&super::answer::json(&list)?)
                } else {
                    list_files(&list, cli.quiet)
                }
            }
        }
    }

    async fn file(&self, job: &str, path: &str) -> Result<Stream, Failure> {
        match self {
            Self::Captain(client) => {
                let mut parts = vec!["jobs", job, "artifacts", "files"];
                parts.extend(path.split('/'));
                Ok(told(client.download(&parts).await?))
            }
            Self::Folder(repository) => {
                let (_, commit) = result(repository).await?;
                let file = repository
                    .file(&commit, path)
                    .await
                    .map_err(|error| broken(&error))?;
                Ok(read(ReaderStream::new(file.bytes)))
            }
        }
    }

    async fn patch(&self, job: &str) -> Result<Stream, Failure> {
        match self {
            Self::Captain(client) => Ok(told(
                client
                    .download(&["jobs", job, "artifacts", "changes.patch"])
                    .await?,
            )),
            Self::Folder(repository) => {
                let (base, commit) = result(repository).await?;
                let patch = repository
                    .patch(&base, &commit)
                    .map_err(|error| broken(&error.into()))?;
                Ok(read(ReaderStream::new(patch)))
            }
        }
    }

    async fn archive(&self, job: &str) -> Result<Stream, Failure> {
        match self {
            Self::Captain(client) => archive(client, job).await,
            Self::Folder(repository) => {
                let (_, commit) = result(repository).await?;
                let archive = repository
                    .archive(&commit)
                    .map_err(|error| broken(&error.into()))?;
                Ok(read(archive))
            }
        }
    }
}

/// Fetches the whole result of a finished job and unpacks it into the wanted folder.
pub(crate) async fn write_out(
    client: &Client,
    job: &str,
    out: &OutArgs,
    quiet: bool,
) -> Result<(), Failure> {
    write(archive(client, job).await?, job, out, quiet).await
}

async fn archive(client: &Client, job: &str) -> Result<Stream, Failure> {
    Ok(told(
        client
            .download(&["jobs", job, "artifacts", "result.tar.gz"])
            .await?,
    ))
}

fn told(
    pieces: impl futures_util::Stream<Item = Result<Bytes, ClientError>> + Send + 'static,
) -> Stream {
    pieces.map_err(Failure::from).boxed()
}

fn read(pieces: impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static) -> Stream {
    pieces
        .map_err(|error| Failure::from_error(Exit::Io, &error))
        .boxed()
}

/// First and last commit of a finished job.
async fn result(repository: &JobRepository) -> Result<(CommitId, CommitId), Failure> {
    let base = repository.base().await.map_err(|error| broken(&error))?;
    match repository.result().await.map_err(|error| broken(&error))? {
        Some(commit) => Ok((base, commit)),
        None => Err(Failure::new(Exit::BadInput, "the job has no result")),
    }
}

fn broken(error: &WorkspaceError) -> Failure {
    let exit = match error {
        WorkspaceError::NoSuchFile(_) | WorkspaceError::NoRepository(_) => Exit::BadInput,
        _ => Exit::Io,
    };
    Failure::from_error(exit, error)
}

impl From<Change> for FileEntry {
    fn from(change: Change) -> Self {
        let (kind, from) = match change.kind {
            ChangeKind::Added => ("added", None),
            ChangeKind::Modified => ("modified", None),
            ChangeKind::Deleted => ("deleted", None),
            ChangeKind::Renamed { from } => ("renamed", Some(from)),
        };
        Self {
            path: change.path,
            from,
            change: kind.to_owned(),
            size: change.size,
        }
    }
}

fn list_files(list: &ArtifactList, quiet: bool) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = list
        .files
        .iter()
        .map(|file| {
            let mark = match file.change.as_str() {
                "added" => "A",
                "deleted" => "D",
                "renamed" => "R",
                _ => "M",
            };
            let bytes = if file.change == "deleted" {
                String::new()
            } else {
                size(file.size)
            };
            let from = file
                .from
                .as_deref()
                .map(|from| format!(" (was {})", clean(from)))
                .unwrap_or_default();
            vec![
                mark.to_owned(),
                bytes,
                format!("{}{from}", clean(&file.path)),
            ]
        })
        .collect();
    output::bytes(output::table(&rows).as_bytes())?;
    if rows.is_empty() && !quiet {
        output::note("the job has changed no file so far");
    }
    Ok(())
}

/// Unpacks an archive into the wanted folder.
async fn write(mut pieces: Stream, job: &str, out: &OutArgs, quiet: bool) -> Result<(), Failure> {
    let Some(folder) = out.out.clone() else {
        return Ok(());
    };
    let force = out.force;
    let (sender, receiver) = mpsc::channel(PIECES);
    let (job, place) = (job.to_owned(), folder.clone());
    let unpacking =
        tokio::task::spawn_blocking(move || unpack(Pieces::new(receiver), &place, &job, force));
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|failure| io::Error::other(words(&failure)));
        let broken = piece.is_err();
        // The other side is gone when it has met an error, which it will tell.
        if sender.send(piece).await.is_err() || broken {
            break;
        }
    }
    drop(sender);
    let unpacked = unpacking
        .await
        .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
    let Written { files, skipped } = unpacked?;
    for left_out in skipped {
        output::note(&format!("left out {}", clean(&left_out)));
    }
    if !quiet {
        output::note(&format!("{} in {}", count(files, "file"), folder.display()));
    }
    Ok(())
}

/// A failure as one text.
fn words(failure: &Failure) -> String {
    let mut text = Vec::new();
    // Writing into memory cannot fail.
    let _ = failure.write_to(&mut text);
    String::from_utf8_lossy(&text)
        .trim()
        .trim_start_matches("error: ")
        .to_owned()
}

/// Writes a download to a file or to standard output.
async fn save(mut pieces: Stream, file: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = file else {
        while let Some(piece) = pieces.next().await {
            output::bytes(&piece?)?;
        }
        return Ok(());
    };
    let failed = |error: io::Error| output::failed(&path.display().to_string(), &error);
    let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece?).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)
}

impl From<OutError> for Failure {
    fn from(error: OutError) -> Self {
        match &error {
            OutError::Foreign { .. } => Self::from_error(Exit::BadInput, &error).with_hint(
                "name an empty or new folder, or add --force to write there all the same",
            ),
            OutError::Changed { .. } => Self::from_error(Exit::BadInput, &error)
                .with_hint("name another folder, or add --force to replace them"),
            OutError::Io { .. } | OutError::Archive(_) => Self::from_error(Exit::Io, &error),
        }
    }
}

/// Pieces that arrive in another task, as one readable whole.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Pieces {
    fn new(receiver: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self {
            receiver,
            current: Bytes::new(),
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let taken = self.current.split_to(self.current.len().min(buf.len()));
        for (to, from) in buf.iter_mut().zip(&taken) {
            *to = *from;
        }
        Ok(taken.len())
    }
}

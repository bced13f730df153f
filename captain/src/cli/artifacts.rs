//! `captain artifacts`: what a job made, as a list, a file, a patch, an archive or a folder.

use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use daemon::cli::Failure;
use daemon::exit::Exit;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::args::{ArtifactsArgs, Cli, OutArgs};
use super::client::{Client, ClientError};
use super::out::{OutError, Written, unpack};
use super::text::{clean, count, size};
use super::wire::ArtifactList;
use super::{connect, output};

/// Pieces of an archive between the network and the disk; the slower one sets the pace.
const PIECES: usize = 16;

/// Runs the command.
pub(crate) async fn run(cli: &Cli, args: &ArtifactsArgs) -> Result<Exit, Failure> {
    let client = connect::captain(&args.captain)?;
    let job = args.job.as_str();
    if args.out.out.is_some() {
        write_out(&client, job, &args.out, cli.quiet || cli.json).await?;
    } else if let Some(path) = &args.what.get {
        let mut parts = vec!["jobs", job, "artifacts", "files"];
        parts.extend(path.split('/'));
        save(client.download(&parts).await?, args.output.as_deref()).await?;
    } else if args.what.tar {
        save(
            client
                .download(&["jobs", job, "artifacts", "result.tar.gz"])
                .await?,
            args.output.as_deref(),
        )
        .await?;
    } else if args.what.patch {
        save(
            client
                .download(&["jobs", job, "artifacts", "changes.patch"])
                .await?,
            args.output.as_deref(),
        )
        .await?;
    } else if cli.json {
        let list: serde_json::Value = client.get(&["jobs", job, "artifacts"]).await?;
        output::line(&list.to_string())?;
    } else {
        let list: ArtifactList = client.get(&["jobs", job, "artifacts"]).await?;
        list_files(&list, cli.quiet)?;
    }
    Ok(Exit::Ok)
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

/// Fetches the whole result and unpacks it into the wanted folder.
pub(crate) async fn write_out(
    client: &Client,
    job: &str,
    out: &OutArgs,
    quiet: bool,
) -> Result<(), Failure> {
    let Some(folder) = out.out.clone() else {
        return Ok(());
    };
    let force = out.force;
    let mut pieces = std::pin::pin!(
        client
            .download(&["jobs", job, "artifacts", "result.tar.gz"])
            .await?
    );
    let (sender, receiver) = mpsc::channel(PIECES);
    let (job, place) = (job.to_owned(), folder.clone());
    let unpacking =
        tokio::task::spawn_blocking(move || unpack(Pieces::new(receiver), &place, &job, force));
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| io::Error::other(daemon::cli::chain(&error)));
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

/// Writes a download to a file or to standard output.
async fn save(
    pieces: impl Stream<Item = Result<Bytes, ClientError>>,
    file: Option<&Path>,
) -> Result<(), Failure> {
    let mut pieces = std::pin::pin!(pieces);
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

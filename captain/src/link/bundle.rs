//! Takes an attempt's git bundle from its worker into the attempt's folder. A worker is not believed: the address must
//! be its own (else it could send the captain, and the captain's token, anywhere), and the size is bounded. What is in
//! the bundle is judged when it is imported.

use std::path::{Path, PathBuf};

use a2a_proto::client::TokenSource;
use bytes::Bytes;
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use url::Url;

use crate::engine::ports::{BUNDLE_FILE, Cause};

/// Largest bundle that is taken: as much as an import takes.
const MAX_BUNDLE_BYTES: u64 = 512 << 20;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(super) enum BundleError {
    /// The address is not one of the worker.
    #[error(
        "the worker's git bundle is at {url:?}, which is not at the worker itself ({endpoint})"
    )]
    Elsewhere {
        /// The address.
        url: String,
        /// Where the worker is.
        endpoint: String,
    },
    /// It is larger than allowed.
    #[error("the worker's git bundle has more than {MAX_BUNDLE_BYTES} bytes")]
    TooLarge,
    /// The worker does not hand it out.
    #[error("the worker answers with status {status} when asked for its git bundle")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// It did not arrive whole; another try may help.
    #[error("the worker's git bundle could not be fetched")]
    Fetch(#[source] Cause),
    /// It could not be written.
    #[error("the captain cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Writes a bundle that came inside an event.
pub(super) async fn keep(files: &Path, bytes: &Bytes) -> Result<(), BundleError> {
    if bytes.len() as u64 > MAX_BUNDLE_BYTES {
        return Err(BundleError::TooLarge);
    }
    let mut target = Target::create(files).await?;
    target.write(bytes).await?;
    target.finish().await
}

/// Fetches a bundle that lies at the worker.
pub(super) async fn fetch(
    client: &reqwest::Client,
    token: &dyn TokenSource,
    endpoint: &str,
    url: &str,
    files: &Path,
) -> Result<(), BundleError> {
    let address = resolve(endpoint, url).ok_or_else(|| BundleError::Elsewhere {
        url: url.to_owned(),
        endpoint: endpoint.to_owned(),
    })?;
    let token = token
        .token()
        .map_err(|error| BundleError::Fetch(error.into()))?;
    let response = client
        .get(address)
        .bearer_auth(token.expose_secret())
        .send()
        .await
        .map_err(|error| BundleError::Fetch(error.into()))?;
    let status = response.status();
    if status.is_server_error() {
        return Err(BundleError::Fetch(format!("status {status}").into()));
    }
    if !status.is_success() {
        return Err(BundleError::Refused {
            status: status.as_u16(),
        });
    }
    let mut target = Target::create(files).await?;
    let mut body = response.bytes_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| BundleError::Fetch(error.into()))?;
        target.write(&piece).await?;
    }
    target.finish().await
}

/// The address, if it is at the worker: the same scheme, host and port.
fn resolve(endpoint: &str, url: &str) -> Option<Url> {
    let endpoint = Url::parse(endpoint).ok()?;
    let address = endpoint.join(url).ok()?;
    (address.origin() == endpoint.origin()
        && address.username().is_empty()
        && address.password().is_none())
    .then_some(address)
}

/// The file under way: written aside, so that a half one is never taken for a whole one.
struct Target {
    file: File,
    aside: PathBuf,
    path: PathBuf,
    size: u64,
}

impl Target {
    async fn create(files: &Path) -> Result<Self, BundleError> {
        let path = files.join(BUNDLE_FILE);
        let aside = files.join(format!("{BUNDLE_FILE}.part"));
        let made = async {
            let mut folder = tokio::fs::DirBuilder::new();
            folder.recursive(true).mode(0o700).create(files).await?;
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&aside).await
        };
        match made.await {
            Ok(file) => Ok(Self {
                file,
                aside,
                path,
                size: 0,
            }),
            Err(source) => Err(BundleError::Write {
                path: aside,
                source,
            }),
        }
    }

    async fn write(&mut self, piece: &[u8]) -> Result<(), BundleError> {
        self.size += piece.len() as u64;
        if self.size > MAX_BUNDLE_BYTES {
            // Best effort: the refusal is what counts, and the folder goes with the job.
            let _ignored = tokio::fs::remove_file(&self.aside).await;
            return Err(BundleError::TooLarge);
        }
        let written = self.file.write_all(piece).await;
        self.failed(written)
    }

    async fn finish(mut self) -> Result<(), BundleError> {
        let flushed = self.file.flush().await;
        self.failed(flushed)?;
        let synced = self.file.sync_all().await;
        self.failed(synced)?;
        let moved = tokio::fs::rename(&self.aside, &self.path).await;
        self.failed(moved)
    }

    fn failed(&self, result: std::io::Result<()>) -> Result<(), BundleError> {
        result.map_err(|source| BundleError::Write {
            path: self.aside.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_at_the_worker_are_fetched() {
        let worker = "http://127.0.0.1:4000";
        for (url, allowed) in [
            ("http://127.0.0.1:4000/artifacts/t/bundle", true),
            ("/artifacts/t/bundle", true),
            ("http://127.0.0.1:4001/bundle", false),
            ("https://127.0.0.1:4000/bundle", false),
            ("http://user:pw@127.0.0.1:4000/bundle", false),
            ("//example.org/bundle", false),
            ("http://169.254.169.254/latest", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(resolve(worker, url).is_some(), allowed, "{url}");
        }
    }

    #[tokio::test]
    async fn bundle_is_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let files = dir.path().join("files/api-1");
        keep(&files, &Bytes::from_static(b"pack")).await.unwrap();
        keep(&files, &Bytes::from_static(b"pack2")).await.unwrap();
        assert_eq!(std::fs::read(files.join(BUNDLE_FILE)).unwrap(), b"pack2");
        assert_eq!(std::fs::read_dir(&files).unwrap().count(), 1);
    }
}

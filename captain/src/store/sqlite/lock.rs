//! One store for one file, in this process and in any other.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::StoreError;

/// Keeps others from the file while the lock is open. It is on a file beside it: SQLite's own locks go when any file
/// descriptor of the database is closed, and these are the kernel's, which go with the process.
pub(super) fn take(path: &Path) -> Result<File, StoreError> {
    let opened = |source: std::io::Error| StoreError::Open {
        place: path.display().to_string(),
        source: source.into(),
    };
    // Two names of one file are one file; one that is not there yet has its name from its folder.
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(_) => path.to_owned(),
    };
    let mut beside = path.clone().into_os_string();
    beside.push(".lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&beside)
        .map_err(opened)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(StoreError::InUse { path }),
        Err(error) => Err(opened(error.into())),
    }
}

//! One JSON line per request in the worker's state folder. Product facts, not diagnostics: who reads them wants to know
//! where the agent went, so a line is never dropped and never holds a key, a header or a body.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use a2a_proto::clock::Clock;
use http::{Method, StatusCode};
use serde::Serialize;
use tokio::time::Instant;
use tracing::error;

/// Longest path that is kept; the agent chooses it.
const MAX_PATH: usize = 512;

/// The audit file.
#[derive(Clone)]
pub(super) struct Audit {
    file: Arc<Mutex<File>>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").finish_non_exhaustive()
    }
}

/// One request, as far as it is known.
#[derive(Debug)]
pub(super) struct Record {
    kind: &'static str,
    method: Method,
    host: String,
    path: String,
    status: u16,
    reason: &'static str,
    bytes_out: u64,
    bytes_in: u64,
    since: Instant,
}

#[derive(Serialize)]
struct Line<'a> {
    at: jiff::Timestamp,
    kind: &'a str,
    method: &'a str,
    host: &'a str,
    path: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    bytes_out: u64,
    bytes_in: u64,
    milliseconds: u64,
}

impl Record {
    /// A request that has just arrived. `kind` is `model`, `connect`, `http` or `refused`.
    pub(super) fn new(kind: &'static str, method: &Method, host: &str, path: &str) -> Self {
        let cut = path
            .char_indices()
            .nth(MAX_PATH)
            .map_or(path.len(), |(at, _)| at);
        Self {
            kind,
            method: method.clone(),
            host: host.to_owned(),
            path: path[..cut].to_owned(),
            status: 0,
            reason: "",
            bytes_out: 0,
            bytes_in: 0,
            since: Instant::now(),
        }
    }

    /// How it was answered; `reason` is the machine-readable cause of a refusal or empty.
    pub(super) fn finished(mut self, status: StatusCode, reason: &'static str) -> Self {
        self.status = status.as_u16();
        self.reason = reason;
        self
    }

    /// How many bytes the request's body has, as far as it says.
    pub(super) fn sends(mut self, bytes_out: u64) -> Self {
        self.bytes_out = bytes_out;
        self
    }

    /// How many bytes came in from the other side.
    pub(super) fn received(mut self, bytes_in: u64) -> Self {
        self.bytes_in = bytes_in;
        self
    }
}

impl Audit {
    /// Opens the file for appending; it is private to this user.
    pub(super) fn open(path: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
            clock,
        })
    }

    /// Appends one line.
    ///
    /// The write goes to the page cache and takes microseconds, so it is made right here: a queue could lose lines.
    pub(super) fn write(&self, record: &Record) {
        let line = Line {
            at: self.clock.now(),
            kind: record.kind,
            method: record.method.as_str(),
            host: &record.host,
            path: &record.path,
            status: record.status,
            reason: record.reason,
            bytes_out: record.bytes_out,
            bytes_in: record.bytes_in,
            milliseconds: u64::try_from(record.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let written = serde_json::to_vec(&line)
            .map_err(io::Error::other)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                self.file
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .write_all(&bytes)
            });
        if let Err(error) = written {
            error!(%error, "the audit file cannot be written");
        }
    }
}

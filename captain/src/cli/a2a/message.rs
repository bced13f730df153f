//! From what was typed to the message that is sent.

use std::io::Read as _;
use std::path::Path;

use a2a_proto::types::{Message, Metadata, Part, SendMessageConfiguration, SendMessageRequest};
use daemon::cli::Failure;
use daemon::exit::Exit;
use serde::de::DeserializeOwned;

use super::args::MessageArgs;
use crate::cli::job;

/// The largest file that is sent, in bytes: more than any agent is known to take.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// The request for what was typed; `id` names the message.
pub(super) fn request(
    args: &MessageArgs,
    id: String,
    return_immediately: bool,
) -> Result<SendMessageRequest, Failure> {
    let mut parts = Vec::new();
    if let Some(text) = &args.text {
        parts.push(Part::text(match text.as_str() {
            "-" => job::read(Path::new("-"))?,
            text => text.to_owned(),
        }));
    }
    for file in &args.file {
        parts.push(file_part(file)?);
    }
    for data in &args.data {
        parts.push(Part::data(json::<serde_json::Value>("--data", data)?));
    }
    let mut message = Message::user(id, parts);
    message.context_id = args.context.clone().unwrap_or_default();
    message.task_id = args.task.clone().unwrap_or_default();
    message.metadata = match &args.metadata {
        Some(text) => Some(json::<Metadata>("--metadata", text)?),
        None => None,
    };
    Ok(SendMessageRequest {
        message,
        configuration: Some(SendMessageConfiguration {
            history_length: args.history.history,
            return_immediately,
            ..SendMessageConfiguration::default()
        }),
        ..SendMessageRequest::default()
    })
}

fn file_part(file: &Path) -> Result<Part, Failure> {
    let bytes = read(file)?;
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let media_type = match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("txt") => "text/plain",
        Some("md" | "markdown") => "text/markdown",
        Some("json") => "application/json",
        Some("toml") => "application/toml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("pdf") => "application/pdf",
        _ if std::str::from_utf8(&bytes).is_ok() => "text/plain",
        _ => "application/octet-stream",
    };
    Ok(Part::raw(bytes)
        .with_filename(name)
        .with_media_type(media_type))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let bad = |problem: String| {
        let message = format!("cannot read {}: {problem}", file.display());
        Failure::new(Exit::BadInput, message)
    };
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| bad(error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(bad(format!(
            "it has more than {} MiB",
            MAX_FILE_BYTES >> 20
        )));
    }
    Ok(bytes)
}

/// JSON as it was typed, or from `@FILE`.
fn json<T: DeserializeOwned>(flag: &str, text: &str) -> Result<T, Failure> {
    let (name, bytes) = match text.strip_prefix('@') {
        Some(file) => (file, read(Path::new(file))?),
        None => (flag, text.as_bytes().to_vec()),
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(Exit::BadInput, format!("{name} is not valid JSON: {error}")))
}

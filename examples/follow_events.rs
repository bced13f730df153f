//! Follows a job to its end over broken connections: `follow_events URL TOKEN_FILE JOB [AFTER]`.
//!
//! Shows the one rule of every stream here: an event has a number, and `Last-Event-ID` continues strictly after it.

use std::{env, error::Error, fs, io::Write, time::Duration};

use a2a_proto::{
    client::{HttpOptions, http_client},
    sse::{Decoder, LAST_EVENT_ID},
};
use serde_json::Value;

/// A stream that breaks this often in a row without a new event is given up.
const ATTEMPTS: u32 = 10;
/// Pause before the connection is made again.
const PAUSE: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (url, token_file, job, mut last) = match arguments.as_slice() {
        [url, token, job] => (url, token, job, None),
        [url, token, job, after] => (url, token, job, Some(after.clone())),
        _ => return Err("usage: follow_events URL TOKEN_FILE JOB [AFTER]".into()),
    };
    let token = fs::read_to_string(token_file)?;
    let client = http_client(&HttpOptions::default())?;
    let mut attempts = 0;
    while attempts < ATTEMPTS {
        let mut request = client
            .get(format!("{url}/jobs/{job}/events"))
            .bearer_auth(token.trim())
            .header("Accept", "text/event-stream");
        if let Some(id) = &last {
            request = request.header(LAST_EVENT_ID, id);
        }
        attempts += 1;
        if let Ok(mut stream) = request.send().await {
            if !stream.status().is_success() {
                return Err(format!("the captain answered {}", stream.text().await?).into());
            }
            let mut decoder = Decoder::default();
            // A broken connection ends this loop, and the next request goes on after the last event.
            while let Ok(Some(bytes)) = stream.chunk().await {
                decoder.feed(&bytes);
                while let Some(event) = decoder.next_event()? {
                    attempts = 0;
                    last = event.id.or(last);
                    if show(&serde_json::from_slice(&event.data)?)? {
                        return Ok(());
                    }
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err("the stream keeps breaking".into())
}

/// Prints an event; true when it is the job's last.
fn show(event: &Value) -> Result<bool, Box<dyn Error>> {
    let kind = event["event"]["type"].as_str().unwrap_or_default();
    writeln!(std::io::stdout(), "{:>5} {kind}", event["seq"])?;
    Ok(matches!(
        kind,
        "job.completed" | "job.failed" | "job.cancelled"
    ))
}

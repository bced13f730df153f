//! What the driver and the server of this folder agree on: the texts, the limits, and how a result is told. The same
//! scenario as in the other languages' folders; see `../README.md`. Knows no SDK.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};

/// How many chunks the stream has.
pub const CHUNKS: usize = 5;
/// Asks for the chunks.
pub const STREAM: &str = "spam 5";
/// Asks a question back.
pub const ASK: &str = "input Which colour?";
/// Runs until it is cancelled.
pub const HANG: &str = "hang";
/// A task that nobody made.
pub const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";
/// What a webhook wants to be told.
pub const TOKEN: &str = "interop-token";

/// One operation's time. The slowest one starts a real agent process and stops it again.
const LIMIT: Duration = Duration::from_secs(30);

/// `word` and something that is new with each run: an agent with a workspace tells of what changed in it. Everybody else
/// echoes the whole text.
pub fn fresh(word: &str) -> String {
    format!("{word} {}", uuid::Uuid::new_v4())
}

/// Why an operation did not succeed.
pub enum Failure {
    /// The SDK has no such thing.
    Absent(&'static str),
    /// It went wrong.
    Failed(String),
}

impl<T: ToString> From<T> for Failure {
    fn from(error: T) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What an operation says of itself.
pub type Outcome = Result<String, Failure>;

/// Fails the operation unless `condition` holds.
pub fn check(condition: bool, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if condition { Ok(()) } else { Err(Failure::Failed(what())) }
}

/// Runs one operation within its limit and tells how it went.
pub async fn run(op: &str, operation: BoxFuture<'_, Outcome>) {
    let (ok, detail) = match tokio::time::timeout(LIMIT, operation).await {
        Ok(Ok(detail)) => (Value::Bool(true), detail),
        Ok(Err(Failure::Absent(what))) => (Value::Null, what.to_owned()),
        Ok(Err(Failure::Failed(why))) => (Value::Bool(false), why),
        Err(_) => (Value::Bool(false), format!("no answer within {LIMIT:?}")),
    };
    println!("{}", json!({"op": op, "ok": ok, "detail": detail}));
}

/// Splits what a test says into a directive and the rest; a text without a directive is an echo.
pub fn directive(text: &str) -> (&str, &str) {
    let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    match word {
        "spam" | "chunks" | "input" | "hang" => (word, rest),
        _ => ("echo", text),
    }
}

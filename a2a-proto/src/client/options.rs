//! How a client behaves: what its owner can choose, with defaults for an agent that works for minutes.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "auth")]
use super::CardPolicy;
use super::{ResumeOptions, RetryOptions, TokenSource};

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// What carries the requests; see [`http_client`](super::http_client).
    pub http: reqwest::Client,
    /// Where the bearer token of a request comes from.
    pub token: Option<Arc<dyn TokenSource>>,
    /// URIs of extensions to activate.
    pub extensions: Vec<String>,
    /// How long a call may take that does not wait for the agent's work (get, list, the card).
    pub call_timeout: Duration,
    /// How long a cancel may take: the agent answers when everything is dead.
    pub cancel_timeout: Duration,
    /// How large an answer may be; a task with inline files is the largest.
    pub max_answer_bytes: usize,
    /// How streams go on after a cut.
    pub resume: ResumeOptions,
    /// How calls are tried again that change nothing: get, list, the cards.
    pub retry: RetryOptions,
    /// The one binding to use; `None` takes the first of the card that we speak, which is what the agent prefers.
    pub binding: Option<Binding>,
    /// Whether the signatures of cards are verified; they are not, unless somebody says with which keys.
    #[cfg(feature = "auth")]
    pub card_policy: CardPolicy,
}

/// A way to call an agent, as cards name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// `JSONRPC`.
    JsonRpc,
    /// `HTTP+JSON`.
    HttpJson,
    /// `GRPC`.
    Grpc,
}

impl ClientOptions {
    /// The defaults: no token, 30 s for calls, 60 s for a cancel, 64 MiB for an answer.
    pub fn new(http: reqwest::Client) -> Self {
        Self {
            http,
            token: None,
            extensions: Vec::new(),
            call_timeout: Duration::from_secs(30),
            cancel_timeout: Duration::from_secs(60),
            max_answer_bytes: 64 * 1024 * 1024,
            resume: ResumeOptions::default(),
            binding: None,
            #[cfg(feature = "auth")]
            card_policy: CardPolicy::default(),
            retry: RetryOptions::default(),
        }
    }

    /// The same with a source of tokens.
    #[must_use]
    pub fn with_token(mut self, token: Arc<dyn TokenSource>) -> Self {
        self.token = Some(token);
        self
    }
}

//! Everything about a server that its owner can choose, with defaults that are right for one agent behind one port.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Idempotency;
use super::auth::Authenticator;
use crate::clock::{Clock, Ids, SystemClock, UuidV7};
use crate::error::ErrorMap;
use crate::push::Pusher;

/// The choices of a server's owner.
#[derive(Clone)]
pub struct ServerOptions {
    /// Tells the time of statuses.
    pub clock: Arc<dyn Clock>,
    /// Makes ids of tasks, contexts and messages; without `:` and `/`.
    pub ids: Arc<dyn Ids>,
    /// Where turns run; the owner waits for it at the end.
    pub tracker: TaskTracker,
    /// Ends streams and waiting calls, and tells turns to stop.
    pub shutdown: CancellationToken,
    /// Finds the caller of a request.
    pub auth: Arc<dyn Authenticator>,
    /// The largest request body in bytes. Over gRPC a message of an answer may be eight times as large.
    pub max_body_bytes: usize,
    /// Which edition of the error table to follow.
    pub error_map: ErrorMap,
    /// Take a missing `A2A-Version` for 0.3 as the text says (A2A §3.6.2), and so refuse it, instead of serving 1.0.
    pub strict_version: bool,
    /// Refuse messages with parts whose media type the card's `defaultInputModes` does not name (A2A §3.1.1).
    pub validate_input_modes: bool,
    /// After how long a silent stream says that it is alive.
    pub keep_alive: Duration,
    /// Streams open at once; one more is refused.
    pub max_streams: usize,
    /// How long an agent may take to stop before the client is told that it did not.
    pub cancel_timeout: Duration,
    /// Whether a repeated send answers the first's task instead of making a second one; `None` makes one each time.
    pub idempotency: Option<Idempotency>,
    /// For how long clients may use the card without asking again.
    pub card_max_age: Duration,
    /// Serve what the draft of 1.1 adds: tasks and events tell their generation, `currentGeneration` waits for a change,
    /// `ifGenerationMatch` refuses a message to a task that has changed. The card says nothing of it.
    pub preview_1_1: bool,
    /// Posts events to where clients want them; without it the server pushes nothing, whatever the card says.
    pub push: Option<Pusher>,
    /// Signs the cards that are served; `None` serves them as they are.
    #[cfg(feature = "auth")]
    pub card_signer: Option<Arc<crate::auth::CardSigner>>,
}

impl ServerOptions {
    /// Defaults, with the one choice that has none: who may call.
    pub fn new(auth: Arc<dyn Authenticator>) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            ids: Arc::new(UuidV7),
            tracker: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            auth,
            // Room for a message with a few files; artifacts go the other way.
            max_body_bytes: 8 * 1024 * 1024,
            error_map: ErrorMap::default(),
            strict_version: false,
            validate_input_modes: true,
            // Below the 30 to 60 s after which proxies give up.
            keep_alive: Duration::from_secs(15),
            max_streams: 4096,
            cancel_timeout: Duration::from_secs(30),
            idempotency: None,
            card_max_age: Duration::from_secs(60),
            preview_1_1: false,
            push: None,
            #[cfg(feature = "auth")]
            card_signer: None,
        }
    }
}

#[cfg(feature = "auth")]
impl ServerOptions {
    /// Appends the signatures to a card that is about to be served. Without randomness there is no signature; a client
    /// that wants one notices, and the log says why.
    pub(super) fn sign(&self, document: &mut serde_json::Value) {
        if let Some(signer) = &self.card_signer
            && let Err(error) = signer.sign_document(document)
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the card is served without a signature"
            );
        }
    }
}

#[cfg(not(feature = "auth"))]
impl ServerOptions {
    /// There is nothing to sign with.
    pub(super) fn sign(&self, _document: &mut serde_json::Value) {}
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("max_body_bytes", &self.max_body_bytes)
            .field("error_map", &self.error_map)
            .field("strict_version", &self.strict_version)
            .field("validate_input_modes", &self.validate_input_modes)
            .field("keep_alive", &self.keep_alive)
            .field("max_streams", &self.max_streams)
            .field("cancel_timeout", &self.cancel_timeout)
            .field("idempotency", &self.idempotency)
            .field("card_max_age", &self.card_max_age)
            .field("preview_1_1", &self.preview_1_1)
            .field("push", &self.push)
            .finish_non_exhaustive()
    }
}

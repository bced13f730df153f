//! The rehearsal model, served inside the test.
//!
//! In the test's own process, so that a test can ask it directly what it was asked. Must be held as long as it is needed: it
//! stops when dropped.

use rehearsal::{Library, Options, Recorded, Rehearsal, shipped_scenarios};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The key that the model asks for and that must never be seen inside a sandbox.
pub const KEY: &str = "sk-rehearsal-4f1d-not-for-the-sandbox";

/// A running model.
#[derive(Debug)]
pub struct Model {
    url: String,
    model: Rehearsal,
    stop: CancellationToken,
}

impl Model {
    /// Starts the model with all shipped scenarios, without pauses, asking for [`KEY`].
    ///
    /// # Panics
    /// When loopback or a scenario cannot be used.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a free port");
        let url = format!(
            "http://{}/v1",
            listener
                .local_addr()
                .expect("a bound socket has an address")
        );
        let library = Library::load(&shipped_scenarios()).expect("the shipped scenarios load");
        let stop = CancellationToken::new();
        let options = Options {
            require_key: Some(KEY.to_owned()),
            ..Options::default()
        };
        let model = Rehearsal::new(library, options, stop.clone());
        TaskTracker::new().spawn(model.clone().serve(listener));
        Self { url, model, stop }
    }

    /// The base address, with the version part.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        self.model.recorded()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

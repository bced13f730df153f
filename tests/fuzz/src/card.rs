//! Agent cards, which come from servers that nobody vouched for: every shape that we derive from one is JSON, and the
//! shape for all readers is still the same card to a reader of 1.0.

use a2a_proto::card;
use a2a_proto::types::{self, AgentCard, Validate as _};

/// Reads a card and derives what is served of it.
pub fn card(data: &[u8]) {
    let Ok(read) = types::from_slice::<AgentCard>(data) else {
        return;
    };
    let _ = read.validate();
    let legacy = card::legacy(&read);
    assert!(legacy.is_object());
    let hybrid = card::hybrid(&read).to_string();
    let again = types::from_slice::<AgentCard>(hybrid.as_bytes());
    assert_eq!(again.as_ref().ok(), Some(&read), "{hybrid}");
}

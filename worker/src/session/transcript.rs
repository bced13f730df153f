//! What is remembered of a turn for its last status: the agent's last text and the newest usage.

use a2a_proto::activity::Usage;

use crate::driver::DriverEvent;

/// Longest last text that is kept; it was streamed whole.
const MAX_TEXT: usize = 64 * 1024;

/// The memory of one turn.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    text: String,
    text_is_over: bool,
    pub(super) usage: Usage,
}

impl Transcript {
    pub(super) fn see(&mut self, event: &DriverEvent) {
        match event {
            DriverEvent::Text { delta, .. } => {
                if self.text_is_over {
                    self.text.clear();
                    self.text_is_over = false;
                }
                let room = MAX_TEXT.saturating_sub(self.text.len());
                self.text
                    .push_str(&delta[..delta.floor_char_boundary(room)]);
            }
            // What an agent says after its last tool call is its answer; what it said before was on the way.
            DriverEvent::ToolStarted { .. } => self.text_is_over = true,
            DriverEvent::Usage(usage) => self.usage = usage.clone(),
            DriverEvent::Thought { .. }
            | DriverEvent::ToolUpdated { .. }
            | DriverEvent::ToolOutput { .. }
            | DriverEvent::ToolFinished { .. }
            | DriverEvent::Plan(_)
            | DriverEvent::PermissionAsked { .. }
            | DriverEvent::TurnEnded(_)
            | DriverEvent::Error { .. } => {}
        }
    }

    /// The agent's last text.
    pub(super) fn into_text(self) -> String {
        self.text.trim().to_owned()
    }
}

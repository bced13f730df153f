//! From cumulative tool output to what is new in it.
//!
//! Agents resend all of a tool's output with every update. Only its length and its last bytes are kept per call, so that neither memory nor
//! work grows with the output: a text that is longer and has the same bytes where the last one ended is taken as its continuation.

use std::collections::HashMap;

/// Bytes of the last text's end that are compared.
const TAIL: usize = 64;

/// Tool calls followed at once. A call beyond them starts over; no agent has that many open.
const MAX_CALLS: usize = 1024;

/// What was seen of each running tool call.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    seen: HashMap<String, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    length: usize,
    tail: Vec<u8>,
}

impl Outputs {
    /// The new part of `text`, the whole output of call `id` so far. All of it where it is no continuation.
    pub(super) fn delta<'a>(&mut self, id: &str, text: &'a str) -> &'a str {
        if self.seen.len() >= MAX_CALLS && !self.seen.contains_key(id) {
            self.seen.clear();
        }
        let seen = self.seen.entry(id.to_owned()).or_default();
        let old = seen.length;
        let bytes = text.as_bytes();
        let continues = bytes.len() >= old
            && bytes[old - seen.tail.len()..old] == seen.tail[..]
            && text.is_char_boundary(old);
        seen.length = bytes.len();
        seen.tail = bytes[bytes.len().saturating_sub(TAIL)..].to_vec();
        if continues { &text[old..] } else { text }
    }

    /// Forgets a call that has ended.
    pub(super) fn forget(&mut self, id: &str) {
        self.seen.remove(id);
    }
}

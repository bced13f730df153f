//! What the server has seen, for tests to ask about at `GET /_requests`.
//!
//! Here because tests must be able to prove things about requests (that the gateway put the key in, that nothing else was
//! asked). Holds headers without credentials; memory is bounded.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

/// Requests that are remembered; older ones are only counted.
const MAX_KEPT: usize = 512;
/// Conversations whose faults are counted. Each is a test, so this is never reached in practice; when it is, counting
/// starts anew rather than growing.
const MAX_COUNTERS: usize = 4096;

/// One chat request as it came in.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Seen {
    /// Number of the request, from 1.
    pub seq: u64,
    /// Whether it carried the right key; `None` when no key was asked for and none was sent.
    pub key_ok: Option<bool>,
    /// The rule of the script that was played; `None` for titles and refusals.
    pub script: Option<String>,
    /// Index of the step that was played, from 0.
    pub step: usize,
    /// The headers, lower-case names; the value of a credential header is replaced by its length.
    pub headers: BTreeMap<String, String>,
    /// Names of the tools the agent offered.
    pub tools: Vec<String>,
}

/// Everything seen so far.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct Recorded {
    /// Chat requests, refused ones included.
    pub count: u64,
    /// Those refused for a missing or wrong key.
    pub refused: u64,
    /// The last requests, oldest first.
    pub requests: VecDeque<Seen>,
}

/// The server's memory.
#[derive(Debug, Default)]
pub(crate) struct Records {
    seen: Recorded,
    last_body: Option<serde_json::Value>,
    faults: HashMap<String, u32>,
}

impl Records {
    pub(crate) fn add(&mut self, mut seen: Seen) {
        self.seen.count += 1;
        seen.seq = self.seen.count;
        if seen.key_ok == Some(false) {
            self.seen.refused += 1;
        }
        if self.seen.requests.len() == MAX_KEPT {
            self.seen.requests.pop_front();
        }
        self.seen.requests.push_back(seen);
    }

    pub(crate) fn all(&self) -> Recorded {
        self.seen.clone()
    }

    /// Keeps the body of the last request that offered tools: what an agent declares is worth looking at.
    pub(crate) fn keep_body(&mut self, body: serde_json::Value) {
        self.last_body = Some(body);
    }

    pub(crate) fn last_body(&self) -> Option<serde_json::Value> {
        self.last_body.clone()
    }

    /// Whether a fault that strikes `times` times per conversation strikes now.
    pub(crate) fn strikes(&mut self, conversation: String, times: Option<u32>) -> bool {
        let Some(times) = times else { return true };
        if self.faults.len() >= MAX_COUNTERS {
            self.faults.clear();
        }
        let struck = self.faults.entry(conversation).or_default();
        *struck = struck.saturating_add(1);
        *struck <= times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(key_ok: Option<bool>) -> Seen {
        Seen {
            seq: 0,
            key_ok,
            script: None,
            step: 0,
            headers: BTreeMap::new(),
            tools: Vec::new(),
        }
    }

    #[test]
    fn memory_is_bounded_and_counts_go_on() {
        let mut records = Records::default();
        for _ in 0..=MAX_KEPT {
            records.add(seen(None));
        }
        records.add(seen(Some(false)));
        let all = records.all();
        assert_eq!((all.count, all.refused), (MAX_KEPT as u64 + 2, 1));
        assert_eq!(all.requests.len(), MAX_KEPT);
        assert_eq!(all.requests.front().map(|s| s.seq), Some(3));
    }

    #[test]
    fn fault_strikes_as_often_as_it_says_in_each_conversation() {
        let mut records = Records::default();
        let mut strikes = |who: &str| records.strikes(who.to_owned(), Some(1));
        assert_eq!(
            [strikes("a"), strikes("a"), strikes("b")],
            [true, false, true]
        );
        assert!(records.strikes("a".to_owned(), None));
    }
}

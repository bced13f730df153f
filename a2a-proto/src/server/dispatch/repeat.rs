//! Sends that are repeated: a client that did not hear the answer sends its message again, and gets the first task
//! instead of a second one. Off unless the owner of the server asks for it.
//!
//! A key is kept as what the task is called, beside the task itself: so both are stored together or not at all, a key costs
//! no more than its task, and it survives a restart. Time is cut into windows, and a key is looked for in the present one
//! and the one before, so that it holds for at least one window and at most two. A direct reply makes nothing, so it is made
//! again.

use std::time::Duration;

use super::log_error;
use super::send::Sent;
use crate::error::A2aError;
use crate::log::{Alias, LogTask, TaskLog};
use crate::server::{Agent, Caller, Inner};
use crate::types::{Message, SendMessageRequest};

/// The longest key in bytes. It is a name, and stored in an index.
const MAX_KEY_BYTES: usize = 256;

/// When a message counts as repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// For how long a key is known, at least.
    pub window: Duration,
    /// A new task's message without a key is taken for repeated when caller, message id and content are the same. Some
    /// clients give every message the same id, and mean it.
    pub message_ids: bool,
}

/// What a send that makes a task is known by.
pub(super) struct Key {
    /// The same in both windows.
    name: String,
    window: i64,
    /// What the content was, where the name does not say it.
    form: String,
}

impl Key {
    fn alias_in(&self, window: i64) -> Alias {
        let name = &self.name;
        Alias {
            id: format!("{}{window}:{name}", Alias::KEY),
            form: self.form.clone(),
        }
    }

    pub(super) fn alias(&self) -> Alias {
        self.alias_in(self.window)
    }
}

impl<A: Agent, L: TaskLog> Inner<A, L> {
    /// The key of a send that would make a task, if it has one.
    pub(super) fn key_of(
        &self,
        caller: &Caller,
        request: &SendMessageRequest,
    ) -> Result<Option<Key>, A2aError> {
        let Some(options) = self.options.idempotency else {
            return Ok(None);
        };
        let content = digest(request)?;
        let name = match &caller.idempotency_key {
            Some(key) if key.len() > MAX_KEY_BYTES => {
                let text = format!("must not be longer than {MAX_KEY_BYTES} bytes");
                return Err(A2aError::invalid_param("Idempotency-Key", text));
            }
            Some(key) => format!("k:{key}"),
            None if options.message_ids => format!("m:{content}:{}", request.message.message_id),
            None => return Ok(None),
        };
        let seconds = i64::try_from(options.window.as_secs().max(1)).unwrap_or(i64::MAX);
        Ok(Some(Key {
            name,
            window: self.options.clock.now().as_second().div_euclid(seconds),
            form: content,
        }))
    }

    /// The task that a send with this key has made.
    pub(super) async fn made_before(
        &self,
        caller: &Caller,
        key: &Key,
    ) -> Result<Option<Sent>, A2aError> {
        for window in [key.window, key.window - 1] {
            let alias = key.alias_in(window);
            let known = self.log.alias(&caller.owner(), &alias.id).await;
            let Some(id) = known.map_err(log_error)? else {
                continue;
            };
            let task = self.open(caller, &id).await?;
            if task.key_content() != Some(key.form.as_str()) {
                let text = "was used for another message already: a new message needs a new key";
                return Err(A2aError::invalid_param("Idempotency-Key", text));
            }
            let snapshot = task.snapshot();
            // As if it had just begun: a stream gets all of it.
            return Ok(Some(Sent::Began {
                task,
                seq: 1,
                snapshot,
            }));
        }
        Ok(None)
    }

    /// Whether the task has this message of a request with a key already; then it stands as the first send left it.
    pub(super) fn said_before(
        &self,
        caller: &Caller,
        task: &LogTask,
        message: &Message,
    ) -> Option<Sent> {
        self.options.idempotency?;
        caller.idempotency_key.as_ref()?;
        let snapshot = task.snapshot();
        let current = snapshot.task.status.message.iter();
        let same = |said: &Message| {
            said.message_id == message.message_id
                && said.parts == message.parts
                && said.role == message.role
        };
        let said = snapshot.task.history.iter().chain(current).any(same);
        said.then(|| Sent::Began {
            task: task.clone(),
            seq: snapshot.seq.max(2),
            snapshot,
        })
    }
}

/// What a request says, in short: FNV-1a with 128 bits, which stays the same over restarts and releases. Whoever makes two
/// requests look the same fools nobody but themselves.
fn digest(request: &SendMessageRequest) -> Result<String, A2aError> {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let json = serde_json::to_vec(&request.message).map_err(A2aError::internal)?;
    let hash = json.iter().fold(BASIS, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    });
    Ok(format!("{hash:032x}"))
}

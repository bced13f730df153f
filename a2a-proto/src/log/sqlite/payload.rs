//! The format of the table `events`. `id`: the task's key and the number of the first event in one number. `payload`:
//! every event as its length in bytes (u32, little endian) followed by its JSON.

use bytes::{Buf as _, Bytes};

use crate::log::LoggedEvent;
use crate::log::storage::{Prepared, TaskKey};

/// How many bits of an id are the event's number; the log refuses numbers that need more.
const SEQ_BITS: u32 = 32;

/// The id of the row that begins with event `first` of the task `key`.
pub(super) fn row_id(key: TaskKey, first: u64) -> i64 {
    (key << SEQ_BITS) | first.cast_signed()
}

/// The number of the first event of a row.
pub(super) fn first_of(row_id: i64) -> u64 {
    row_id.cast_unsigned() & ((1 << SEQ_BITS) - 1)
}

/// Writes `events` to `payload`, replacing what is there.
pub(super) fn write(payload: &mut Vec<u8>, events: &[Prepared]) {
    payload.clear();
    for event in events {
        // Bodies are limited to megabytes far below this bound, so the length is exact.
        let length = u32::try_from(event.json.len()).unwrap_or(u32::MAX);
        payload.extend_from_slice(&length.to_le_bytes());
        payload.extend_from_slice(&event.json);
    }
}

/// Reads events with numbers from `first`; they share the payload's memory. `None` when the payload is damaged.
pub(super) fn read(mut payload: Bytes, first: u64, events: &mut Vec<LoggedEvent>) -> Option<()> {
    let mut seq = first;
    while !payload.is_empty() {
        let length = usize::try_from(payload.try_get_u32_le().ok()?).ok()?;
        if payload.len() < length {
            return None;
        }
        events.push(LoggedEvent {
            seq,
            json: payload.split_to(length),
        });
        seq += 1;
    }
    Some(())
}

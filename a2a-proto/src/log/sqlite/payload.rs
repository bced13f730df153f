//! The format of `events.payload`: every event as its length in bytes (u32, little endian) followed by its JSON.

use bytes::{Buf as _, Bytes};

use crate::log::LoggedEvent;
use crate::log::storage::Prepared;

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

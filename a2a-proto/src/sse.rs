//! Server-sent events (HTML Living Standard §9.2), both ways and without I/O. [`Frames`] writes many frames into one
//! buffer around data that is JSON already; [`Decoder`] takes a byte stream apart, bounded, copying a frame of one data line
//! not at all. Also the `Last-Event-ID` header. What the data means is decided elsewhere.

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;

use crate::error::A2aError;

mod decoder;

pub use decoder::{Decoder, Event, SseError};

/// The header with which a client asks to resume after an event.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// Frames on their way out, coalesced.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// Adds a frame. The data is the concatenation of `data`; `event` is left out on ordinary frames of A2A 1.0.
    pub fn push(&mut self, id: Option<u64>, event: Option<&str>, data: &[&[u8]]) {
        self.reserve(1, data.iter().map(|piece| piece.len()).sum());
        if let Some(id) = id {
            self.put_id(id);
        }
        if let Some(event) = event {
            self.buffer.put_slice(b"event: ");
            self.buffer.put_slice(event.as_bytes());
            self.buffer.put_slice(b"\n");
        }
        self.buffer.put_slice(b"data: ");
        for piece in data {
            self.put_data(piece);
        }
        self.buffer.put_slice(b"\n\n");
    }

    /// Adds an ordinary frame with data that this program serialized itself: such JSON is one line, so it is not
    /// searched for line breaks. This is what every event passes through on its way to every subscriber.
    pub fn push_json(&mut self, id: u64, data: &[&[u8]]) {
        self.reserve(1, data.iter().map(|piece| piece.len()).sum());
        self.put_id(id);
        self.buffer.put_slice(b"data: ");
        for piece in data {
            self.buffer.put_slice(piece);
        }
        self.buffer.put_slice(b"\n\n");
    }

    /// Makes room for `frames` frames with `bytes` bytes of data together, so that the buffer grows once.
    pub fn reserve(&mut self, frames: usize, bytes: usize) {
        // Enough for the field names, a number of twenty digits and a short event name.
        const OVERHEAD: usize = 64;
        self.buffer.reserve(frames * OVERHEAD + bytes);
    }

    fn put_id(&mut self, mut id: u64) {
        // Twenty digits at most; by hand, because formatting costs more than all the rest of a frame.
        let mut digits = [b'0'; 20];
        let mut used = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(id % 10).unwrap_or(0);
            used += 1;
            id /= 10;
            if id == 0 {
                break;
            }
        }
        self.buffer.put_slice(b"id: ");
        self.buffer
            .put_slice(digits.split_at(digits.len() - used).1);
        self.buffer.put_slice(b"\n");
    }

    /// A line break inside data starts a new `data:` line. Compact JSON has none; this keeps foreign text from
    /// forging a frame.
    fn put_data(&mut self, piece: &[u8]) {
        for (index, line) in piece
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .enumerate()
        {
            if index > 0 {
                self.buffer.put_slice(b"\ndata: ");
            }
            self.buffer.put_slice(line);
        }
    }

    /// Adds a comment, which keeps idle connections open.
    pub fn push_keep_alive(&mut self) {
        self.buffer.put_slice(b": keep-alive\n\n");
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes all that waits; the buffer can be used on.
    pub fn take(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }
}

/// The event after which a client wants to resume; `None` when it does not.
///
/// # Errors
/// [`A2aError::InvalidParams`] when the header is not a number: our ids are.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, A2aError> {
    let Some(header) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    match header.to_str().map(str::trim) {
        Ok("") => Ok(None),
        Ok(text)
            if text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok() =>
        {
            Ok(text.parse().ok())
        }
        _ => Err(A2aError::invalid_param(
            "Last-Event-ID",
            "expected the id of an event of this stream, a number",
        )),
    }
}

#[cfg(test)]
mod tests;

//! The reading side of server-sent events: bytes in, events out. It holds one incomplete line and one incomplete event,
//! both bounded; a line is scanned once however it is cut into chunks. An event that the stream ends in the middle of
//! is dropped, as the standard says.

use bytes::{Buf, Bytes, BytesMut};

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The `id` field, if the event had one.
    pub id: Option<String>,
    /// The `event` field; empty when the event had none.
    pub event: String,
    /// The `data` lines, joined by line feeds.
    pub data: Bytes,
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event is larger than the decoder was told to hold.
    #[error("a server-sent event is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// Takes a byte stream apart.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// How far the buffer is known to hold no line end.
    scanned: usize,
    /// The last line ended in a carriage return: a line feed right after it belongs to it.
    after_cr: bool,
    /// The first line may begin with a byte order mark.
    started: bool,
    event: Event,
    has_data: bool,
    /// The data of an event of several lines; a single line stays a slice of the buffer.
    joined: BytesMut,
    limit: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }
}

impl Decoder {
    /// Twice the default limit of a request body: base64 and escapes make an event larger than what it carries.
    pub const DEFAULT_LIMIT: usize = 16 * 1024 * 1024;

    /// A decoder that refuses events above `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            after_cr: false,
            started: false,
            event: Event::default(),
            has_data: false,
            joined: BytesMut::new(),
            limit,
        }
    }

    /// Takes the next bytes of the stream. Ask for events until there is none before the next call.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete event; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`SseError::TooLarge`]; the stream cannot be read on.
    pub fn next_event(&mut self) -> Result<Option<Event>, SseError> {
        while let Some(line) = self.next_line() {
            if line.is_empty() {
                let mut event = std::mem::take(&mut self.event);
                if !self.joined.is_empty() {
                    event.data = self.joined.split().freeze();
                }
                if std::mem::take(&mut self.has_data) {
                    return Ok(Some(event));
                }
            } else {
                self.take_field(line);
            }
            self.check_size(0)?;
        }
        self.check_size(self.buffer.len())?;
        Ok(None)
    }

    fn check_size(&self, unread: usize) -> Result<(), SseError> {
        let held = self.event.data.len().max(self.joined.len()) + self.event.event.len();
        if held + unread > self.limit {
            Err(SseError::TooLarge { limit: self.limit })
        } else {
            Ok(())
        }
    }

    fn next_line(&mut self) -> Option<Bytes> {
        if self.after_cr && !self.buffer.is_empty() {
            self.after_cr = false;
            if self.buffer[0] == b'\n' {
                self.buffer.advance(1);
            }
        }
        let rest = &self.buffer[self.scanned..];
        let Some(offset) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let mut line = self.buffer.split_to(self.scanned + offset).freeze();
        self.scanned = 0;
        self.after_cr = self.buffer[0] == b'\r';
        self.buffer.advance(1);
        if !std::mem::replace(&mut self.started, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.advance(3);
        }
        Some(line)
    }

    fn take_field(&mut self, mut line: Bytes) {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let name = line.split_to(colon);
        if !line.is_empty() {
            line.advance(1);
            if line.starts_with(b" ") {
                line.advance(1);
            }
        }
        match &*name {
            b"data" if self.has_data => {
                if self.joined.is_empty() {
                    self.joined.extend_from_slice(&self.event.data);
                }
                self.joined.extend_from_slice(b"\n");
                self.joined.extend_from_slice(&line);
            }
            b"data" => {
                self.event.data = line;
                self.has_data = true;
            }
            b"event" => self.event.event = String::from_utf8_lossy(&line).into_owned(),
            b"id" if !line.contains(&0) => {
                self.event.id = Some(String::from_utf8_lossy(&line).into_owned());
            }
            // Comments (an empty name), `retry` and what the standard does not know.
            _ => {}
        }
    }
}

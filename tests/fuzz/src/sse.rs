//! The reader of server-sent events: however the network cuts the bytes, the events are the same; what is held is bounded;
//! what our own writer wrote comes back.

use a2a_proto::sse::{Decoder, Event, Frames, SseError};

/// A small bound, so that the engine finds its edge.
const LIMIT: usize = 256;
/// A byte that is no UTF-8 becomes U+FFFD, which is three bytes.
const GROWTH: usize = 3;

/// The first byte is the size of the pieces that the rest comes in.
pub fn sse(data: &[u8]) {
    let Some((size, data)) = crate::choice(data) else {
        return;
    };
    let whole = events(std::iter::once(data));
    let pieces = events(data.chunks(usize::from(size).max(1)));
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        // Where the bound is hit depends on the pieces; a whole stream within it must not fail in pieces.
        (Ok(_), Err(error)) => assert!(data.len() * GROWTH > LIMIT, "{error}"),
        (Err(_), _) => assert!(data.len() * GROWTH > LIMIT),
    }
    written(data);
}

fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Event>, SseError> {
    let mut decoder = Decoder::with_limit(LIMIT);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        while let Some(event) = decoder.next_event()? {
            events.push(event);
        }
    }
    Ok(events)
}

/// A frame with this data is one event with this data, but for its line ends.
fn written(data: &[u8]) {
    let mut frames = Frames::default();
    frames.push(Some(7), Some("task.status"), &[data]);
    frames.push_keep_alive();
    let mut decoder = Decoder::default();
    decoder.feed(&frames.take());
    let expected: Vec<u8> = data
        .iter()
        .map(|byte| if *byte == b'\r' { b'\n' } else { *byte })
        .collect();
    let event = Event {
        id: Some("7".to_owned()),
        event: "task.status".to_owned(),
        data: expected.into(),
    };
    assert_eq!(decoder.next_event(), Ok(Some(event)));
    assert_eq!(decoder.next_event(), Ok(None));
}

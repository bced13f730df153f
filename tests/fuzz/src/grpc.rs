//! gRPC bodies: a frame whose length may lie, and every message of both packages. The first byte chooses. What was read as
//! an object and written is read again, and is then the same to the byte.

use a2a_proto::fuzzing::{MESSAGES, grpc_message, passage};

/// A small bound, so that the engine finds its edge.
const LIMIT: usize = 256;
/// A compression flag and a length stand before every message.
const HEAD: usize = 5;

/// Reads one body, or one message.
pub fn grpc(data: &[u8]) {
    let Some((choice, data)) = crate::choice(data) else {
        return;
    };
    // Letters, so that the corpus can be written by hand: `~` is a frame, `!` and what follows are the messages.
    if choice == b'~' {
        return frame(data);
    }
    let number = usize::from(choice.wrapping_sub(b'!')) % MESSAGES;
    let Some(passage) = passage(number, data) else {
        return;
    };
    assert_eq!(
        passage.twice.as_ref(),
        Some(&passage.once),
        "message {number}"
    );
}

/// What is taken for a message is all that came after the head, and as long as the head says.
fn frame(body: &[u8]) {
    let Some(message) = grpc_message(body, LIMIT) else {
        return;
    };
    assert!(message.len() <= LIMIT);
    let (head, rest) = body.split_at(HEAD);
    assert_eq!(message, rest);
    let length = u32::try_from(rest.len()).map(u32::to_be_bytes);
    assert_eq!(
        length.as_ref().map(|length| &length[..]).ok(),
        Some(&head[1..])
    );
    assert_eq!(head[0], 0);
}

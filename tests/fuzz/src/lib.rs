//! What must hold for every input from outside, as functions over raw bytes: no panic, no loss on the way there and back,
//! the same answer however the bytes are cut. The fuzz targets call them with whatever the engine thinks of; the test of this
//! package calls them with the corpus, which keeps every input that ever broke one. They check and never print.

mod card;
mod dialect;
mod grpc;
mod json;
mod path;
mod rpc;
mod sse;

pub use card::card;
pub use dialect::dialect;
pub use grpc::grpc;
pub use json::json;
pub use path::path;
pub use rpc::rpc;
pub use sse::sse;

/// Something that no input may break; it panics when one does.
pub type Property = fn(&[u8]);

/// Every property by the name of its target and its corpus folder.
pub const TARGETS: &[(&str, Property)] = &[
    ("json", json),
    ("sse", sse),
    ("rpc", rpc),
    ("card", card),
    ("grpc", grpc),
    ("dialect", dialect),
    ("path", path),
];

/// Whether there may be a time that is finer than a millisecond: it is written with three digits, and only the rest of it
/// is lost.
fn has_finer_time(data: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    data.windows(5)
        .any(|window| matches!(window, [b'.' | b',', rest @ ..] if digits(rest)))
}

/// The first byte, which chooses, and the rest, which is the input.
fn choice(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(first, rest)| (*first, rest))
}

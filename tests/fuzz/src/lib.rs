//! What must hold for every input from outside, as functions over raw bytes: no panic, no loss on the way there and back,
//! the same answer however the bytes are cut. The fuzz targets call them with whatever the engine thinks of; the test of this
//! package calls them with the corpus, which keeps every input that ever broke one. They check and never print.

mod card;
mod json;
mod rpc;
mod sse;

pub use card::card;
pub use json::json;
pub use rpc::rpc;
pub use sse::sse;

/// Something that no input may break; it panics when one does.
pub type Property = fn(&[u8]);

/// Every property by the name of its target and its corpus folder.
pub const TARGETS: &[(&str, Property)] =
    &[("json", json), ("sse", sse), ("rpc", rpc), ("card", card)];

/// The first byte, which chooses, and the rest, which is the input.
fn choice(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(first, rest)| (*first, rest))
}

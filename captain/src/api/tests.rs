//! The API over real sockets, with workers that are only played.

mod requests;
mod streams;
pub(crate) mod world;

//! The API over real sockets, with workers that are only played.

mod requests;
mod streams;
mod world;

//! Dialects: other ways to say the same things. Each is a total, pure conversion to and from [`crate::types`]; routing and
//! HTTP are in the server and the client. `part`, `words` and `push` are what the versions before 1.0 share, `draft` is what is
//! left of a draft of 1.0.

pub mod draft;
pub(crate) mod part;
mod push;
pub mod simple;
pub mod v01;
pub mod v03;
mod words;

//! Dialects: other ways to say the same things. Each is a total, pure conversion to and from [`crate::types`]; routing and
//! HTTP are in the server. There is one so far: [`simple`].

pub mod simple;

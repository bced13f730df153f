//! Our client against our server over real sockets, in every version and binding: each operation, streams through a proxy
//! that cuts every connection after some bytes, tokens, push configurations.

#![cfg(test)]

mod cuts;
mod operations;
mod push;
mod tokens;
mod world;

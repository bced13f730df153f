//! The messages of A2A as protobuf, generated at build time from the proto files in `proto/`, which are our own, written
//! from the field tables of the specification. A crate of its own, so that generated code is compiled once and linted
//! not at all. It holds types and nothing else: what they mean, and how they become the objects that the server knows,
//! is in `a2a-proto`.

/// A2A 1.0, package `lf.a2a.v1`.
#[expect(
    missing_docs,
    clippy::all,
    reason = "generated; the fields are described in a2a-proto"
)]
pub mod v1_0 {
    include!(concat!(env!("OUT_DIR"), "/lf.a2a.v1.rs"));
}

/// A2A 0.3, package `a2a.v1`.
#[expect(
    missing_docs,
    clippy::all,
    reason = "generated; the fields are described in a2a-proto"
)]
pub mod v0_3 {
    include!(concat!(env!("OUT_DIR"), "/a2a.v1.rs"));
}

/// What a gRPC status carries (`google.rpc`, AIP-193).
pub mod rpc {
    include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
}

/// The well-known types that the messages use.
pub mod well_known {
    pub use prost_types::value::Kind;
    pub use prost_types::{Any, Duration, ListValue, Struct, Timestamp, Value};
}

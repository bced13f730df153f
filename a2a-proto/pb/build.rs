//! Compiles the proto files in this folder. The compiler is a Rust library, so that nobody needs a `protoc` program.

use std::error::Error;
use std::path::Path;

const FILES: [&str; 3] = [
    "lf/a2a/v1/a2a.proto",
    "a2a/v1/a2a.proto",
    "google/rpc/status.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let files = protox::compile(FILES.map(|file| root.join(file)), [root])?;
    prost_build::Config::new()
        // Inline files are not copied out of the body that they came in.
        .bytes(["."])
        // One order of keys, so that the same object is always the same bytes.
        .btree_map(["."])
        .compile_fds(files)?;
    Ok(())
}

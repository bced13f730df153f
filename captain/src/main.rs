//! The `captain` program.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// What one thread allocates another frees, all the time: the C library's allocator has its threads wait for each other
/// there (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    captain::cli::main().into()
}

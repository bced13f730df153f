//! The `captain` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    captain::cli::main().into()
}

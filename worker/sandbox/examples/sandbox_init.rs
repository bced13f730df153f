//! PID 1 for the tests and benches of this crate: what the worker's hidden subcommand `sandbox-init` does, and nothing else. It
//! also runs a policy given as arguments, so that a test can kill a whole supervisor. It ships nowhere.

use std::process::ExitCode;

use worker_sandbox::{InitProgram, Sandbox, SandboxPolicy, StdioSpec};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments
        .next()
        .as_deref()
        .and_then(std::ffi::OsStr::to_str)
    {
        Some("sandbox-init") => worker_sandbox::init::main(arguments),
        Some("supervise") => {
            let words: Vec<String> = arguments
                .filter_map(|word| word.into_string().ok())
                .collect();
            let Some((workspace, argv)) = words.split_first() else {
                return ExitCode::from(2);
            };
            supervise(workspace, argv.to_vec())
        }
        Some(_) | None => ExitCode::from(2),
    }
}

/// Runs the command in a default sandbox with this process's streams.
fn supervise(workspace: &str, argv: Vec<String>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return ExitCode::from(70);
    };
    let mut policy = SandboxPolicy::new("supervised", workspace, argv);
    policy.init = InitProgram::default();
    runtime.block_on(async {
        match Sandbox::locate(None) {
            Ok(sandbox) => match sandbox.start(policy, StdioSpec::inherit()).await {
                Ok(mut running) => {
                    ExitCode::from(u8::try_from(running.wait().await.shell_code()).unwrap_or(255))
                }
                Err(error) => fail(&error),
            },
            Err(error) => fail(&error),
        }
    })
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    use std::io::Write;
    let mut stderr = std::io::stderr().lock();
    let mut cause = Some(error);
    while let Some(error) = cause {
        // Nobody is left to tell when stderr is closed.
        let _closed = writeln!(stderr, "{error}");
        cause = error.source();
    }
    ExitCode::from(77)
}

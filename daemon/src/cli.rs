//! What every command line of the project has in common: the error at the end of a run on one screen, shell
//! completions and man pages. Output goes through writers, so that tests can read it and a closed pipe is not a panic.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

use crate::exit::Exit;

/// An error that ends a command: what a person reads, and the exit code for scripts.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with a message of its own. Lower case, no full stop.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    /// A failure that tells an error with all its causes, outermost first.
    pub fn from_error(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        Self::new(exit, chain(error))
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Writes `error: …` and `hint: …`.
    ///
    /// # Errors
    ///
    /// When the writer fails.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "error: {}", self.message)?;
        self.hint
            .as_ref()
            .map_or(Ok(()), |hint| writeln!(out, "hint: {hint}"))
    }
}

/// An error and its causes in one line, each part once.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        // Some libraries repeat their source in their own text.
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

/// Ends a command: a failure is told on standard error.
pub fn finish(result: Result<Exit, Failure>) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            // With standard error closed there is nobody to tell.
            let _ignored = failure.write_to(&mut io::stderr().lock());
            failure.exit
        }
    }
}

/// Writes the completion script of `command` for `shell`.
pub fn completions(mut command: Command, shell: Shell, out: &mut dyn Write) {
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, out);
}

/// Writes the man pages of `command` and its subcommands into `dir`, section 1.
///
/// # Errors
///
/// When a page cannot be written.
pub fn man_pages(command: Command, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    clap_mangen::generate_to(command, dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the plan")]
    struct Outer(#[source] io::Error);

    #[test]
    fn failure_tells_the_chain_once_and_the_hint() {
        let error = Outer(io::Error::new(io::ErrorKind::NotFound, "no such file"));
        let failure = Failure::from_error(Exit::BadInput, &error).with_hint("check the path");
        let mut out = Vec::new();
        failure.write_to(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "error: cannot read the plan: no such file\nhint: check the path\n"
        );
        assert_eq!(failure.exit().code(), 64);
    }
}

//! Where the programs under test are.
//!
//! Here because a test executable lies in `target/PROFILE/deps` and the binaries one folder up (the bench is one of them). Must not build anything: a
//! missing binary is an error that says what to type.

use std::path::{Path, PathBuf};

/// The `captain` binary of this build.
#[must_use]
pub fn captain() -> PathBuf {
    built("captain")
}

/// The `worker` binary of this build.
#[must_use]
pub fn worker() -> PathBuf {
    built("worker")
}

/// The example called `name` of this build.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    built(&format!("examples/{name}"))
}

/// The pinned opencode of this project, with links resolved, since the sandbox binds the file itself.
#[must_use]
pub fn opencode() -> PathBuf {
    let link = project().join(".opencode/bin/opencode");
    link.canonicalize().unwrap_or_else(|error| {
        panic!(
            "no opencode at {}: {error}; run `make setup`",
            link.display()
        )
    })
}

/// The root folder of the project.
#[must_use]
pub fn project() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the package lies in the project")
        .to_owned()
}

fn built(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a program knows its own path");
    let folder = this.parent().expect("a file lies in a folder");
    let profile = if folder.ends_with("deps") {
        folder.parent().expect("deps lies in target/PROFILE")
    } else {
        folder
    };
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} is not built; run `cargo build --workspace --bins --examples`",
        path.display()
    );
    path
}

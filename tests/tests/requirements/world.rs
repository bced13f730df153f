//! The servers under test. Each test starts the ones that it needs, when it needs them; they go when it ends, also when it
//! fails. A process without a sandbox and an agent is there within a blink, and nextest runs every test in a process of
//! its own, so there is nobody to share one with.

use std::{
    fs,
    future::Future,
    panic::AssertUnwindSafe,
    path::Path,
    sync::{Arc, Mutex},
};

use daemon::state::Endpoint;
use e2e::{
    Running,
    process::command,
    programs,
    wait::{SOON, until_true},
};
use futures_util::FutureExt as _;
use tempfile::TempDir;

use crate::wire::Peer;

/// A program that serves the conformance agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Worker,
    Captain,
}

/// How the test speaks with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    JsonRpc,
    Rest,
    Grpc,
}

/// What the server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    StreamingPush,
    Minimal,
    RequiredExtension,
    ExtendedCard,
}

impl Profile {
    fn flag(self) -> &'static str {
        match self {
            Self::StreamingPush => "--conformance",
            Self::Minimal => "--conformance=minimal",
            Self::RequiredExtension => "--conformance=required-extension",
            Self::ExtendedCard => "--conformance=extended-card",
        }
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    _process: Running,
    _folder: TempDir,
}

/// One program and one binding, and the servers that were started for them.
#[derive(Clone, Debug)]
pub(crate) struct At {
    pub(crate) program: Program,
    pub(crate) binding: Binding,
    started: Arc<Mutex<Vec<Arc<Server>>>>,
}

impl At {
    /// One program and one binding, with no server yet.
    pub(crate) fn of(program: Program, binding: Binding) -> Self {
        Self {
            program,
            binding,
            started: Arc::default(),
        }
    }

    /// Starts a server.
    pub(crate) async fn serve(&self, profile: Profile, args: &[&str]) -> Arc<Server> {
        let folder = tempfile::tempdir().unwrap();
        let server = start(self.program, folder, profile, args).await;
        let server = Arc::new(server);
        self.started.lock().unwrap().push(Arc::clone(&server));
        server
    }

    /// A client of a new server of this profile.
    pub(crate) async fn profile(&self, profile: Profile) -> Peer {
        let server = self.serve(profile, &[]).await;
        Peer::new(&server.url, self.binding)
    }

    /// A client of a new server that does everything.
    pub(crate) async fn peer(&self) -> Peer {
        self.profile(Profile::StreamingPush).await
    }
}

async fn start(program: Program, folder: TempDir, profile: Profile, args: &[&str]) -> Server {
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let path = match program {
        Program::Worker => programs::worker(),
        Program::Captain => programs::captain(),
    };
    let mut command = command(&path, folder.path());
    command.args([
        "serve",
        profile.flag(),
        "--listen",
        "127.0.0.1:0",
        "--state-dir",
    ]);
    command.arg(&state).args(args);
    let mut process = Running::start(command, "server", folder.path());
    until_true("the server's endpoint file", SOON, || {
        assert_eq!(
            process.ended(),
            None,
            "the server ended:\n{}",
            process.log()
        );
        state.join("endpoint.json").exists()
    })
    .await;
    Server {
        url: url(&state),
        _process: process,
        _folder: folder,
    }
}

fn url(state: &Path) -> String {
    Endpoint::read(state).unwrap().unwrap().url
}

/// Checks a requirement against both programs, and says at which one it failed.
pub(crate) async fn both<F: Future<Output = ()>>(binding: Binding, check: impl Fn(At) -> F) {
    let run = async |program| {
        let at = At::of(program, binding);
        (program, AssertUnwindSafe(check(at)).catch_unwind().await)
    };
    let (worker, captain) = tokio::join!(run(Program::Worker), run(Program::Captain));
    for (program, result) in [worker, captain] {
        if let Err(panic) = result {
            eprintln!("against {program:?}, {binding:?}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// One requirement in several bindings: the check, then a test for each.
macro_rules! requirement {
    ($check:ident, $($test:ident: $binding:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $crate::world::both($crate::world::Binding::$binding, $check).await;
            }
        )+
    };
}

//! A server under abuse, and what must be true of it: it answers ordinary calls in time, its log tells of no panic, and its
//! memory does not grow.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use e2e::{
    Captain, CaptainBuilder, Worker, WorkerBuilder,
    http::{self, Api},
    tree,
    wait::until,
};
use reqwest::Method;
use serde_json::{Value, json};

/// What a server may hold more after abuse than before, in bytes. One body of the largest size (8 MiB) becomes some ten
/// times as much while it is read; the allocator keeps a part of that, and abuse that leaks goes far beyond it.
pub(crate) const GROWTH: u64 = 64 << 20;
/// How long an ordinary call may take beside abuse. The machine is busy with both sides of it.
const CALL: Duration = Duration::from_secs(10);
/// How long the allocator may take to give back what was freed.
const SETTLE: Duration = Duration::from_secs(20);

/// The server's process.
enum Program {
    Worker(Worker),
    Captain(Captain),
}

/// A server under abuse.
pub(crate) struct Victim {
    program: Program,
    before: u64,
}

impl Victim {
    /// A worker that any client may use.
    pub(crate) async fn worker() -> Self {
        Self::of(Program::Worker(WorkerBuilder::scripted().start().await)).await
    }

    /// A captain.
    pub(crate) async fn captain() -> Self {
        Self::of(Program::Captain(CaptainBuilder::scripted().start().await)).await
    }

    /// A worker started otherwise.
    pub(crate) async fn this(worker: Worker) -> Self {
        Self::of(Program::Worker(worker)).await
    }

    async fn of(program: Program) -> Self {
        let mut victim = Self { program, before: 0 };
        // What is made at the first call is no growth.
        for _ in 0..20 {
            victim.answers().await;
        }
        victim.before = victim.resident();
        victim
    }

    pub(crate) fn api(&self) -> &Api {
        match &self.program {
            Program::Worker(worker) => worker.api(),
            Program::Captain(captain) => captain.api(),
        }
    }

    pub(crate) fn is_captain(&self) -> bool {
        matches!(self.program, Program::Captain(_))
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.api().url().trim_start_matches("http://")
    }

    /// The `Authorization` header of a caller who is known.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.api().token().unwrap())
    }

    /// One of the paths where a message is taken, in every dialect; the captain's jobs too.
    pub(crate) fn paths(&self) -> Vec<&'static str> {
        let mut paths = vec![
            "/",
            "/message:send",
            "/message:stream",
            "/v1/message:send",
            "/tasks/send",
        ];
        if self.is_captain() {
            paths.push("/jobs");
        }
        paths
    }

    /// An ordinary call is answered, in time.
    pub(crate) async fn answers(&self) {
        let call =
            json!({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "none"}});
        let ask = async {
            let request = self.api().request(Method::POST, "/").json(&call);
            // A connection of its own: one kept from before may just be closed to make room.
            let answer = http::answer(request.header("connection", "close")).await;
            answer.json::<Value>().await.unwrap()
        };
        let answer = tokio::time::timeout(CALL, ask).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer for {CALL:?}\n{}", self.log()));
        assert_eq!(answer["error"]["code"], -32001, "{answer}");
    }

    /// Does something to it, while ordinary calls must be answered.
    pub(crate) async fn during<T>(&self, abuse: impl Future<Output = T>) -> T {
        let calls = async {
            loop {
                self.answers().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            done = abuse => done,
            () = calls => panic!("calls go on"),
        }
    }

    /// What must be true when it is over.
    pub(crate) async fn unharmed(&self) {
        self.answers().await;
        let log = self.log();
        for word in ["panicked", "overflow", "out of memory", "SIGSEGV"] {
            assert!(!log.contains(word), "{log}");
        }
        let began = Instant::now();
        let bound = self.before + GROWTH;
        let grown = until(
            "the memory to be what it was",
            SETTLE,
            async || {
                // The allocator gives back while it is used.
                self.answers().await;
                self.resident()
            },
            |now| *now < bound || began.elapsed() > SETTLE - CALL / 2,
        )
        .await;
        let (before, now) = (self.before >> 20, grown >> 20);
        assert!(grown < bound, "from {before} MiB to {now} MiB");
    }

    pub(crate) fn log(&self) -> String {
        match &self.program {
            Program::Worker(worker) => worker.process.log(),
            Program::Captain(captain) => captain.process.log(),
        }
    }

    pub(crate) fn resident(&self) -> u64 {
        let pid = match &self.program {
            Program::Worker(worker) => worker.process.pid(),
            Program::Captain(captain) => captain.process.pid(),
        };
        tree::resident_bytes(pid).unwrap_or_else(|| panic!("the server ended:\n{}", self.log()))
    }
}

/// Does the same to a worker and to a captain, one after the other, and looks after each.
pub(crate) async fn each<F: Future<Output = Victim>>(abuse: impl Fn(Victim) -> F) {
    for victim in [Victim::worker().await, Victim::captain().await] {
        abuse(victim).await.unharmed().await;
    }
}

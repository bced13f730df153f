//! Thousands of connections that ask for nothing: they are bounded, and make room for those that ask for something.

use std::process::Command;

use e2e::{WorkerBuilder, process};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    raw::{PREFACE, connect},
    victim::Victim,
};

/// More than either server has places for (worker: 1,024; captain: 4,352).
const CROWD: usize = 6_000;

/// Lets this process have many files open; how many connections it can make.
fn files() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(current)
        .unwrap_or(usize::MAX)
        .saturating_sub(100)
}

/// So many connections that begin in several ways and say no more.
async fn crowd(victim: &Victim, size: usize) -> Vec<TcpStream> {
    let mut crowd = Vec::with_capacity(size);
    for begin in [&b""[..], b"GET /ta", b"PRI * HT", PREFACE, b"P"]
        .iter()
        .cycle()
        .take(size)
    {
        let mut socket = connect(victim).await;
        // The server may have closed it already.
        let _ = socket.write_all(begin).await;
        crowd.push(socket);
    }
    crowd
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_connections_keep_nobody_out() {
    let size = CROWD.min(files());
    for victim in [Victim::worker().await, Victim::captain().await] {
        let crowd = victim.during(crowd(&victim, size)).await;
        for _ in 0..20 {
            victim.answers().await;
        }
        drop(crowd);
        victim.unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn few_allowed_files_mean_few_connections_and_not_a_server_that_is_stuck() {
    const FILES: u32 = 300;
    let builder = WorkerBuilder::scripted();
    let limited = |command: &Command| {
        let mut shell = process::command(std::path::Path::new("/bin/sh"), builder.folder());
        shell.args(["-c", &format!("ulimit -n {FILES} && exec \"$0\" \"$@\"")]);
        shell.arg(command.get_program()).args(command.get_args());
        shell
    };
    let command = limited(&builder.command());
    let victim = Victim::this(builder.start_as(command).await).await;
    assert!(
        victim.log().contains("limit on open files"),
        "{}",
        victim.log()
    );
    // While they come, with so few places, a caller's new connection can be the oldest idle one before its request is read.
    let crowd = crowd(&victim, 1_000.min(files())).await;
    for _ in 0..20 {
        victim.answers().await;
    }
    assert!(!victim.log().contains("cannot accept"), "{}", victim.log());
    drop(crowd);
    victim.unharmed().await;
}

//! What whole processes cost: memory at rest, memory under a thousand streams, the time until a worker is ready.
//!
//! Uses the release binaries of this build, like a user would.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use a2a_proto::client::{HttpOptions, http_client};

use e2e::{
    CaptainBuilder, Model, WorkerBuilder, process, programs, tree,
    wait::{SOON, until_true},
};
use futures_util::future::try_join_all;

use crate::{Failure, table::Table};

/// Event streams open at a captain.
const STREAMS: usize = 1_000;
/// Starts of a worker; the median counts.
const STARTS: usize = 15;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Adds all lines.
pub(crate) async fn measure(table: &mut Table) -> Result<(), Failure> {
    let worker = WorkerBuilder::scripted().start().await;
    table.limit(
        "worker supervisor, idle",
        resident(worker.process.pid()),
        "MiB",
        15.0,
    );
    drop(worker);

    let captain = CaptainBuilder::scripted().start().await;
    let id = captain.submit_prompt("hang").await;
    let streams = try_join_all((0..STREAMS).map(|_| async {
        let mut stream = captain.events(&id, None).await;
        match stream.next(SOON).await {
            Some(_) => Ok(stream),
            None => Err("a stream ended at once"),
        }
    }));
    let streams = streams.await?;
    let what = format!("captain with {STREAMS} open event streams");
    table.limit(&what, resident(captain.process.pid()), "MiB", 40.0);
    drop(streams);
    drop(captain);

    start_time(table).await?;
    session_time(table).await;
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn resident(pid: u32) -> f64 {
    let kibibytes = tree::resident_bytes(pid).unwrap_or_default() / 1024;
    f64::from(u32::try_from(kibibytes).unwrap_or(u32::MAX)) * 1024.0 / MEBIBYTE
}

/// From the start of the process to the first answer of the card, against what cannot be avoided: bubblewrap around `true`
/// and the start of the bare binary.
async fn start_time(table: &mut Table) -> Result<(), Failure> {
    let home = Path::new("/");
    let mut floor = Vec::new();
    let mut ready = Vec::new();
    for _ in 0..STARTS {
        let start = Instant::now();
        let mut bwrap = process::command(Path::new("/usr/bin/bwrap"), home);
        let sandbox = [
            "--unshare-all",
            "--die-with-parent",
            "--ro-bind",
            "/usr",
            "/usr",
            "--symlink",
            "usr/lib",
            "/lib",
        ];
        bwrap.args(sandbox).args([
            "--symlink",
            "usr/lib64",
            "/lib64",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "/usr/bin/true",
        ]);
        let _ = process::run(bwrap, SOON).await.exits(0);
        let mut bare = process::command(&programs::worker(), home);
        bare.arg("--version");
        let _ = process::run(bare, SOON).await.exits(0);
        floor.push(start.elapsed().as_secs_f64());

        let builder = WorkerBuilder::scripted().flag("--no-auth");
        ready.push(until_card(builder.command()).await?.as_secs_f64());
    }
    let (floor, ready) = (median(floor), median(ready));
    let what = format!(
        "worker ready ({:.1} ms against {:.1} ms)",
        ready * 1e3,
        floor * 1e3
    );
    table.limit(&what, ready / floor, "times", 1.3);
    Ok(())
}

/// Starts a worker, waits for the line that says where it listens, and asks for its card.
async fn until_card(mut command: Command) -> Result<Duration, Failure> {
    let client = http_client(&HttpOptions::default())?;
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (line, stdout) = tokio::task::spawn_blocking({
        let stdout = child.stdout.take();
        move || {
            let mut stdout = BufReader::new(stdout.ok_or("no standard output")?);
            let mut line = String::new();
            stdout.read_line(&mut line)?;
            Ok::<_, Failure>((line, stdout))
        }
    })
    .await??;
    let url = line.split_ascii_whitespace().last().unwrap_or_default();
    let card = client
        .get(format!("{url}/.well-known/agent-card.json"))
        .send()
        .await;
    let time = start.elapsed();
    child.kill()?;
    child.wait()?;
    drop(stdout);
    card?.error_for_status()?;
    Ok(time)
}

/// From the start of a warm worker to the first request of its agent's session at the model, less the time in which the
/// test itself did nothing.
async fn session_time(table: &mut Table) {
    let model = Model::start().await;
    // The first start reads 185 MB from disk.
    let first = WorkerBuilder::opencode(&model).start().await;
    let _ = first.turn("cold", "just say pong").await;
    drop(first);
    let asked = model.recorded().count;
    let start = Instant::now();
    let worker = WorkerBuilder::opencode(&model).start().await;
    let _stream = worker.send("warm", "just say pong").await;
    until_true("the model to be asked", Duration::from_secs(30), || {
        model.recorded().count > asked
    })
    .await;
    table.limit(
        "agent session at its first model call",
        start.elapsed().as_secs_f64(),
        "s",
        2.5,
    );
}

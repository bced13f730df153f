//! What open subscriptions cost: ten thousand of them on one task of one server with its log on disk. All must get the
//! same bytes in the same order; one that does not read must cost the others nothing and get everything later.
//!
//! `cargo run --release -p e2e --bin subscribers [-- SUBSCRIPTIONS CHUNKS]`. The server is this program in a process of its own.

mod reader;
mod server;

use std::{error::Error, io::Write, process::ExitCode, time::Instant};

use e2e::tree;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rustix::process::{Resource, getrlimit, setrlimit};

use reader::Reader;
use server::Process;

type Failure = Box<dyn Error + Send + Sync>;

/// Chunks of the long stream; its bytes are far more than sockets and the server's memory hold together.
const LONG: u64 = 100_000;
/// Readers of the long stream beside the one that does not read.
const OTHERS: usize = 8;
/// What a subscription may take of the server's memory, in KiB.
const WANTED: f64 = 20.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("serve") => server::serve(arguments.get(1).map(String::as_str)),
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = daemon::cli::chain(error.as_ref());
            // With standard error closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "subscribers: {text}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<(), Failure> {
    let number = |index: usize, default: u64| {
        arguments
            .get(index)
            .map_or(Ok(default), |text| text.parse::<u64>())
    };
    let (subscriptions, chunks) = (usize::try_from(number(0, 10_000)?)?, number(1, 200)?);
    raise_open_files();
    // One thread: the client is not what is measured, and the server needs the other core.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        many(subscriptions, chunks).await?;
        stalled().await
    })
}

/// As many connections as the system lets this process have.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused, the connections will say so.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn many(subscriptions: usize, chunks: u64) -> Result<(), Failure> {
    let server = Process::start()?;
    let task = server.begin().await?;
    // The first subscription makes what all share.
    let mut readers = vec![server.subscribe(&task).await?];
    let resident = || tree::resident_bytes(server.pid()).ok_or("the server has ended");
    let before = resident()?;
    for _ in 1..subscriptions {
        readers.push(server.subscribe(&task).await?);
    }
    let open = resident()?;
    let each = (open as f64 - before as f64) / 1024.0 / (subscriptions - 1) as f64;
    let verdict = if each <= WANTED { "met" } else { "MISSED" };
    say(&format!(
        "{subscriptions} open subscriptions: {each:.1} KiB of the server's memory for each; at most {WANTED} KiB: {verdict}"
    ))?;

    let start = Instant::now();
    server.feed(&task, chunks).await?;
    let stories = read_all(readers).await?;
    let seconds = start.elapsed().as_secs_f64();
    // The snapshot, the follow-up, the chunks, the end.
    let events = chunks + 3;
    for story in &stories {
        if story.events != events || Some(story) != stories.first() {
            return Err(format!(
                "a subscription got {story:?} instead of {events} events like the first"
            )
            .into());
        }
    }
    let rate = (events * subscriptions as u64) as f64 / seconds;
    let peak = tree::peak_bytes(server.pid()).ok_or("the server has ended")? / (1024 * 1024);
    say(&format!(
        "{events} events to each in {seconds:.1} s: {rate:.0} deliveries/s, the same bytes in the same order to all; the server's memory at its highest: {peak} MiB"
    ))
}

/// The others' time with and without one that does not read.
async fn stalled() -> Result<(), Failure> {
    let mut times = Vec::new();
    for lazy in [false, true] {
        let server = Process::start()?;
        let task = server.begin().await?;
        let mut readers = Vec::new();
        for _ in 0..OTHERS {
            readers.push(server.subscribe(&task).await?);
        }
        let sleeper = if lazy {
            Some(server.subscribe(&task).await?)
        } else {
            None
        };
        let start = Instant::now();
        server.feed(&task, LONG).await?;
        let stories = read_all(readers).await?;
        times.push(start.elapsed().as_secs_f64());
        let story = stories.first().ok_or("nobody read")?;
        if stories.iter().any(|other| other != story) || story.events != LONG + 3 {
            return Err(format!("readers of the long stream differ: {stories:?}").into());
        }
        if let Some(sleeper) = sleeper {
            let late = sleeper.read().await?;
            if late != *story {
                return Err(format!("the late reader got {late:?} instead of {story:?}").into());
            }
        }
    }
    let [without, with] = times.as_slice() else {
        return Err("two runs were expected".into());
    };
    say(&format!(
        "{LONG} chunks to {OTHERS} readers: {without:.2} s; beside one that does not read: {with:.2} s, and it gets every byte later"
    ))
}

async fn read_all(readers: Vec<Reader>) -> Result<Vec<reader::Story>, Failure> {
    let mut stories = Vec::with_capacity(readers.len());
    let mut reading: FuturesUnordered<_> = readers.into_iter().map(Reader::read).collect();
    while let Some(story) = reading.next().await {
        stories.push(story?);
    }
    Ok(stories)
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

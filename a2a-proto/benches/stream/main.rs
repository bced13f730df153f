//! How dear our promises are: an echo agent behind the whole server with its log on disk, side by side with a bare axum
//! handler that writes the same bytes and stores nothing. Servers run in processes of their own (this program starts
//! itself), the load comes from here, and the client counts every event and checks every number.
//!
//! `cargo bench -p a2a-proto --bench stream [-- quick]`; with `-- soak MINUTES` nothing is compared: long streams run one
//! after the other against our server, and the first that is not whole is shown.

mod load;
mod servers;

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;

use self::load::{Measured, latency, streams, unary};
use self::servers::{Kind, Process};

/// The allocator of the shipped programs, for both sides.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Alternating rounds, so that a noisy neighbour hits both; the median counts.
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(kind) = arguments.first().and_then(|name| Kind::of(name)) {
        return servers::serve(kind, arguments.get(1).map(String::as_str));
    }
    if arguments.iter().any(|argument| argument == "soak") {
        let minutes = arguments.iter().find_map(|argument| argument.parse().ok());
        return soak(Duration::from_secs(60 * minutes.unwrap_or(5)));
    }
    let quick = arguments.iter().any(|argument| argument == "quick");
    let time = Duration::from_millis(if quick { 400 } else { 2500 });
    let mut table = Table {
        out: std::io::stdout(),
        failed: Vec::new(),
    };
    table.text(["", "bare axum", "ours, SQLite", "ratio", "wanted"])?;

    let sides = both(
        |server| streams(server.address, 8, 200, time),
        Measured::events,
    )?;
    let name = "events/s, 8 connections x 200 chunks of 64 B";
    table.compare(name, &sides, Some(0.35))?;
    let short = both(
        |server| streams(server.address, 8, 2_000, time),
        Measured::events,
    )?;
    table.compare("events/s, 8 connections x 2,000 chunks", &short, None)?;
    let long = both(
        |server| streams(server.address, 8, 100_000, Duration::ZERO),
        Measured::events,
    )?;
    table.compare("events/s, 8 connections x 100,000 chunks", &long, None)?;
    if long.ours.rate < short.ours.rate * FLAT {
        let name = "the same cost per event with 100,000 chunks";
        table.failed.push(name.to_owned());
    }
    for connections in [8, 32] {
        let sides = both(
            |server| unary(server.address, connections, time),
            Measured::requests,
        )?;
        let name = format!("unary sends/s, {connections} connections");
        table.compare(&name, &sides, Some(0.30))?;
    }

    let (bare, ours) = (Process::start(Kind::Bare)?, Process::start(Kind::Ours)?);
    let idle = [bare.rss_kib()?, ours.rss_kib()?].map(mib);
    let (bare_first, ours_first) = (latency(bare.address, 500)?, latency(ours.address, 500)?);
    for (name, pick) in [("median", 0.5), ("99th percentile", 0.99)] {
        let times = [&bare_first, &ours_first].map(|times| format!("{:.0}", at(times, pick)));
        table.text([
            &format!("first event, us, {name}"),
            &times[0],
            &times[1],
            "",
            "",
        ])?;
    }
    table.text(["RSS idle, MiB", &idle[0], &idle[1], "", ""])?;
    for server in [&bare, &ours] {
        streams(server.address, 8, 20_000, Duration::ZERO)?;
    }
    let busy = [bare.rss_kib()?, ours.rss_kib()?].map(mib);
    table.text([
        "RSS after 8 streams of 20,000 chunks, MiB",
        &busy[0],
        &busy[1],
        "",
        "",
    ])?;
    match table.failed.as_slice() {
        [] => Ok(()),
        failed => Err(format!("below what is wanted: {}", failed.join("; ")).into()),
    }
}

/// Runs long streams for `time` and counts them. Each round has a server of its own, so that its database does not fill
/// the disk.
fn soak(time: Duration) -> Result<()> {
    /// At once, and each with so many chunks.
    const STREAMS: (usize, u64) = (8, 100_000);
    let begin = Instant::now();
    let mut out = std::io::stdout();
    let mut whole = 0;
    while begin.elapsed() < time {
        let server = Process::start(Kind::Ours)?;
        let (connections, chunks) = STREAMS;
        if let Err(error) = streams(server.address, connections, chunks, Duration::ZERO) {
            writeln!(out, "after {whole} whole streams: {error}")?;
            return Err(error);
        }
        whole += connections;
        writeln!(
            out,
            "{:>5} s: {whole} streams of {chunks} chunks whole",
            begin.elapsed().as_secs()
        )?;
        out.flush()?;
    }
    Ok(())
}

/// The long streams may be so much slower per event, on a machine that others use too.
const FLAT: f64 = 0.75;

struct Table {
    out: std::io::Stdout,
    failed: Vec<String>,
}

impl Table {
    fn text(&mut self, columns: [&str; 5]) -> Result<()> {
        let [name, bare, ours, ratio, wanted] = columns;
        writeln!(
            self.out,
            "{name:<46}{bare:>13}{ours:>14}{ratio:>8}{wanted:>8}"
        )?;
        Ok(self.out.flush()?)
    }

    fn compare(&mut self, name: &str, sides: &Sides, wanted: Option<f64>) -> Result<()> {
        let ratio = sides.ours.rate / sides.bare.rate;
        if wanted.is_some_and(|wanted| ratio < wanted) {
            self.failed.push(name.to_owned());
        }
        let percent = |ratio: f64| format!("{:.0} %", ratio * 100.0);
        let goal = wanted.map(percent).unwrap_or_default();
        let rates = [&sides.bare, &sides.ours].map(|side| format!("{:.0}", side.rate));
        self.text([name, &rates[0], &rates[1], &percent(ratio), &goal])?;
        let costs = [&sides.bare, &sides.ours].map(|side| format!("{:.2}", side.cpu));
        let name = "    CPU of the server for each, us";
        self.text([name, &costs[0], &costs[1], "", ""])
    }
}

struct Sides {
    bare: Side,
    ours: Side,
}

struct Side {
    /// Per second.
    rate: f64,
    /// Microseconds of the server's CPU for each.
    cpu: f64,
}

/// The medians of alternating rounds against fresh servers of both kinds.
fn both(
    measure: impl Fn(&Process) -> Result<Measured>,
    count: impl Fn(&Measured) -> f64,
) -> Result<Sides> {
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (kind, rounds) in [Kind::Bare, Kind::Ours].into_iter().zip(&mut rounds) {
            let server = Process::start(kind)?;
            let measured = measure(&server)?;
            let count = count(&measured);
            let cpu = server.cpu_seconds()? * 1e6 / count;
            rounds.push((count / measured.seconds(), cpu));
        }
    }
    let [bare, ours] = rounds.map(|rounds| {
        let (rates, costs): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
        Side {
            rate: at(&rates, 0.5),
            cpu: at(&costs, 0.5),
        }
    });
    Ok(Sides { bare, ours })
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index"
)]
fn at(values: &[f64], fraction: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * fraction).round() as usize)
        .copied()
        .unwrap_or_default()
}

fn mib(kib: u32) -> String {
    format!("{:.1}", f64::from(kib) / 1024.0)
}

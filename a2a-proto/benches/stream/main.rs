//! How dear our promises are: an echo agent behind the whole server with its log on disk, side by side with a bare axum
//! handler that writes the same bytes and stores nothing. Servers run in processes of their own (this program starts
//! itself), the load comes from here, and the client counts every event and checks every number.
//!
//! `cargo bench -p a2a-proto --bench stream [-- quick]`

mod load;
mod servers;

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use self::load::{latency, streams, unary};
use self::servers::{Kind, Process};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Alternating rounds, so that a noisy neighbour hits both; the median counts.
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(kind) = arguments.first().and_then(|name| Kind::of(name)) {
        return servers::serve(kind, arguments.get(1).map(String::as_str));
    }
    let quick = arguments.iter().any(|argument| argument == "quick");
    let time = Duration::from_millis(if quick { 400 } else { 2500 });
    let mut table = Table {
        out: std::io::stdout(),
        failed: Vec::new(),
    };
    table.text(["", "bare axum", "ours, SQLite", "ratio", "wanted"])?;

    let (bare, ours) =
        both(|server| Ok(streams(server.address, 8, 200, time)?.events_per_second()))?;
    table.compare(
        "events/s, 8 connections x 200 chunks of 64 B",
        bare,
        ours,
        Some(0.35),
    )?;
    let (bare, short) =
        both(|server| Ok(streams(server.address, 8, 2_000, time)?.events_per_second()))?;
    table.compare("events/s, 8 connections x 2,000 chunks", bare, short, None)?;
    let once = |server: &Process| {
        Ok(streams(server.address, 8, 100_000, Duration::ZERO)?.events_per_second())
    };
    let (bare, long) = both(once)?;
    table.compare("events/s, 8 connections x 100,000 chunks", bare, long, None)?;
    let cost = |rate: f64| format!("{:.2}", 1e6 / rate);
    table.text([
        "us/event of ours, 2,000 and 100,000 chunks",
        &cost(short),
        &cost(long),
        "",
        "flat",
    ])?;
    if long < short * FLAT {
        table
            .failed
            .push("the same cost per event with 100,000 chunks".to_owned());
    }
    for connections in [8, 32] {
        let (bare, ours) =
            both(|server| Ok(unary(server.address, connections, time)?.requests_per_second()))?;
        table.compare(
            &format!("unary sends/s, {connections} connections"),
            bare,
            ours,
            Some(0.30),
        )?;
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

    fn compare(&mut self, name: &str, bare: f64, ours: f64, wanted: Option<f64>) -> Result<()> {
        let ratio = ours / bare;
        if wanted.is_some_and(|wanted| ratio < wanted) {
            self.failed.push(name.to_owned());
        }
        let percent = |ratio: f64| format!("{:.0} %", ratio * 100.0);
        let goal = wanted.map(percent).unwrap_or_default();
        self.text([
            name,
            &format!("{bare:.0}"),
            &format!("{ours:.0}"),
            &percent(ratio),
            &goal,
        ])
    }
}

/// The median of alternating rounds against fresh servers of both kinds.
fn both(measure: impl Fn(&Process) -> Result<f64>) -> Result<(f64, f64)> {
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(measure(&Process::start(Kind::Bare)?)?);
        ours.push(measure(&Process::start(Kind::Ours)?)?);
    }
    Ok((at(&bare, 0.5), at(&ours, 0.5)))
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

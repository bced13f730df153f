//! Our server side by side with the official SDKs' own servers, all doing the same echo work: 64-byte chunks of one artifact
//! over JSON-RPC, counted one by one. Ours writes each event to its log on disk; theirs keep tasks in memory.
//!
//! The SDK servers are the programs of `tests/interop`, which `tests/interop/setup.sh` sets up.
//! `make bench-sdks`, or `cargo bench -p a2a-proto --bench sdks [-- python js go rust]`

mod load;
mod opponents;
#[path = "../stream/servers.rs"]
mod servers;

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use self::load::Target;
use self::opponents::Opponent;
use self::servers::{Kind, Process};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long each rate is measured, at least; every connection finishes what it began.
const TIME: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 8;
/// Chunks in one stream.
const LENGTHS: [u64; 3] = [200, 2_000, 10_000];
/// First events that are timed on each connection.
const TIMES: usize = 100;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(kind) = arguments.first().and_then(|name| Kind::of(name)) {
        return servers::serve(kind, arguments.get(1).map(String::as_str));
    }
    let wanted = |name: &str| {
        let names = || {
            opponents::ALL
                .iter()
                .any(|(name, _)| arguments.iter().any(|it| it == name))
        };
        !names() || arguments.iter().any(|argument| argument == name)
    };
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| server | events/s, 200 chunks | 2,000 | 10,000 | CPU per event, 200 | 2,000 | 10,000 | unary/s | first event p50 | p99 | RSS idle | after |\n{}",
        "|---".repeat(12) + "|"
    )?;
    let ours = Process::start(Kind::Ours)?;
    let target = Target {
        address: ours.address,
        path: "/".to_owned(),
    };
    row("ours, SQLite", &target, &|| {
        Ok((ours.cpu_seconds()?, ours.rss_kib()?))
    })?;
    drop(ours);
    for (name, command) in opponents::ALL.iter().filter(|(name, _)| wanted(name)) {
        let opponent = Opponent::start(command)?;
        row(name, &opponent.target, &|| {
            Ok((opponent.cpu_seconds()?, opponent.rss_kib()?))
        })?;
    }
    Ok(())
}

/// Measures one server and writes its row as soon as it is known; what goes wrong is a cell and not the end. `usage` is its CPU
/// time in seconds and its memory in KiB.
fn row(name: &str, target: &Target, usage: &dyn Fn() -> Result<(f64, u32)>) -> Result<()> {
    let (_, idle) = usage()?;
    // The first requests warm caches and compilers up.
    load::unary(target, CONNECTIONS, TIME / 3)?;
    let mut rates = Vec::new();
    let mut costs = Vec::new();
    for chunks in LENGTHS {
        let (before, _) = usage()?;
        match load::streams(target, CONNECTIONS, chunks, TIME) {
            Ok(rate) => {
                let (after, _) = usage()?;
                rates.push(thousands(rate.per_second));
                costs.push(format!("{:.1} µs", (after - before) * 1e6 / rate.count));
            }
            Err(error) => {
                rates.push(format!("FAIL: {error}"));
                costs.push("-".to_owned());
            }
        }
    }
    let unary = match load::unary(target, CONNECTIONS, TIME) {
        Ok(rate) => thousands(rate.per_second),
        Err(error) => format!("FAIL: {error}"),
    };
    let [p50, p99] = match load::first_events(target, CONNECTIONS, TIMES) {
        Ok(mut times) => {
            times.sort_by(f64::total_cmp);
            [0.5, 0.99].map(|fraction| format!("{:.2} ms", at(&times, fraction)))
        }
        Err(error) => [format!("FAIL: {error}"), "-".to_owned()],
    };
    let (_, after) = usage()?;
    let mib = |kib: u32| format!("{:.0} MiB", f64::from(kib) / 1024.0);
    writeln!(
        std::io::stdout(),
        "| {name} | {} | {} | {unary} | {p50} | {p99} | {} | {} |",
        rates.join(" | "),
        costs.join(" | "),
        mib(idle),
        mib(after)
    )?;
    Ok(())
}

/// A value of a sorted list.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a list of hundreds"
)]
fn at(sorted: &[f64], fraction: f64) -> f64 {
    let index = (sorted.len().saturating_sub(1)) as f64 * fraction;
    sorted
        .get(index.round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// A rate with a comma after every three digits.
fn thousands(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

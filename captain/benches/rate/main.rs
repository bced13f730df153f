//! How fast the captain keeps its books: jobs taken, run and ended through the whole engine on a SQLite file, with workers
//! that are done at once; and appends to that file beside raw SQLite that writes the same rows in the same groups.
//!
//! `cargo bench -p captain --bench rate [-- quick]`

mod world;

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use a2a_proto::clock::{SystemClock, UuidV7};
use captain::engine::ports::SystemDice;
use captain::engine::{self, Options, Ports};
use captain::store::{Append, Class, Entry, Filter, Head, SqliteStore, Store, Which};
use captain_core::JobId;
use daemon::tasks::Tasks;
use futures_util::StreamExt as _;
use futures_util::stream::iter;
use jiff::Timestamp;
use mimalloc::MiMalloc;
use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;

use self::world::World;

/// The allocator of the shipped program, for both sides.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Jobs that are under way at once.
const TOGETHER: usize = 256;
/// Appends that are under way at once, and what raw SQLite puts into one transaction: the store's own bound.
const GROUP: usize = 64;
/// Entries of one append, and bytes of one entry: a tool call and a few words.
const ENTRIES: u64 = 4;
const BYTES: usize = 300;
/// Alternating rounds; the median counts.
const ROUNDS: usize = 3;
/// What is wanted.
const JOBS_PER_SECOND: f64 = 2000.0;
const OF_RAW: f64 = 0.6;

fn main() -> Result<()> {
    let quick = std::env::args().any(|argument| argument == "quick");
    let (jobs, appends) = if quick {
        (500, 2_000)
    } else {
        (10_000, 40_000)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut out = std::io::stdout();
    let folder = tempfile::tempdir()?;
    let at = |name: &str, round| folder.path().join(format!("{name}-{round}.sqlite"));

    let mut rates = Vec::new();
    for round in 0..ROUNDS {
        rates.push(runtime.block_on(run_jobs(&at("jobs", round), jobs))?);
    }
    let rate = median(&mut rates);
    let verdict = |met| if met { "met" } else { "missed" };
    writeln!(
        out,
        "jobs of one subtask, taken to ended: {rate:.0}/s, wanted {JOBS_PER_SECOND:.0}/s: {}",
        verdict(rate >= JOBS_PER_SECOND)
    )?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        theirs.push(raw(&at("raw", round), appends)?);
        ours.push(runtime.block_on(append(&at("store", round), appends))?);
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let ratio = ours / theirs;
    writeln!(
        out,
        "appends of {ENTRIES} entries of {BYTES} bytes: {ours:.0}/s, raw SQLite {theirs:.0}/s, ratio {ratio:.2}, wanted {OF_RAW}: {}",
        verdict(ratio >= OF_RAW)
    )?;
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "a rate is not that exact")]
fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Submits jobs, so many at once, and waits for the end of each.
async fn run_jobs(path: &Path, jobs: u64) -> Result<f64> {
    let stop = CancellationToken::new();
    let tasks = Tasks::new(stop.clone());
    let store = Arc::new(SqliteStore::open(path)?);
    let options = Options {
        max_workers: 10 * TOGETHER,
        ..Options::new(path.with_extension("jobs"))
    };
    let world = Arc::new(World);
    let ports = Ports {
        planner: Arc::clone(&world) as _,
        backend: Arc::clone(&world) as _,
        link: Arc::clone(&world) as _,
        workspace: world,
        store: Arc::clone(&store) as _,
        clock: Arc::new(SystemClock),
        ids: Arc::new(UuidV7),
        dice: Arc::new(SystemDice),
    };
    let engine = engine::start(options, ports, &tasks, &stop).await?;
    let begin = Instant::now();
    let one = || async {
        let job = engine.submit(world::job()?).await?;
        let mut events = engine.subscribe(&job, 0).await?;
        let mut ended = false;
        while let Some(entry) = events.next().await {
            ended = entry?.class == Class::Terminal;
        }
        match ended {
            true => Ok(()),
            false => Err("a job has no end".into()),
        }
    };
    let all: Vec<Result<()>> = iter(0..jobs)
        .map(|_| one())
        .buffer_unordered(TOGETHER)
        .collect()
        .await;
    all.into_iter().collect::<Result<()>>()?;
    let took = begin.elapsed();
    // All of them did what they were there for.
    let completed = Filter {
        state: Some("completed".to_owned()),
        ..Filter::default()
    };
    let expected = usize::try_from(jobs)?.min(captain::store::MAX_LIST);
    if store.list(&completed).await?.len() != expected {
        return Err("not every job was completed".into());
    }
    stop.cancel();
    tasks.wait().await;
    Ok(rate(jobs, took))
}

/// The same appends for both sides: to one log of each of a group.
fn batch(number: u64) -> Result<Append> {
    let (log, turn) = (number % GROUP as u64, number / GROUP as u64);
    let job = JobId::parse(format!("00000000-0000-7000-8000-{log:012}"))?;
    let expected = turn * ENTRIES;
    let entry = |seq| {
        Arc::new(Entry {
            seq,
            class: Class::State,
            name: "agent.text".into(),
            json: vec![b'x'; BYTES].into(),
        })
    };
    Ok(Append {
        expected,
        head: Head {
            job,
            owner: "ann".to_owned(),
            goal: "build".to_owned(),
            state: "running".to_owned(),
            terminal: false,
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            last_seq: expected + ENTRIES,
        },
        entries: (expected + 1..=expected + ENTRIES).map(entry).collect(),
    })
}

async fn append(path: &Path, appends: u64) -> Result<f64> {
    let store = SqliteStore::open(path)?;
    let begin = Instant::now();
    // A log's appends follow each other; the logs of a group go together.
    for group in 0..appends / GROUP as u64 {
        let numbers = group * GROUP as u64..(group + 1) * GROUP as u64;
        let batches = numbers.map(batch).collect::<Result<Vec<_>>>()?;
        let appending = batches.into_iter().map(|batch| store.append(vec![batch]));
        for done in futures_util::future::join_all(appending).await {
            done?;
        }
    }
    let took = begin.elapsed();
    let last = batch(0)?.head.job;
    if store.read(&last, 0, 1, Which::All).await?.is_empty() {
        return Err("nothing was appended".into());
    }
    Ok(rate(appends / GROUP as u64 * GROUP as u64, took))
}

/// The rows alone, with one prepared statement for each table and a transaction for each group.
fn raw(path: &Path, appends: u64) -> Result<f64> {
    // The store's own tables.
    drop(SqliteStore::open(path)?);
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let begin = Instant::now();
    for group in 0..appends / GROUP as u64 {
        let transaction = connection.transaction()?;
        for number in group * GROUP as u64..(group + 1) * GROUP as u64 {
            let Append {
                expected,
                head,
                entries,
            } = batch(number)?;
            let key = i64::try_from(number % GROUP as u64)? + 1;
            if expected == 0 {
                let sql = "INSERT INTO jobs (key, id, owner, goal, state, terminal, created, updated, last_seq) \
                    VALUES (?1, ?2, ?3, ?4, ?5, 0, '', '', ?6)";
                transaction.prepare_cached(sql)?.execute(params![
                    key,
                    head.job.as_str(),
                    head.owner,
                    head.goal,
                    head.state,
                    i64::try_from(head.last_seq)?
                ])?;
            } else {
                let sql = "UPDATE jobs SET last_seq = ?2 WHERE key = ?1";
                let values = params![key, i64::try_from(head.last_seq)?];
                transaction.prepare_cached(sql)?.execute(values)?;
            }
            let sql = "INSERT INTO events (job, seq, class, name, json) VALUES (?1, ?2, 1, ?3, ?4)";
            for entry in entries {
                let values = params![key, i64::try_from(entry.seq)?, entry.name, &entry.json[..]];
                transaction.prepare_cached(sql)?.execute(values)?;
            }
        }
        transaction.commit()?;
    }
    Ok(rate(appends / GROUP as u64 * GROUP as u64, begin.elapsed()))
}

//! `make bench`: what our server costs, side by side with a bare axum handler that writes the same bytes, in one run.
//!
//! Prints a table and says which targets are met. Fails only when events are lost: a busy machine makes numbers small, never wrong.

mod bare;
mod load;
mod ours;
mod processes;
mod table;

use std::{error::Error, io::Write, process::ExitCode, sync::Arc, time::Duration};

use a2a_proto::sse::Decoder;
use reqwest::{Client, Url};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use bare::Answers;
use load::{Rate, Shot};
use table::{Row, Table};

/// Connections of the load.
const CONNECTIONS: usize = 8;
/// Measurements of each kind; the median counts.
const MEASUREMENTS: usize = 5;
/// Events of one measurement, spread over connections and streams: about a second of work.
const EVENTS: u64 = 160_000;
/// Unary calls of one measurement on each connection.
const CALLS: usize = 1_500;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error closed there is nobody to tell.
            let _ = writeln!(
                std::io::stderr(),
                "bench: {}",
                daemon::cli::chain(error.as_ref())
            );
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let tasks = TaskTracker::new();
    let folder = tempfile::tempdir()?;
    let bench = Bench::start(&tasks, folder.path()).await?;
    let mut table = Table::new();

    for (chunks, connections, target) in [
        (200, CONNECTIONS, Some(35.0)),
        (2_000, 1, None),
        (100_000, 1, None),
    ] {
        let row = bench.streams(chunks, connections).await?;
        table.compare(
            &format!("stream, {chunks} chunks x {connections}"),
            "events/s",
            &row,
            target,
        );
    }
    table.flat("cost per event, 100000 against 2000 chunks", 1, 2);
    let row = bench.calls().await?;
    table.compare("unary send x 8", "calls/s", &row, Some(30.0));
    processes::measure(&mut table).await?;
    table.write(&mut std::io::stdout())?;
    Ok(())
}

/// Both servers and their client.
struct Bench {
    client: Client,
    ours: Url,
    tasks: TaskTracker,
}

impl Bench {
    async fn start(tasks: &TaskTracker, folder: &std::path::Path) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let ours = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        let router = ours::server(ours.as_str(), &folder.join("log.db"))?;
        tasks.spawn(async move { axum::serve(listener, router).await });
        let client = a2a_proto::client::http_client(&a2a_proto::client::HttpOptions::default())?;
        Ok(Self {
            client,
            ours,
            tasks: tasks.clone(),
        })
    }

    /// The request that makes our agent write `text`.
    fn shot(&self, method: &str, text: &str, frames: Option<u64>) -> Shot {
        let message = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]});
        let call =
            json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": message}});
        Shot {
            client: self.client.clone(),
            url: self.ours.clone(),
            body: call.to_string(),
            frames,
        }
    }

    /// The same bytes from the bare handler.
    async fn bare(&self, answers: Answers, path: &str, shot: &Shot) -> Result<Shot, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = Url::parse(&format!("http://{}{path}", listener.local_addr()?))?;
        self.tasks.spawn(bare::serve(listener, Arc::new(answers)));
        Ok(Shot {
            url,
            ..shot.clone()
        })
    }

    async fn streams(&self, chunks: u64, connections: usize) -> Result<Row, Failure> {
        let mut shot = self.shot("SendStreamingMessage", &chunks.to_string(), None);
        let frames = capture(&shot).await?;
        let count = u64::try_from(frames.len())?;
        if count <= chunks {
            return Err(format!("{chunks} chunks came as {count} events").into());
        }
        shot.frames = Some(count);
        let answers = Answers {
            frames,
            ..Answers::default()
        };
        let bare = self.bare(answers, "/stream", &shot).await?;
        let rounds = usize::try_from(EVENTS / chunks)?
            .div_ceil(connections)
            .max(1);
        compare(&bare, &shot, connections, rounds).await
    }

    async fn calls(&self) -> Result<Row, Failure> {
        let shot = self.shot("SendMessage", "ping", None);
        let unary = request(&shot).await?;
        let answers = Answers {
            unary: unary.bytes().await?,
            ..Answers::default()
        };
        let bare = self.bare(answers, "/unary", &shot).await?;
        compare(&bare, &shot, CONNECTIONS, CALLS).await
    }
}

/// Measures both in turns, so that a busy moment meets both.
async fn compare(
    bare: &Shot,
    ours: &Shot,
    connections: usize,
    rounds: usize,
) -> Result<Row, Failure> {
    // The first requests open connections and warm caches; they do not count.
    bare.fire(connections, 1).await?;
    ours.fire(connections, 1).await?;
    let mut measured: [Vec<Rate>; 2] = Default::default();
    for _ in 0..MEASUREMENTS {
        for (shot, rates) in [bare, ours].into_iter().zip(&mut measured) {
            rates.push(shot.fire(connections, rounds).await?);
        }
    }
    let [bare, ours] = measured.map(|rates| median(rates.into_iter().map(Rate::per_second)));
    Ok(Row { bare, ours })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

async fn request(shot: &Shot) -> Result<reqwest::Response, Failure> {
    let request = shot
        .client
        .post(shot.url.clone())
        .header("Content-Type", "application/json");
    let answer = request
        .header("A2A-Version", "1.0")
        .body(shot.body.clone())
        .send()
        .await?;
    Ok(answer.error_for_status()?)
}

/// One stream of ours, event by event.
async fn capture(shot: &Shot) -> Result<Vec<(String, String)>, Failure> {
    let mut answer = request(shot).await?;
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    while let Some(bytes) = tokio::time::timeout(Duration::from_secs(60), answer.chunk()).await?? {
        decoder.feed(&bytes);
        while let Some(event) = decoder.next_event()? {
            let data = String::from_utf8(event.data.to_vec())?;
            frames.push((event.id.unwrap_or_default(), data));
        }
    }
    Ok(frames)
}

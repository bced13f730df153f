//! The load on any A2A server over JSON-RPC: plain threads with blocking sockets that count `data:` lines, so that the client
//! is never what is measured. Knows both ways in which HTTP/1.1 ends a body. A stream with one event too few or too many
//! fails the measurement. (The load of the bench `stream` looks at our event numbers, which nobody else writes.)

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Result;

const BUFFER: usize = 256 * 1024;
/// A server that says nothing for so long has lost something.
const SILENCE: Duration = Duration::from_secs(60);
const LINE: &[u8] = b"\ndata:";
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// Where to send requests.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
}

/// How much came, and how fast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) count: f64,
    pub(crate) per_second: f64,
}

/// Events over streams of `chunks` chunks, one after the other on each connection.
pub(crate) fn streams(
    to: &Target,
    connections: usize,
    chunks: u64,
    time: Duration,
) -> Result<Rate> {
    let request = call(to, "SendStreamingMessage", chunks);
    // Task, WORKING, the chunks, COMPLETED.
    let expected = chunks + 3;
    rate(connections, time, |begin| {
        let mut connection = Connection::open(to)?;
        let mut events = 0;
        while events == 0 || begin.elapsed() < time {
            connection.send(&request)?;
            let came = connection.answer(|| ())?;
            if came != expected {
                return Err(format!("{came} events came instead of {expected}").into());
            }
            events += came;
        }
        Ok(events)
    })
}

/// Blocking sends, one after the other on each connection.
pub(crate) fn unary(to: &Target, connections: usize, time: Duration) -> Result<Rate> {
    let request = call(to, "SendMessage", 1);
    rate(connections, time, |begin| {
        let mut connection = Connection::open(to)?;
        let mut requests = 0;
        while requests == 0 || begin.elapsed() < time {
            connection.send(&request)?;
            connection.answer(|| ())?;
            requests += 1;
        }
        Ok(requests)
    })
}

/// Milliseconds from a request to its first event, `times` on each connection.
pub(crate) fn first_events(to: &Target, connections: usize, times: usize) -> Result<Vec<f64>> {
    let request = call(to, "SendStreamingMessage", 1);
    let all = every(connections, || {
        let mut connection = Connection::open(to)?;
        let mut all = Vec::with_capacity(times);
        for _ in 0..times {
            let begin = Instant::now();
            let mut first = None;
            connection.send(&request)?;
            connection.answer(|| first = first.or(Some(begin.elapsed())))?;
            all.push(first.ok_or("no event")?.as_secs_f64() * 1e3);
        }
        Ok(all)
    })?;
    Ok(all.into_iter().flatten().collect())
}

/// The body of a GET.
pub(crate) fn get(to: &Target, path: &str) -> Result<Vec<u8>> {
    let mut connection = Connection::open(to)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
    connection.send(request.as_bytes())?;
    let mut all = Vec::new();
    connection.socket.read_to_end(&mut all)?;
    let start = find(&all, b"{").ok_or("no JSON")?;
    let end = all
        .iter()
        .rposition(|byte| *byte == b'}')
        .ok_or("no JSON")?;
    Ok(all.get(start..=end).unwrap_or_default().to_vec())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(
    connections: usize,
    time: Duration,
    work: impl Fn(Instant) -> Result<u64> + Sync,
) -> Result<Rate> {
    let begin = Instant::now();
    let counts = every(connections, || work(begin))?;
    let count = counts.into_iter().sum::<u64>() as f64;
    Ok(Rate {
        count,
        per_second: count / begin.elapsed().max(time).as_secs_f64(),
    })
}

fn every<T: Send>(connections: usize, work: impl Fn() -> Result<T> + Sync) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(&work)).collect();
        let ended = threads.into_iter().map(|thread| {
            let panicked = |_| Err("a client panicked".into());
            thread.join().unwrap_or_else(panicked)
        });
        ended.collect()
    })
}

fn call(to: &Target, method: &str, chunks: u64) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"message":{{"messageId":"m","role":"ROLE_USER","parts":[{{"text":"chunks {chunks}"}}]}}}}}}"#
    );
    format!(
        "POST {} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\na2a-version: 1.0\r\ncontent-length: {}\r\n\r\n{body}",
        to.path,
        body.len()
    )
    .into_bytes()
}

/// How a body ends.
enum End {
    Length(usize),
    Chunked,
}

struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(to: &Target) -> Result<Self> {
        let socket = TcpStream::connect(to.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE))?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
        })
    }

    fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.socket.write_all(request)?)
    }

    /// Reads one answer to its end and counts the events in it; says when some have come.
    fn answer(&mut self, came: impl FnMut()) -> Result<u64> {
        let mut filled = 0;
        let (end, body) = loop {
            filled += self.read(filled)?;
            let seen = self.buffer.get(..filled).unwrap_or_default();
            if let Some(head) = find(seen, b"\r\n\r\n") {
                break (ending(seen.get(..head).unwrap_or_default())?, head + 4);
            }
        };
        match end {
            End::Length(length) => {
                let mut missing = length.saturating_sub(filled - body);
                while missing > 0 {
                    missing = missing.saturating_sub(self.read(0)?);
                }
                Ok(0)
            }
            // The line before the first event is the end of the head.
            End::Chunked => self.events(body - 2, filled, came),
        }
    }

    /// Counts the events of a chunked body, of which `start..filled` is there.
    fn events(
        &mut self,
        mut start: usize,
        mut filled: usize,
        mut came: impl FnMut(),
    ) -> Result<u64> {
        /// What may be the beginning of a line or of the end.
        const TAIL: usize = LAST_CHUNK.len() - 1;
        let mut events = 0;
        loop {
            let seen = self.buffer.get(start..filled).unwrap_or_default();
            events += count(seen);
            if events > 0 {
                came();
            }
            if seen.ends_with(LAST_CHUNK) {
                return Ok(events);
            }
            let kept = seen.len().min(TAIL);
            let tail = filled - kept..filled;
            // A line that is whole is not counted again.
            events -= count(self.buffer.get(tail.clone()).unwrap_or_default());
            self.buffer.copy_within(tail, 0);
            start = 0;
            filled = kept + self.read(kept)?;
        }
    }

    fn read(&mut self, from: usize) -> Result<usize> {
        let free = self.buffer.get_mut(from..).unwrap_or_default();
        match self.socket.read(free)? {
            0 => Err("the server closed the connection".into()),
            read => Ok(read),
        }
    }
}

/// What the head says of the end, if the status is 200.
fn ending(head: &[u8]) -> Result<End> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(format!("not 200: {head}").into());
    }
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.trim().to_owned())
            .next()
    };
    match header("content-length") {
        Some(length) => Ok(End::Length(length.parse()?)),
        None if header("transfer-encoding").as_deref() == Some("chunked") => Ok(End::Chunked),
        None => Err("the answer says not how it ends".into()),
    }
}

/// How many lines begin with `data:`.
fn count(bytes: &[u8]) -> u64 {
    let mut rest = bytes;
    let mut lines = 0;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
        rest = rest.get(at..).unwrap_or_default();
        lines += u64::from(rest.starts_with(LINE));
        rest = rest.get(1..).unwrap_or_default();
    }
    lines
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

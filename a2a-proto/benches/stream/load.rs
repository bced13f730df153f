//! The load: plain threads with blocking sockets that read big buffers and look at bytes, so that the client is never
//! what is measured. The same code for both servers. Every number is checked; one gap, repeat or missing end and the
//! run fails.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Result;

const BUFFER: usize = 256 * 1024;

/// At least so much follows an `id:` line before its frame ends; the client need not look at it.
const SKIP: usize = 90;

/// So much of what came last is shown when a stream is not whole: it holds the last events, or the error.
const SEEN: usize = 1024;

/// What came of a run.
pub(crate) struct Measured {
    requests: u64,
    events: u64,
    elapsed: Duration,
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
impl Measured {
    pub(crate) fn events(&self) -> f64 {
        self.events as f64
    }

    pub(crate) fn requests(&self) -> f64 {
        self.requests as f64
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.elapsed.as_secs_f64()
    }
}

/// Streams of `chunks` chunks, one after the other on each of `connections` connections, for `time` or once.
pub(crate) fn streams(
    to: SocketAddr,
    connections: usize,
    chunks: u64,
    time: Duration,
) -> Result<Measured> {
    let request = call("SendStreamingMessage", &format!("chunks {chunks}"));
    // Task, WORKING, the chunks, COMPLETED.
    let expected = chunks + 3;
    run(connections, time, |begin| {
        let mut connection = Connection::open(to)?;
        let mut counts = (0, 0);
        while counts.0 == 0 || begin.elapsed() < time {
            connection.send(&request)?;
            let events = connection.stream(|| ())?;
            if events != expected {
                return Err(format!(
                    "{events} events came instead of {expected}, and at the end: {}",
                    String::from_utf8_lossy(&connection.seen)
                )
                .into());
            }
            counts = (counts.0 + 1, counts.1 + events);
        }
        Ok(counts)
    })
}

/// Blocking sends, one after the other on each connection.
pub(crate) fn unary(to: SocketAddr, connections: usize, time: Duration) -> Result<Measured> {
    let request = call("SendMessage", "chunks 1");
    run(connections, time, |begin| {
        let mut connection = Connection::open(to)?;
        let mut requests = 0;
        while requests == 0 || begin.elapsed() < time {
            connection.send(&request)?;
            connection.reply()?;
            requests += 1;
        }
        Ok((requests, 0))
    })
}

/// Microseconds from the request to the first event, on a quiet server.
pub(crate) fn latency(to: SocketAddr, times: usize) -> Result<Vec<f64>> {
    let request = call("SendStreamingMessage", "chunks 1");
    let mut connection = Connection::open(to)?;
    let mut all = Vec::with_capacity(times);
    for _ in 0..times {
        let begin = Instant::now();
        let mut first = None;
        connection.send(&request)?;
        connection.stream(|| first = first.or(Some(begin.elapsed())))?;
        all.extend(first.map(|first| first.as_secs_f64() * 1e6));
    }
    Ok(all)
}

fn run(
    connections: usize,
    time: Duration,
    work: impl Fn(Instant) -> Result<(u64, u64)> + Sync,
) -> Result<Measured> {
    let begin = Instant::now();
    let counts: Result<Vec<_>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| work(begin)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err("a client panicked".into()))
            })
            .collect()
    });
    let elapsed = begin.elapsed().max(time);
    let (requests, events) = counts?
        .into_iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    Ok(Measured {
        requests,
        events,
        elapsed,
    })
}

fn call(method: &str, text: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"message":{{"messageId":"m","role":"ROLE_USER","parts":[{{"text":"{text}"}}]}}}}}}"#
    );
    format!(
        "POST / HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\naccept: */*\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
    /// What is read and not looked at yet.
    start: usize,
    end: usize,
    /// The last bytes of the stream that ended.
    seen: Vec<u8>,
}

impl Connection {
    fn open(to: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            seen: Vec::new(),
        })
    }

    fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.socket.write_all(request)?)
    }

    fn fill(&mut self) -> Result<()> {
        self.remember();
        // What is left is the beginning of a line.
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = self
            .socket
            .read(self.buffer.get_mut(self.end..).unwrap_or_default())?;
        if read == 0 {
            return Err("the server closed the connection".into());
        }
        self.end += read;
        Ok(())
    }

    /// Keeps the end of what was looked at.
    fn remember(&mut self) {
        let looked_at = self.buffer.get(..self.start).unwrap_or_default();
        let skip = looked_at.len().saturating_sub(SEEN);
        self.seen
            .extend_from_slice(looked_at.get(skip..).unwrap_or_default());
        let surplus = self.seen.len().saturating_sub(SEEN);
        self.seen.drain(..surplus);
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes the head of an answer, which must be 200.
    fn head(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(end) = self
                .unread()
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                let head = self
                    .unread()
                    .get(..end + 4)
                    .unwrap_or_default()
                    .to_ascii_lowercase();
                self.start += end + 4;
                if !head.starts_with(b"http/1.1 200") {
                    return Err(format!("not 200: {}", String::from_utf8_lossy(&head)).into());
                }
                return Ok(head);
            }
            self.fill()?;
        }
    }

    /// Reads an answer with a length.
    fn reply(&mut self) -> Result<()> {
        let head = self.head()?;
        let head = String::from_utf8(head)?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .ok_or("no length")?;
        let length: usize = length.parse()?;
        while self.unread().len() < length {
            self.fill()?;
        }
        let body = self.unread().get(..length).unwrap_or_default();
        if !contains(body, b"TASK_STATE_COMPLETED") {
            return Err(format!("not completed: {}", String::from_utf8_lossy(body)).into());
        }
        self.start += length;
        Ok(())
    }

    /// Reads an answer of events, checks that they are numbered from 1, and counts them.
    fn stream(&mut self, mut on_event: impl FnMut()) -> Result<u64> {
        self.head()?;
        let mut events = 0;
        loop {
            // Line by line: chunk heads, `id:`, `data:`, empty. A line that is not complete waits for more.
            let unread = self.unread();
            let Some(length) = unread.iter().position(|byte| *byte == b'\n') else {
                self.fill()?;
                continue;
            };
            let line = unread.get(..length).unwrap_or_default();
            let mut taken = length + 1;
            if let Some(id) = line.strip_prefix(b"id: ") {
                events += 1;
                if number(id) != events {
                    return Err(format!(
                        "event {events} has the id {}",
                        String::from_utf8_lossy(id)
                    )
                    .into());
                }
                on_event();
                // The data line after it is longer than this.
                if unread.get(taken..taken + 6) == Some(b"data: ") && unread.len() > taken + SKIP {
                    taken += SKIP;
                }
            } else if line == b"0\r" {
                // The last chunk, and the empty line that ends it.
                while self.unread().len() < taken + 2 {
                    self.fill()?;
                }
                self.start += taken + 2;
                self.remember();
                return Ok(events);
            }
            self.start += taken;
        }
    }
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| {
        sum * 10 + u64::from(digit.wrapping_sub(b'0'))
    })
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

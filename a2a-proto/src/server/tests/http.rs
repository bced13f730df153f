//! A client that writes and reads HTTP/1.1 by hand, so that nothing smooths over what the server really sends.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(60);

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&self.body)))
    }
}

pub(super) async fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    Stream::open(to, method, path, headers, body)
        .await
        .into_reply()
        .await
}

/// One frame of server-sent events.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    pub(super) id: Option<u64>,
    pub(super) event: Option<String>,
    pub(super) data: String,
}

impl Frame {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }

    /// The event without the JSON-RPC envelope, if there is one.
    pub(super) fn event_json(&self) -> Value {
        let json = self.json();
        if json["jsonrpc"].is_string() {
            assert_eq!(json["id"], 7);
            return json["result"].clone();
        }
        json
    }
}

/// An answer that is being read.
pub(super) struct Stream {
    socket: TcpStream,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    raw: Vec<u8>,
    /// Body bytes, without the chunking, that are not taken yet.
    body: Vec<u8>,
    chunked: bool,
    ended: bool,
    /// Comment lines seen.
    pub(super) comments: usize,
    /// Chunks seen.
    pub(super) chunks: usize,
}

impl Stream {
    pub(super) async fn open(
        to: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let mut socket = TcpStream::connect(to).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            && !body.is_empty()
        {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        // The server may have answered before it read everything.
        let _ = socket.write_all(body).await;
        let mut stream = Self {
            socket,
            status: 0,
            headers: Vec::new(),
            raw: Vec::new(),
            body: Vec::new(),
            chunked: false,
            ended: false,
            comments: 0,
            chunks: 0,
        };
        let end = loop {
            if let Some(end) = find(&stream.raw, b"\r\n\r\n") {
                break end;
            }
            assert!(
                stream.fill().await,
                "no answer: {}",
                String::from_utf8_lossy(&stream.raw)
            );
        };
        let head = String::from_utf8(stream.raw.drain(..end + 4).collect()).unwrap();
        let mut lines = head.lines();
        stream.status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        stream.headers = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        stream.chunked = stream.header("transfer-encoding") == Some("chunked");
        stream.unchunk();
        stream
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads more; `false` at the end.
    async fn fill(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        let read = tokio::time::timeout(DEADLINE, self.socket.read(&mut buffer))
            .await
            .expect("an answer in time");
        match read {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.raw.extend_from_slice(&buffer[..length]);
                true
            }
        }
    }

    fn unchunk(&mut self) {
        if !self.chunked {
            self.body.append(&mut self.raw);
            return;
        }
        while let Some(end) = find(&self.raw, b"\r\n") {
            let length =
                usize::from_str_radix(std::str::from_utf8(&self.raw[..end]).unwrap(), 16).unwrap();
            if self.raw.len() < end + 2 + length + 2 {
                return;
            }
            self.body
                .extend_from_slice(&self.raw[end + 2..end + 2 + length]);
            self.raw.drain(..end + 2 + length + 2);
            self.chunks += 1;
            if length == 0 {
                self.ended = true;
                return;
            }
        }
    }

    /// The next frame; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(end) = find(&self.body, b"\n\n") {
                let text = String::from_utf8(self.body.drain(..end + 2).collect()).unwrap();
                let mut frame = Frame {
                    id: None,
                    event: None,
                    data: String::new(),
                };
                for line in text.lines().filter(|line| !line.is_empty()) {
                    match line.split_once(": ").unwrap() {
                        ("id", id) => frame.id = Some(id.parse().unwrap()),
                        ("event", event) => frame.event = Some(event.to_owned()),
                        ("data", data) => frame.data.push_str(data),
                        ("", _) => self.comments += 1,
                        other => panic!("a strange line: {other:?}"),
                    }
                }
                if frame.data.is_empty() {
                    continue;
                }
                return Some(frame);
            }
            if self.ended || !self.fill().await {
                assert!(self.ended, "the stream was cut");
                return None;
            }
            self.unchunk();
        }
    }

    /// Waits for a keep-alive.
    pub(super) async fn comment(&mut self) {
        while find(&self.body, b": keep-alive\n\n").is_none() {
            assert!(self.fill().await);
            self.unchunk();
        }
    }

    pub(super) async fn all(mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// All events of a stream, without envelopes.
    pub(super) async fn events(self) -> Vec<Value> {
        assert_eq!(self.status, 200);
        self.all().await.iter().map(Frame::event_json).collect()
    }

    pub(super) async fn into_reply(mut self) -> Reply {
        while !self.ended && self.fill().await {
            self.unchunk();
        }
        Reply {
            status: self.status,
            headers: self.headers,
            body: self.body,
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

//! The client against servers that misbehave. A [`RawServer`] answers each connection with the next bytes of its script
//! and hangs up, so that every cut is at an exact byte.

mod calls;
#[cfg(all(feature = "grpc", feature = "server"))]
mod grpc;
mod older;
mod streams;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use url::Url;

use super::*;
use crate::types::{AgentCapabilities, AgentInterface};

/// What a script does with one connection.
pub(super) enum Act {
    /// Sends these bytes and closes in order.
    Answer(String),
    /// Sends these bytes and keeps the connection open in silence until the client leaves.
    Hang(String),
    /// Closes without a word.
    Refuse,
}

/// A server that plays a script, one act per connection, and tells what it was asked.
pub(super) struct RawServer {
    pub(super) url: Url,
    requests: mpsc::Receiver<String>,
}

impl RawServer {
    pub(super) fn play(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for act in script {
                let (mut connection, _) = listener.accept().unwrap();
                let request = read_request(&mut connection);
                // A test that has seen enough may be gone.
                let _ = sender.send(request);
                match act {
                    Act::Answer(bytes) => connection.write_all(bytes.as_bytes()).unwrap(),
                    Act::Hang(bytes) => {
                        connection.write_all(bytes.as_bytes()).unwrap();
                        let _ = connection.read(&mut [0]);
                    }
                    Act::Refuse => {}
                }
            }
        });
        Self { url, requests }
    }

    /// The next request, head and body.
    pub(super) fn asked(&self) -> String {
        self.requests.recv_timeout(Duration::from_secs(5)).unwrap()
    }
}

fn read_request(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap() > 0 {
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    connection.read_exact(&mut body).unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

/// A whole answer.
pub(super) fn http_answer(status: &str, headers: &str, body: &str) -> Act {
    let length = body.len();
    Act::Answer(format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    ))
}

/// A stream that ends in order after these frames.
pub(super) fn sse(frames: &str) -> Act {
    Act::Answer(sse_bytes(frames))
}

pub(super) fn sse_bytes(frames: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n{frames}"
    )
}

/// A stream that breaks in the middle of a chunk.
pub(super) fn broken_sse(frames: &str) -> Act {
    let length = frames.len() + 10;
    Act::Answer(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{frames}"
    ))
}

pub(super) fn card(url: &Url, binding: &str) -> AgentCard {
    AgentCard {
        name: "raw".into(),
        version: "1".into(),
        supported_interfaces: vec![AgentInterface {
            url: url.to_string(),
            protocol_binding: binding.into(),
            protocol_version: "1.0".into(),
            ..AgentInterface::default()
        }],
        capabilities: AgentCapabilities {
            streaming: Some(true),
            ..AgentCapabilities::default()
        },
        ..AgentCard::default()
    }
}

pub(super) fn options() -> ClientOptions {
    let mut options = ClientOptions::new(http_client(&HttpOptions::default()).unwrap());
    options.resume = ResumeOptions {
        min_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
        max_attempts: 3,
        idle_timeout: Duration::from_millis(200),
    };
    // Tests of single answers count the connections.
    options.retry.max_retries = 0;
    options
}

pub(super) fn client(server: &RawServer, binding: &str) -> Client {
    Client::from_card(card(&server.url, binding), options()).unwrap()
}

//! Bytes to a server and back, with deadlines, and the few frames of HTTP/2 that are needed to misbehave (RFC 9113 §4, §6).

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::victim::Victim;

/// Longer than every patience of a server but the one with readers.
pub(crate) const OVER: Duration = Duration::from_secs(90);
/// How much of an answer is looked at.
const ENOUGH: usize = 1 << 20;

pub(crate) async fn connect(victim: &Victim) -> TcpStream {
    let stream = TcpStream::connect(victim.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Whatever comes until the end; being broken off is an end too.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = async {
        while answer.len() < ENOUGH
            && matches!(stream.read_buf(&mut answer).await, Ok(count) if count > 0)
        {}
    };
    let ended = tokio::time::timeout(OVER, reading).await;
    assert!(
        ended.is_ok(),
        "no end after {OVER:?}: {}",
        String::from_utf8_lossy(&answer)
    );
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends `pieces` on one connection, as many of them as are taken, and gives what comes back: both at once, since an answer
/// may come before all is sent.
pub(crate) async fn exchange<'a>(
    victim: &Victim,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> String {
    let (mut read, mut write) = connect(victim).await.into_split();
    let sending = async {
        for piece in pieces {
            if write.write_all(piece).await.is_err() {
                break;
            }
        }
        // Kept open: closing would be one more thing to be misunderstood.
        write
    };
    let mut answer = Vec::new();
    let reading = async {
        while answer.len() < ENOUGH
            && matches!(read.read_buf(&mut answer).await, Ok(count) if count > 0)
        {}
    };
    let both = async { tokio::join!(sending, reading) };
    let ended = tokio::time::timeout(OVER, both).await;
    assert!(
        ended.is_ok(),
        "no end after {OVER:?}: {}",
        String::from_utf8_lossy(&answer)
    );
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends these bytes and gives what comes back until nothing more does: for requests after which the connection may live on.
pub(crate) async fn exchange_until_quiet(victim: &Victim, bytes: &[u8]) -> String {
    const QUIET: Duration = Duration::from_millis(300);
    let mut stream = connect(victim).await;
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    while let Ok(Ok(count)) = tokio::time::timeout(QUIET, stream.read_buf(&mut answer)).await {
        if count == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The head of a `POST` of JSON by a known caller; the body's length is told by `length`.
pub(crate) fn head(victim: &Victim, path: &str, length: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {}\r\ncontent-type: application/json\r\n{length}\r\n\r\n",
        victim.authorization()
    )
}

/// A `POST` of these bytes.
pub(crate) fn post(victim: &Victim, path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = head(victim, path, &format!("content-length: {}", body.len())).into_bytes();
    request.extend_from_slice(body);
    request
}

/// The status of an answer; 0 where there is none.
pub(crate) fn status(answer: &str) -> u16 {
    let code = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// How a client of HTTP/2 begins.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
/// Flags.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header field, literal, without the table (RFC 7541 §6.2.2).
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0];
    for text in [name, value] {
        // An integer with a prefix of seven bits (RFC 7541 §5.1).
        match u8::try_from(text.len()) {
            Ok(length) if length < 127 => block.push(length),
            _ => {
                block.push(127);
                let mut left = text.len() - 127;
                while left >= 128 {
                    block.push(u8::try_from(left % 128).unwrap() | 128);
                    left /= 128;
                }
                block.push(u8::try_from(left).unwrap());
            }
        }
        block.extend(text.as_bytes());
    }
    block
}

/// The header block of a gRPC call, or of a `POST` of JSON where `kind` says so.
pub(crate) fn call(victim: &Victim, path: &str, kind: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "x"),
        ("content-type", kind),
        ("te", "trailers"),
        ("authorization", &victim.authorization()),
    ];
    fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

/// A connection of HTTP/2 whose other side is read in frames.
pub(crate) struct Http2 {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// A frame as it came.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Http2 {
    /// A connection with its preface sent.
    pub(crate) async fn begin(victim: &Victim) -> Self {
        let mut stream = connect(victim).await;
        stream.write_all(PREFACE).await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Sends bytes; an error says that the server has ended it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next frame; `None` at the end. Settings and pings are acknowledged, as RFC 9113 §6.5 and §6.7 want.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if self.buffer.len() >= 9 {
                let length = u32::from_be_bytes([0, self.buffer[0], self.buffer[1], self.buffer[2]])
                    as usize;
                if self.buffer.len() >= 9 + length {
                    let bytes: Vec<u8> = self.buffer.drain(..9 + length).collect();
                    let got = Frame {
                        kind: bytes[3],
                        flags: bytes[4],
                        stream: u32::from_be_bytes([bytes[5] & 127, bytes[6], bytes[7], bytes[8]]),
                        payload: bytes[9..].to_vec(),
                    };
                    if matches!(got.kind, SETTINGS | PING) && got.flags & 1 == 0 {
                        let payload = if got.kind == PING {
                            got.payload.as_slice()
                        } else {
                            &[]
                        };
                        // Whether it still reads is seen elsewhere.
                        let _ = self.send(&frame(got.kind, 1, 0, payload)).await;
                    }
                    return Some(got);
                }
            }
            let reading = tokio::time::timeout(OVER, self.stream.read_buf(&mut self.buffer));
            match reading
                .await
                .unwrap_or_else(|_| panic!("nothing for {OVER:?}"))
            {
                Ok(count) if count > 0 => {}
                _ => return None,
            }
        }
    }

    /// Everything until the end.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut all = Vec::new();
        while let Some(got) = self.next().await {
            all.push(got);
        }
        all
    }
}

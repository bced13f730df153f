//! One subscription as its client sees it: a socket, the chunked body taken apart by hand, and a running hash of the
//! bytes. It keeps nothing of what it read, so that ten thousand of them fit into one small client.

use std::{
    hash::{DefaultHasher, Hasher as _},
    io,
    net::SocketAddr,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::Failure;

/// What is read at once; on the stack of the one future that reads at the moment.
const BUFFER: usize = 16 * 1024;
/// More than any head of an answer here.
const MAX_HEAD: usize = 8 * 1024;

/// What a subscription got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) events: u64,
    bytes: u64,
    hash: u64,
}

/// An open subscription that has got its first event.
pub(crate) struct Reader {
    socket: TcpStream,
    body: Body,
}

impl Reader {
    /// Subscribes to `path` and waits for the first event.
    pub(crate) async fn open(to: SocketAddr, path: &str) -> Result<Self, Failure> {
        let mut socket = TcpStream::connect(to).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\na2a-version: 1.0\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        let end = loop {
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if head.len() > MAX_HEAD || socket.read_buf(&mut head).await? == 0 {
                return Err("no answer to a subscription".into());
            }
        };
        if !head.starts_with(b"HTTP/1.1 200") {
            return Err(String::from_utf8_lossy(&head).into_owned().into());
        }
        let mut reader = Self {
            socket,
            body: Body::default(),
        };
        reader.body.feed(head.get(end..).unwrap_or_default())?;
        while reader.body.events == 0 {
            reader.more().await?;
        }
        Ok(reader)
    }

    /// Reads to the end.
    pub(crate) async fn read(mut self) -> Result<Story, Failure> {
        while !self.body.ended {
            self.more().await?;
        }
        Ok(Story {
            events: self.body.events,
            bytes: self.body.bytes,
            hash: self.body.hash.finish(),
        })
    }

    async fn more(&mut self) -> Result<(), Failure> {
        self.socket.readable().await?;
        // Not across the wait: ten thousand waiting readers share this one.
        let mut buffer = [0; BUFFER];
        match self.socket.try_read(&mut buffer) {
            Ok(0) => Err("the server closed a subscription before its end".into()),
            Ok(read) => self.body.feed(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A body in chunks (RFC 9112 §7.1), reduced to what is compared.
#[derive(Default)]
struct Body {
    place: Place,
    events: u64,
    bytes: u64,
    hash: DefaultHasher,
    /// The last bytes, to see the end of a frame across pieces.
    line_ends: u8,
    ended: bool,
}

#[derive(Default, Clone, Copy)]
enum Place {
    /// In a chunk's length, so far.
    #[default]
    Start,
    Length(usize),
    /// After the digits, before the line feed.
    LengthEnd(usize),
    Data(usize),
    /// After the data, before the line feed.
    DataEnd,
}

impl Body {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while let Some((byte, rest)) = bytes.split_first() {
            self.place = match self.place {
                Place::Data(left) => {
                    let (data, after) = bytes.split_at(left.min(bytes.len()));
                    self.take(data);
                    bytes = after;
                    self.place = match left - data.len() {
                        0 => Place::DataEnd,
                        left => Place::Data(left),
                    };
                    continue;
                }
                Place::Start | Place::Length(_) if byte.is_ascii_hexdigit() => {
                    let so_far = if let Place::Length(so_far) = self.place {
                        so_far
                    } else {
                        0
                    };
                    let digit = char::from(*byte).to_digit(16).unwrap_or_default();
                    Place::Length(so_far * 16 + usize::try_from(digit)?)
                }
                Place::Length(length) if *byte == b'\r' => Place::LengthEnd(length),
                Place::LengthEnd(0) if *byte == b'\n' => {
                    self.ended = true;
                    return Ok(());
                }
                Place::LengthEnd(length) if *byte == b'\n' => Place::Data(length),
                Place::DataEnd if *byte == b'\r' => Place::DataEnd,
                Place::DataEnd if *byte == b'\n' => Place::Start,
                _ => return Err("the body is not in chunks".into()),
            };
            bytes = rest;
        }
        Ok(())
    }

    fn take(&mut self, data: &[u8]) {
        self.hash.write(data);
        self.bytes += data.len() as u64;
        for byte in data {
            // Two line feeds end a frame.
            self.line_ends = if *byte == b'\n' {
                self.line_ends + 1
            } else {
                0
            };
            if self.line_ends == 2 {
                self.events += 1;
                self.line_ends = 0;
            }
        }
    }
}

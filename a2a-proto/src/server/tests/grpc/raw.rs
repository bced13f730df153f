//! A gRPC client of one connection that writes frames by hand and reads whatever comes.

use std::net::SocketAddr;
use std::time::Duration;

use ::http::{HeaderMap, Request, Response};
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;
use tonic::Status;

const DEADLINE: Duration = Duration::from_secs(60);

/// A message in its frame.
pub(super) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// A connection.
pub(super) struct Raw {
    sender: SendRequest<Full<Bytes>>,
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) http: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// From the trailers, or from the headers when there is nothing else.
    pub(super) status: Status,
}

impl Answer {
    /// Every message of the answer.
    pub(super) fn all<P: prost::Message + Default>(&self) -> Vec<P> {
        let (mut body, mut messages) = (self.body.clone(), Vec::new());
        while body.has_remaining() {
            assert_eq!(body.get_u8(), 0, "not compressed");
            let length = body.get_u32() as usize;
            messages.push(P::decode(body.split_to(length)).unwrap());
        }
        messages
    }

    /// The one message of a good answer.
    pub(super) fn one<P: prost::Message + Default>(&self) -> P {
        assert_eq!(self.status.code(), tonic::Code::Ok, "{:?}", self.status);
        let mut all = self.all();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

impl Raw {
    pub(super) async fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        // It ends with the sender.
        TaskTracker::new().spawn(connection);
        Self { sender }
    }

    pub(super) async fn call(&self, path: &str, message: &impl prost::Message) -> Answer {
        self.send(path, &[], frame(&message.encode_to_vec())).await
    }

    pub(super) async fn send(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        self.request("POST", path, headers, body).await
    }

    pub(super) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let answer = async {
            let response = self.start(method, path, headers, body).await;
            let (parts, body) = response.into_parts();
            let collected = body.collect().await.unwrap();
            let trailers = collected.trailers().cloned();
            let told = trailers.as_ref().unwrap_or(&parts.headers);
            Answer {
                http: parts.status.as_u16(),
                status: Status::from_header_map(told).unwrap_or_else(|| Status::unknown("none")),
                body: collected.to_bytes(),
                headers: parts.headers,
            }
        };
        tokio::time::timeout(DEADLINE, answer).await.unwrap()
    }

    /// Opens a stream to be read message by message.
    pub(super) async fn open(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Messages {
        let response = self.start("POST", path, headers, body).await;
        Messages {
            body: response.into_body(),
            bytes: BytesMut::new(),
            trailers: None,
        }
    }

    async fn start(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Response<Incoming> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://test{path}"));
        if headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let mut sender = self.sender.clone();
        sender.ready().await.unwrap();
        sender.send_request(request).await.unwrap()
    }
}

/// An answer that is being read.
pub(super) struct Messages {
    body: Incoming,
    bytes: BytesMut,
    trailers: Option<HeaderMap>,
}

impl Messages {
    /// The next message; `None` at the end.
    pub(super) async fn next<P: prost::Message + Default>(&mut self) -> Option<P> {
        loop {
            if self.bytes.len() >= 5 {
                let length = u32::from_be_bytes(self.bytes[1..5].try_into().unwrap()) as usize;
                if self.bytes.len() >= 5 + length {
                    self.bytes.advance(5);
                    return Some(P::decode(self.bytes.split_to(length)).unwrap());
                }
            }
            let frame = tokio::time::timeout(DEADLINE, self.body.frame());
            let frame = frame.await.unwrap()?.unwrap();
            match frame.into_data() {
                Ok(data) => self.bytes.extend_from_slice(&data),
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
    }

    /// How the stream ended.
    pub(super) fn status(&self) -> Status {
        Status::from_header_map(self.trailers.as_ref().unwrap()).unwrap()
    }
}

//! A receiver of push notifications: a small HTTP server that takes everything, one connection after the other, and keeps it.
//!
//! Here because a worker's webhook is a server of its user's, so it must be a real one that outlives the worker.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::wait::until_true;

/// A notification as it came.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Header lines, names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Value,
}

impl Notification {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// A receiver that listens.
#[derive(Debug)]
pub struct Webhook {
    url: String,
    got: Arc<Mutex<Vec<Notification>>>,
    _server: AbortOnDropHandle<()>,
}

impl Webhook {
    /// Listens on a free port of loopback, and takes `pause` for each notification.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        let connections = TaskTracker::new();
        let server = TaskTracker::new().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&kept), pause));
            }
        });
        Self {
            url: format!("http://{address}/hook"),
            got,
            _server: AbortOnDropHandle::new(server),
        }
    }

    /// Where to post.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What came so far.
    ///
    /// # Panics
    /// When a connection panicked.
    #[must_use]
    pub fn got(&self) -> Vec<Notification> {
        self.got.lock().expect("no connection panics").clone()
    }

    /// Waits until what came is as `enough` says.
    pub async fn until(
        &self,
        what: &str,
        deadline: Duration,
        enough: impl Fn(&[Notification]) -> bool,
    ) -> Vec<Notification> {
        until_true(what, deadline, || enough(&self.got())).await;
        self.got()
    }
}

/// Serves one connection; a peer that dies in the middle ends it.
async fn serve(stream: TcpStream, got: Arc<Mutex<Vec<Notification>>>, pause: Duration) {
    let mut stream = BufReader::new(stream);
    while let Some(notification) = read(&mut stream).await {
        got.lock().expect("no connection panics").push(notification);
        tokio::time::sleep(pause).await;
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Notification> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Notification {
        headers,
        body: serde_json::from_slice(&body).ok()?,
    })
}

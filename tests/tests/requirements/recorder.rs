//! A server that keeps what it is sent and answers as the test wants: what our client calls, and where pushes go.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use e2e::wait::{SOON, until};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Recorded {
    /// The first line.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The values of a header.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// The server. It ends with its owner.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Recorded>>>,
    stop: CancellationToken,
}

impl Recorder {
    /// Starts one that answers each request, of which it had `n` before, with a status and a JSON text.
    pub(crate) async fn start<F>(answer: F) -> Self
    where
        F: Fn(usize, &Recorded) -> (u16, String) + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Recorded>>> = Arc::default();
        let stop = CancellationToken::new();
        let (kept, stopped) = (Arc::clone(&seen), stop.clone());
        let serve = async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                let before = kept.lock().unwrap().len();
                let (status, body) = answer(before, &request);
                kept.lock().unwrap().push(request);
                let text = format!(
                    "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                // A client that has left does not miss it.
                let _ = stream.write_all(text.as_bytes()).await;
            }
        };
        TaskTracker::new().spawn(async move {
            tokio::select! {
                () = serve => {}
                () = stopped.cancelled() => {}
            }
        });
        Self { url, seen, stop }
    }

    /// What came so far.
    pub(crate) fn seen(&self) -> Vec<Recorded> {
        self.seen.lock().unwrap().clone()
    }

    /// What came, when it is at least so many.
    pub(crate) async fn at_least(&self, count: usize) -> Vec<Recorded> {
        self.until(&format!("{count} requests"), SOON, |seen| {
            seen.len() >= count
        })
        .await
    }

    /// What came, when `good` accepts it.
    pub(crate) async fn until(
        &self,
        what: &str,
        deadline: Duration,
        good: impl Fn(&Vec<Recorded>) -> bool,
    ) -> Vec<Recorded> {
        until(what, deadline, async || self.seen(), good).await
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn read(stream: &mut TcpStream) -> Recorded {
    let mut text = Vec::new();
    loop {
        assert!(
            stream.read_buf(&mut text).await.unwrap() > 0,
            "the client hung up"
        );
        let so_far = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = so_far.split_once("\r\n\r\n") else {
            continue;
        };
        let request = Recorded {
            head: head.to_owned(),
            body: body.to_owned(),
        };
        let length = request
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        if request.body.len() >= length {
            return request;
        }
    }
}

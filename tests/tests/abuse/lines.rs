//! What a hostile server can send to our client: long lines, endless ones, endless answers. The client is the command line,
//! so that its memory can be looked at.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use e2e::{Finished, process, programs, run, tree};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// What a client may hold at its highest, in bytes: an event may have 16 MiB, which is there a few times while buffers grow.
/// Endless means a gigabyte here, so a client that kept all of it would be far beyond.
const HIGHEST: u64 = 400 << 20;
const MEGABYTE: usize = 1 << 20;
/// Longer than a client needs to refuse, and shorter than it would wait for silence.
const SOON: Duration = Duration::from_secs(60);

/// A server with a card, which answers every call with what `answer` writes.
async fn server<F>(
    answer: impl Fn(TcpStream) -> F + Send + 'static,
) -> (String, AbortOnDropHandle<()>)
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let card = json!({
        "name": "hostile", "description": "x", "version": "1", "capabilities": {"streaming": true},
        "supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"], "skills": [],
    })
    .to_string();
    let serve = async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read(&mut stream).await;
            if request.starts_with(b"GET /.well-known") {
                let text = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{card}",
                    card.len()
                );
                let _ = stream.write_all(text.as_bytes()).await;
            } else {
                answer(stream).await;
            }
        }
    };
    (url, AbortOnDropHandle::new(TaskTracker::new().spawn(serve)))
}

/// A whole request: a connection that is closed before would be reset, and its answer lost.
async fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !whole(&request)
        && stream
            .read_buf(&mut request)
            .await
            .is_ok_and(|count| count > 0)
    {}
    request
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

/// `captain a2a COMMAND` against it, and the memory that it had at its highest.
async fn client(command: &str, url: &str) -> (Finished, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut line = process::command(&programs::captain(), folder.path());
    line.args(["a2a", command, url, "hello"]);
    let highest = AtomicU64::new(0);
    let watch = async {
        loop {
            for process in tree::with_marker(url) {
                let peak = tree::peak_bytes(process.pid).unwrap_or(0);
                highest.fetch_max(peak, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let finished = tokio::select! {
        finished = run(line, SOON) => finished,
        () = watch => panic!("it goes on"),
    };
    (finished, highest.into_inner())
}

const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// Writes a piece again and again, at most a gigabyte, until the client has had enough.
async fn endless(stream: &mut TcpStream, piece: &[u8]) {
    for _ in 0..(1 << 30) / piece.len() {
        if stream.write_all(piece).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_of_a_megabyte_is_an_event_like_others() {
    let (url, _server) = server(async |mut stream: TcpStream| {
        let text = "x".repeat(MEGABYTE);
        let message = json!({"messageId": "m", "role": "ROLE_AGENT", "contextId": "c", "parts": [{"text": text}]});
        let reply = json!({"jsonrpc": "2.0", "id": 1, "result": {"message": message}});
        let _ = stream.write_all(STREAM).await;
        let _ = stream.write_all(format!(": {text}\n\ndata: {reply}\n\n").as_bytes()).await;
    })
    .await;
    let (finished, highest) = client("stream", &url).await;
    let finished = finished.exits(0);
    assert!(
        finished.stdout.len() >= MEGABYTE,
        "the text is shown: {:.300}",
        finished.stdout
    );
    assert!(highest < HIGHEST, "{} MiB", highest >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_lines_events_and_comments_are_given_up() {
    let megabyte = vec![b'x'; MEGABYTE];
    let many = b"data: x\n".repeat(MEGABYTE / 8);
    for (what, begin, piece) in [
        ("a line without an end", &b"data: "[..], &megabyte),
        ("an event without an end", b"", &many),
        ("a name without an end", b"", &megabyte),
        ("an id without an end", b"id: ", &megabyte),
    ] {
        let (begin, piece) = (begin.to_vec(), piece.clone());
        let (url, _server) = server(move |mut stream: TcpStream| {
            let (begin, piece) = (begin.clone(), piece.clone());
            async move {
                let _ = stream.write_all(STREAM).await;
                let _ = stream.write_all(&begin).await;
                endless(&mut stream, &piece).await;
            }
        })
        .await;
        let (finished, highest) = client("stream", &url).await;
        assert_ne!(finished.code, 0, "{what}");
        assert!(
            finished.stderr.contains("larger than"),
            "{what}: {}",
            finished.stderr
        );
        assert!(highest < HIGHEST, "{what}: {} MiB", highest >> 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_without_an_end_is_given_up() {
    let (url, _server) = server(async |mut stream: TcpStream| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"x\": \"";
        let _ = stream.write_all(head).await;
        endless(&mut stream, &[b'x'; MEGABYTE]).await;
    })
    .await;
    let (finished, highest) = client("send", &url).await;
    assert_ne!(finished.code, 0);
    assert!(
        finished.stderr.contains("larger than"),
        "{}",
        finished.stderr
    );
    assert!(highest < HIGHEST, "{} MiB", highest >> 20);
}

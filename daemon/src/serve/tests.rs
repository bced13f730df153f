//! Connections as a client has them: refused bodies, and both versions of HTTP on one port.

use std::time::Duration;

use axum::routing::get;
use http::StatusCode;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::TokioExecutor;

use super::*;

#[tokio::test]
async fn refused_body_still_gets_its_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let tracker = TaskTracker::new();
    let refuse = || async { StatusCode::PAYLOAD_TOO_LARGE };
    let router = Router::new().route("/", axum::routing::post(refuse));
    tracker.spawn(serve(listener, router, 4, tracker.clone(), stop.clone()));

    let mut client = TcpStream::connect(address).await.unwrap();
    let body = vec![b'x'; 8 << 20];
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await.unwrap();
    // All of it, although the answer has long been given.
    client.write_all(&body).await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");

    stop.cancel();
    tracker.close();
    tracker.wait().await;
}

/// A server whose one path tells the version of HTTP.
async fn versions() -> (std::net::SocketAddr, TaskTracker, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    let tell = |request: Request<Body>| async move { format!("{:?}", request.version()) };
    let router = Router::new().route("/", get(tell));
    tracker.spawn(serve(listener, router, 4, tracker.clone(), stop.clone()));
    (address, tracker, stop)
}

#[tokio::test]
async fn both_versions_of_http_are_served_on_one_port() {
    let (address, tracker, stop) = versions().await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tracker.spawn(async move { connection.await.unwrap() });
    for _ in 0..3 {
        let request = Request::get("http://x/").body(Empty::<hyper::body::Bytes>::new());
        let response = sender.send_request(request.unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "HTTP/2.0");
    }

    // The first bytes alone do not tell, and come late.
    let mut client = TcpStream::connect(address).await.unwrap();
    client.set_nodelay(true).unwrap();
    for piece in [
        "P",
        "O",
        "ST / HTTP/1.1\r\nhost: x\r\n",
        "connection: close\r\n\r\n",
    ] {
        client.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 405 "), "{text}");

    // Nothing at all, a part of a preface, rubbish after it: over when the client hangs up.
    for bytes in [
        &b""[..],
        b"PR",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish of any kind",
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(bytes).await.unwrap();
    }

    stop.cancel();
    tracker.close();
    tokio::time::timeout(Duration::from_secs(30), tracker.wait())
        .await
        .expect("every connection ends");
}

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

/// A server with four seats, and what it answers to everything.
async fn running() -> (std::net::SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    let large = || async { vec![b'x'; 32 << 20] };
    let never = || async { std::future::pending::<&str>().await };
    let router = Router::new()
        .route("/large", get(large))
        .route("/never", get(never))
        .fallback(|| async { "hello" });
    tracker.spawn(serve(listener, router, 4, tracker.clone(), stop.clone()));
    (address, stop)
}

/// A client that sent these bytes.
async fn client(address: std::net::SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(bytes).await.unwrap();
    client
}

/// Everything that comes until the end; a reset is an end too.
async fn rest(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const HELLO: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
/// A whole preface with empty settings.
const SETTINGS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test(start_paused = true)]
async fn head_that_does_not_come_is_not_waited_for_for_ever() {
    let (address, _stop) = running().await;
    for begun in [
        &b""[..],
        b"P",
        b"GE",
        b"GET / HTTP/1.1\r\nhost: x\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        SETTINGS,
        // Headers that are to go on, and do not.
        &[SETTINGS, b"\0\0\x01\x01\0\0\0\0\x01\x82"].concat(),
    ] {
        let began = tokio::time::Instant::now();
        let mut client = client(address, begun).await;
        rest(&mut client).await;
        let (waited, text) = (began.elapsed(), String::from_utf8_lossy(begun));
        let bound = HEAD_TIMEOUT + Duration::from_secs(15);
        assert!(waited <= bound, "{text:?}: {waited:?}");
    }
}

#[tokio::test]
async fn client_that_closes_its_side_gets_an_end() {
    let (address, _stop) = running().await;
    for bytes in [
        HELLO,
        b"GET / HTT",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
        b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n",
        SETTINGS,
    ] {
        let mut client = client(address, bytes).await;
        client.shutdown().await.unwrap();
        let answer = tokio::time::timeout(LINGER_TIME * 2, rest(&mut client))
            .await
            .expect("an end");
        assert!(
            bytes != HELLO || answer.ends_with("hello"),
            "what was asked for whole is answered: {answer}"
        );
    }
}

#[tokio::test]
async fn head_without_bounds_is_refused() {
    let (address, _stop) = running().await;
    let long = "y".repeat(2 * MAX_HEAD_BYTES);
    let many: String = (0..300).map(|nth| format!("x-{nth}: y\r\n")).collect();
    for head in [
        format!("GET / HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
        format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        // It may close before it has everything.
        let _ = client.write_all(head.as_bytes()).await;
        let answer = rest(&mut client).await;
        let refused = ["", "HTTP/1.1 431 ", "HTTP/1.1 414 "];
        assert!(
            answer.is_empty() || refused[1..].iter().any(|it| answer.starts_with(it)),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn idle_connections_make_room_for_one_that_asks() {
    let (address, _stop) = running().await;
    let mut idle = Vec::new();
    for begun in [&b""[..], b"GET / HT", SETTINGS, b"P"].repeat(5) {
        idle.push(client(address, begun).await);
        let mut asking = client(address, HELLO).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), rest(&mut asking))
            .await
            .expect("room is made");
        assert!(answer.ends_with("hello"), "{answer}");
    }
    let oldest = tokio::time::timeout(Duration::from_secs(5), rest(&mut idle[0]));
    oldest
        .await
        .expect("the one that was idle longest is closed");
}

#[tokio::test]
async fn connections_that_ask_for_something_are_not_closed_for_others() {
    let (address, _stop) = running().await;
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(client(address, b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await);
    }
    let mut waiting = client(address, HELLO).await;
    let answer = tokio::time::timeout(Duration::from_millis(200), rest(&mut waiting));
    assert!(answer.await.is_err(), "there is no room");
    drop(busy.pop());
    let answer = tokio::time::timeout(Duration::from_secs(5), rest(&mut waiting));
    assert!(answer.await.expect("now there is").ends_with("hello"));
    for client in &mut busy {
        let nothing = tokio::time::timeout(Duration::from_millis(20), rest(client));
        assert!(nothing.await.is_err(), "the others go on");
    }
}

#[tokio::test(start_paused = true)]
async fn answer_that_is_not_taken_ends_the_connection() {
    let (address, _stop) = running().await;
    let began = tokio::time::Instant::now();
    let mut client = client(address, b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // What was sent is left to lie until the server must have given up.
    tokio::time::sleep(patient::PATIENCE * 2).await;
    let answer = rest(&mut client).await;
    assert!(answer.len() < 32 << 20, "all of it came");
    assert!(began.elapsed() < patient::PATIENCE * 3);
}

#[tokio::test(start_paused = true)]
async fn answer_that_is_given_no_window_ends_the_connection() {
    let (address, _stop) = running().await;
    let tracker = TaskTracker::new();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    // It answers pings and takes nothing of the body.
    let ended = tracker.spawn(connection);
    let request = Request::get("http://x/large").body(Empty::<hyper::body::Bytes>::new());
    let response = sender.send_request(request.unwrap()).await.unwrap();
    let over = tokio::time::timeout(Duration::from_secs(300), ended);
    let _broken_off = over.await.expect("the connection ends");
    drop(response);
}

#[tokio::test]
async fn stop_does_not_wait_for_clients_that_ask_for_nothing() {
    let (address, stop) = running().await;
    let mut idle = Vec::new();
    for begun in [&b""[..], b"GET / HT", SETTINGS, b"PRI * HTTP/2.0\r\n"] {
        idle.push(client(address, begun).await);
    }
    // One after the other they are noticed; then all of them are told.
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.cancel();
    for client in &mut idle {
        tokio::time::timeout(LEAVE * 3, rest(client))
            .await
            .expect("an end");
    }
}

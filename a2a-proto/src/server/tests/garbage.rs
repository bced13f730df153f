//! Bytes that no friendly client sends. Every one gets a clean answer, and the server lives on.

use super::*;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_bodies_are_refused_before_and_while_they_are_read() {
    let server = Running::with(|options, _| options.max_body_bytes = 1000).await;
    let big = json!({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": message(&"x".repeat(2000))}).to_string();
    for path in ["/", "/message:send", "/message:stream", "/tasks/send"] {
        let reply = server.send("POST", path, &JSON, big.as_bytes()).await;
        assert_eq!(reply.status, 413, "{path}");
        let error = &reply.json()["error"];
        assert!(
            error["message"].as_str().unwrap().contains("1000 bytes"),
            "{error}"
        );
        assert_eq!(reply.header("connection"), Some("close"));
        // Chunked: the length is not announced.
        let chunk = format!("{:x}\r\n{big}\r\n0\r\n\r\n", big.len());
        let headers = [
            JSON[0],
            ("transfer-encoding", "chunked"),
            ("content-length", ""),
        ];
        let headers = &headers[..2];
        let reply = chunked(&server, path, headers, chunk.as_bytes()).await;
        assert_eq!(reply.status, 413, "{path} chunked");
    }
    assert_eq!(server.get("/tasks").await.status, 200);
}

async fn chunked(server: &Running, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    // A body of no length, and the chunks after it.
    let head: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let mut raw =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}\r\n").into_bytes();
    raw.extend_from_slice(body);
    raw_send(server, &raw).await
}

async fn raw_send(server: &Running, bytes: &[u8]) -> Reply {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(
        std::time::Duration::from_secs(20),
        socket.read_to_end(&mut answer),
    )
    .await
    .expect("an answer");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Reply {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_nesting_does_not_overflow_the_stack() {
    let server = Running::start().await;
    for depth in [200, 10_000, 1_000_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = if open == "[" { "" } else { "1" };
            let deep = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            let nested = format!(
                r#"{{"message":{{"messageId":"m","role":"ROLE_USER","parts":[{{"data":{deep}}}],"unknown":{deep}}}}}"#
            );
            let call =
                format!(r#"{{"jsonrpc":"2.0","id":7,"method":"SendMessage","params":{nested}}}"#);
            for (path, body) in [
                ("/", &call),
                ("/", &deep),
                ("/message:send", &nested),
                ("/message:send", &deep),
                ("/tasks/send", &deep),
            ] {
                if body.len() > 8 * 1024 * 1024 {
                    continue;
                }
                let reply = server.send("POST", path, &JSON, body.as_bytes()).await;
                let error = &reply.json()["error"];
                assert!(
                    error["message"].is_string(),
                    "{path} at {depth}: {}",
                    String::from_utf8_lossy(&reply.body)
                );
            }
        }
    }
    server
        .call(Binding::Rpc, "SendMessage", message("hello"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_bytes_get_clean_errors() {
    let server = Running::start().await;
    for body in [
        &b"\xff\xfe\x00"[..],
        b"\0",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"GetTask\",\"params\":{\"id\":\"\xff\"}}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"GetTask\",\"params\":{\"id\":\"\\ud800\"}}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1e999,\"method\":\"GetTask\"}",
        b"NaN",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"GetTask\"}",
        b"{\"a\":1}{\"b\":2}",
    ] {
        for path in ["/", "/message:send", "/tasks/send", "/tasks/x:cancel"] {
            let reply = server.send("POST", path, &JSON, body).await;
            assert!(
                reply.json()["error"]["message"].is_string(),
                "{path} {:?}",
                String::from_utf8_lossy(body)
            );
            assert!(reply.status < 500);
        }
    }
    for path in [
        "/%00",
        "/tasks/%",
        "/tasks/%zz",
        "/tasks/..%2f..%2fetc",
        "/./tasks",
        "/tasks/\u{1f600}",
        "/tasks?%ff=%fe",
        "/?a2a-version=%ff",
    ] {
        let encoded = path.replace('\u{1f600}', "%F0%9F%98%80");
        let reply = server.get(&encoded).await;
        assert!(reply.status < 500, "{path}: {}", reply.status);
    }
    for raw in [
        &b"GARBAGE\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ] {
        let reply = raw_send(&server, raw).await;
        assert!(
            reply.status == 400 || reply.status == 0 || reply.status == 505,
            "{}",
            reply.status
        );
    }
    server
        .call(Binding::Rpc, "SendMessage", message("hello"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_that_is_cut_short_begins_nothing() {
    let server = Running::start().await;
    let body = message("hello").to_string();
    let raw = format!(
        "POST /message:send HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        body.len() + 10,
        body
    );
    use tokio::io::AsyncWriteExt as _;
    let mut socket = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    socket.write_all(raw.as_bytes()).await.unwrap();
    drop(socket);
    assert_eq!(server.get("/tasks").await.json()["totalSize"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_to_many_mistakes_is_short() {
    let server = Running::start().await;
    let parts = format!("[{}{{}}]", "{},".repeat(10_000));
    let message = format!(r#"{{"messageId":"m","role":"ROLE_USER","parts":{parts}}}"#);
    let params = format!(r#"{{"message":{message}}}"#);
    let call = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#)
    };
    let old = format!(r#"{{"id":"t","message":{{"role":"user","parts":{parts}}}}}"#);
    let older = format!(r#"{{"message":{{"messageId":"m","role":"user","parts":{parts}}}}}"#);
    for (path, body) in [
        ("/", call("SendMessage", &params)),
        ("/", call("message/send", &older)),
        ("/", call("tasks/send", &old)),
        ("/message:send", params),
        ("/tasks/send", old),
    ] {
        let reply = server.send("POST", path, &JSON, body.as_bytes()).await;
        assert!(reply.json()["error"]["message"].is_string(), "{path}");
        assert!(reply.body.len() < 16 * 1024, "{path}: {}", reply.body.len());
    }
}

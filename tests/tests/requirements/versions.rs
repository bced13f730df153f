//! Versions: VER-CLIENT, VER-SERVER (A2A §3.6).

use std::sync::{Arc, Mutex};

use a2a_proto::{
    client::{Client, ClientOptions, HttpOptions, http_client},
    types::{Message, Part, SendMessageRequest},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    errors::{Kind, detail},
    kit::params,
    world::{At, Profile},
};

/// The heads of the requests that our client sends, in one binding, to a server that answers each with a task.
async fn heads(binding: &str) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let card = json!({
        "name": "recorder", "description": "", "version": "1",
        "supportedInterfaces": [{"url": url, "protocolBinding": binding, "protocolVersion": "1.0"}],
        "capabilities": {}, "defaultInputModes": [], "defaultOutputModes": [], "skills": [],
    });
    let task = json!({"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_COMPLETED"}});
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&heads);
    let rpc = binding == "JSONRPC";
    let serve = async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = head(&mut stream).await;
            let sends = head.contains("message:send") || head.contains("SendMessage");
            let id = head
                .split("\"id\":")
                .nth(1)
                .map(|rest| rest.split([',', '}']).next().unwrap().to_owned());
            let body = match (head.contains("/.well-known/"), rpc, sends) {
                (true, ..) => card.to_string(),
                (_, false, true) => json!({"task": task}).to_string(),
                (_, false, false) => task.to_string(),
                (_, true, sends) => {
                    let result = if sends {
                        json!({"task": task})
                    } else {
                        task.clone()
                    };
                    let id: serde_json::Value = serde_json::from_str(&id.unwrap()).unwrap();
                    json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()
                }
            };
            seen.lock().unwrap().push(head);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    let calls = async {
        let options = ClientOptions::new(http_client(&HttpOptions::default()).unwrap());
        let client = Client::discover(&url.parse().unwrap(), options)
            .await
            .unwrap();
        let send = SendMessageRequest {
            message: Message::user("m-1", vec![Part::text("hello")]),
            ..SendMessageRequest::default()
        };
        client.send(&send).await.unwrap();
        client.get("t", None).await.unwrap();
    };
    tokio::select! {
        () = calls => {}
        () = serve => {}
    }
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 3, "the card and two calls: {heads:#?}");
    heads
}

/// A request: its head in lower case where names are, and the beginning of its body.
async fn head(stream: &mut tokio::net::TcpStream) -> String {
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
        let length = header(head, "content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        if body.len() >= length {
            return so_far;
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let head = head.split("\r\n\r\n").next().unwrap_or(head);
    head.lines().find_map(|line| {
        let (other, value) = line.split_once(':')?;
        other.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[tokio::test]
async fn ver_client_001_jsonrpc() {
    names_its_version("JSONRPC").await;
}

#[tokio::test]
async fn ver_client_001_rest() {
    names_its_version("HTTP+JSON").await;
}

/// Our client names its version in every call.
async fn names_its_version(binding: &str) {
    for head in &heads(binding).await[1..] {
        assert_eq!(header(head, "a2a-version"), Some("1.0"), "{head}");
    }
}

#[tokio::test]
async fn ver_client_002_jsonrpc() {
    names_no_patch("JSONRPC").await;
}

#[tokio::test]
async fn ver_client_002_rest() {
    names_no_patch("HTTP+JSON").await;
}

/// Our client names the version of the interface that it uses as two numbers, once.
async fn names_no_patch(binding: &str) {
    for head in &heads(binding).await[1..] {
        let lines = head
            .lines()
            .filter(|line| line.to_ascii_lowercase().starts_with("a2a-version:"));
        assert_eq!(lines.count(), 1, "{head}");
        let version = header(head, "a2a-version").unwrap();
        let numbers: Vec<_> = version.split('.').map(str::parse::<u32>).collect();
        assert!(
            numbers.len() == 2 && numbers.iter().all(Result::is_ok),
            "{version}"
        );
        assert!(
            !head.lines().next().unwrap().contains("A2A-Version"),
            "not in the query too: {head}"
        );
    }
}

requirement!(ver_server_001, ver_server_001_jsonrpc: JsonRpc, ver_server_001_rest: Rest);

/// A call is served in the version that it names; patch numbers do not matter.
async fn ver_server_001(at: At) {
    let peer = at.peer().await;
    for version in ["1.0", "1.0.1", "1.0.0", " 1.0 "] {
        let peer = peer.with("A2A-Version", version);
        let sent = peer
            .ok("SendMessage", params("tck-complete-task-1", "hello"))
            .await;
        assert_eq!(
            sent["task"]["status"]["state"], "TASK_STATE_COMPLETED",
            "{version}: in the words of 1.0"
        );
    }
}

requirement!(ver_server_002, ver_server_002_jsonrpc: JsonRpc, ver_server_002_rest: Rest);

/// A version that is not spoken is refused, with those that are, before anything is done.
async fn ver_server_002(at: At) {
    let peer = at.peer().await;
    for version in ["99.0", "2.0", "1.1", "0.9", "x", "1", "1.0.0.0", "-1.0"] {
        let peer = peer.with("A2A-Version", version);
        for (operation, request) in [
            ("SendMessage", params("m-1", "hello")),
            ("SendStreamingMessage", params("m-1", "hello")),
            ("GetTask", json!({"id": "x"})),
            ("SendMessage", json!({})),
        ] {
            let fault = peer.refuses(operation, request, Kind::Version).await;
            assert!(
                fault.message.contains("1.0"),
                "it says which there are: {fault:#?}"
            );
            assert!(detail(&fault, "google.rpc.ErrorInfo").is_some());
        }
    }
    assert_eq!(peer.ok("ListTasks", json!({})).await["totalSize"], 0);
}

requirement!(ver_server_003, ver_server_003_jsonrpc: JsonRpc, ver_server_003_rest: Rest);

/// A call without a version is by the letter one of 0.3, which has other names; by its name or path it is one of 1.0, and
/// served as that. A dialect is never mixed: the answer is in the words of the call.
async fn ver_server_003(at: At) {
    for profile in [Profile::StreamingPush, Profile::Minimal] {
        let peer = at.profile(profile).await;
        for peer in [peer.without("A2A-Version"), peer.with("A2A-Version", "")] {
            let sent = peer
                .ok("SendMessage", params("tck-complete-task-1", "hello"))
                .await;
            assert_eq!(sent["task"]["status"]["state"], "TASK_STATE_COMPLETED");
        }
        // Named, it contradicts the call.
        peer.with("A2A-Version", "0.3")
            .refuses("ListTasks", json!({}), Kind::Version)
            .await;
    }
}

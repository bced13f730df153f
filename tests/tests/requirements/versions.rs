//! Versions: VER-CLIENT, VER-SERVER (A2A §3.6).

use std::sync::{Arc, Mutex};

use a2a_proto::{
    client::{Client, ClientOptions, HttpOptions, http_client},
    types::{AgentCard, AgentInterface, Message, Part, SendMessageRequest},
};
use http_body_util::Empty;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    errors::{Kind, detail},
    kit::params,
    recorder::{Recorded, Recorder},
    wire::Peer,
    world::{At, Binding, Profile, Program},
};

/// The calls that our client makes in one binding, of a server that answers each with a task.
async fn calls(binding: &'static str) -> Vec<Recorded> {
    let task = json!({"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_COMPLETED"}});
    let recorder = Recorder::start(move |_, request| {
        let sends = request.head.contains("message:send") || request.body.contains("SendMessage");
        let result = if sends {
            json!({"task": task})
        } else {
            task.clone()
        };
        let body = if binding == "JSONRPC" {
            json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result})
        } else {
            result
        };
        (200, body.to_string())
    })
    .await;
    let interface = AgentInterface {
        url: recorder.url.clone(),
        protocol_binding: binding.to_owned(),
        protocol_version: "1.0".to_owned(),
        ..AgentInterface::default()
    };
    let card = AgentCard {
        supported_interfaces: vec![interface],
        ..AgentCard::default()
    };
    let options = ClientOptions::new(http_client(&HttpOptions::default()).unwrap());
    let client = Client::from_card(card, options).unwrap();
    let send = SendMessageRequest {
        message: Message::user("m-1", vec![Part::text("hello")]),
        ..SendMessageRequest::default()
    };
    client.send(&send).await.unwrap();
    client.get("t", None).await.unwrap();
    let calls = recorder.seen();
    assert_eq!(calls.len(), 2, "{calls:#?}");
    calls
}

/// The same of gRPC, where the calls are refused: what counts is what was sent.
async fn grpc_calls() -> Vec<Vec<String>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let interface = AgentInterface {
        url: listener.local_addr().unwrap().to_string(),
        protocol_binding: "GRPC".to_owned(),
        protocol_version: "1.0".to_owned(),
        ..AgentInterface::default()
    };
    let seen: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let versions = request.headers().get_all("a2a-version").iter();
        let versions = versions
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        kept.lock().unwrap().push(versions);
        let answer = http::Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "12")
            .body(Empty::<bytes::Bytes>::new());
        async { answer }
    });
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        connection
            .serve_connection(TokioIo::new(stream), service)
            .await
            .unwrap();
    };
    let calls = async {
        let card = AgentCard {
            supported_interfaces: vec![interface],
            ..AgentCard::default()
        };
        let options = ClientOptions::new(http_client(&HttpOptions::default()).unwrap());
        let client = Client::from_card(card, options).unwrap();
        client.get("t", None).await.unwrap_err();
        client.cancel("t").await.unwrap_err();
        // It holds the connection.
        drop(client);
    };
    tokio::select! {
        () = calls => {}
        () = async { serve.await; std::future::pending().await } => {}
    }
    let calls = seen.lock().unwrap().clone();
    assert!(calls.len() >= 2, "{calls:?}");
    calls
}

#[tokio::test]
async fn ver_client_001_grpc() {
    for versions in grpc_calls().await {
        assert_eq!(versions, ["1.0"]);
    }
}

#[tokio::test]
async fn ver_client_002_grpc() {
    for versions in grpc_calls().await {
        assert_eq!(versions.len(), 1, "{versions:?}");
        assert_eq!(versions[0].split('.').count(), 2, "{versions:?}");
    }
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
async fn names_its_version(binding: &'static str) {
    for call in calls(binding).await {
        assert_eq!(call.header("a2a-version"), Some("1.0"), "{call:#?}");
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
async fn names_no_patch(binding: &'static str) {
    for call in calls(binding).await {
        let versions: Vec<_> = call.all("a2a-version").collect();
        assert_eq!(versions.len(), 1, "{call:#?}");
        let numbers: Vec<_> = versions[0].split('.').map(str::parse::<u32>).collect();
        assert!(
            numbers.len() == 2 && numbers.iter().all(Result::is_ok),
            "{versions:?}"
        );
        assert!(
            !call.line().contains("A2A-Version"),
            "not in the query too: {call:#?}"
        );
    }
}

requirement!(ver_server_001, ver_server_001_jsonrpc: JsonRpc, ver_server_001_rest: Rest, ver_server_001_grpc: Grpc);

/// A call is served in the version that it names; patch numbers do not matter.
async fn ver_server_001(at: At) {
    let peer = at.peer().await;
    for version in ["1.0", "1.0.1", "1.0.0"] {
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

requirement!(ver_server_002, ver_server_002_jsonrpc: JsonRpc, ver_server_002_rest: Rest, ver_server_002_grpc: Grpc);

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

requirement!(ver_server_003, ver_server_003_jsonrpc: JsonRpc, ver_server_003_rest: Rest, ver_server_003_grpc: Grpc);

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

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_server_takes_no_version_for_0_3() {
    for binding in [Binding::JsonRpc, Binding::Rest, Binding::Grpc] {
        let at = At::of(Program::Worker, binding);
        let server = at
            .serve(Profile::StreamingPush, &["--strict-version"])
            .await;
        let peer = Peer::new(&server.url, binding);
        peer.ok("ListTasks", json!({})).await;
        for peer in [peer.without("A2A-Version"), peer.with("A2A-Version", "")] {
            peer.refuses("ListTasks", json!({}), Kind::Version).await;
        }
    }
}

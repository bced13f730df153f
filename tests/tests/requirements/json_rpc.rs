//! The JSON-RPC binding itself: JSONRPC (A2A §9).

use e2e::http::answer;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    errors::{Kind, detail},
    kit::{check_event, names, params, state},
    wire::{Peer, envelope, rpc_result},
    world::{At, Profile},
};

async fn post(peer: &Peer, path: &str, body: impl Into<String>) -> (StatusCode, Value) {
    let request = peer
        .raw(Method::POST, path)
        .header("Content-Type", "application/json");
    let answer = answer(request.body(body.into())).await;
    let status = answer.status();
    (status, answer.json().await.unwrap())
}

requirement!(jsonrpc_fmt_001, jsonrpc_fmt_001_jsonrpc: JsonRpc);

/// Requests and answers are JSON-RPC 2.0: the version, and the id as it was sent.
async fn jsonrpc_fmt_001(at: At) {
    let peer = at.peer().await;
    for id in [
        json!("text"),
        json!(""),
        json!(7),
        json!(-1),
        json!(9_007_199_254_740_991_i64),
        json!(null),
    ] {
        let mut call = envelope("ListTasks", &json!({}));
        call["id"] = id.clone();
        let (status, body) = post(&peer, "/", call.to_string()).await;
        assert_eq!(
            (status, &body["jsonrpc"], &body["id"]),
            (StatusCode::OK, &json!("2.0"), &id)
        );
        assert_eq!(names(&body), ["id", "jsonrpc", "result"]);
        call["method"] = json!("NoSuchMethod");
        let (status, body) = post(&peer, "/", call.to_string()).await;
        assert_eq!(
            (status, &body["id"]),
            (StatusCode::OK, &id),
            "errors have it too"
        );
        assert_eq!(names(&body), ["error", "id", "jsonrpc"]);
    }
    let good = envelope("ListTasks", &json!({}));
    let without = |name: &str| {
        let mut call = good.clone();
        call.as_object_mut().unwrap().remove(name);
        call.to_string()
    };
    let with = |name: &str, value: Value| {
        let mut call = good.clone();
        call[name] = value;
        call.to_string()
    };
    for wrong in [
        without("jsonrpc"),
        without("method"),
        with("jsonrpc", json!("1.0")),
        with("method", json!(5)),
        with("id", json!({"a": 1})),
        with("id", json!(1.5)),
        json!([good]).to_string(),
        "[]".to_owned(),
        "\"text\"".to_owned(),
    ] {
        let (status, body) = post(&peer, "/", wrong.clone()).await;
        assert_eq!(
            (status, body["error"]["code"].as_i64()),
            (StatusCode::OK, Some(-32600)),
            "{wrong}: {body}"
        );
    }
    // Parameters by name may be left out where nothing is required of them.
    rpc_result(&post(&peer, "/", without("params")).await.1).unwrap();
}

requirement!(jsonrpc_fmt_002, jsonrpc_fmt_002_jsonrpc: JsonRpc);

/// Bodies are `application/json`, both ways, with or without a slash at the end of the address.
async fn jsonrpc_fmt_002(at: At) {
    let peer = at.peer().await;
    let call = envelope("ListTasks", &json!({})).to_string();
    for path in ["/", "", "/rpc", "/rpc/"] {
        for kind in [
            "application/json",
            "application/json; charset=utf-8",
            "APPLICATION/JSON",
        ] {
            let request = peer
                .raw(Method::POST, path)
                .header("Content-Type", kind)
                .body(call.clone());
            let answer = answer(request).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path} {kind}");
            assert_eq!(answer.headers()["content-type"], "application/json");
            rpc_result(&answer.json().await.unwrap()).unwrap();
        }
    }
    for kind in ["text/plain", "application/xml"] {
        let request = peer
            .raw(Method::POST, "/")
            .header("Content-Type", kind)
            .body(call.clone());
        let answer = answer(request).await;
        assert_eq!(answer.headers()["content-type"], "application/json");
        let fault = rpc_result(&answer.json().await.unwrap()).unwrap_err();
        Kind::ContentType.check(&fault, std::panic::Location::caller());
    }
    let get = answer(peer.raw(Method::GET, "/")).await;
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(get.headers()["allow"], "POST");
}

requirement!(jsonrpc_svc_001, jsonrpc_svc_001_jsonrpc: JsonRpc);

/// The version and the extensions come as HTTP headers, in any case of letters.
async fn jsonrpc_svc_001(at: At) {
    let peer = at.profile(Profile::RequiredExtension).await;
    let extension = "urn:a2a:tck:required-extension";
    for name in ["A2A-Extensions", "a2a-extensions", "A2A-EXTENSIONS"] {
        peer.with(name, extension).ok("ListTasks", json!({})).await;
    }
    let request = peer
        .with("A2A-Extensions", extension)
        .send("ListTasks", &json!({}))
        .await;
    assert_eq!(
        request.headers()["a2a-extensions"],
        extension,
        "activated ones are told"
    );
    for name in ["A2A-Version", "a2a-version"] {
        peer.without("A2A-Version")
            .with(name, "99.0")
            .refuses("ListTasks", json!({}), Kind::Version)
            .await;
    }
}

requirement!(jsonrpc_svc_002, jsonrpc_svc_002_jsonrpc: JsonRpc);

/// Each operation has its method, by its exact name.
async fn jsonrpc_svc_002(at: At) {
    let peer = at.peer().await;
    for method in METHODS {
        // Streams answer an error before they open.
        let (_, body) = post(&peer, "/", envelope(method, &json!({})).to_string()).await;
        let code = body["error"]["code"].as_i64();
        assert_ne!(code, Some(-32601), "{method}: {body}");
    }
    for method in [
        "sendMessage",
        "send_message",
        "SendMessage ",
        "",
        "rpc.discover",
    ] {
        let (_, body) = post(&peer, "/", envelope(method, &json!({})).to_string()).await;
        let code = body["error"]["code"].as_i64();
        assert!(matches!(code, Some(-32601 | -32600)), "{method:?}: {body}");
    }
}

/// The methods of A2A §9.4.
pub(crate) const METHODS: [&str; 11] = [
    "SendMessage",
    "SendStreamingMessage",
    "GetTask",
    "ListTasks",
    "CancelTask",
    "SubscribeToTask",
    "CreateTaskPushNotificationConfig",
    "GetTaskPushNotificationConfig",
    "ListTaskPushNotificationConfigs",
    "DeleteTaskPushNotificationConfig",
    "GetExtendedAgentCard",
];

requirement!(jsonrpc_err_001, jsonrpc_err_001_jsonrpc: JsonRpc);

/// The errors of JSON-RPC have its codes; the HTTP status is 200.
async fn jsonrpc_err_001(at: At) {
    let peer = at.peer().await;
    for (body, code) in [
        ("{\"jsonrpc\": ", -32700),
        ("", -32700),
        ("\u{0}", -32700),
        ("{}", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"DoMagic"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"GetTask"}"#, -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":[1]}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":5}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{}}"#,
            -32602,
        ),
    ] {
        let (status, answer) = post(&peer, "/", body).await;
        assert_eq!(
            (status, answer["error"]["code"].as_i64()),
            (StatusCode::OK, Some(code)),
            "{body}: {answer}"
        );
        assert!(
            answer["error"]["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{answer}"
        );
        assert!(answer.get("id").is_some(), "an id, or null: {answer}");
    }
}

requirement!(jsonrpc_err_002, jsonrpc_err_002_jsonrpc: JsonRpc);

/// The errors of A2A have their codes, from -32001 on.
async fn jsonrpc_err_002(at: At) {
    let peer = at.peer().await;
    let ended = peer.task("tck-complete-task-1").await;
    let id = json!({"id": ended["id"]});
    peer.refuses("GetTask", json!({"id": "x"}), Kind::TaskNotFound)
        .await;
    peer.refuses("CancelTask", id.clone(), Kind::TaskNotCancelable)
        .await;
    peer.refuses("SubscribeToTask", id, Kind::Unsupported).await;
    peer.with("A2A-Version", "99.0")
        .refuses("ListTasks", json!({}), Kind::Version)
        .await;
    let minimal = at.profile(Profile::Minimal).await;
    let list = json!({"taskId": "x"});
    minimal
        .refuses(
            "ListTaskPushNotificationConfigs",
            list,
            Kind::PushNotSupported,
        )
        .await;
    let strict = at.profile(Profile::RequiredExtension).await;
    strict
        .refuses("ListTasks", json!({}), Kind::ExtensionRequired)
        .await;
}

requirement!(jsonrpc_err_003, jsonrpc_err_003_jsonrpc: JsonRpc);

/// What an error adds is a list of typed objects.
async fn jsonrpc_err_003(at: At) {
    let peer = at.peer().await;
    let fault = peer
        .refuses("GetTask", json!({"id": "x"}), Kind::TaskNotFound)
        .await;
    let data = fault.body["error"]["data"].as_array().unwrap();
    for detail in data {
        let kind = detail["@type"].as_str().unwrap();
        assert!(
            kind.starts_with("type.googleapis.com/google.rpc."),
            "{detail}"
        );
    }
    let info = detail(&fault, "google.rpc.ErrorInfo").unwrap();
    let metadata = info["metadata"].as_object().unwrap();
    assert!(metadata.values().all(Value::is_string), "{info}");
    let fault = peer
        .refuses("GetTask", json!({}), Kind::InvalidParams)
        .await;
    assert!(
        detail(&fault, "google.rpc.BadRequest").is_some(),
        "{fault:#?}"
    );
}

requirement!(jsonrpc_sse_001, jsonrpc_sse_001_jsonrpc: JsonRpc);

/// A stream is server-sent events, not cached, one frame for each event.
async fn jsonrpc_sse_001(at: At) {
    let peer = at.peer().await;
    let answer = peer
        .send("SendStreamingMessage", &params("tck-stream-001-1", "hello"))
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    let text = answer.text().await.unwrap();
    let frames: Vec<&str> = text
        .split("\n\n")
        .filter(|frame| !frame.is_empty())
        .collect();
    assert_eq!(frames.len(), 4, "{text}");
    for frame in frames {
        let data = frame.lines().filter(|line| line.starts_with("data: "));
        assert_eq!(data.count(), 1, "{frame}");
        assert!(!frame.contains("event:"), "{frame}");
    }
}

requirement!(jsonrpc_sse_002, jsonrpc_sse_002_jsonrpc: JsonRpc);

/// Each event is a JSON-RPC answer with the id of the request. What is wrong before the first is an ordinary answer.
async fn jsonrpc_sse_002(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-input-required-1").await;
    for (method, request) in [
        (
            "SendStreamingMessage",
            params("tck-stream-artifact-chunked-1", "hello"),
        ),
        ("SubscribeToTask", json!({"id": task["id"]})),
    ] {
        let answer = peer.send(method, &request).await;
        let mut frames = e2e::sse::Frames::new(answer);
        let first = frames.next(crate::wire::SILENCE).await.unwrap().data;
        assert_eq!(
            (&first["jsonrpc"], &first["id"]),
            (&json!("2.0"), &json!("r-1")),
            "{first}"
        );
        let event = rpc_result(&first).unwrap();
        check_event(&event);
        assert!(!state(&event).is_empty(), "{event}");
    }
    let wrong = peer.send("SendStreamingMessage", &json!({})).await;
    assert_eq!(wrong.headers()["content-type"], "application/json");
}

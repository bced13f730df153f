//! The HTTP+JSON binding itself: HTTP_JSON (A2A §11).

use e2e::http::answer;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    errors::{Kind, detail},
    kit::{check_event, message, params, state},
    wire::{Peer, result},
    world::{At, Binding, Profile},
};

async fn send(peer: &Peer, method: Method, path: &str, body: Option<&str>) -> Response {
    let request = peer.raw(method, path);
    answer(match body {
        Some(body) => request
            .header("Content-Type", "application/json")
            .body(body.to_owned()),
        None => request,
    })
    .await
}

requirement!(http_json_url_001, http_json_url_001_rest: Rest);

/// Each operation has its path and its method; another method is refused with those that there are.
async fn http_json_url_001(at: At) {
    let peer = at.peer().await;
    let hello = params("tck-input-required-1", "hello").to_string();
    let task = peer.task("tck-input-required-1").await;
    let id = task["id"].as_str().unwrap();
    for (method, path, body) in [
        (Method::POST, "/message:send".to_owned(), Some(&*hello)),
        (Method::POST, "/message:stream".to_owned(), Some(&*hello)),
        (Method::GET, format!("/tasks/{id}"), None),
        (Method::GET, "/tasks".to_owned(), None),
        (Method::GET, format!("/tasks/{id}:subscribe"), None),
        (Method::POST, format!("/tasks/{id}:subscribe"), None),
        (Method::POST, format!("/tasks/{id}:subscribe"), Some("{}")),
        (Method::POST, format!("/tasks/{id}:cancel"), None),
    ] {
        let answer = send(&peer, method.clone(), &path, body).await;
        assert_eq!(answer.status(), StatusCode::OK, "{method} {path}");
    }
    for (method, path, allowed) in [
        (Method::GET, "/message:send".to_owned(), "POST"),
        (Method::DELETE, format!("/tasks/{id}"), "GET"),
        (Method::PUT, format!("/tasks/{id}:cancel"), "POST"),
        (Method::POST, "/extendedAgentCard".to_owned(), "GET"),
    ] {
        let answer = send(&peer, method.clone(), &path, None).await;
        assert_eq!(
            answer.status(),
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {path}"
        );
        let header = answer.headers()["allow"].to_str().unwrap().to_owned();
        assert!(header.contains(allowed), "{method} {path}: {header}");
    }
    for path in ["/nothing", "/tasks/x/y", "/tasks/x:dance", "/message:sing"] {
        let answer = send(&peer, Method::POST, path, Some("{}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

requirement!(http_json_url_002, http_json_url_002_rest: Rest);

/// Each path is there for a tenant too, and with a slash at its end.
async fn http_json_url_002(at: At) {
    let peer = at.peer().await;
    let task = peer.task("tck-input-required-1").await;
    let id = task["id"].as_str().unwrap();
    for path in [format!("/tasks/{id}/"), "/tasks/".to_owned()] {
        let answer = send(&peer, Method::GET, &path, None).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let hello = params("tck-input-required-1", "hello").to_string();
    let answer = send(&peer, Method::POST, "/acme/message:send/", Some(&hello)).await;
    let task = result(Binding::Rest, answer).await.unwrap()["task"].clone();
    let id = task["id"].as_str().unwrap();
    for path in [
        format!("/acme/tasks/{id}"),
        "/acme/tasks".to_owned(),
        format!("/acme/tasks/{id}:subscribe"),
    ] {
        let answer = send(&peer, Method::GET, &path, None).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let mut other = params("m-1", "hello");
    other["tenant"] = json!("umbrella");
    let answer = send(
        &peer,
        Method::POST,
        "/acme/message:send",
        Some(&other.to_string()),
    )
    .await;
    let fault = result(Binding::Rest, answer).await.unwrap_err();
    Kind::InvalidParams.check(&fault, std::panic::Location::caller());
    let answer = send(
        &peer,
        Method::POST,
        &format!("/acme/tasks/{id}:cancel"),
        None,
    )
    .await;
    assert_eq!(answer.status(), StatusCode::OK);
}

requirement!(http_json_svc_001, http_json_svc_001_rest: Rest);

/// The version comes as a header or in the query.
async fn http_json_svc_001(at: At) {
    let peer = at.peer().await;
    let bare = peer.without("A2A-Version");
    for (path, status) in [
        ("/tasks?A2A-Version=1.0", StatusCode::OK),
        ("/tasks?A2A-Version=99.0", StatusCode::BAD_REQUEST),
        ("/tasks", StatusCode::OK),
    ] {
        assert_eq!(
            send(&bare, Method::GET, path, None).await.status(),
            status,
            "{path}"
        );
    }
    peer.with("a2a-version", "99.0")
        .refuses("ListTasks", json!({}), Kind::Version)
        .await;
}

requirement!(http_json_svc_002, http_json_svc_002_rest: Rest);

/// The extensions come as a header, in one or in several lines.
async fn http_json_svc_002(at: At) {
    let extension = "urn:a2a:tck:required-extension";
    let peer = at.profile(Profile::RequiredExtension).await;
    let one = peer.with("A2A-Extensions", &format!("urn:example:x,{extension}"));
    let answer = one.send("ListTasks", &json!({})).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["a2a-extensions"], extension);
    let two = peer
        .raw(Method::GET, "/tasks")
        .header("A2A-Extensions", "urn:example:x")
        .header("A2A-Extensions", extension);
    assert_eq!(e2e::http::answer(two).await.status(), StatusCode::OK);
    peer.refuses("ListTasks", json!({}), Kind::ExtensionRequired)
        .await;
}

requirement!(http_json_qp_001, http_json_qp_001_rest: Rest);

/// Parameters of a GET come in the query, in camel case or snake case; a wrong one is refused by name.
async fn http_json_qp_001(at: At) {
    let peer = at.peer().await;
    let mut hello = message("tck-artifact-text-1", "hello");
    hello["contextId"] = json!("c 1&x");
    peer.ok("SendMessage", json!({"message": hello})).await;
    peer.task("tck-complete-task-1").await;
    for query in [
        "contextId=c%201%26x&includeArtifacts=true&pageSize=1&historyLength=0",
        "context_id=c+1%26x&include_artifacts=true&page_size=1&history_length=0",
    ] {
        let answer = send(&peer, Method::GET, &format!("/tasks?{query}"), None).await;
        let list = result(Binding::Rest, answer).await.unwrap();
        assert_eq!(
            (list["totalSize"].clone(), list["pageSize"].clone()),
            (json!(1), json!(1)),
            "{query}"
        );
        assert!(list["tasks"][0].get("artifacts").is_some(), "{list}");
        assert_eq!(list["tasks"][0].get("history"), None, "{list}");
    }
    for (query, status) in [
        (
            "status=TASK_STATE_COMPLETED&statusTimestampAfter=2020-01-01T00:00:00Z",
            200,
        ),
        ("unknown=1", 200),
        ("pageSize=many", 400),
        ("includeArtifacts=perhaps", 400),
        ("status=HAPPY", 400),
    ] {
        let answer = send(&peer, Method::GET, &format!("/tasks?{query}"), None).await;
        assert_eq!(answer.status(), status, "{query}");
    }
}

requirement!(http_json_err_001, http_json_err_001_rest: Rest);

/// An error has the form of google.rpc.Status, whatever is wrong.
async fn http_json_err_001(at: At) {
    let peer = at.peer().await;
    for (method, path, body, kind) in [
        (Method::GET, "/tasks/x", None, Some(Kind::TaskNotFound)),
        (
            Method::POST,
            "/message:send",
            Some("{}"),
            Some(Kind::InvalidParams),
        ),
        (
            Method::POST,
            "/message:send",
            None,
            Some(Kind::InvalidParams),
        ),
        (Method::POST, "/message:send", Some("{\"message\": "), None),
        (Method::GET, "/nothing", None, None),
    ] {
        let answer = send(&peer, method.clone(), path, body).await;
        assert_eq!(
            answer.headers()["content-type"],
            "application/json",
            "{path}"
        );
        let fault = result(Binding::Rest, answer).await.unwrap_err();
        let error = &fault.body["error"];
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{error}"
        );
        assert!(
            error["status"]
                .as_str()
                .is_some_and(|text| text.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        );
        assert!(
            fault
                .details
                .iter()
                .all(|detail| detail["@type"].is_string()),
            "{error}"
        );
        if let Some(kind) = kind {
            kind.check(&fault, std::panic::Location::caller());
        }
    }
}

requirement!(http_json_err_002, http_json_err_002_rest: Rest);

/// Each error of A2A has its status and its reason.
async fn http_json_err_002(at: At) {
    let peer = at.peer().await;
    let ended = peer.task("tck-complete-task-1").await;
    let id = json!({"id": ended["id"]});
    peer.refuses("CancelTask", id.clone(), Kind::TaskNotCancelable)
        .await;
    peer.refuses("SubscribeToTask", id, Kind::Unsupported).await;
    let wrong = peer
        .raw(Method::POST, "/message:send")
        .header("Content-Type", "text/plain")
        .body("{}");
    let fault = result(Binding::Rest, answer(wrong).await)
        .await
        .unwrap_err();
    Kind::ContentType.check(&fault, std::panic::Location::caller());
    assert_eq!(
        detail(&fault, "google.rpc.ErrorInfo").unwrap()["metadata"]["mediaType"],
        "text/plain"
    );
    for (body, reason) in [
        ("{", "not JSON"),
        ("[]", "no object"),
        ("{\"message\": 5}", "wrong type"),
    ] {
        let answer = send(&peer, Method::POST, "/message:send", Some(body)).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{reason}");
    }
}

requirement!(http_json_status_001, http_json_status_001_rest: Rest);

/// What works answers 200, in the media type that the client speaks.
async fn http_json_status_001(at: At) {
    let peer = at.peer().await;
    let hello = params("tck-complete-task-1", "hello").to_string();
    for (accept, content, expect) in [
        (None, "application/json", "application/json"),
        (None, "application/a2a+json", "application/a2a+json"),
        (
            Some("application/a2a+json"),
            "application/json",
            "application/a2a+json",
        ),
        (
            Some("application/json"),
            "application/json; charset=utf-8",
            "application/json",
        ),
        (Some("*/*"), "application/json", "application/json"),
    ] {
        let mut request = peer
            .raw(Method::POST, "/message:send")
            .header("Content-Type", content);
        if let Some(accept) = accept {
            request = request.header("Accept", accept);
        }
        let answer = answer(request.body(hello.clone())).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(
            answer.headers()["content-type"],
            expect,
            "{accept:?} {content}"
        );
        let body: Value = answer.json().await.unwrap();
        assert_eq!(state(&body["task"]), "TASK_STATE_COMPLETED");
    }
}

requirement!(http_json_sse_001, http_json_sse_001_rest: Rest);

/// A stream is server-sent events whose data are the bare events.
async fn http_json_sse_001(at: At) {
    let peer = at.peer().await;
    let answer = peer
        .send("SendStreamingMessage", &params("tck-stream-001-1", "hello"))
        .await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    let text = answer.text().await.unwrap();
    let data: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect();
    assert_eq!(data.len(), 4, "{text}");
    data.iter().for_each(check_event);
    assert!(!text.contains("jsonrpc"), "{text}");
}

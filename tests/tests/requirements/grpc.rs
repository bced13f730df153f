//! The gRPC binding itself: GRPC (A2A §10).

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    errors::{Kind, detail, fields},
    grpc_wire::{SERVICE, framed, post},
    json_rpc::METHODS,
    kit::{check_event, kind, params, state},
    wire::Peer,
    world::{At, Profile},
};

requirement!(grpc_svc_001, grpc_svc_001_grpc: Grpc);

/// The service is `lf.a2a.v1.A2AService`, with each operation under its name; others are not implemented.
async fn grpc_svc_001(at: At) {
    let peer = at.peer().await;
    for method in METHODS {
        if let Err(fault) = peer.call(method, json!({})).await {
            let known = fault.code != 12 || detail(&fault, "google.rpc.ErrorInfo").is_some();
            assert!(known, "{method}: {fault:#?}");
        }
    }
    for path in [
        format!("/{SERVICE}/DoMagic"),
        format!("/{SERVICE}/sendMessage"),
        "/lf.a2a.v2.A2AService/SendMessage".to_owned(),
        "/SendMessage".to_owned(),
    ] {
        let mut answer = post(peer.url(), &path, &[], framed(&[])).await;
        assert_eq!(answer.message().await, None, "{path}");
        assert_eq!(answer.end().unwrap_err().code, 12, "{path}: UNIMPLEMENTED");
    }
}

requirement!(grpc_svc_002, grpc_svc_002_grpc: Grpc);

/// Both operations that stream are streams of the server, each message one event; many run on one server at once.
async fn grpc_svc_002(at: At) {
    let peer = at.peer().await;
    let events = peer
        .streaming("tck-stream-artifact-chunked-1")
        .await
        .rest()
        .await;
    events.iter().for_each(check_event);
    let kinds: Vec<_> = events.iter().map(kind).collect();
    let expect = [
        "task",
        "statusUpdate",
        "artifactUpdate",
        "artifactUpdate",
        "statusUpdate",
    ];
    assert_eq!(kinds, expect, "{events:#?}");
    let task = peer.task("tck-input-required-1").await;
    let streams = futures_util::future::join_all((0..10).map(|_| peer.subscribed(&task))).await;
    peer.ok("CancelTask", json!({"id": task["id"]})).await;
    for stream in streams {
        let rest = stream.rest().await;
        assert_eq!(
            rest.last().map(state),
            Some("TASK_STATE_CANCELED"),
            "{rest:#?}"
        );
    }
}

requirement!(grpc_svc_003, grpc_svc_003_grpc: Grpc);

/// Messages are protobuf with a length in front, over HTTP/2, on the same port as everything else. Frames that lie are
/// refused, and the server lives on.
async fn grpc_svc_003(at: At) {
    let peer = at.peer().await;
    let path = format!("/{SERVICE}/GetTask");
    for (body, what) in [
        (framed(&[0xff; 8]), "no protobuf"),
        (
            framed(&[0x12, 0x7f, b'x']),
            "a field longer than its message",
        ),
        (
            Bytes::from_static(&[0, 0, 0, 0, 9, 1]),
            "a frame longer than the body",
        ),
        (
            Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]),
            "a frame of 4 GiB",
        ),
        (Bytes::from_static(&[0, 0]), "half a head"),
        (Bytes::from_static(&[7, 0, 0, 0, 0]), "an unknown flag"),
        (Bytes::new(), "nothing"),
    ] {
        let mut answer = post(peer.url(), &path, &[], body).await;
        assert_eq!(answer.message().await, None, "{what}");
        let fault = answer.end().unwrap_err();
        assert_ne!(
            fault.status.as_deref(),
            Some("UNKNOWN"),
            "{what}: {fault:#?}"
        );
    }
    let task = peer.task("tck-complete-task-1").await;
    assert_eq!(peer.get(&task).await, task);
    let rest: Peer = peer.speaking(crate::world::Binding::Rest);
    assert_eq!(rest.get(&task).await, task, "on the same port");
}

requirement!(grpc_meta_001, grpc_meta_001_grpc: Grpc);

/// The version and the extensions are metadata.
async fn grpc_meta_001(at: At) {
    let peer = at.profile(Profile::RequiredExtension).await;
    let extension = "urn:a2a:tck:required-extension";
    peer.refuses("ListTasks", json!({}), Kind::ExtensionRequired)
        .await;
    let known = peer.with("a2a-extensions", &format!("urn:example:x, {extension}"));
    known.ok("ListTasks", json!({})).await;
    known
        .with("a2a-version", "99.0")
        .refuses("ListTasks", json!({}), Kind::Version)
        .await;
    known
        .without("a2a-version")
        .ok("ListTasks", json!({}))
        .await;
}

requirement!(grpc_err_001, grpc_err_001_grpc: Grpc);

/// Errors have the status codes of the table.
async fn grpc_err_001(at: At) {
    let peer = at.peer().await;
    let ended = json!({"id": peer.task("tck-complete-task-1").await["id"]});
    for (operation, request, kind, code) in [
        ("GetTask", json!({"id": "x"}), Kind::TaskNotFound, 5),
        ("CancelTask", ended.clone(), Kind::TaskNotCancelable, 9),
        ("SubscribeToTask", ended, Kind::Unsupported, 9),
        ("SendMessage", json!({}), Kind::InvalidParams, 3),
    ] {
        let fault = peer.refuses(operation, request, kind).await;
        assert_eq!(fault.code, code, "{fault:#?}");
    }
    let fault = peer
        .with("a2a-version", "99.0")
        .refuses("ListTasks", json!({}), Kind::Version)
        .await;
    assert_eq!(fault.code, 9, "{fault:#?}");
}

requirement!(grpc_err_002, grpc_err_002_grpc: Grpc);

/// The status details hold the status once more, with the reason, the domain and what it is about.
async fn grpc_err_002(at: At) {
    let peer = at.peer().await;
    let fault = peer
        .refuses("GetTask", json!({"id": "no-such-task"}), Kind::TaskNotFound)
        .await;
    let status: &Value = &fault.body["details"];
    assert_eq!(
        (&status["code"], &status["message"]),
        (&json!(5), &json!(fault.message)),
        "{fault:#?}"
    );
    let info = detail(&fault, "google.rpc.ErrorInfo").unwrap();
    let expect = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "TASK_NOT_FOUND",
        "domain": "a2a-protocol.org",
        "metadata": {"taskId": "no-such-task"},
    });
    assert_eq!(info, expect);
}

requirement!(grpc_err_003, grpc_err_003_grpc: Grpc);

/// What protobuf does not require is checked all the same, and each wrong field is named.
async fn grpc_err_003(at: At) {
    let peer = at.peer().await;
    for (name, value, field) in [
        ("messageId", json!(""), "message.messageId"),
        ("role", json!("ROLE_UNSPECIFIED"), "message.role"),
        ("parts", json!([]), "message.parts"),
        ("parts", json!([{}]), "message.parts[0]"),
    ] {
        let mut wrong = params("m-1", "hello");
        wrong["message"][name] = value;
        let fault = peer
            .refuses("SendMessage", wrong, Kind::InvalidParams)
            .await;
        assert_eq!(fields(&fault), [field], "{fault:#?}");
    }
    assert_eq!(
        fields(
            &peer
                .refuses("GetTask", json!({}), Kind::InvalidParams)
                .await
        ),
        ["id"]
    );
}

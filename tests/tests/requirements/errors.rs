//! The table of errors (A2A §5.4), written down once more, with CORE-ERR: errors say what is wrong, and inputs are
//! checked.

use std::panic::Location;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    grpc_wire::STATUSES,
    kit::{message, params},
    wire::{Fault, Peer},
    world::{At, Binding, Profile, Program},
};

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    TaskNotFound,
    TaskNotCancelable,
    PushNotSupported,
    Unsupported,
    ContentType,
    ExtensionRequired,
    Version,
    InvalidParams,
}

/// JSON-RPC code, HTTP status, gRPC status and reason in edition 1.0.1; those that 1.0.0 has differently.
type Row = (
    i64,
    i64,
    &'static str,
    &'static str,
    Option<(i64, &'static str)>,
);

impl Kind {
    fn row(self) -> Row {
        const FAILED: &str = "FAILED_PRECONDITION";
        match self {
            Self::TaskNotFound => (-32001, 404, "NOT_FOUND", "TASK_NOT_FOUND", None),
            Self::TaskNotCancelable => (
                -32002,
                400,
                FAILED,
                "TASK_NOT_CANCELABLE",
                Some((409, FAILED)),
            ),
            Self::PushNotSupported => (
                -32003,
                400,
                FAILED,
                "PUSH_NOTIFICATION_NOT_SUPPORTED",
                Some((400, "UNIMPLEMENTED")),
            ),
            Self::Unsupported => (
                -32004,
                400,
                FAILED,
                "UNSUPPORTED_OPERATION",
                Some((400, "UNIMPLEMENTED")),
            ),
            Self::ContentType => (
                -32005,
                400,
                "INVALID_ARGUMENT",
                "CONTENT_TYPE_NOT_SUPPORTED",
                Some((415, "INVALID_ARGUMENT")),
            ),
            Self::ExtensionRequired => (-32008, 400, FAILED, "EXTENSION_SUPPORT_REQUIRED", None),
            Self::Version => (
                -32009,
                400,
                FAILED,
                "VERSION_NOT_SUPPORTED",
                Some((400, "UNIMPLEMENTED")),
            ),
            Self::InvalidParams => (-32602, 400, "INVALID_ARGUMENT", "", None),
        }
    }

    /// Whether a refusal is this one.
    pub(crate) fn check(self, fault: &Fault, caller: &Location<'_>) {
        self.check_in(fault, caller, false);
    }

    /// Whether a refusal is this one, in the words of 1.0.0 or those of 1.0.1.
    pub(crate) fn check_in(self, fault: &Fault, caller: &Location<'_>, former: bool) {
        let (rpc, http, grpc, reason, other) = self.row();
        let (http, grpc) = match other {
            Some(other) if former => other,
            _ => (http, grpc),
        };
        let expect = match fault.binding {
            Binding::JsonRpc => (rpc, None),
            Binding::Rest => (http, Some(grpc.to_owned())),
            Binding::Grpc => {
                let code = STATUSES.iter().position(|name| *name == grpc).unwrap();
                (i64::try_from(code).unwrap(), Some(grpc.to_owned()))
            }
        };
        assert_eq!(
            (fault.code, fault.status.clone()),
            expect,
            "{caller}: {self:?} is expected: {fault:#?}"
        );
        assert!(
            !fault.message.is_empty(),
            "{caller}: the error has a text: {fault:#?}"
        );
        let info = detail(fault, "google.rpc.ErrorInfo");
        if reason.is_empty() {
            assert!(
                info.is_none(),
                "{caller}: only errors of A2A have a reason: {fault:#?}"
            );
        } else {
            let info = info.unwrap_or_else(|| panic!("{caller}: no ErrorInfo: {fault:#?}"));
            assert_eq!(info["reason"], reason, "{caller}");
            assert_eq!(info["domain"], "a2a-protocol.org", "{caller}");
        }
    }
}

/// A typed detail of an error.
pub(crate) fn detail(fault: &Fault, name: &str) -> Option<Value> {
    let name = format!("type.googleapis.com/{name}");
    fault
        .details
        .iter()
        .find(|detail| detail["@type"] == *name)
        .cloned()
}

/// The fields that an error names as wrong.
pub(crate) fn fields(fault: &Fault) -> Vec<String> {
    let detail = detail(fault, "google.rpc.BadRequest");
    let violations = detail
        .as_ref()
        .and_then(|it| it["fieldViolations"].as_array());
    let names = violations
        .into_iter()
        .flatten()
        .filter_map(|it| it["field"].as_str());
    names.map(str::to_owned).collect()
}

requirement!(core_err_001, core_err_001_jsonrpc: JsonRpc, core_err_001_rest: Rest, core_err_001_grpc: Grpc);

/// Errors say what is wrong: a text for people, a reason for programs, and which thing it is about.
async fn core_err_001(at: At) {
    let peer = at.peer().await;
    let fault = peer
        .refuses("GetTask", json!({"id": "no-such-task"}), Kind::TaskNotFound)
        .await;
    assert!(fault.message.contains("no-such-task"), "{fault:#?}");
    let info = detail(&fault, "google.rpc.ErrorInfo").unwrap();
    assert_eq!(info["metadata"]["taskId"], "no-such-task", "{fault:#?}");
    let text = fault.body.to_string();
    for inner in ["panicked", ".rs:", "sqlite"] {
        assert!(!text.contains(inner), "the inside is not told: {text}");
    }
    let mut wrong = message("m-1", "hello");
    wrong["parts"] = json!([]);
    let fault = peer
        .refuses(
            "SendMessage",
            json!({"message": wrong}),
            Kind::InvalidParams,
        )
        .await;
    assert!(fault.message.contains("parts"), "{fault:#?}");
    assert_eq!(fields(&fault), ["message.parts"], "{fault:#?}");
}

requirement!(core_err_002, core_err_002_jsonrpc: JsonRpc, core_err_002_rest: Rest, core_err_002_grpc: Grpc);

/// Inputs are checked before anything is done, and each wrong field is named.
async fn core_err_002(at: At) {
    let peer = at.peer().await;
    let with = |name: &str, value: Value| {
        let mut message = message("m-1", "hello");
        message[name] = value;
        json!({"message": message})
    };
    let without = |name: &str| {
        let mut message = message("m-1", "hello");
        message.as_object_mut().unwrap().remove(name);
        json!({"message": message})
    };
    let configured = |configuration: Value| {
        let mut request = params("m-1", "hello");
        request["configuration"] = configuration;
        request
    };
    for (request, field) in [
        (json!({}), "message"),
        (json!({"message": null}), "message"),
        (without("messageId"), "message.messageId"),
        (with("messageId", json!("")), "message.messageId"),
        (without("role"), "message.role"),
        (with("role", json!("ROLE_KING")), "message.role"),
        (with("role", json!("ROLE_UNSPECIFIED")), "message.role"),
        (without("parts"), "message.parts"),
        (with("parts", json!([])), "message.parts"),
        (with("parts", json!("hello")), "message.parts"),
        (with("parts", json!([{}])), "message.parts[0]"),
        (
            with(
                "parts",
                json!([{"text": "a"}, {"text": "a", "url": "https://example.com"}]),
            ),
            "message.parts[1]",
        ),
        (
            with("parts", json!([{"raw": "not base64!"}])),
            "message.parts[0].raw",
        ),
        (with("parts", json!([{"text": 5}])), "message.parts[0].text"),
        (
            configured(json!({"historyLength": -1})),
            "configuration.historyLength",
        ),
        (
            configured(json!({"returnImmediately": "perhaps"})),
            "configuration.returnImmediately",
        ),
    ] {
        if !peer.can_say("SendMessage", &request) {
            continue;
        }
        let fault = peer
            .refuses("SendMessage", request.clone(), Kind::InvalidParams)
            .await;
        let named = fields(&fault);
        assert!(
            named.iter().any(|it| it == field),
            "{field} is wrong in {request}, not {named:?}"
        );
    }
    for (operation, request, field) in [
        (
            "GetTask",
            json!({"id": "x", "historyLength": -1}),
            "historyLength",
        ),
        ("ListTasks", json!({"pageSize": 0}), "pageSize"),
        ("ListTasks", json!({"pageSize": 101}), "pageSize"),
        ("ListTasks", json!({"status": "TASK_STATE_HAPPY"}), "status"),
        (
            "ListTasks",
            json!({"statusTimestampAfter": "yesterday"}),
            "statusTimestampAfter",
        ),
        ("ListTasks", json!({"historyLength": -1}), "historyLength"),
    ] {
        if !peer.can_say(operation, &request) {
            continue;
        }
        let fault = peer.refuses(operation, request, Kind::InvalidParams).await;
        assert!(
            fields(&fault).iter().any(|it| it == field),
            "{field}: {fault:#?}"
        );
    }
    let list = peer.ok("ListTasks", json!({})).await;
    assert_eq!(list["totalSize"], 0, "nothing was stored: {list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_former_table_of_errors_is_followed_on_request() {
    for binding in [Binding::JsonRpc, Binding::Rest, Binding::Grpc] {
        let at = At::of(Program::Captain, binding);
        let server = at.serve(Profile::Minimal, &["--error-map", "1.0.0"]).await;
        let peer = Peer::new(&server.url, binding);
        let ended = peer.task("tck-complete-task-1").await;
        let id = json!({"id": ended["id"]});
        let version = peer.with("A2A-Version", "99.0");
        for (peer, operation, request, kind) in [
            (&peer, "GetTask", json!({"id": "x"}), Kind::TaskNotFound),
            (&peer, "CancelTask", id.clone(), Kind::TaskNotCancelable),
            (&peer, "SubscribeToTask", id, Kind::Unsupported),
            (
                &peer,
                "ListTaskPushNotificationConfigs",
                json!({"taskId": ended["id"]}),
                Kind::PushNotSupported,
            ),
            (&peer, "SendMessage", json!({}), Kind::InvalidParams),
            (&version, "ListTasks", json!({}), Kind::Version),
        ] {
            let fault = peer.call(operation, request).await.unwrap_err();
            kind.check_in(&fault, Location::caller(), true);
        }
        if binding == Binding::Rest {
            let wrong = peer
                .raw(Method::POST, "/message:send")
                .header("Content-Type", "text/plain");
            let answer = e2e::http::answer(wrong.body("{}")).await;
            let fault = crate::wire::result(binding, answer).await.unwrap_err();
            Kind::ContentType.check_in(&fault, Location::caller(), true);
        }
    }
}

//! The requirements, one line each, and the document that shows them. The document is rendered from this table, and the
//! table must agree with the tests of this program: neither names what the other has not. To render it anew:
//! `UPDATE_DOCS=1 cargo nextest run -p e2e -E 'test(table::)'`.

use std::{collections::BTreeSet, fmt::Write as _, fs, process::Command};

use e2e::programs::project;

/// How much a requirement binds (RFC 2119).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Must,
    Should,
    May,
}

use Level::{May, Must, Should};

/// An id, its level, what it says, and the last words of its tests' names.
type Requirement = (&'static str, Level, &'static str, &'static [&'static str]);

/// Every binding.
const EACH: &[&str] = &["jsonrpc", "rest", "grpc"];
/// Those that carry JSON.
const JSON: &[&str] = &["jsonrpc", "rest"];
const GRPC: &[&str] = &["grpc"];
const RPC: &[&str] = &["jsonrpc"];
const REST: &[&str] = &["rest"];
const HTTP: &[&str] = &["http"];
const ALL: &[&str] = &["all"];
/// What is tested in another place; the document says where.
const ELSEWHERE: &[&str] = &[];

const TABLE: &[Requirement] = &[
    (
        "CORE-SEND-001",
        Must,
        "a send answers a task or a message",
        EACH,
    ),
    (
        "CORE-SEND-002",
        Must,
        "a task that has ended takes no message",
        EACH,
    ),
    (
        "CORE-SEND-003",
        Must,
        "an unsupported media type is refused",
        EACH,
    ),
    (
        "CORE-STREAM-001",
        Must,
        "a streaming send opens a stream",
        EACH,
    ),
    (
        "CORE-STREAM-002",
        Must,
        "a direct message is the only event",
        EACH,
    ),
    (
        "CORE-STREAM-003",
        Must,
        "a task's stream starts with the task and closes at its end",
        EACH,
    ),
    ("CORE-GET-001", Must, "a task is got as it is", EACH),
    ("CORE-GET-002", Must, "an unknown task is not found", EACH),
    (
        "CORE-LIST-001",
        Must,
        "a list has the visible tasks only",
        EACH,
    ),
    (
        "CORE-LIST-002",
        Must,
        "pages by cursor, without gap or repeat",
        EACH,
    ),
    ("CORE-LIST-003", Must, "the newest status comes first", EACH),
    (
        "CORE-LIST-004",
        Must,
        "the last page has an empty token",
        EACH,
    ),
    ("CORE-LIST-005", Must, "artifacts only on request", EACH),
    ("CORE-CANCEL-001", Must, "a cancel ends the task", EACH),
    (
        "CORE-CANCEL-002",
        Must,
        "an ended task is not cancelable",
        EACH,
    ),
    (
        "CORE-CANCEL-003",
        Must,
        "an unknown task is not found",
        EACH,
    ),
    (
        "CORE-EXECUTION-MODE-001",
        Must,
        "a send waits for the end or a question",
        EACH,
    ),
    (
        "CORE-EXECUTION-MODE-002",
        Must,
        "returnImmediately answers at once",
        EACH,
    ),
    ("CORE-ERR-001", Must, "errors say what is wrong", EACH),
    ("CORE-ERR-002", Must, "inputs are checked", EACH),
    ("CORE-CAP-001", Must, "no push: refused as such", EACH),
    ("CORE-CAP-002", Must, "no streaming: refused as such", EACH),
    (
        "CORE-CAP-003",
        Must,
        "no extended card: refused as such",
        EACH,
    ),
    (
        "CORE-CAP-004",
        Must,
        "a required extension must be named",
        EACH,
    ),
    (
        "CORE-MULTI-001",
        May,
        "a context is made where there is none",
        EACH,
    ),
    (
        "CORE-MULTI-001a",
        Must,
        "a made context is in the answer",
        EACH,
    ),
    ("CORE-MULTI-002", May, "a client's context is taken", EACH),
    (
        "CORE-MULTI-002a",
        Must,
        "a client's context is never replaced",
        EACH,
    ),
    (
        "CORE-MULTI-003",
        Must,
        "every task has an id of its own",
        EACH,
    ),
    (
        "CORE-MULTI-004",
        Must,
        "an unknown task id is refused",
        EACH,
    ),
    (
        "CORE-MULTI-005",
        Must,
        "the context is inferred from the task",
        EACH,
    ),
    ("CORE-MULTI-006", Must, "task and context must agree", EACH),
    (
        "CORE-HIST-001",
        Should,
        "a length of 0 leaves the history out",
        EACH,
    ),
    (
        "CORE-HIST-002",
        Must,
        "a length bounds the history to the newest",
        EACH,
    ),
    (
        "CORE-HIST-003",
        Should,
        "a send with length 0 answers no history",
        EACH,
    ),
    ("CORE-HIST-004", May, "messages may be kept", EACH),
    ("CORE-HIST-005", Must, "history is chronological", EACH),
    ("CORE-HIST-006", Must, "messages are kept as sent", EACH),
    ("DM-TASK-001", Must, "Task: required members", EACH),
    ("DM-TASK-002", Must, "Task: states", EACH),
    ("DM-MSG-001", Must, "Message: required members", EACH),
    ("DM-MSG-002", Must, "Message: roles", EACH),
    ("DM-PART-001", Must, "Part: exactly one content", EACH),
    ("DM-ART-001", Must, "Artifact: required members", EACH),
    ("DM-STATUS-001", Must, "TaskStatus: required members", EACH),
    ("DM-SERIAL-001", Must, "camel case out, both in", JSON),
    ("DM-SERIAL-002", Must, "enums by their names", JSON),
    (
        "DM-SERIAL-003",
        Must,
        "times in UTC with milliseconds",
        JSON,
    ),
    (
        "DM-SERIAL-004",
        Must,
        "required members are there when empty",
        JSON,
    ),
    ("DM-SERIAL-005", Should, "unknown members are ignored", JSON),
    (
        "STREAM-ORDER-001",
        Must,
        "events in the order of their making",
        EACH,
    ),
    (
        "STREAM-ORDER-002",
        Must,
        "every stream gets every event",
        EACH,
    ),
    (
        "STREAM-ORDER-003",
        Must,
        "the same events in the same order",
        EACH,
    ),
    (
        "STREAM-ORDER-004",
        Must,
        "closing one stream concerns no other",
        EACH,
    ),
    (
        "STREAM-SUB-001",
        Must,
        "a subscription starts with the task",
        EACH,
    ),
    (
        "STREAM-SUB-002",
        Must,
        "a subscription closes at the end",
        EACH,
    ),
    ("STREAM-SUB-003", Must, "an ended task is refused", EACH),
    ("STREAM-SUB-004", Must, "an unknown task is refused", EACH),
    (
        "PUSH-CREATE-001",
        Must,
        "a configuration is made, with an id",
        EACH,
    ),
    (
        "PUSH-CREATE-002",
        Must,
        "for an unknown task it is refused",
        EACH,
    ),
    ("PUSH-GET-001", Must, "a configuration is got", EACH),
    ("PUSH-GET-002", Must, "an unknown one is not found", EACH),
    (
        "PUSH-LIST-001",
        Must,
        "a task's configurations are listed",
        EACH,
    ),
    (
        "PUSH-DEL-001",
        Must,
        "a deleted configuration is gone",
        EACH,
    ),
    ("PUSH-DEL-002", Must, "deleting again is no error", EACH),
    (
        "PUSH-DELIVER-001",
        Must,
        "deliveries carry the credentials",
        EACH,
    ),
    (
        "PUSH-DELIVER-002",
        Must,
        "deliveries are tried at least once",
        EACH,
    ),
    (
        "PUSH-DELIVER-003",
        Must,
        "a delivery is one stream event",
        EACH,
    ),
    (
        "CARD-DISC-001",
        Must,
        "the card is at the well-known address",
        HTTP,
    ),
    (
        "CARD-PROTO-001",
        Must,
        "interfaces name binding and version, and serve",
        HTTP,
    ),
    (
        "CARD-PROTO-002",
        Must,
        "the preferred interface comes first",
        HTTP,
    ),
    (
        "CARD-STRUCT-001",
        Must,
        "the card has its required members",
        HTTP,
    ),
    (
        "CARD-EXT-001",
        Must,
        "the extended card is as declared",
        EACH,
    ),
    (
        "CARD-EXT-002",
        Must,
        "the extended card is a whole card",
        EACH,
    ),
    (
        "CARD-SIGN-001",
        Must,
        "signatures are JWS over the canonical card",
        HTTP,
    ),
    (
        "CARD-SIGN-002",
        Must,
        "the canonical form leaves out defaults and signatures",
        HTTP,
    ),
    (
        "CARD-SIGN-003",
        Must,
        "the protected header has alg, typ and kid",
        HTTP,
    ),
    ("CARD-SIGN-004", Should, "clients verify a signature", HTTP),
    ("CARD-CACHE-001", Should, "Cache-Control with max-age", HTTP),
    ("CARD-CACHE-002", Should, "ETag, honoured", HTTP),
    ("CARD-CACHE-003", May, "Last-Modified, honoured", HTTP),
    (
        "AUTH-TLS-001",
        Must,
        "encrypted where others can listen",
        ELSEWHERE,
    ),
    (
        "AUTH-TLS-002",
        Should,
        "TLS 1.2 or newer, certificates checked",
        ELSEWHERE,
    ),
    ("AUTH-SERVER-001", Must, "every call is authenticated", EACH),
    (
        "AUTH-SERVER-002",
        Should,
        "a refusal says how to authenticate",
        EACH,
    ),
    (
        "AUTH-INTASK-001",
        Must,
        "a sign-in is asked for with a task",
        EACH,
    ),
    ("AUTH-INTASK-002", Must, "its state is AUTH_REQUIRED", EACH),
    (
        "AUTH-INTASK-003",
        Must,
        "its status says what is needed",
        EACH,
    ),
    (
        "AUTH-INTASK-004",
        Should,
        "credentials come on another way",
        EACH,
    ),
    (
        "AUTH-INTASK-005",
        Should,
        "streams stay open meanwhile",
        EACH,
    ),
    (
        "AUTH-INTASK-006",
        Should,
        "messages are taken meanwhile",
        EACH,
    ),
    ("AUTH-SCOPE-001", Must, "lists are the caller's own", EACH),
    ("AUTH-SCOPE-002", Must, "another's task is not found", EACH),
    (
        "AUTH-SCOPE-003",
        Must,
        "a task belongs to whoever made it",
        EACH,
    ),
    (
        "VER-CLIENT-001",
        Must,
        "our client names its version in every call",
        EACH,
    ),
    ("VER-CLIENT-002", Must, "as major and minor number", EACH),
    (
        "VER-SERVER-001",
        Must,
        "a call is served in its version",
        EACH,
    ),
    (
        "VER-SERVER-002",
        Must,
        "an unknown version is refused",
        EACH,
    ),
    (
        "VER-SERVER-003",
        Must,
        "no version means the call's own dialect",
        EACH,
    ),
    (
        "BIND-EQUIV-001",
        Must,
        "every operation in every binding",
        ALL,
    ),
    ("BIND-EQUIV-002", Must, "the same answers", ALL),
    ("BIND-EQUIV-003", Must, "the same errors", ALL),
    ("BIND-EQUIV-004", Must, "the same streams", ALL),
    ("BIND-FIELD-001", Must, "the names of the data model", ALL),
    ("JSONRPC-FMT-001", Must, "JSON-RPC 2.0 envelopes", RPC),
    ("JSONRPC-FMT-002", Must, "application/json", RPC),
    (
        "JSONRPC-SVC-001",
        Must,
        "service parameters are HTTP headers",
        RPC,
    ),
    ("JSONRPC-SVC-002", Must, "methods by their names", RPC),
    ("JSONRPC-ERR-001", Must, "the codes of JSON-RPC", RPC),
    ("JSONRPC-ERR-002", Must, "the codes of A2A", RPC),
    ("JSONRPC-ERR-003", Must, "typed details", RPC),
    (
        "JSONRPC-SSE-001",
        Must,
        "streams are server-sent events",
        RPC,
    ),
    (
        "JSONRPC-SSE-002",
        Must,
        "each event is an answer with the request's id",
        RPC,
    ),
    (
        "GRPC-SVC-001",
        Must,
        "the service lf.a2a.v1.A2AService",
        GRPC,
    ),
    ("GRPC-SVC-002", Must, "streams are server streaming", GRPC),
    ("GRPC-SVC-003", Must, "protobuf over HTTP/2", GRPC),
    (
        "GRPC-META-001",
        Must,
        "service parameters are metadata",
        GRPC,
    ),
    ("GRPC-ERR-001", Must, "status codes", GRPC),
    (
        "GRPC-ERR-002",
        Must,
        "ErrorInfo in the status details",
        GRPC,
    ),
    (
        "GRPC-ERR-003",
        Must,
        "BadRequest in the status details",
        GRPC,
    ),
    ("HTTP_JSON-URL-001", Must, "paths and methods", REST),
    ("HTTP_JSON-URL-002", Must, "tenants in front", REST),
    (
        "HTTP_JSON-SVC-001",
        Must,
        "the version as a header or in the query",
        REST,
    ),
    ("HTTP_JSON-SVC-002", Must, "extensions as a header", REST),
    (
        "HTTP_JSON-QP-001",
        Must,
        "query parameters in camel case",
        REST,
    ),
    (
        "HTTP_JSON-ERR-001",
        Must,
        "errors in the form of google.rpc.Status",
        REST,
    ),
    (
        "HTTP_JSON-ERR-002",
        Must,
        "statuses and reasons of A2A's errors",
        REST,
    ),
    (
        "HTTP_JSON-STATUS-001",
        Must,
        "200 and the client's media type",
        REST,
    ),
    (
        "HTTP_JSON-SSE-001",
        Must,
        "streams are server-sent events",
        REST,
    ),
];

/// The names of the tests that a requirement has.
fn tests(requirement: &Requirement) -> impl Iterator<Item = String> {
    let stem = requirement.0.to_lowercase().replace('-', "_");
    requirement
        .3
        .iter()
        .map(move |suffix| format!("{stem}_{suffix}"))
}

#[test]
fn there_are_129_requirements_of_three_levels() {
    let ids: BTreeSet<_> = TABLE.iter().map(|requirement| requirement.0).collect();
    assert_eq!((TABLE.len(), ids.len()), (129, 129));
    let of = |level| {
        TABLE
            .iter()
            .filter(|requirement| requirement.1 == level)
            .count()
    };
    assert_eq!([of(Must), of(Should), of(May)], [114, 11, 4]);
}

#[test]
fn table_and_tests_agree() {
    let list = Command::new(std::env::current_exe().unwrap())
        .args(["--list", "--format", "terse"])
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let there: BTreeSet<String> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|name| !name.starts_with("table::"))
        .map(|name| name.rsplit("::").next().unwrap().to_owned())
        // The others are about switches, which no requirement asks for.
        .filter(|name| {
            ["_jsonrpc", "_rest", "_grpc", "_http", "_all"]
                .iter()
                .any(|it| name.ends_with(it))
        })
        .collect();
    let named: BTreeSet<String> = TABLE.iter().flat_map(tests).collect();
    let missing: Vec<_> = named.difference(&there).collect();
    let extra: Vec<_> = there.difference(&named).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "not there: {missing:?}\nnot in the table: {extra:?}"
    );
}

#[test]
fn document_is_up_to_date() {
    let path = project().join("docs/conformance.md");
    let now = render();
    if std::env::vars().any(|(name, _)| name == "UPDATE_DOCS") {
        fs::write(&path, &now).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "docs/conformance.md is old; render it with UPDATE_DOCS=1"
    );
}

fn render() -> String {
    let mut text = HEAD.to_owned();
    for requirement in TABLE {
        let (id, level, what, bindings) = requirement;
        let level = match level {
            Must => "MUST",
            Should => "SHOULD",
            May => "MAY",
        };
        let tests: Vec<String> = tests(requirement).map(|name| format!("`{name}`")).collect();
        let bindings = match bindings {
            &[] => "elsewhere".to_owned(),
            bindings => bindings.join(", "),
        };
        writeln!(
            text,
            "| {id} | {level} | {what} | {bindings} | {} |",
            tests.join(" ")
        )
        .unwrap();
    }
    text.push_str(TAIL);
    text
}

const HEAD: &str = "\
# Conformance

Our transcription of the requirements of A2A 1.0: 129, of which 114 MUST, 11 SHOULD and 4 MAY (levels as we read the text). Each has a test for each binding that it
concerns, with its negative side, in `tests/tests/requirements`; each test runs against real `worker serve --conformance` and `captain serve --conformance` processes
and speaks the binding raw, not through our client. CI runs them all.

    cargo build -p worker -p captain && cargo nextest run -p e2e -E 'binary(requirements)'

This file is rendered from the table in `tests/tests/requirements/table.rs`, and a test compares the table with the tests that there are.

## The conformance mode

`worker serve --conformance[=PROFILE]` and `captain serve --conformance[=PROFILE]` serve an agent that does what a message names: by the beginning of its
`messageId`, or else of its first text, the longest first (the table is in `a2a-proto/src/conformance/scenario.rs`). No card file, key or agent program is needed;
callers are not asked for a token, so the address must be a loopback one. The log is the real one, in a temporary folder or in `--state-dir`.

| profile | what it declares |
|---|---|
| `streaming-push` (default) | streaming, push notifications |
| `minimal` | neither: the paths of \"not supported\" |
| `required-extension` | as the default, and `urn:a2a:tck:required-extension` as required |
| `extended-card` | as the default, and an extended card |

To a client of 0.3 every task is submitted, works for 3 s and then asks for input, whatever the message; one whose id begins with `test-resubscribe-message-id` keeps
working. Follow-ups by task id are taken at any time.

## The requirements

| id | level | what | bindings | tests |
|---|---|---|---|---|
";

const TAIL: &str = "
`all`: one test compares the bindings with each other. `http`: the card, which belongs to no binding.
`elsewhere`: TLS is the listener's, which both programs share and which the conformance mode does not use; its tests are in `daemon/src/tls/tests.rs`.

Where something cannot be said in a binding, its test leaves it out: protobuf has no unknown enum names, no two contents of one part and no wrong types, and no names
on the wire, so the rules of JSON (DM-SERIAL) concern the two bindings with JSON.
";

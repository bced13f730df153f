//! Heads of requests: too long, too many, contradicting, and meant to appear in the head of an answer.

use crate::{
    raw::{exchange, exchange_until_quiet, post, status},
    victim::{Victim, each},
};

/// Every way to end a line early, as bytes and as a URL writes them.
const BREAKS: [&str; 4] = ["\r\nx-evil: 1", "\nx-evil: 1", "\rx-evil: 1", "\0x-evil: 1"];

/// The head of an answer, in small letters.
fn head_of(answer: &str) -> String {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    head.to_ascii_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_request_becomes_a_line_of_an_answers_head() {
    each(async |victim: Victim| {
        let authorization = format!("authorization: {}", victim.authorization());
        for evil in BREAKS {
            let encoded: String = evil.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for path in [
                format!("/tasks/a{encoded}"),
                format!("/a{encoded}/tasks"),
                format!("/tasks?pageToken=a{encoded}"),
                format!("/tasks?A2A-Version=a{encoded}"),
                format!("/a{encoded}"),
                format!("/artifacts/a{encoded}/x"),
                format!("/jobs/a{encoded}"),
            ] {
                let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}\r\n\r\n");
                let answer = exchange(&victim, [request.as_bytes()]).await;
                assert!((400..500).contains(&status(&answer)), "{path}: {answer:.300}");
                assert!(!head_of(&answer).contains("x-evil"), "{path}: {answer:.300}");
            }
            // Headers that come back, or that decide about the answer.
            for name in [
                "a2a-extensions",
                "x-a2a-extensions",
                "a2a-version",
                "last-event-id",
                "idempotency-key",
                "if-none-match",
                "range",
                "accept",
                "origin",
                "x-request-id",
                "traceparent",
            ] {
                let request = format!(
                    "GET /.well-known/agent-card.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}\r\n{name}: a{evil}\r\n\r\n"
                );
                let answer = exchange(&victim, [request.as_bytes()]).await;
                assert!(!head_of(&answer).contains("x-evil"), "{name}: {answer:.300}");
                // A whole line more is one more header, which is nobody's business.
                let known = evil.starts_with("\r\n") || evil.starts_with('\n');
                assert!(known || status(&answer) == 400, "{name} {evil:?}: {answer:.300}");
            }
        }
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_a_stream_cannot_be_forged_by_what_is_said_in_it() {
    let victim = Victim::worker().await;
    let body = serde_json::json!({"message": {
        "messageId": "m\r\ndata: evil", "role": "ROLE_USER", "contextId": "c\n\nid: 999\ndata: evil\n\n",
        "parts": [{"text": "say x\r\r\n\n\ndata: evil\rid: 998\r\rdata: evil"}],
    }});
    let answer = exchange(
        &victim,
        [&*post(
            &victim,
            "/message:stream",
            body.to_string().as_bytes(),
        )],
    )
    .await;
    assert_eq!(status(&answer), 200, "{answer}");
    for line in answer.split(['\r', '\n']) {
        assert!(
            !line.starts_with("data: evil") && !line.starts_with("id: 99"),
            "{line:?} in {answer}"
        );
    }
    victim.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_and_many_headers_are_refused() {
    each(async |victim: Victim| {
        let long = "y".repeat(1 << 20);
        let many: String = (0..2_000).map(|nth| format!("x-{nth}: y\r\n")).collect();
        for head in [
            format!("GET /tasks HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"),
            format!("GET /tasks HTTP/1.1\r\nhost: x\r\n{long}: x\r\n\r\n"),
            format!("GET /tasks HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
            format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
            format!("{long} / HTTP/1.1\r\nhost: x\r\n\r\n"),
            format!("GET /tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n", "e".repeat(40_000)),
        ] {
            let answer = exchange(&victim, [head.as_bytes()]).await;
            let code = status(&answer);
            assert!(matches!(code, 0 | 400 | 401 | 414 | 431), "{head:.60}: {answer:.300}");
        }
        // A head that never ends.
        let line = format!("x: {}\r\n", "y".repeat(4096));
        let begin = &b"GET /tasks HTTP/1.1\r\nhost: x\r\n"[..];
        let pieces = std::iter::once(begin).chain(std::iter::repeat_n(line.as_bytes(), 10_000));
        let answer = exchange(&victim, pieces).await;
        assert!(matches!(status(&answer), 0 | 431), "{answer:.300}");
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_contradict_themselves_are_refused() {
    each(async |victim: Victim| {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"x"}}"#;
        let smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
        for headers in [
            "content-length: 5\r\ncontent-length: 7",
            "content-length: -1",
            "content-length: 0x10",
            "content-length: 99999999999999999999999",
            "transfer-encoding: chunked\r\ncontent-length: 3",
            "transfer-encoding: chunked, chunked",
            "transfer-encoding: gzip",
            "transfer-encoding: xchunked",
            "transfer-encoding : chunked",
            "content-length : 3",
        ] {
            let request =
                format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n0\r\n\r\n{smuggled}");
            let answer = exchange_until_quiet(&victim, request.as_bytes()).await;
            // Refused, or read in the one way that leaves nothing over for a second request.
            let answers = answer.matches("HTTP/1.1 ").count();
            assert!(
                answers <= 1 || status(&answer) == 401,
                "{headers}: {answer:.600}"
            );
        }
        for raw in [
            &b"\x00\x01\x02\x03\r\n\r\n"[..],
            b"GARBAGE\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET  /  HTTP/1.1\r\n\r\n",
            b"GET /tasks HTTP/1.1\r\nhost: x\r\nx: \x01\x02\r\n\r\n",
            b"GET /tasks HTTP/1.1\r\n folded: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n",
            b"TRACE / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            b"GET http://elsewhere.example/tasks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ] {
            let answer = exchange_until_quiet(&victim, raw).await;
            let code = status(&answer);
            assert!(
                code == 0 || (400..506).contains(&code),
                "{:?}: {answer:.300}",
                String::from_utf8_lossy(raw)
            );
            assert!(code < 500 || code == 505 || code == 501, "{answer:.300}");
        }
        let answer = exchange(&victim, [&*post(&victim, "/", body.as_bytes())]).await;
        assert!(
            answer.contains("-32001"),
            "the same as it should be: {answer}"
        );
        victim
    })
    .await;
}

//! Which version a call is in: its method or path says it, a header can only contradict.

use super::*;

/// The code of the error to a call under a version header, if it is one about the version.
async fn refused(
    server: &Running,
    path: &str,
    method: &str,
    params: &Value,
    version: &str,
) -> bool {
    let mut headers = vec![("content-type", "application/json")];
    if !version.is_empty() {
        headers.push(("A2A-Version", version));
    }
    let body = match path {
        "/" => rpc(method, params),
        _ => params.clone(),
    };
    let reply = server
        .send("POST", path, &headers, body.to_string().as_bytes())
        .await
        .json();
    let code = [&reply["error"]["code"], &reply["code"]]
        .into_iter()
        .find_map(Value::as_i64);
    let reason = reply["error"]["details"][0]["reason"] == "VERSION_NOT_SUPPORTED";
    // In 0.1 the code means something else, so there it is an invalid request.
    let old =
        code == Some(-32600) && reply["error"]["data"][0]["reason"] == "VERSION_NOT_SUPPORTED";
    code == Some(-32009) || reason || old
}

#[tokio::test]
async fn a_header_may_not_contradict_the_method_or_the_path() {
    let current =
        json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "reply"}]}});
    let v03 = json!({"message": {"messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "reply"}]}});
    let rest =
        json!({"message": {"messageId": "m", "role": "ROLE_USER", "content": [{"text": "reply"}]}});
    let v01 = json!({"id": "t", "message": {"parts": [{"type": "text", "text": "reply"}]}});
    let calls = [
        ("/", "SendMessage", current.clone(), &["1.0", "1.0.1"][..]),
        ("/message:send", "", current, &["1.0", "1.0.1"]),
        ("/", "message/send", v03, &["0.3", "0.3.0", "0.2", "0.2.5"]),
        (
            "/v1/message:send",
            "",
            rest,
            &["0.3", "0.3.0", "0.2", "0.2.5"],
        ),
        ("/", "tasks/send", v01, &["0.1"]),
    ];
    let lenient = Running::start().await;
    let strict = Running::with(|options, _| options.strict_version = true).await;
    for (path, method, params, fitting) in &calls {
        for version in [
            "1.0", "1.0.1", "0.3", "0.3.0", "0.2", "0.2.5", "0.1", "0.4", "1.1", "99.0", "x",
        ] {
            let expect = !fitting.contains(&version);
            let found = refused(&lenient, path, method, params, version).await;
            assert_eq!(found, expect, "{path} {method} under {version}");
        }
        assert!(
            !refused(&lenient, path, method, params, "").await,
            "{path} {method}"
        );
        // By the letter, no version is 0.3; older clients never name theirs.
        let expect = fitting.contains(&"1.0");
        assert_eq!(
            refused(&strict, path, method, params, "").await,
            expect,
            "{path} {method}"
        );
    }
    assert!(refused(&lenient, "/", "tasks/get", &json!({"id": "x"}), "99.0").await);
    assert!(refused(&lenient, "/", "no/such/method", &json!({}), "99.0").await);
    assert!(!refused(&lenient, "/", "no/such/method", &json!({}), "0.3").await);
}

#[tokio::test]
async fn the_card_is_a_hybrid_unless_the_client_reads_1_0() {
    let server = Running::with(|_, agent| {
        agent.change_card(|card| {
            card.supported_interfaces = crate::card::interfaces("http://127.0.0.1:1", false);
        });
    })
    .await;
    let path = "/.well-known/agent-card.json";
    let card = |version: &'static str| {
        let server = &server;
        async move {
            server
                .send("GET", path, &[("A2A-Version", version)], b"")
                .await
        }
    };
    let (hybrid, pure) = (server.get(path).await, card("1.0").await);
    for reply in [&hybrid, &pure] {
        assert_eq!(reply.header("vary"), Some("a2a-version"));
        assert_eq!(
            reply.json()["supportedInterfaces"][0]["protocolVersion"],
            "1.0"
        );
    }
    assert_eq!(hybrid.json()["url"], "http://127.0.0.1:1/");
    assert_eq!(hybrid.json()["preferredTransport"], "JSONRPC");
    assert_eq!(pure.json()["url"], Value::Null);
    assert_ne!(hybrid.header("etag"), pure.header("etag"));
    for other in ["0.3", "99.0"] {
        assert_eq!(card(other).await.json(), hybrid.json());
    }
    let old = server.get("/.well-known/agent.json").await.json();
    assert_eq!(old["url"], "http://127.0.0.1:1/");
    assert_eq!(old["capabilities"]["stateTransitionHistory"], false);
    assert_eq!(old["supportedInterfaces"], Value::Null);
}

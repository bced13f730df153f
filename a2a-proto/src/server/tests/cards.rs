//! CARD-DISC, CARD-PROTO, CARD-STRUCT, CARD-EXT, CARD-CACHE: discovery.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn card_disc_001_and_struct_001_both_paths_serve_a_complete_card() {
    let server = Running::start().await;
    let reply = server.get("/.well-known/agent-card.json").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let card = reply.json();
    for required in [
        "name",
        "description",
        "version",
        "supportedInterfaces",
        "capabilities",
        "defaultInputModes",
        "defaultOutputModes",
        "skills",
    ] {
        assert!(card.get(required).is_some(), "{required}");
    }
    let bindings: Vec<_> = card["supportedInterfaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["protocolBinding"])
        .collect();
    assert_eq!(bindings, ["JSONRPC", "HTTP+JSON"]);
    assert!(
        card["supportedInterfaces"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["protocolVersion"] == "1.0")
    );
    assert_eq!(card["capabilities"]["streaming"], true);
    let old = server.get("/.well-known/agent.json").await.json();
    assert_eq!(
        (&old["name"], &old["url"]),
        (&json!("tester"), &json!("http://127.0.0.1/"))
    );
    assert_eq!(old["skills"][0]["name"], "Test");
    assert_eq!(old["capabilities"]["streaming"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn card_ext_001_extensions_are_declared() {
    let server = Running::with(|_, agent| agent.require_extension("urn:x")).await;
    let card = server.get("/.well-known/agent-card.json").await.json();
    assert_eq!(
        card["capabilities"]["extensions"],
        json!([{"uri": "urn:x", "required": true}])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn card_cache_001_to_003_validators_and_304_until_the_card_changes() {
    let server = Running::start().await;
    for path in ["/.well-known/agent-card.json", "/.well-known/agent.json"] {
        let first = server.get(path).await;
        let etag = first.header("etag").unwrap().to_owned();
        let modified = first.header("last-modified").unwrap().to_owned();
        assert!(first.header("cache-control").unwrap().contains("max-age="));
        assert_eq!(server.get(path).await.header("etag"), Some(etag.as_str()));
        for header in [
            ("if-none-match", etag.as_str()),
            ("if-none-match", "*"),
            ("if-modified-since", modified.as_str()),
        ] {
            let again = server.send("GET", path, &[header], b"").await;
            assert_eq!(
                (again.status, again.body.len(), again.header("etag")),
                (304, 0, Some(etag.as_str())),
                "{header:?}"
            );
        }
        assert_eq!(
            server
                .send("GET", path, &[("if-none-match", "\"other\"")], b"")
                .await
                .status,
            200
        );
        let head = server.send("HEAD", path, &[], b"").await;
        assert_eq!(
            (head.status, head.body.len(), head.header("etag")),
            (200, 0, Some(etag.as_str()))
        );
        server.agent.change_card(|card| card.version.push('x'));
        let changed = server
            .send("GET", path, &[("if-none-match", &etag)], b"")
            .await;
        assert_eq!(changed.status, 200);
        assert_ne!(changed.header("etag"), Some(etag.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extended_card_depends_on_the_caller_and_its_tenant() {
    let server = Running::with(|options, agent| {
        shared_token(options);
        agent.change_card(|card| card.capabilities.extended_agent_card = Some(true));
    })
    .await;
    let token = ("authorization", "Bearer s3cret");
    let json_body = ("content-type", "application/json");
    for (path, name) in [
        ("/extendedAgentCard", "tester, extended"),
        ("/acme/extendedAgentCard", "tester, extended for acme"),
        (
            "/extendedAgentCard?tenant=acme",
            "tester, extended for acme",
        ),
    ] {
        let reply = server.send("GET", path, &[token], b"").await;
        assert_eq!(reply.json()["name"], name, "{path}");
        // It is one caller's: no cache may give it to another.
        assert_eq!(reply.header("cache-control"), Some("private, no-store"));
        let refused = server.get(path).await;
        assert_eq!(
            (refused.status, refused.header("www-authenticate")),
            (401, Some("Bearer"))
        );
    }
    for (params, name) in [
        ("{}", "tester, extended"),
        (r#"{"tenant":"acme"}"#, "tester, extended for acme"),
        ("null", "tester, extended"),
    ] {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"GetExtendedAgentCard","params":{params}}}"#
        );
        let reply = server
            .send("POST", "/", &[token, json_body], call.as_bytes())
            .await;
        assert_eq!(reply.json()["result"]["name"], name, "{params}");
    }
    let without = r#"{"jsonrpc":"2.0","id":1,"method":"GetExtendedAgentCard"}"#;
    let reply = server
        .send("POST", "/", &[token, json_body], without.as_bytes())
        .await;
    assert_eq!(reply.json()["result"]["name"], "tester, extended");
    // The public card stays what it is.
    let public = server.get("/.well-known/agent-card.json").await.json();
    assert_eq!(
        (
            &public["name"],
            &public["capabilities"]["extendedAgentCard"]
        ),
        (&json!("tester"), &json!(true))
    );
}

#[cfg(feature = "auth")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn card_sign_001_to_004_every_kind_of_verifier_finds_a_good_signature() {
    use crate::auth::{CardAlgorithm, CardKey, CardKeys, CardSigner, Form, verify};

    let keys =
        [CardAlgorithm::EdDsa, CardAlgorithm::Es256].map(|it| CardKey::generate(it).unwrap());
    let signer = Arc::new(CardSigner::new(keys.into()));
    let jwks = signer.jwks();
    let server = Running::with(|options, agent| {
        shared_token(options);
        options.card_signer = Some(signer);
        agent.change_card(|card| {
            card.capabilities.extended_agent_card = Some(true);
            let mut old = card.supported_interfaces[0].clone();
            old.protocol_version = "0.3".to_owned();
            card.supported_interfaces.push(old);
        });
    })
    .await;
    let served = server.get("/.well-known/agent-card.json").await;
    assert!(
        served.json()["protocolVersion"].is_string(),
        "members of 0.3 are there"
    );
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let check = |body: &[u8], form: Form, kid: usize| {
        let only = crate::auth::Jwks {
            keys: vec![jwks.keys[kid].clone()],
        };
        verify(body, &CardKeys::new(only), &[form], now).unwrap()
    };
    for form in [Form::Standard, Form::Verbatim, Form::Reduced] {
        for kid in [0, 1] {
            check(&served.body, form, kid);
        }
    }
    let version = [("a2a-version", "1.0")];
    let pure = server
        .send("GET", "/.well-known/agent-card.json", &version, b"")
        .await;
    assert!(pure.json().get("protocolVersion").is_none());
    check(&pure.body, Form::Verbatim, 0);
    check(&pure.body, Form::Standard, 1);
    // Signed once for as long as it stays the same: the validators hold.
    let again = server.get("/.well-known/agent-card.json").await;
    assert_eq!(
        (again.header("etag"), &again.body),
        (served.header("etag"), &served.body)
    );
    let token = [("authorization", "Bearer s3cret")];
    let extended = server.send("GET", "/extendedAgentCard", &token, b"").await;
    assert_eq!(extended.json()["name"], "tester, extended");
    check(&extended.body, Form::Standard, 0);
    check(&extended.body, Form::Verbatim, 1);
    server.agent.change_card(|card| card.version.push('x'));
    let changed = server.get("/.well-known/agent-card.json").await;
    check(&changed.body, Form::Standard, 1);
}

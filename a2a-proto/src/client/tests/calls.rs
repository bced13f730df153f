//! Discovery, the choice of a binding, requests on the wire, and errors in every shape.

use std::sync::atomic::{AtomicU32, Ordering};

use pretty_assertions::assert_eq;
use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::types::{Message, Part, TaskState};

pub(super) const JSON: &str = "content-type: application/json\r\n";

#[derive(Debug, Default)]
struct Counting(AtomicU32);

impl TokenSource for Counting {
    fn token(&self) -> Result<SecretString, TokenError> {
        Ok(SecretString::from(format!(
            "token-{}",
            self.0.fetch_add(1, Ordering::SeqCst)
        )))
    }
}

#[tokio::test]
async fn discovery_takes_the_first_interface_that_we_speak() {
    let server_url = Url::parse("http://127.0.0.1:1/x").unwrap();
    let mut card = card(&server_url, "urn:custom");
    let mut interface = card.supported_interfaces[0].clone();
    interface.protocol_binding = "JSONRPC".into();
    interface.protocol_version = "0.4".into();
    card.supported_interfaces.push(interface.clone());
    assert!(matches!(
        discovery::choose(&card, &options()),
        Err(ClientError::NoInterface { offered }) if offered == "urn:custom 1.0, JSONRPC 0.4"
    ));
    interface.protocol_binding = "HTTP+JSON".into();
    interface.protocol_version = "1.0.1".into();
    interface.tenant = "acme".into();
    card.supported_interfaces.push(interface);
    assert_eq!(
        discovery::choose(&card, &options()).unwrap(),
        Interface::HttpJson {
            base: server_url,
            tenant: "acme".into()
        }
    );
}

#[tokio::test]
async fn the_card_is_found_below_the_base() {
    let dummy = Url::parse("http://127.0.0.1:1/").unwrap();
    let card = card(&dummy, "JSONRPC");
    let server = RawServer::play(vec![http_answer(
        "200 OK",
        JSON,
        &serde_json::to_string(&card).unwrap(),
    )]);
    let base = server.url.join("agents/w/?x=1").unwrap();
    let client = Client::discover(&base, options()).await.unwrap();
    assert_eq!(client.card(), &card);
    let asked = server.asked();
    assert!(
        asked.starts_with("GET /agents/w/.well-known/agent-card.json HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(asked.contains("a2a-version: 1.0\r\n"));
}

#[tokio::test]
async fn what_is_no_card_is_an_error_that_says_so() {
    for (answer, text) in [
        (
            http_answer("404 Not Found", "", "nothing here"),
            "there is no method nothing here",
        ),
        (
            http_answer("200 OK", JSON, "<html>"),
            "the agent card: invalid JSON",
        ),
        (
            http_answer("200 OK", JSON, r#"{"name":5}"#),
            "the agent card: invalid parameters: name: expected a string",
        ),
    ] {
        let server = RawServer::play(vec![answer]);
        let error = Client::discover(&server.url, options()).await.unwrap_err();
        let said = error.agent_error().unwrap().to_string();
        assert!(said.contains(text), "{said}");
    }
}

#[tokio::test]
async fn every_request_carries_version_extensions_and_a_fresh_token() {
    let task =
        r#"{"jsonrpc":"2.0","id":1,"result":{"id":"t","status":{"state":"TASK_STATE_WORKING"}}}"#;
    let server = RawServer::play(vec![
        http_answer("200 OK", JSON, task),
        http_answer("200 OK", JSON, task),
    ]);
    let mut options = options().with_token(Arc::new(Counting::default()));
    options.extensions = vec!["urn:a".into(), "urn:b".into()];
    let client = Client::from_card(card(&server.url, "JSONRPC"), options).unwrap();
    assert_eq!(
        client.get("t", Some(0)).await.unwrap().status.state,
        TaskState::Working
    );
    client.cancel("t").await.unwrap();
    let (get, cancel) = (server.asked(), server.asked());
    for header in [
        "a2a-version: 1.0\r\n",
        "a2a-extensions: urn:a, urn:b\r\n",
        "authorization: Bearer token-0\r\n",
    ] {
        assert!(get.contains(header), "{get}");
    }
    assert!(
        get.ends_with(
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"t","historyLength":0}}"#
        ),
        "{get}"
    );
    assert!(cancel.contains("authorization: Bearer token-1\r\n"));
}

#[tokio::test]
async fn the_tenant_is_in_every_request() {
    let task = r#"{"id":"t","status":{"state":"TASK_STATE_WORKING"}}"#;
    let list = r#"{"tasks":[],"nextPageToken":"","pageSize":2,"totalSize":0}"#;
    let server = RawServer::play(vec![
        http_answer(
            "200 OK",
            JSON,
            &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{task}}}"#),
        ),
        http_answer("200 OK", JSON, task),
        http_answer("200 OK", JSON, list),
    ]);
    let mut card = card(&server.url, "JSONRPC");
    card.supported_interfaces[0].tenant = "ac/me".into();
    let rpc = Client::from_card(card.clone(), options()).unwrap();
    rpc.get("t", None).await.unwrap();
    let asked = server.asked();
    let body: serde_json::Value =
        serde_json::from_str(asked.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["params"], json!({"id": "t", "tenant": "ac/me"}));
    card.supported_interfaces[0].protocol_binding = "HTTP+JSON".into();
    let rest = Client::from_card(card, options()).unwrap();
    rest.get("t", Some(3)).await.unwrap();
    assert!(
        server
            .asked()
            .starts_with("GET /ac%2Fme/tasks/t?historyLength=3 HTTP/1.1\r\n")
    );
    let request = ListTasksRequest {
        status: TaskState::Working,
        page_size: Some(2),
        include_artifacts: Some(true),
        ..ListTasksRequest::default()
    };
    assert_eq!(rest.list(&request).await.unwrap().page_size, 2);
    let asked = server.asked();
    let line = asked.lines().next().unwrap();
    assert!(line.starts_with("GET /ac%2Fme/tasks?"), "{line}");
    for pair in [
        "status=TASK_STATE_WORKING",
        "pageSize=2",
        "includeArtifacts=true",
    ] {
        assert!(line.contains(pair), "{line}");
    }
}

#[tokio::test]
async fn errors_come_back_as_what_they_are_in_both_bindings() {
    let errors = [
        A2aError::TaskNotFound {
            task_id: "t".into(),
        },
        A2aError::TaskNotCancelable {
            task_id: "t".into(),
            state: TaskState::Completed,
        },
        A2aError::invalid_param("id", "is required"),
        A2aError::UnsupportedOperation {
            what: "this".into(),
        },
    ];
    for error in errors {
        let rpc = jsonrpc::error_response(&jsonrpc::Id::null(), &error);
        let map = crate::error::ErrorMap::V1_0_1;
        let rest = error.to_http_body(map);
        let server = RawServer::play(vec![
            http_answer("200 OK", JSON, std::str::from_utf8(&rpc).unwrap()),
            http_answer(
                &error.http_status(map).to_string(),
                JSON,
                std::str::from_utf8(&rest).unwrap(),
            ),
        ]);
        for binding in ["JSONRPC", "HTTP+JSON"] {
            let refused = client(&server, binding).get("t", None).await.unwrap_err();
            assert_eq!(refused.agent_error(), Some(&error), "{binding}");
        }
    }
}

#[tokio::test]
async fn http_statuses_outside_the_protocol_are_understood() {
    for (status, headers, code) in [
        ("401 Unauthorized", "", "unauthenticated"),
        ("403 Forbidden", "", "denied"),
        ("429 Too Many Requests", "retry-after: 7\r\n", "overloaded"),
        ("503 Service Unavailable", "", "overloaded"),
        ("413 Payload Too Large", "", "too large"),
        ("500 Internal Server Error", "", "internal"),
    ] {
        let server = RawServer::play(vec![http_answer(status, headers, "")]);
        let error = client(&server, "JSONRPC").get("t", None).await.unwrap_err();
        let kind = match error.agent_error().unwrap() {
            A2aError::Unauthenticated { .. } => "unauthenticated",
            A2aError::PermissionDenied { .. } => "denied",
            A2aError::Overloaded { retry_after } if status.starts_with("429") => {
                assert_eq!(*retry_after, Duration::from_secs(7));
                "overloaded"
            }
            A2aError::Overloaded { .. } => "overloaded",
            A2aError::TooLarge { .. } => "too large",
            A2aError::Internal { .. } => "internal",
            other => panic!("{status}: {other:?}"),
        };
        assert_eq!(kind, code);
    }
}

#[tokio::test]
async fn a_call_has_a_time_limit_and_a_blocking_send_has_none() {
    let answer = json!({"jsonrpc":"2.0","id":1,"result":{"message":{"messageId":"a","role":"ROLE_AGENT","parts":[{"text":"hi"}]}}});
    let server = RawServer::play(vec![
        Act::Hang(String::new()),
        http_answer("200 OK", JSON, &answer.to_string()),
    ]);
    let mut options = options();
    options.call_timeout = Duration::from_millis(50);
    let client = Client::from_card(card(&server.url, "JSONRPC"), options).unwrap();
    assert!(matches!(
        client.get("t", None).await,
        Err(ClientError::TimedOut {
            what: "GetTask",
            ..
        })
    ));
    let request = SendMessageRequest {
        message: Message::user("m", vec![Part::text("go")]),
        ..Default::default()
    };
    assert!(
        matches!(client.send(&request).await.unwrap(), SendMessageResponse::Message(message) if message.text() == "hi")
    );
}

#[tokio::test]
async fn an_answer_above_the_limit_is_refused() {
    let server = RawServer::play(vec![http_answer("200 OK", JSON, &"x".repeat(2000))]);
    let mut options = options();
    options.max_answer_bytes = 1000;
    let client = Client::from_card(card(&server.url, "JSONRPC"), options).unwrap();
    assert!(matches!(
        client.get("t", None).await,
        Err(ClientError::TooLarge { limit: 1000 })
    ));
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_transient() {
    let server = RawServer::play(vec![Act::Refuse]);
    let error = client(&server, "JSONRPC").get("t", None).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { .. }) && error.is_transient(),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = RawServer::play(vec![http_answer(
        "302 Found",
        "location: http://127.0.0.1:1/\r\n",
        "",
    )]);
    let error = client(&server, "JSONRPC").get("t", None).await.unwrap_err();
    assert!(matches!(error, ClientError::Agent(_)), "{error:?}");
}

#[test]
fn a_machine_without_ca_certificates_can_call_its_own_processes() {
    // The environment decides and must not be changed here, so another test of this file runs in a child.
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "client::tests::calls::the_card_is_found_below_the_base",
        ])
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && output.contains("1 passed"),
        "{output}"
    );
}

#[tokio::test]
async fn the_extended_card_replaces_the_card_for_the_session() {
    for binding in ["JSONRPC", "HTTP+JSON"] {
        let extended = AgentCard {
            name: "extended".into(),
            ..AgentCard::default()
        };
        let body = match binding {
            "JSONRPC" => serde_json::json!({"jsonrpc": "2.0", "id": 1, "result": extended}),
            _ => serde_json::json!(extended),
        };
        let server = RawServer::play(vec![http_answer("200 OK", JSON, &body.to_string())]);
        let mut card = card(&server.url, binding);
        let without = Client::from_card(card.clone(), options()).unwrap();
        assert!(matches!(
            without.extended().await,
            Err(ClientError::Agent(A2aError::UnsupportedOperation { .. }))
        ));
        card.capabilities.extended_agent_card = Some(true);
        card.supported_interfaces[0].tenant = "a b".into();
        let client = Client::from_card(card, options()).unwrap();
        let session = client.extended().await.unwrap();
        assert_eq!(session.card().name, "extended");
        assert_eq!(client.card().name, "raw", "who holds the old one keeps it");
        let asked = server.asked();
        match binding {
            "JSONRPC" => assert!(
                asked.ends_with(r#""method":"GetExtendedAgentCard","params":{"tenant":"a b"}}"#),
                "{asked}"
            ),
            _ => assert!(
                asked.starts_with("GET /a%20b/extendedAgentCard HTTP/1.1"),
                "{asked}"
            ),
        }
    }
}

#[cfg(feature = "auth")]
#[tokio::test]
async fn cards_pass_as_the_policy_says() {
    use crate::auth::{CardAlgorithm, CardKey, CardProblem, CardSigner};

    let key = CardKey::generate(CardAlgorithm::EdDsa).unwrap();
    let trust = CardTrust::new(key.jwks());
    let stranger = CardTrust::new(CardKey::generate(CardAlgorithm::EdDsa).unwrap().jwks());
    let signer = CardSigner::new(vec![key]);
    let dummy = Url::parse("http://127.0.0.1:1/").unwrap();
    let mut signed = serde_json::to_value(card(&dummy, "JSONRPC")).unwrap();
    signer.sign_document(&mut signed).unwrap();
    let unsigned = serde_json::to_value(card(&dummy, "JSONRPC"))
        .unwrap()
        .to_string();
    let tampered = signed.to_string().replace("127.0.0.1:1", "127.0.0.1:2");
    let twice = signed.to_string().replacen('{', r#"{"name":"raw","#, 1);
    let signed = signed.to_string();
    let discover = async |body: &str, policy: CardPolicy| {
        let server = RawServer::play(vec![http_answer("200 OK", JSON, body)]);
        let options = ClientOptions {
            card_policy: policy,
            ..options()
        };
        Client::discover(&server.url, options).await.map(drop)
    };
    let required = || CardPolicy::Required(trust.clone());
    let if_present = || CardPolicy::IfPresent(trust.clone());
    for (body, policy) in [
        (&signed, required()),
        (&signed, if_present()),
        (&unsigned, if_present()),
        (&unsigned, CardPolicy::Off),
        (&tampered, CardPolicy::Off),
    ] {
        discover(body, policy).await.unwrap();
    }
    for (body, policy) in [
        (&unsigned, required()),
        (&tampered, required()),
        (&tampered, if_present()),
        (&twice, if_present()),
        (&signed, CardPolicy::IfPresent(stranger.clone())),
    ] {
        let error = discover(body, policy).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted(_)), "{error}");
    }
    assert!(matches!(
        discover(&unsigned, required()).await,
        Err(ClientError::Untrusted(CardProblem::Unsigned))
    ));
    // The extended card is no less to be verified.
    for (body, good) in [(&signed, true), (&tampered, false)] {
        let server = RawServer::play(vec![http_answer("200 OK", JSON, body)]);
        let mut card = card(&server.url, "HTTP+JSON");
        card.capabilities.extended_agent_card = Some(true);
        let options = ClientOptions {
            card_policy: required(),
            ..options()
        };
        let client = Client::from_card(card, options).unwrap();
        assert_eq!(client.extended().await.is_ok(), good);
    }
}

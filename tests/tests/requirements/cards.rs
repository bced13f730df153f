//! The agent card: CARD (A2A §8, §4.4).

use e2e::http::answer;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    errors::Kind,
    kit::{params, state},
    wire::Peer,
    world::{At, Binding, Profile},
};

const WELL_KNOWN: &str = "/.well-known/agent-card.json";

async fn get(peer: &Peer, headers: &[(&str, &str)]) -> Response {
    let request = peer.without("A2A-Version").raw(Method::GET, WELL_KNOWN);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    answer(request).await
}

async fn card(peer: &Peer) -> Value {
    let answer = get(peer, &[]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

requirement!(card_disc_001, card_disc_001_http: Rest);

/// The card is at the well-known address for everybody, as JSON.
async fn card_disc_001(at: At) {
    for profile in [
        Profile::StreamingPush,
        Profile::Minimal,
        Profile::RequiredExtension,
        Profile::ExtendedCard,
    ] {
        let peer = at.profile(profile).await;
        let answer = get(&peer, &[]).await;
        assert_eq!(answer.status(), StatusCode::OK, "{profile:?}");
        assert_eq!(answer.headers()["content-type"], "application/json");
        let card: Value = answer.json().await.unwrap();
        assert!(
            card["name"].as_str().is_some_and(|name| !name.is_empty()),
            "{card}"
        );
        let post = answer_of(&peer, Method::POST).await;
        assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}

async fn answer_of(peer: &Peer, method: Method) -> Response {
    answer(peer.raw(method, WELL_KNOWN)).await
}

requirement!(card_proto_001, card_proto_001_http: Rest);

/// The card names each interface with address, binding and version, and each is served there.
async fn card_proto_001(at: At) {
    let peer = at.peer().await;
    let card = card(&peer).await;
    let interfaces = card["supportedInterfaces"].as_array().unwrap();
    assert!(interfaces.len() >= 2, "{card:#}");
    for interface in interfaces {
        for name in ["url", "protocolBinding", "protocolVersion"] {
            assert!(
                interface[name]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{name}: {interface}"
            );
        }
        let version = interface["protocolVersion"].as_str().unwrap();
        assert!(matches!(version, "1.0" | "0.3"), "{interface}");
        let url = interface["url"].as_str().unwrap();
        let binding = match interface["protocolBinding"].as_str().unwrap() {
            "JSONRPC" => Binding::JsonRpc,
            "HTTP+JSON" => Binding::Rest,
            "GRPC" => continue,
            other => panic!("no binding is called {other}"),
        };
        assert!(url.starts_with("http://"), "{interface}");
        if version == "1.0" {
            let there = Peer::new(url, binding);
            assert_eq!(
                state(&there.task("tck-complete-task-1").await),
                "TASK_STATE_COMPLETED"
            );
        }
    }
}

requirement!(card_proto_002, card_proto_002_http: Rest);

/// The preferred interface comes first, and one of 1.0 before those of older versions.
async fn card_proto_002(at: At) {
    let card = card(&at.peer().await).await;
    let interfaces = card["supportedInterfaces"].as_array().unwrap();
    assert_eq!(interfaces[0]["protocolBinding"], "JSONRPC");
    let versions: Vec<_> = interfaces
        .iter()
        .map(|it| it["protocolVersion"].as_str().unwrap())
        .collect();
    assert!(versions.iter().rev().is_sorted(), "{versions:?}");
    let mut all: Vec<_> = interfaces.iter().map(ToString::to_string).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), interfaces.len(), "each once");
}

requirement!(card_struct_001, card_struct_001_http: Rest);

/// The card has every member that it must have, also the empty ones, of the right kind.
async fn card_struct_001(at: At) {
    for profile in [
        Profile::StreamingPush,
        Profile::Minimal,
        Profile::RequiredExtension,
    ] {
        let card = card(&at.profile(profile).await).await;
        for name in ["name", "description", "version"] {
            assert!(card[name].is_string(), "{name}: {card}");
        }
        for name in [
            "supportedInterfaces",
            "defaultInputModes",
            "defaultOutputModes",
            "skills",
        ] {
            assert!(
                card[name].as_array().is_some_and(|list| !list.is_empty()),
                "{name}: {card}"
            );
        }
        let capabilities = &card["capabilities"];
        let optional = json!(profile != Profile::Minimal);
        assert_eq!(
            (
                &capabilities["streaming"],
                &capabilities["pushNotifications"]
            ),
            (&optional, &optional)
        );
        for skill in card["skills"].as_array().unwrap() {
            for name in ["id", "name", "description"] {
                assert!(
                    skill[name].as_str().is_some_and(|text| !text.is_empty()),
                    "{name}: {skill}"
                );
            }
            assert!(skill["tags"].is_array(), "{skill}");
        }
        for extension in capabilities["extensions"].as_array().into_iter().flatten() {
            assert!(extension["uri"].is_string(), "{extension}");
        }
    }
}

requirement!(card_cache_001, card_cache_001_http: Rest);

/// The card says for how long it may be kept.
async fn card_cache_001(at: At) {
    let peer = at.peer().await;
    let answer = get(&peer, &[]).await;
    let header = answer.headers()["cache-control"].to_str().unwrap();
    let age = header
        .split(", ")
        .find_map(|part| part.strip_prefix("max-age="));
    assert!(
        age.and_then(|age| age.parse::<u32>().ok())
            .is_some_and(|age| age > 0),
        "{header}"
    );
}

requirement!(card_cache_002, card_cache_002_http: Rest);

/// The card has an ETag, the same as long as the card is the same, and a client that has it gets 304.
async fn card_cache_002(at: At) {
    let peer = at.peer().await;
    let answer = get(&peer, &[]).await;
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    assert!(
        tag.starts_with('"') && tag.ends_with('"') && tag.len() > 4,
        "{tag}"
    );
    assert_eq!(get(&peer, &[]).await.headers()["etag"], *tag);
    for known in [
        &*tag,
        "*",
        &format!("\"other\", {tag}"),
        &format!("W/{tag}"),
    ] {
        let answer = get(&peer, &[("If-None-Match", known)]).await;
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(answer.headers()["etag"], *tag);
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    let other = get(&peer, &[("If-None-Match", "\"other\"")]).await;
    assert_eq!(other.status(), StatusCode::OK);
    let elsewhere = at.profile(Profile::Minimal).await;
    assert_ne!(
        get(&elsewhere, &[]).await.headers()["etag"],
        *tag,
        "another card has another tag"
    );
}

requirement!(card_cache_003, card_cache_003_http: Rest);

/// The card says since when it is as it is, and a client that has it since gets 304.
async fn card_cache_003(at: At) {
    let peer = at.peer().await;
    let answer = get(&peer, &[]).await;
    let since = answer.headers()["last-modified"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(since.ends_with(" GMT"), "{since}");
    let answer = get(&peer, &[("If-Modified-Since", &since)]).await;
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
    let old = "Wed, 01 Jan 2020 00:00:00 GMT";
    assert_eq!(
        get(&peer, &[("If-Modified-Since", old)]).await.status(),
        StatusCode::OK
    );
    let both = [
        ("If-Modified-Since", &*since),
        ("If-None-Match", "\"other\""),
    ];
    assert_eq!(
        get(&peer, &both).await.status(),
        StatusCode::OK,
        "an ETag rules over a date"
    );
}

requirement!(card_ext_001, card_ext_001_jsonrpc: JsonRpc, card_ext_001_rest: Rest, card_ext_001_grpc: Grpc);

/// A card that declares an extended one has it; one that does not refuses.
async fn card_ext_001(at: At) {
    let peer = at.profile(Profile::ExtendedCard).await;
    let public = card(&peer).await;
    assert_eq!(public["capabilities"]["extendedAgentCard"], true);
    let extended = peer.ok("GetExtendedAgentCard", json!({})).await;
    assert_eq!(
        (&extended["name"], &extended["version"]),
        (&public["name"], &public["version"])
    );
    let plain = at.peer().await;
    assert_eq!(
        card(&plain).await["capabilities"]["extendedAgentCard"],
        false
    );
    plain
        .refuses("GetExtendedAgentCard", json!({}), Kind::Unsupported)
        .await;
}

requirement!(card_ext_002, card_ext_002_jsonrpc: JsonRpc, card_ext_002_rest: Rest, card_ext_002_grpc: Grpc);

/// The extended card is a whole card that tells more than the public one, and its interfaces serve.
async fn card_ext_002(at: At) {
    let peer = at.profile(Profile::ExtendedCard).await;
    let public = card(&peer).await;
    let extended = peer.ok("GetExtendedAgentCard", json!({})).await;
    let skills = |card: &Value| card["skills"].as_array().unwrap().clone();
    assert!(
        skills(&extended).len() > skills(&public).len(),
        "{extended:#}"
    );
    for skill in skills(&public) {
        assert!(
            skills(&extended).contains(&skill),
            "nothing is taken away: {skill}"
        );
    }
    let url = extended["supportedInterfaces"][0]["url"].as_str().unwrap();
    let there = Peer::new(url, Binding::JsonRpc);
    there
        .ok("SendMessage", params("tck-complete-task-1", "hello"))
        .await;
}

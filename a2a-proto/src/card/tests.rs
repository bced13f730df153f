//! The shapes of the card for older readers, and its validators.

use std::collections::BTreeMap;

use pretty_assertions::assert_eq;

use super::*;
use crate::types::{
    AgentInterface, AgentSkill, HTTPAuthSecurityScheme, SecurityRequirement, StringList,
};

fn card(version: &str) -> AgentCard {
    let interface = |binding: &str, version: &str| AgentInterface {
        url: "http://h:1/".into(),
        protocol_binding: binding.into(),
        protocol_version: version.into(),
        ..AgentInterface::default()
    };
    let bearer = HTTPAuthSecurityScheme {
        scheme: "Bearer".into(),
        ..HTTPAuthSecurityScheme::default()
    };
    AgentCard {
        name: "w".into(),
        version: "1.2.3".into(),
        supported_interfaces: vec![interface("JSONRPC", "1.0"), interface("JSONRPC", version)],
        security_schemes: BTreeMap::from([("bearer".to_owned(), bearer.into())]),
        security_requirements: vec![SecurityRequirement {
            schemes: BTreeMap::from([("bearer".to_owned(), StringList::default())]),
        }],
        skills: vec![AgentSkill {
            id: "code".into(),
            name: "Code".into(),
            ..AgentSkill::default()
        }],
        ..AgentCard::default()
    }
}

#[test]
fn members_of_0_3_appear_only_with_an_interface_of_0_3() {
    assert_eq!(
        hybrid(&card("1.0")),
        serde_json::to_value(card("1.0")).unwrap()
    );
    let json = hybrid(&card("0.3"));
    assert_eq!(json["protocolVersion"], "0.3.0");
    assert_eq!(json["url"], "http://h:1/");
    assert_eq!(json["preferredTransport"], "JSONRPC");
    assert_eq!(
        json["additionalInterfaces"],
        json!([{"url":"http://h:1/","transport":"JSONRPC"}])
    );
    assert_eq!(json["security"], json!([{"bearer":[]}]));
    assert_eq!(
        json["securitySchemes"]["bearer"],
        json!({"type":"http","scheme":"Bearer","httpAuthSecurityScheme":{"scheme":"Bearer"}})
    );
    let read: AgentCard = serde_json::from_value(json).unwrap();
    assert_eq!(read, card("0.3"), "a reader of 1.0 sees the same card");
    let whole = AgentCard {
        supported_interfaces: interfaces("https://h", true),
        ..card("0.3")
    };
    let grpc = json!({"url":"https://h:443","transport":"GRPC"});
    let listed = hybrid(&whole)["additionalInterfaces"].clone();
    assert!(listed.as_array().unwrap().contains(&grpc), "{listed}");
}

#[test]
fn the_old_card_has_what_old_clients_read() {
    let old = json!({"name":"w","description":"","url":"http://h:1/","version":"1.2.3",
        "authentication":{"schemes":["Bearer"]},
        "securitySchemes":{"bearer":{"type":"http","scheme":"Bearer"}},"security":[{"bearer":[]}],
        "capabilities":{"streaming":false,"pushNotifications":false,"stateTransitionHistory":false},
        "defaultInputModes":[],"defaultOutputModes":[],
        "skills":[{"id":"code","name":"Code","description":"","tags":[]}]});
    assert_eq!(legacy(&card("1.0")), old);
    let mut with_v03 = old;
    with_v03["protocolVersion"] = json!("0.3.0");
    with_v03["preferredTransport"] = json!("JSONRPC");
    with_v03["additionalInterfaces"] = json!([{"url":"http://h:1/","transport":"JSONRPC"}]);
    assert_eq!(legacy(&card("0.3")), with_v03);
}

#[test]
fn a_card_of_any_version_is_read() {
    let interfaces = |json: &Value| {
        let card = read(json.to_string().as_bytes()).unwrap();
        card.supported_interfaces
            .into_iter()
            .map(|it| format!("{} {} {}", it.protocol_version, it.protocol_binding, it.url))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        interfaces(&hybrid(&card("0.3"))),
        ["1.0 JSONRPC http://h:1/", "0.3 JSONRPC http://h:1/"]
    );
    assert_eq!(
        interfaces(&legacy(&card("0.3"))),
        ["0.3 JSONRPC http://h:1/"]
    );
    assert_eq!(
        interfaces(&legacy(&card("1.0"))),
        ["0.1 JSONRPC http://h:1/"]
    );
    assert_eq!(
        interfaces(
            &json!({"name": "a", "url": "http://h/", "version": "1", "protocolVersion": "0.2.5",
            "preferredTransport": "HTTP+JSON", "capabilities": {}, "skills": [], "defaultInputModes": [],
            "defaultOutputModes": [], "description": "",
            "additionalInterfaces": [{"url": "http://h/rpc", "transport": "JSONRPC"}]})
        ),
        ["0.2 HTTP+JSON http://h/", "0.2 JSONRPC http://h/rpc"]
    );
    assert_eq!(read(b"[]").unwrap_err().code(), -32602);
    assert_eq!(read(b"{").unwrap_err().code(), -32700);
}

#[test]
fn validators_tell_a_current_copy() {
    let modified: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
    let served = ServedCard::new(&hybrid(&card("1.0")), modified, Duration::from_secs(60));
    let headers = served.headers();
    assert_eq!(headers[LAST_MODIFIED], "Fri, 02 Jan 2026 03:04:05 GMT");
    assert_eq!(headers[CACHE_CONTROL], "public, max-age=60");
    let other = ServedCard::new(&hybrid(&card("0.3")), modified, Duration::from_secs(60));
    assert_ne!(headers[ETAG], other.headers()[ETAG]);

    let asks = |name: http::HeaderName, value: &str| {
        let mut request = HeaderMap::new();
        request.insert(name, HeaderValue::from_str(value).unwrap());
        served.is_current(&request)
    };
    let etag = headers[ETAG].to_str().unwrap();
    assert!(!served.is_current(&HeaderMap::new()));
    assert!(asks(IF_NONE_MATCH, etag));
    assert!(asks(IF_NONE_MATCH, &format!("\"x\", W/{etag}")));
    assert!(asks(IF_NONE_MATCH, "*"));
    assert!(!asks(IF_NONE_MATCH, "\"x\""));
    assert!(asks(IF_MODIFIED_SINCE, "Fri, 02 Jan 2026 03:04:05 GMT"));
    assert!(!asks(IF_MODIFIED_SINCE, "Fri, 02 Jan 2026 03:04:04 GMT"));
    assert!(!asks(IF_MODIFIED_SINCE, "yesterday"));
}

#[test]
fn the_interfaces_of_our_server_name_1_0_first_and_grpc_without_a_scheme() {
    let listed = |base: &str, grpc| {
        interfaces(base, grpc)
            .into_iter()
            .map(|it| format!("{} {} {}", it.protocol_version, it.protocol_binding, it.url))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        listed("http://h:1/", true),
        [
            "1.0 JSONRPC http://h:1/",
            "1.0 HTTP+JSON http://h:1",
            "1.0 GRPC h:1",
            "0.3 JSONRPC http://h:1/",
            "0.3 HTTP+JSON http://h:1",
            "0.3 GRPC h:1",
        ]
    );
    assert_eq!(listed("https://h", false).len(), 4);
    assert_eq!(listed("https://h/below", true)[2], "1.0 GRPC h:443");
    assert_eq!(listed("http://[::1]:80", true)[2], "1.0 GRPC [::1]:80");
}

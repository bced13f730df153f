//! What is served for discovery (A2A §8): the card with the members that readers of other versions look for, the older card
//! at `/.well-known/agent.json`, and the validators (ETag, Last-Modified) that let a client keep its copy. Members of
//! another version are added only when the card declares an interface of it: a card must not promise what nobody
//! serves.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::types::{AgentCard, AgentInterface, SecurityScheme};
use crate::version::ProtocolVersion;

/// Where the card is (A2A §8.2, RFC 8615).
pub const WELL_KNOWN: &str = "/.well-known/agent-card.json";
/// Where it was before version 0.3.
pub const WELL_KNOWN_OLD: &str = "/.well-known/agent.json";

/// The interfaces of an agent that is served by this crate's server at `base` (`http://host:port`, with or without a path
/// or a slash at the end): every binding of 1.0 first, the preferred one foremost, then those of 0.3. `grpc` says
/// whether gRPC is served on the same port.
pub fn interfaces(base: &str, grpc: bool) -> Vec<AgentInterface> {
    let base = base.trim_end_matches('/');
    // 1.0 names host and port only; readers of 0.3 insist on a scheme.
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest);
    let bindings = |version: ProtocolVersion, grpc_url: &str| {
        let mut bindings = vec![
            ("JSONRPC", format!("{base}/")),
            ("HTTP+JSON", base.to_owned()),
        ];
        if grpc {
            bindings.push(("GRPC", grpc_url.to_owned()));
        }
        bindings
            .into_iter()
            .map(move |(binding, url)| AgentInterface {
                url,
                protocol_binding: binding.to_owned(),
                protocol_version: version.as_str().to_owned(),
                ..AgentInterface::default()
            })
    };
    bindings(ProtocolVersion::V1_0, authority)
        .chain(bindings(ProtocolVersion::V0_3, base))
        .collect()
}

/// The card for readers of 1.0, with the members of 0.3 beside them when it declares an interface of 0.3.
pub fn hybrid(card: &AgentCard) -> Value {
    let mut json = to_json(card);
    let old: Vec<_> = card
        .supported_interfaces
        .iter()
        .filter(|it| it.protocol_version.starts_with("0.3"))
        .collect();
    let Some(preferred) = old.first() else {
        return json;
    };
    json["protocolVersion"] = json!("0.3.0");
    json["url"] = json!(preferred.url);
    json["preferredTransport"] = json!(preferred.protocol_binding);
    let interfaces = old
        .iter()
        .map(|it| json!({"url": it.url, "transport": it.protocol_binding}));
    json["additionalInterfaces"] = interfaces.collect();
    json["supportsAuthenticatedExtendedCard"] =
        json!(card.capabilities.extended_agent_card == Some(true));
    let requirements = card.security_requirements.iter().map(|requirement| {
        let schemes = requirement
            .schemes
            .iter()
            .map(|(name, scopes)| (name.clone(), json!(scopes.list)));
        Value::Object(schemes.collect())
    });
    json["security"] = requirements.collect();
    // Both key sets: a reader of 0.3 goes by `type`, and takes a scheme without one for mutual TLS.
    for (name, scheme) in &card.security_schemes {
        if let (Some(scheme_json), Value::Object(old)) = (
            json["securitySchemes"][name].as_object_mut(),
            scheme_0_3(scheme),
        ) {
            scheme_json.extend(old);
        }
    }
    json
}

fn scheme_0_3(scheme: &SecurityScheme) -> Value {
    let (kind, mut body) = match scheme {
        SecurityScheme::ApiKey(scheme) => {
            return json!({"type": "apiKey", "in": scheme.location, "name": scheme.name});
        }
        SecurityScheme::HttpAuth(scheme) => ("http", to_json(scheme)),
        // The one flow of 1.0 is a map with one entry, as 0.3 has it.
        SecurityScheme::OAuth2(scheme) => ("oauth2", to_json(scheme)),
        SecurityScheme::OpenIdConnect(scheme) => ("openIdConnect", to_json(scheme)),
        SecurityScheme::MutualTls(scheme) => ("mutualTLS", to_json(scheme)),
    };
    body["type"] = json!(kind);
    body
}

/// The card in the shape of v0.1 and v0.2, which simple clients read.
pub fn legacy(card: &AgentCard) -> Value {
    let url = card
        .supported_interfaces
        .iter()
        .map(|it| it.url.as_str())
        .find(|url| url.starts_with("http"));
    let mut schemes: Vec<_> = card
        .security_schemes
        .values()
        .filter_map(scheme_name)
        .collect();
    schemes.dedup();
    let skills = card.skills.iter().map(|skill| {
        let mut skill = to_json(skill);
        if let Some(members) = skill.as_object_mut() {
            members.remove("securityRequirements");
        }
        skill
    });
    let mut json = Map::new();
    json.insert("name".into(), json!(card.name));
    json.insert("description".into(), json!(card.description));
    json.insert("url".into(), json!(url.unwrap_or_default()));
    json.insert("version".into(), json!(card.version));
    let optional = [
        ("provider", card.provider.as_ref().map(to_json)),
        (
            "documentationUrl",
            card.documentation_url.as_ref().map(|url| json!(url)),
        ),
        (
            "authentication",
            (!schemes.is_empty()).then(|| json!({"schemes": schemes})),
        ),
    ];
    json.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))),
    );
    json.insert(
        "capabilities".into(),
        json!({
            "streaming": card.capabilities.streaming.unwrap_or(false),
            "pushNotifications": card.capabilities.push_notifications.unwrap_or(false),
            "stateTransitionHistory": false,
        }),
    );
    json.insert("defaultInputModes".into(), json!(card.default_input_modes));
    json.insert(
        "defaultOutputModes".into(),
        json!(card.default_output_modes),
    );
    json.insert("skills".into(), skills.collect());
    Value::Object(json)
}

/// The name of the scheme in an `Authorization` header; v0.1 knows only those.
fn scheme_name(scheme: &SecurityScheme) -> Option<String> {
    match scheme {
        SecurityScheme::HttpAuth(scheme) => Some(scheme.scheme.clone()),
        SecurityScheme::OAuth2(_) | SecurityScheme::OpenIdConnect(_) => Some("Bearer".to_owned()),
        SecurityScheme::ApiKey(_) | SecurityScheme::MutualTls(_) => None,
    }
}

fn to_json(value: &impl serde::Serialize) -> Value {
    // Plain data with string keys: this always becomes JSON.
    serde_json::to_value(value).unwrap_or_default()
}

/// A card ready to be served: serialized once, with its validators.
#[derive(Debug, Clone)]
pub struct ServedCard {
    /// The JSON.
    pub body: Bytes,
    etag: HeaderValue,
    last_modified: HeaderValue,
    cache_control: HeaderValue,
    modified: Timestamp,
}

impl ServedCard {
    /// A card that is as it is since `modified`, and that a client may use for `max_age` without asking again.
    pub fn new(card: &Value, modified: Timestamp, max_age: Duration) -> Self {
        let body = Bytes::from(card.to_string());
        // A validator, not a signature: a 64-bit hash and the length tell two cards of one server apart.
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let header = |text: String| {
            HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
        };
        Self {
            etag: header(format!("\"{:016x}-{:x}\"", hasher.finish(), body.len())),
            last_modified: header(modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
            cache_control: header(format!("public, max-age={}", max_age.as_secs())),
            body,
            modified,
        }
    }

    /// `ETag`, `Last-Modified` and `Cache-Control`, for the answer with the body and for the one without.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, self.etag.clone());
        headers.insert(LAST_MODIFIED, self.last_modified.clone());
        headers.insert(CACHE_CONTROL, self.cache_control.clone());
        headers
    }

    /// Whether the client's copy is current, so that 304 is the answer (RFC 9110 §13.1: an ETag rules over a date).
    pub fn is_current(&self, request: &HeaderMap) -> bool {
        let mut tags = request
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .peekable();
        if tags.peek().is_some() {
            let mut tags = tags.flat_map(|list| list.split(',')).map(str::trim);
            return tags.any(|tag| {
                tag == "*"
                    || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.etag.as_bytes()
            });
        }
        let since = request
            .get(IF_MODIFIED_SINCE)
            .and_then(|value| value.to_str().ok());
        let since = since.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
        since.is_some_and(|since| self.modified.as_second() <= since.timestamp().as_second())
    }
}

#[cfg(test)]
mod tests;

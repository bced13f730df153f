//! What is served for discovery (A2A §8): the card with the members that readers of other versions look for, the older card
//! at `/.well-known/agent.json`, and the validators (ETag, Last-Modified) that let a client keep its copy. Members of
//! another version are added only when the card declares an interface of it: a card must not promise what nobody
//! serves. Also the way back: [`read`] takes a card of any version.

mod extended;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::extended::ExtendedCard;
use crate::dialect::v03;
use crate::error::A2aError;
use crate::types::{self, AgentCard, AgentInterface, SecurityScheme};
use crate::version::ProtocolVersion;

/// Where the card is (A2A §8.2, RFC 8615).
pub const WELL_KNOWN: &str = "/.well-known/agent-card.json";
/// Where it was before version 0.3.
pub const WELL_KNOWN_OLD: &str = "/.well-known/agent.json";

/// Whether this build serves gRPC, for [`interfaces`].
pub const GRPC: bool = cfg!(feature = "grpc");

/// The interfaces of an agent that is served by this crate's server at `base` (`http://host:port`, with or without a path
/// or a slash at the end): every binding of 1.0 first, the preferred one foremost, then those of 0.3. `grpc` says
/// whether gRPC is served on the same port.
pub fn interfaces(base: &str, grpc: bool) -> Vec<AgentInterface> {
    let base = base.trim_end_matches('/');
    // Host and port only: the SDKs that read this list hand it to their gRPC library as it is, for both versions.
    let authority = authority(base);
    let bindings = |version: ProtocolVersion| {
        let mut bindings = vec![
            ("JSONRPC", format!("{base}/")),
            ("HTTP+JSON", base.to_owned()),
        ];
        if grpc {
            bindings.push(("GRPC", authority.clone()));
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
    bindings(ProtocolVersion::V1_0)
        .chain(bindings(ProtocolVersion::V0_3))
        .collect()
}

/// `host:port` of an address; a path has no place in it, and the port of the scheme must be said.
fn authority(base: &str) -> String {
    let url = url::Url::parse(base).ok();
    let parts = url
        .as_ref()
        .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    parts.map_or_else(|| base.to_owned(), |(host, port)| format!("{host}:{port}"))
}

/// The card for readers of 1.0 alone.
pub fn pure(card: &AgentCard) -> Value {
    to_json(card)
}

/// The card for readers of 1.0, with the members of 0.3 beside them when it declares an interface of 0.3. Where both have a
/// member of the same name it gets the members of both: a reader of 0.3 goes by the `type` of a security scheme, and
/// takes one without for mutual TLS.
pub fn hybrid(card: &AgentCard) -> Value {
    let mut json = to_json(card);
    if declares_v03(card) {
        merge(&mut json, to_json(&older(card)));
        // Readers of 0.3 are told even if it is the default.
        json["supportsAuthenticatedExtendedCard"] =
            json!(card.capabilities.extended_agent_card == Some(true));
    }
    json
}

fn declares_v03(card: &AgentCard) -> bool {
    card.supported_interfaces
        .iter()
        .any(|it| ProtocolVersion::from_text(&it.protocol_version) == Some(ProtocolVersion::V0_3))
}

/// Adds to `json` what only `other` has, in objects and in lists of the same length.
fn merge(json: &mut Value, other: Value) {
    match (json, other) {
        (Value::Object(members), Value::Object(others)) => {
            for (name, other) in others {
                match members.get_mut(&name) {
                    Some(member) => merge(member, other),
                    None => {
                        members.insert(name, other);
                    }
                }
            }
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            for (item, other) in items.iter_mut().zip(others) {
                merge(item, other);
            }
        }
        _ => {}
    }
}

/// The card of 0.3. Its readers insist on a scheme for every address, so gRPC gets that of the card's own.
fn older(card: &AgentCard) -> v03::AgentCard {
    let mut old = v03::AgentCard::from(card.clone());
    let scheme = old
        .url
        .split_once("://")
        .map_or("http", |(scheme, _)| scheme);
    for interface in &mut old.additional_interfaces {
        if interface.transport == "GRPC" && !interface.url.contains("://") {
            interface.url = format!("{scheme}://{}", interface.url);
        }
    }
    old
}

/// The card at the old path, in the shape of 0.2 with what 0.1 has besides. Both know one address, that of JSON-RPC.
/// Signatures are left out: they are over the members of 1.0.
pub fn legacy(card: &AgentCard) -> Value {
    let old = v03::AgentCard {
        signatures: Vec::new(),
        ..older(card)
    };
    let url = old.url.clone();
    let json_rpc = old
        .additional_interfaces
        .iter()
        .find(|it| it.transport == "JSONRPC");
    let url = json_rpc.map_or(url, |it| it.url.clone());
    let mut json = to_json(&old);
    json["url"] = json!(url);
    if let Some(transport) = json.get_mut("preferredTransport") {
        *transport = json!("JSONRPC");
    }
    let capabilities = &mut json["capabilities"];
    for name in ["streaming", "pushNotifications", "stateTransitionHistory"] {
        if capabilities[name].is_null() {
            capabilities[name] = json!(false);
        }
    }
    let mut schemes: Vec<_> = card
        .security_schemes
        .values()
        .filter_map(scheme_name)
        .collect();
    schemes.dedup();
    if !schemes.is_empty() {
        json["authentication"] = json!({"schemes": schemes});
    }
    json
}

/// The name of the scheme in an `Authorization` header; v0.1 knows only those.
fn scheme_name(scheme: &SecurityScheme) -> Option<String> {
    match scheme {
        SecurityScheme::HttpAuth(scheme) => Some(scheme.scheme.clone()),
        SecurityScheme::OAuth2(_) | SecurityScheme::OpenIdConnect(_) => Some("Bearer".to_owned()),
        SecurityScheme::ApiKey(_) | SecurityScheme::MutualTls(_) => None,
    }
}

/// Reads a card of whatever version. One of 1.0 lists its interfaces. Of those before, one that names no version and has
/// the member `authentication` is of 0.1; the others are of 0.3 or 0.2, which are the same to us.
///
/// # Errors
/// [`A2aError::ParseError`] or [`A2aError::InvalidParams`] when it is none.
pub fn read(json: &[u8]) -> Result<AgentCard, A2aError> {
    let card: Value = types::from_slice(json)?;
    let has = |name: &str| card.get(name).is_some_and(|member| !member.is_null());
    if has("supportedInterfaces") || !has("url") {
        return types::from_slice(json);
    }
    let version = if has("authentication") && !has("protocolVersion") && !has("preferredTransport")
    {
        ProtocolVersion::V0_1
    } else {
        ProtocolVersion::V0_3
    };
    let card: v03::AgentCard = types::from_slice(json)?;
    Ok(card.into_card(version))
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

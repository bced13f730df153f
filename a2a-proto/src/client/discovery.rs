//! Finding out how to talk to an agent: its card, and the first interface of the card that we speak (A2A §8.3).

use bytes::Bytes;
use reqwest::header::ACCEPT;
use url::Url;

use super::older::Older;
use super::{Binding, ClientError, ClientOptions, http, invalid, retry};
use crate::error::A2aError;
use crate::types::{AgentCard, AgentInterface};
use crate::version::ProtocolVersion;
use crate::{card, version};

/// A card is small; one above this is not a card.
const MAX_CARD_BYTES: usize = 1024 * 1024;

/// Where and how the agent is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Interface {
    /// JSON-RPC at this address.
    JsonRpc { url: Url, tenant: String },
    /// HTTP+JSON below this address.
    HttpJson { base: Url, tenant: String },
    /// gRPC at this address.
    #[cfg(feature = "grpc")]
    Grpc(super::grpc::Address),
    /// An older version.
    Older(Older),
}

impl Interface {
    /// Whether the client makes the ids of push configurations: in 0.3 they are part of a resource's name.
    pub(super) fn clients_name_push_configs(&self) -> bool {
        match self {
            Self::JsonRpc { .. } | Self::HttpJson { .. } => false,
            #[cfg(feature = "grpc")]
            Self::Grpc(address) => address.version == ProtocolVersion::V0_3,
            Self::Older(older) => older.names_push_configs(),
        }
    }
}

/// The card of the agent at `base`, in whatever version it is. Agents before 0.3 have it at another path.
pub(super) async fn fetch(base: &Url, options: &ClientOptions) -> Result<AgentCard, ClientError> {
    let tries = retry::retrying(&options.retry, || async {
        match fetch_card_bytes(&below(base, card::WELL_KNOWN)?, options).await {
            Err(ClientError::Agent(A2aError::MethodNotFound { method })) => {
                let old = fetch_card_bytes(&below(base, card::WELL_KNOWN_OLD)?, options).await;
                // If there is none either, the present path is the one to complain about.
                old.map_err(|_| A2aError::MethodNotFound { method }.into())
            }
            card => card,
        }
    });
    let limit = options.call_timeout;
    let body = tokio::time::timeout(limit, tries)
        .await
        .unwrap_or(Err(ClientError::TimedOut {
            what: "for its card",
            limit,
        }))?;
    accept(&body, options).await
}

/// The card in these bytes, in whatever version it is, if the options let it pass.
pub(super) async fn accept(body: &[u8], options: &ClientOptions) -> Result<AgentCard, ClientError> {
    #[cfg(feature = "auth")]
    super::trust::check(body, options).await?;
    #[cfg(not(feature = "auth"))]
    let _ = options;
    card::read(body).map_err(|error| invalid(&format!("the agent card: {error}")))
}

/// The card at exactly this address, as it came: for whoever wants more of it than a client does.
///
/// # Errors
/// [`ClientError::Agent`] when the server refuses; another one when it cannot be reached.
pub async fn fetch_card_bytes(url: &Url, options: &ClientOptions) -> Result<Bytes, ClientError> {
    fetch_json(url, options, "for its card").await
}

/// A public JSON document of moderate size.
pub(super) async fn fetch_json(
    url: &Url,
    options: &ClientOptions,
    what: &'static str,
) -> Result<Bytes, ClientError> {
    let call = async {
        let request = options
            .http
            .get(url.clone())
            .header(ACCEPT, "application/a2a+json, application/json")
            .header(version::VERSION_HEADER, version::CURRENT);
        let response = request
            .send()
            .await
            .map_err(|source| ClientError::Unreachable { source })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = http::read_body(response, MAX_CARD_BYTES).await?;
        if !status.is_success() {
            return Err(A2aError::from_http(status, &headers, &body).into());
        }
        Ok(body)
    };
    let limit = options.call_timeout;
    tokio::time::timeout(limit, call)
        .await
        .unwrap_or(Err(ClientError::TimedOut { what, limit }))
}

/// `path` below `base`, whatever query or trailing slash the base has.
pub(super) fn below(base: &Url, path: &str) -> Result<Url, ClientError> {
    let mut url = base.clone();
    // Such a segment, which only a stranger's id can be, would be taken for a way upwards: there is no other way to write it.
    let upwards = path.split('/').any(|segment| matches!(segment, "." | ".."));
    if url.cannot_be_a_base() || upwards {
        return Err(ClientError::BadUrl {
            url: format!("{base}{path}"),
        });
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

pub(super) fn choose(card: &AgentCard, options: &ClientOptions) -> Result<Interface, ClientError> {
    let wanted = |binding: Binding| options.binding.is_none_or(|only| only == binding);
    for interface in &card.supported_interfaces {
        if let Some(older) = Older::of(interface).filter(|(binding, _)| wanted(*binding)) {
            return older.1.map(Interface::Older);
        }
        let AgentInterface {
            url,
            protocol_binding,
            tenant,
            protocol_version,
        } = interface;
        let Some(version @ (ProtocolVersion::V1_0 | ProtocolVersion::V0_3)) =
            ProtocolVersion::from_text(protocol_version)
        else {
            continue;
        };
        let current = version == ProtocolVersion::V1_0;
        let parse = || Url::parse(url).map_err(|_| ClientError::BadUrl { url: url.clone() });
        let tenant = tenant.clone();
        match protocol_binding.as_str() {
            "JSONRPC" if current && wanted(Binding::JsonRpc) => {
                return Ok(Interface::JsonRpc {
                    url: parse()?,
                    tenant,
                });
            }
            "HTTP+JSON" if current && wanted(Binding::HttpJson) => {
                return Ok(Interface::HttpJson {
                    base: parse()?,
                    tenant,
                });
            }
            #[cfg(feature = "grpc")]
            "GRPC" if wanted(Binding::Grpc) => {
                let address = super::grpc::Address::parse(url, version, tenant)?;
                return Ok(Interface::Grpc(address));
            }
            _ => {}
        }
    }
    let offered = card
        .supported_interfaces
        .iter()
        .map(|it| format!("{} {}", it.protocol_binding, it.protocol_version));
    let offered = offered.collect::<Vec<_>>().join(", ");
    Err(ClientError::NoInterface {
        offered: if offered.is_empty() {
            "none at all".to_owned()
        } else {
            offered
        },
    })
}

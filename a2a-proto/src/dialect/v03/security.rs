//! How a card of 0.3 says what callers must show: schemes told apart by their `type`, in the manner of OpenAPI. An OAuth 2
//! scheme of 0.3 can have several flows, one of 1.0 has one: the others become schemes of their own under the name
//! `scheme.flow`, which a requirement may name instead; on the way back they are put together again.

use std::collections::BTreeMap;

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::types::declare::message;
use crate::types::protojson::Value;
use crate::types::validate::no_rules;
use crate::types::{
    self, APIKeySecurityScheme, AuthorizationCodeOAuthFlow, ClientCredentialsOAuthFlow,
    DeviceCodeOAuthFlow, HTTPAuthSecurityScheme, ImplicitOAuthFlow, MutualTlsSecurityScheme,
    OAuth2SecurityScheme, OpenIdConnectSecurityScheme, PasswordOAuthFlow, StringList,
};

message! {
    /// The flows of an OAuth 2 scheme.
    pub struct OAuthFlows {
        /// Authorization code.
        pub authorization_code: Option<AuthorizationCodeOAuthFlow> = "authorizationCode",
        /// Client credentials.
        pub client_credentials: Option<ClientCredentialsOAuthFlow> = "clientCredentials",
        /// Device code; came with 1.0, and readers of 0.3 skip it.
        pub device_code: Option<DeviceCodeOAuthFlow> = "deviceCode",
        /// Implicit.
        pub implicit: Option<ImplicitOAuthFlow> = "implicit",
        /// Resource owner password.
        pub password: Option<PasswordOAuthFlow> = "password",
    }
}

message! {
    /// One way to authenticate. Which members count depends on the type.
    pub struct SecurityScheme {
        /// `apiKey`, `http`, `oauth2`, `openIdConnect` or `mutualTLS`.
        pub kind: String = "type" [always],
        /// A description for people.
        pub description: String = "description",
        /// Of `apiKey`: `query`, `header` or `cookie`.
        pub location: String = "in",
        /// Of `apiKey`: the name of the header, parameter or cookie.
        pub name: String = "name",
        /// Of `http`: an IANA scheme such as `Bearer`.
        pub scheme: String = "scheme",
        /// Of `http`: what the bearer token looks like.
        pub bearer_format: String = "bearerFormat",
        /// Of `oauth2`: the flows.
        pub flows: Option<OAuthFlows> = "flows",
        /// Of `oauth2`: the authorization server's metadata (RFC 8414).
        pub oauth2_metadata_url: String = "oauth2MetadataUrl",
        /// Of `openIdConnect`: the discovery document.
        pub open_id_connect_url: String = "openIdConnectUrl",
    }
}
no_rules!(OAuthFlows, SecurityScheme);

/// Schemes that are needed together, each with its scopes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SecurityRequirement(pub BTreeMap<String, Vec<String>>);

impl Value for SecurityRequirement {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
}

#[cfg(test)]
impl types::tests::Sample for SecurityRequirement {
    fn sample(random: &mut types::tests::Random) -> Self {
        Self(types::tests::Sample::sample(random))
    }
}

type Schemes = BTreeMap<String, SecurityScheme>;
type CoreSchemes = BTreeMap<String, types::SecurityScheme>;

/// The schemes of 1.0, and which of them are further flows of which.
pub(super) fn schemes_in(schemes: Schemes) -> (CoreSchemes, Vec<(String, String)>) {
    let (mut converted, mut further) = (CoreSchemes::new(), Vec::new());
    for (name, scheme) in schemes {
        let description = scheme.description;
        let scheme: types::SecurityScheme = match scheme.kind.as_str() {
            "apiKey" => APIKeySecurityScheme {
                description,
                location: scheme.location,
                name: scheme.name,
            }
            .into(),
            "http" => HTTPAuthSecurityScheme {
                description,
                scheme: scheme.scheme,
                bearer_format: scheme.bearer_format,
            }
            .into(),
            "openIdConnect" => OpenIdConnectSecurityScheme {
                description,
                open_id_connect_url: scheme.open_id_connect_url,
            }
            .into(),
            "mutualTLS" => MutualTlsSecurityScheme { description }.into(),
            "oauth2" => {
                let mut flows = flows_in(scheme.flows.unwrap_or_default()).into_iter();
                let oauth = |flow| OAuth2SecurityScheme {
                    description: description.clone(),
                    flows: flow,
                    oauth2_metadata_url: scheme.oauth2_metadata_url.clone(),
                };
                let first = oauth(flows.next());
                for flow in flows {
                    let own = format!("{name}.{}", flow_name(&flow));
                    further.push((name.clone(), own.clone()));
                    converted.insert(own, oauth(Some(flow)).into());
                }
                first.into()
            }
            // A type of another version: nobody here could use it.
            _ => continue,
        };
        converted.insert(name, scheme);
    }
    (converted, further)
}

/// The requirements of 1.0. One that names a scheme with several flows is met by any of them.
pub(super) fn requirements_in(
    requirements: Vec<SecurityRequirement>,
    further: &[(String, String)],
) -> Vec<types::SecurityRequirement> {
    let mut converted = Vec::with_capacity(requirements.len());
    for SecurityRequirement(schemes) in requirements {
        let alternatives: Vec<_> = further
            .iter()
            .filter_map(|(scheme, own)| {
                let mut other = schemes.clone();
                let scopes = other.remove(scheme)?;
                other.insert(own.clone(), scopes);
                Some(other)
            })
            .collect();
        for schemes in std::iter::once(schemes).chain(alternatives) {
            let schemes = schemes
                .into_iter()
                .map(|(name, list)| (name, StringList { list }));
            converted.push(types::SecurityRequirement {
                schemes: schemes.collect(),
            });
        }
    }
    converted
}

/// The schemes of 0.3, and which names of 1.0 went into which of them.
pub(super) fn schemes_out(schemes: CoreSchemes) -> (Schemes, BTreeMap<String, String>) {
    let folded: BTreeMap<_, _> = schemes
        .iter()
        .filter_map(|(name, scheme)| {
            let (base, flow) = name.rsplit_once('.')?;
            let is_flow = matches!(scheme, types::SecurityScheme::OAuth2(it)
                if it.flows.as_ref().is_some_and(|it| flow_name(it) == flow));
            let base_is_other = matches!(schemes.get(base), Some(types::SecurityScheme::OAuth2(it))
                if it.flows.as_ref().is_some_and(|it| flow_name(it) != flow));
            (is_flow && base_is_other).then(|| (name.clone(), base.to_owned()))
        })
        .collect();
    let mut converted = Schemes::new();
    for (name, scheme) in schemes {
        let key = folded.get(&name).unwrap_or(&name).clone();
        let scheme = scheme_out(scheme);
        match (converted.get_mut(&key), scheme.flows) {
            (Some(there), Some(flows)) => {
                let there = there.flows.get_or_insert_default();
                there.authorization_code =
                    there.authorization_code.take().or(flows.authorization_code);
                there.client_credentials =
                    there.client_credentials.take().or(flows.client_credentials);
                there.device_code = there.device_code.take().or(flows.device_code);
                there.implicit = there.implicit.take().or(flows.implicit);
                there.password = there.password.take().or(flows.password);
            }
            (_, flows) => {
                converted.insert(key, SecurityScheme { flows, ..scheme });
            }
        }
    }
    (converted, folded)
}

/// The requirements of 0.3, each once.
pub(super) fn requirements_out(
    requirements: Vec<types::SecurityRequirement>,
    folded: &BTreeMap<String, String>,
) -> Vec<SecurityRequirement> {
    let mut converted = Vec::with_capacity(requirements.len());
    for requirement in requirements {
        let schemes = requirement.schemes.into_iter().map(|(name, scopes)| {
            let name = folded.get(&name).unwrap_or(&name).clone();
            (name, scopes.list)
        });
        let requirement = SecurityRequirement(schemes.collect());
        if !converted.contains(&requirement) {
            converted.push(requirement);
        }
    }
    converted
}

fn scheme_out(scheme: types::SecurityScheme) -> SecurityScheme {
    let of = |kind: &str, description| SecurityScheme {
        kind: kind.to_owned(),
        description,
        ..SecurityScheme::default()
    };
    match scheme {
        types::SecurityScheme::ApiKey(scheme) => SecurityScheme {
            location: scheme.location,
            name: scheme.name,
            ..of("apiKey", scheme.description)
        },
        types::SecurityScheme::HttpAuth(scheme) => SecurityScheme {
            scheme: scheme.scheme,
            bearer_format: scheme.bearer_format,
            ..of("http", scheme.description)
        },
        types::SecurityScheme::OAuth2(scheme) => SecurityScheme {
            flows: Some(scheme.flows.map(flow_out).unwrap_or_default()),
            oauth2_metadata_url: scheme.oauth2_metadata_url,
            ..of("oauth2", scheme.description)
        },
        types::SecurityScheme::OpenIdConnect(scheme) => SecurityScheme {
            open_id_connect_url: scheme.open_id_connect_url,
            ..of("openIdConnect", scheme.description)
        },
        types::SecurityScheme::MutualTls(scheme) => of("mutualTLS", scheme.description),
    }
}

/// The flows, the preferred one first: those that are deprecated come last.
fn flows_in(flows: OAuthFlows) -> Vec<types::OAuthFlows> {
    [
        flows.authorization_code.map(Into::into),
        flows.client_credentials.map(Into::into),
        flows.device_code.map(Into::into),
        flows.implicit.map(Into::into),
        flows.password.map(Into::into),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn flow_out(flow: types::OAuthFlows) -> OAuthFlows {
    let mut flows = OAuthFlows::default();
    match flow {
        types::OAuthFlows::AuthorizationCode(flow) => flows.authorization_code = Some(flow),
        types::OAuthFlows::ClientCredentials(flow) => flows.client_credentials = Some(flow),
        types::OAuthFlows::DeviceCode(flow) => flows.device_code = Some(flow),
        types::OAuthFlows::Implicit(flow) => flows.implicit = Some(flow),
        types::OAuthFlows::Password(flow) => flows.password = Some(flow),
    }
    flows
}

fn flow_name(flow: &types::OAuthFlows) -> &'static str {
    match flow {
        types::OAuthFlows::AuthorizationCode(_) => "authorizationCode",
        types::OAuthFlows::ClientCredentials(_) => "clientCredentials",
        types::OAuthFlows::DeviceCode(_) => "deviceCode",
        types::OAuthFlows::Implicit(_) => "implicit",
        types::OAuthFlows::Password(_) => "password",
    }
}

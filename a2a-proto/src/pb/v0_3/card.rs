//! The agent card of A2A 0.3: one preferred address at the top with others beside it, where 1.0 has one list; flags that
//! cannot be unset; no device code flow.

use a2a_pb_types::v0_3 as pb;

use crate::pb::{Found, Proto, always_there, same_fields, same_members};
use crate::types::validate::Path;
use crate::types::{
    APIKeySecurityScheme, AgentCapabilities, AgentCard, AgentCardSignature, AgentExtension,
    AgentInterface, AgentProvider, AgentSkill, AuthorizationCodeOAuthFlow,
    ClientCredentialsOAuthFlow, HTTPAuthSecurityScheme, ImplicitOAuthFlow, MutualTlsSecurityScheme,
    OAuth2SecurityScheme, OAuthFlows, OpenIdConnectSecurityScheme, PasswordOAuthFlow,
    SecurityRequirement, SecurityScheme, StringList,
};
use crate::version::ProtocolVersion;

/// As cards of 0.3 write it, with the patch number.
const VERSION: &str = "0.3.0";

same_fields! {
    AgentProvider = pb::AgentProvider { url, organization }
    AgentExtension = pb::AgentExtension { uri, description, required, params }
    AgentCardSignature = pb::AgentCardSignature { protected, signature, header }
    StringList = pb::StringList { list }
    SecurityRequirement = pb::Security { schemes }
    APIKeySecurityScheme = pb::ApiKeySecurityScheme { description, location, name }
    HTTPAuthSecurityScheme = pb::HttpAuthSecurityScheme { description, scheme, bearer_format }
    OpenIdConnectSecurityScheme = pb::OpenIdConnectSecurityScheme { description, open_id_connect_url }
    MutualTlsSecurityScheme = pb::MutualTlsSecurityScheme { description }
    ClientCredentialsOAuthFlow = pb::ClientCredentialsOAuthFlow { token_url, refresh_url, scopes }
    ImplicitOAuthFlow = pb::ImplicitOAuthFlow { authorization_url, refresh_url, scopes }
    PasswordOAuthFlow = pb::PasswordOAuthFlow { token_url, refresh_url, scopes }
}
always_there!(AgentCapabilities = pb::AgentCapabilities);
same_members!(SecurityScheme = pb::SecurityScheme.scheme: security_scheme::Scheme {
    ApiKey / ApiKeySecurityScheme, HttpAuth / HttpAuthSecurityScheme, OAuth2 / Oauth2SecurityScheme,
    OpenIdConnect / OpenIdConnectSecurityScheme, MutualTls / MtlsSecurityScheme,
});

impl Proto<pb::AgentCard> for AgentCard {
    fn to_pb(&self) -> pb::AgentCard {
        let spoken = |it: &&AgentInterface| {
            ProtocolVersion::from_text(&it.protocol_version) == Some(ProtocolVersion::V0_3)
        };
        let mut interfaces: Vec<_> = self.supported_interfaces.iter().filter(spoken).collect();
        if interfaces.is_empty() {
            // Whoever asks in 0.3 should still learn where the agent is.
            interfaces.extend(&self.supported_interfaces);
        }
        let preferred = interfaces.first();
        pb::AgentCard {
            protocol_version: VERSION.to_owned(),
            name: self.name.clone(),
            description: self.description.clone(),
            url: preferred.map(|it| it.url.clone()).unwrap_or_default(),
            preferred_transport: preferred
                .map(|it| it.protocol_binding.clone())
                .unwrap_or_default(),
            additional_interfaces: interfaces
                .iter()
                .map(|it| pb::AgentInterface {
                    url: it.url.clone(),
                    transport: it.protocol_binding.clone(),
                })
                .collect(),
            provider: self.provider.to_pb(),
            version: self.version.clone(),
            documentation_url: self.documentation_url.clone().unwrap_or_default(),
            capabilities: self.capabilities.to_pb(),
            security_schemes: self.security_schemes.to_pb(),
            security: self.security_requirements.to_pb(),
            default_input_modes: self.default_input_modes.clone(),
            default_output_modes: self.default_output_modes.clone(),
            skills: self.skills.to_pb(),
            supports_authenticated_extended_card: self.capabilities.extended_agent_card
                == Some(true),
            // They are over the card of 1.0 and would not fit this one.
            signatures: Vec::new(),
            icon_url: self.icon_url.clone().unwrap_or_default(),
        }
    }
    fn from_pb(pb: pb::AgentCard, path: &Path<'_>, found: &mut Found) -> Self {
        let preferred = pb::AgentInterface {
            url: pb.url,
            transport: pb.preferred_transport,
        };
        // It is often listed a second time.
        let others = pb.additional_interfaces.into_iter();
        let others = others.filter(|it| *it != preferred);
        let others = Vec::from_iter(others);
        let all = std::iter::once(preferred).chain(others);
        let capabilities = &path.field("capabilities");
        let mut capabilities = AgentCapabilities::from_pb(pb.capabilities, capabilities, found);
        capabilities.extended_agent_card = Some(pb.supports_authenticated_extended_card);
        let set = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            name: pb.name,
            description: pb.description,
            supported_interfaces: all.filter(|it| !it.url.is_empty()).map(interface).collect(),
            provider: Proto::from_pb(pb.provider, &path.field("provider"), found),
            version: pb.version,
            documentation_url: set(pb.documentation_url),
            capabilities,
            security_schemes: Proto::from_pb(
                pb.security_schemes,
                &path.field("securitySchemes"),
                found,
            ),
            security_requirements: Proto::from_pb(pb.security, &path.field("security"), found),
            default_input_modes: pb.default_input_modes,
            default_output_modes: pb.default_output_modes,
            skills: Proto::from_pb(pb.skills, &path.field("skills"), found),
            signatures: Proto::from_pb(pb.signatures, &path.field("signatures"), found),
            icon_url: set(pb.icon_url),
        }
    }
}

fn interface(pb: pb::AgentInterface) -> AgentInterface {
    // JSON-RPC is what 0.3 takes for granted.
    let binding = Some(pb.transport).filter(|transport| !transport.is_empty());
    AgentInterface {
        url: pb.url,
        protocol_binding: binding.unwrap_or_else(|| "JSONRPC".to_owned()),
        tenant: String::new(),
        protocol_version: ProtocolVersion::V0_3.as_str().to_owned(),
    }
}

impl Proto<pb::AgentCapabilities> for AgentCapabilities {
    fn to_pb(&self) -> pb::AgentCapabilities {
        pb::AgentCapabilities {
            streaming: self.streaming.unwrap_or_default(),
            push_notifications: self.push_notifications.unwrap_or_default(),
            extensions: self.extensions.to_pb(),
        }
    }
    fn from_pb(pb: pb::AgentCapabilities, path: &Path<'_>, found: &mut Found) -> Self {
        Self {
            streaming: Some(pb.streaming),
            push_notifications: Some(pb.push_notifications),
            extensions: Proto::from_pb(pb.extensions, &path.field("extensions"), found),
            extended_agent_card: None,
        }
    }
}

impl Proto<pb::AgentSkill> for AgentSkill {
    fn to_pb(&self) -> pb::AgentSkill {
        pb::AgentSkill {
            id: self.id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            examples: self.examples.clone(),
            input_modes: self.input_modes.clone(),
            output_modes: self.output_modes.clone(),
            security: self.security_requirements.to_pb(),
        }
    }
    fn from_pb(pb: pb::AgentSkill, path: &Path<'_>, found: &mut Found) -> Self {
        Self {
            id: pb.id,
            name: pb.name,
            description: pb.description,
            tags: pb.tags,
            examples: pb.examples,
            input_modes: pb.input_modes,
            output_modes: pb.output_modes,
            security_requirements: Proto::from_pb(pb.security, &path.field("security"), found),
        }
    }
}

impl Proto<pb::OAuth2SecurityScheme> for OAuth2SecurityScheme {
    fn to_pb(&self) -> pb::OAuth2SecurityScheme {
        pb::OAuth2SecurityScheme {
            description: self.description.clone(),
            flows: self.flows.as_ref().map(flows),
            oauth2_metadata_url: self.oauth2_metadata_url.clone(),
        }
    }
    fn from_pb(pb: pb::OAuth2SecurityScheme, path: &Path<'_>, found: &mut Found) -> Self {
        use pb::o_auth_flows::Flow;
        let path = &path.field("flows");
        let flow = pb.flows.and_then(|flows| flows.flow);
        let flows = flow.map(|flow| match flow {
            Flow::AuthorizationCode(flow) => {
                OAuthFlows::AuthorizationCode(Proto::from_pb(flow, path, found))
            }
            Flow::ClientCredentials(flow) => {
                OAuthFlows::ClientCredentials(Proto::from_pb(flow, path, found))
            }
            Flow::Implicit(flow) => OAuthFlows::Implicit(Proto::from_pb(flow, path, found)),
            Flow::Password(flow) => OAuthFlows::Password(Proto::from_pb(flow, path, found)),
        });
        Self {
            description: pb.description,
            flows,
            oauth2_metadata_url: pb.oauth2_metadata_url,
        }
    }
}

fn flows(flows: &OAuthFlows) -> pb::OAuthFlows {
    use pb::o_auth_flows::Flow;
    let flow = match flows {
        OAuthFlows::AuthorizationCode(flow) => Some(Flow::AuthorizationCode(flow.to_pb())),
        OAuthFlows::ClientCredentials(flow) => Some(Flow::ClientCredentials(flow.to_pb())),
        OAuthFlows::Implicit(flow) => Some(Flow::Implicit(flow.to_pb())),
        OAuthFlows::Password(flow) => Some(Flow::Password(flow.to_pb())),
        // Not known in 0.3.
        OAuthFlows::DeviceCode(_) => None,
    };
    pb::OAuthFlows { flow }
}

impl Proto<pb::AuthorizationCodeOAuthFlow> for AuthorizationCodeOAuthFlow {
    fn to_pb(&self) -> pb::AuthorizationCodeOAuthFlow {
        pb::AuthorizationCodeOAuthFlow {
            authorization_url: self.authorization_url.clone(),
            token_url: self.token_url.clone(),
            refresh_url: self.refresh_url.clone(),
            scopes: self.scopes.clone(),
        }
    }
    fn from_pb(pb: pb::AuthorizationCodeOAuthFlow, _: &Path<'_>, _: &mut Found) -> Self {
        Self {
            authorization_url: pb.authorization_url,
            token_url: pb.token_url,
            refresh_url: pb.refresh_url,
            scopes: pb.scopes,
            pkce_required: false,
        }
    }
}

//! The agent card of A2A 1.0 and its parts.

use a2a_pb_types::v1_0 as pb;

use crate::pb::{same_fields, same_members};
use crate::types::{
    APIKeySecurityScheme, AgentCapabilities, AgentCard, AgentCardSignature, AgentExtension,
    AgentInterface, AgentProvider, AgentSkill, AuthorizationCodeOAuthFlow,
    ClientCredentialsOAuthFlow, DeviceCodeOAuthFlow, HTTPAuthSecurityScheme, ImplicitOAuthFlow,
    MutualTlsSecurityScheme, OAuth2SecurityScheme, OAuthFlows, OpenIdConnectSecurityScheme,
    PasswordOAuthFlow, SecurityRequirement, SecurityScheme, StringList,
};

same_fields! {
    AgentCard = pb::AgentCard {
        name, description, supported_interfaces, provider, version, documentation_url, capabilities,
        security_schemes, security_requirements, default_input_modes, default_output_modes, skills, signatures,
        icon_url,
    }
    AgentInterface = pb::AgentInterface { url, protocol_binding, tenant, protocol_version }
    AgentProvider = pb::AgentProvider { url, organization }
    AgentCapabilities = pb::AgentCapabilities { streaming, push_notifications, extensions, extended_agent_card }
    AgentExtension = pb::AgentExtension { uri, description, required, params }
    AgentSkill = pb::AgentSkill {
        id, name, description, tags, examples, input_modes, output_modes, security_requirements,
    }
    AgentCardSignature = pb::AgentCardSignature { protected, signature, header }

    StringList = pb::StringList { list }
    SecurityRequirement = pb::SecurityRequirement { schemes }
    APIKeySecurityScheme = pb::ApiKeySecurityScheme { description, location, name }
    HTTPAuthSecurityScheme = pb::HttpAuthSecurityScheme { description, scheme, bearer_format }
    OAuth2SecurityScheme = pb::OAuth2SecurityScheme { description, flows, oauth2_metadata_url }
    OpenIdConnectSecurityScheme = pb::OpenIdConnectSecurityScheme { description, open_id_connect_url }
    MutualTlsSecurityScheme = pb::MutualTlsSecurityScheme { description }

    AuthorizationCodeOAuthFlow = pb::AuthorizationCodeOAuthFlow {
        authorization_url, token_url, refresh_url, scopes, pkce_required,
    }
    ClientCredentialsOAuthFlow = pb::ClientCredentialsOAuthFlow { token_url, refresh_url, scopes }
    ImplicitOAuthFlow = pb::ImplicitOAuthFlow { authorization_url, refresh_url, scopes }
    PasswordOAuthFlow = pb::PasswordOAuthFlow { token_url, refresh_url, scopes }
    DeviceCodeOAuthFlow = pb::DeviceCodeOAuthFlow { device_authorization_url, token_url, refresh_url, scopes }
}

same_members!(SecurityScheme = pb::SecurityScheme.scheme: security_scheme::Scheme {
    ApiKey / ApiKeySecurityScheme, HttpAuth / HttpAuthSecurityScheme, OAuth2 / Oauth2SecurityScheme,
    OpenIdConnect / OpenIdConnectSecurityScheme, MutualTls / MtlsSecurityScheme,
});
same_members!(OAuthFlows = pb::OAuthFlows.flow: o_auth_flows::Flow {
    AuthorizationCode / AuthorizationCode, ClientCredentials / ClientCredentials, Implicit / Implicit,
    Password / Password, DeviceCode / DeviceCode,
});

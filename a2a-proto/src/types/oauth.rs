//! The OAuth 2 flows of a card (A2A §4.5). The deprecated ones are read but the servers of this workspace never
//! declare them.

use std::collections::BTreeMap;

use crate::types::declare::{message, oneof};
use crate::types::validate::no_rules;

message! {
    /// Authorization code, RFC 6749 §4.1.
    pub struct AuthorizationCodeOAuthFlow {
        /// The authorization endpoint.
        pub authorization_url: String = "authorizationUrl" [required always],
        /// The token endpoint.
        pub token_url: String = "tokenUrl" [required always],
        /// The endpoint for refresh tokens.
        pub refresh_url: String = "refreshUrl",
        /// Descriptions by scope.
        pub scopes: BTreeMap<String, String> = "scopes" [always],
        /// PKCE (RFC 7636) is needed.
        pub pkce_required: bool = "pkceRequired",
    }
}

message! {
    /// Client credentials, RFC 6749 §4.4.
    pub struct ClientCredentialsOAuthFlow {
        /// The token endpoint.
        pub token_url: String = "tokenUrl" [required always],
        /// The endpoint for refresh tokens.
        pub refresh_url: String = "refreshUrl",
        /// Descriptions by scope.
        pub scopes: BTreeMap<String, String> = "scopes" [always],
    }
}

message! {
    /// Implicit, RFC 6749 §4.2; deprecated.
    pub struct ImplicitOAuthFlow {
        /// The authorization endpoint.
        pub authorization_url: String = "authorizationUrl",
        /// The endpoint for refresh tokens.
        pub refresh_url: String = "refreshUrl",
        /// Descriptions by scope.
        pub scopes: BTreeMap<String, String> = "scopes",
    }
}

message! {
    /// Resource owner password, RFC 6749 §4.3; deprecated.
    pub struct PasswordOAuthFlow {
        /// The token endpoint.
        pub token_url: String = "tokenUrl",
        /// The endpoint for refresh tokens.
        pub refresh_url: String = "refreshUrl",
        /// Descriptions by scope.
        pub scopes: BTreeMap<String, String> = "scopes",
    }
}

message! {
    /// Device code, RFC 8628.
    pub struct DeviceCodeOAuthFlow {
        /// The device authorization endpoint.
        pub device_authorization_url: String = "deviceAuthorizationUrl" [required always],
        /// The token endpoint.
        pub token_url: String = "tokenUrl" [required always],
        /// The endpoint for refresh tokens.
        pub refresh_url: String = "refreshUrl",
        /// Descriptions by scope.
        pub scopes: BTreeMap<String, String> = "scopes" [always],
    }
}

no_rules!(
    AuthorizationCodeOAuthFlow,
    ClientCredentialsOAuthFlow,
    ImplicitOAuthFlow,
    PasswordOAuthFlow,
    DeviceCodeOAuthFlow,
);

oneof! {
    /// The flow of an OAuth 2 scheme.
    pub enum OAuthFlows {
        /// Authorization code.
        AuthorizationCode(AuthorizationCodeOAuthFlow) = "authorizationCode" | "authorization_code",
        /// Client credentials.
        ClientCredentials(ClientCredentialsOAuthFlow) = "clientCredentials" | "client_credentials",
        /// Implicit; deprecated.
        Implicit(ImplicitOAuthFlow) = "implicit" | "implicit",
        /// Resource owner password; deprecated.
        Password(PasswordOAuthFlow) = "password" | "password",
        /// Device code.
        DeviceCode(DeviceCodeOAuthFlow) = "deviceCode" | "device_code",
    }
}

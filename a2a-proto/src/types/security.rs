//! How a card says what callers must show (A2A §4.5): schemes, and which of them are needed together.

use std::collections::BTreeMap;

use crate::types::OAuthFlows;
use crate::types::declare::{message, oneof};
use crate::types::validate::no_rules;

message! {
    /// A list of strings, where protobuf needs a message around it.
    pub struct StringList {
        /// The strings.
        pub list: Vec<String> = "list" [always],
    }
}

message! {
    /// Schemes that are needed together, each with its scopes.
    pub struct SecurityRequirement {
        /// Scopes by the name of the scheme.
        pub schemes: BTreeMap<String, StringList> = "schemes",
    }
}

message! {
    /// A key in a header, a query parameter or a cookie.
    pub struct APIKeySecurityScheme {
        /// A description for people.
        pub description: String = "description",
        /// `query`, `header` or `cookie`.
        pub location: String = "location" [required always],
        /// The name of the header, parameter or cookie.
        pub name: String = "name" [required always],
    }
}

message! {
    /// HTTP authentication (RFC 9110 §11).
    pub struct HTTPAuthSecurityScheme {
        /// A description for people.
        pub description: String = "description",
        /// An IANA scheme such as `Bearer`.
        pub scheme: String = "scheme" [required always],
        /// What the bearer token looks like, such as `JWT`.
        pub bearer_format: String = "bearerFormat",
    }
}

message! {
    /// OAuth 2.
    pub struct OAuth2SecurityScheme {
        /// A description for people.
        pub description: String = "description",
        /// The flow.
        pub flows: Option<OAuthFlows> = "flows" [required],
        /// The authorization server's metadata (RFC 8414).
        pub oauth2_metadata_url: String = "oauth2MetadataUrl",
    }
}

message! {
    /// OpenID Connect.
    pub struct OpenIdConnectSecurityScheme {
        /// A description for people.
        pub description: String = "description",
        /// The discovery document.
        pub open_id_connect_url: String = "openIdConnectUrl" [required always],
    }
}

message! {
    /// TLS with a client certificate.
    pub struct MutualTlsSecurityScheme {
        /// A description for people.
        pub description: String = "description",
    }
}

no_rules!(
    StringList,
    SecurityRequirement,
    APIKeySecurityScheme,
    HTTPAuthSecurityScheme,
    OAuth2SecurityScheme,
    OpenIdConnectSecurityScheme,
    MutualTlsSecurityScheme,
);

oneof! {
    /// One way to authenticate.
    pub enum SecurityScheme {
        /// A key.
        ApiKey(APIKeySecurityScheme) = "apiKeySecurityScheme" | "api_key_security_scheme",
        /// HTTP authentication.
        HttpAuth(HTTPAuthSecurityScheme) = "httpAuthSecurityScheme" | "http_auth_security_scheme",
        /// OAuth 2.
        OAuth2(OAuth2SecurityScheme) = "oauth2SecurityScheme" | "oauth2_security_scheme",
        /// OpenID Connect.
        OpenIdConnect(OpenIdConnectSecurityScheme) = "openIdConnectSecurityScheme" | "open_id_connect_security_scheme",
        /// A client certificate.
        MutualTls(MutualTlsSecurityScheme) = "mtlsSecurityScheme" | "mtls_security_scheme",
    }
}

//! The agent card and its parts (A2A §4.4): who an agent is, what it can do, where it listens. Fields that the protocol
//! requires are written even when empty, since other SDKs insist on them.

use std::collections::BTreeMap;

use crate::types::declare::message;
use crate::types::validate::no_rules;
use crate::types::{Metadata, SecurityRequirement, SecurityScheme};

message! {
    /// The discovery document of an agent.
    pub struct AgentCard {
        /// A name for people.
        pub name: String = "name" [required always],
        /// A description for people.
        pub description: String = "description" [always],
        /// Where the agent listens, the preferred interface first.
        pub supported_interfaces: Vec<AgentInterface> = "supportedInterfaces" [required always],
        /// Who runs the agent.
        pub provider: Option<AgentProvider> = "provider",
        /// The version of the agent itself.
        pub version: String = "version" [required always],
        /// Where to read more.
        pub documentation_url: Option<String> = "documentationUrl",
        /// What the agent can do.
        pub capabilities: AgentCapabilities = "capabilities" [always],
        /// Ways to authenticate, by a name that `security_requirements` uses.
        pub security_schemes: BTreeMap<String, SecurityScheme> = "securitySchemes",
        /// What a caller needs: one entry is enough, all schemes of an entry are needed.
        pub security_requirements: Vec<SecurityRequirement> = "securityRequirements",
        /// Media types that the agent takes.
        pub default_input_modes: Vec<String> = "defaultInputModes" [always],
        /// Media types that the agent makes.
        pub default_output_modes: Vec<String> = "defaultOutputModes" [always],
        /// What the agent is good at.
        pub skills: Vec<AgentSkill> = "skills" [always],
        /// Signatures over the card (RFC 7515).
        pub signatures: Vec<AgentCardSignature> = "signatures",
        /// A picture.
        pub icon_url: Option<String> = "iconUrl",
    }
}

message! {
    /// One place where the agent listens.
    pub struct AgentInterface {
        /// The address; `host:port` for gRPC.
        pub url: String = "url" [required always],
        /// `JSONRPC`, `HTTP+JSON`, `GRPC`, or the URI of another binding.
        pub protocol_binding: String = "protocolBinding" [required always],
        /// The tenant to put into every request.
        pub tenant: String = "tenant",
        /// The protocol version, `1.0`.
        pub protocol_version: String = "protocolVersion" [required always],
    }
}

message! {
    /// Who runs the agent.
    pub struct AgentProvider {
        /// Their web site.
        pub url: String = "url" [required always],
        /// Their name.
        pub organization: String = "organization" [required always],
    }
}

message! {
    /// What the agent can do beyond sending, getting, listing and cancelling.
    pub struct AgentCapabilities {
        /// It streams.
        pub streaming: Option<bool> = "streaming",
        /// It pushes notifications.
        pub push_notifications: Option<bool> = "pushNotifications",
        /// Extensions that it knows.
        pub extensions: Vec<AgentExtension> = "extensions",
        /// It has a second card for known callers.
        pub extended_agent_card: Option<bool> = "extendedAgentCard",
    }
}

message! {
    /// An extension of the protocol.
    pub struct AgentExtension {
        /// What names it.
        pub uri: String = "uri",
        /// What the agent uses it for.
        pub description: String = "description",
        /// A client that does not know it must stay away.
        pub required: bool = "required",
        /// Parameters of the extension's own.
        pub params: Option<Metadata> = "params",
    }
}

message! {
    /// Something that the agent is good at.
    pub struct AgentSkill {
        /// Unique within the card.
        pub id: String = "id" [required always],
        /// A name for people.
        pub name: String = "name" [required always],
        /// A description for people and planners.
        pub description: String = "description" [always],
        /// Words to find it by.
        pub tags: Vec<String> = "tags" [always],
        /// Prompts that it can handle.
        pub examples: Vec<String> = "examples",
        /// Media types that it takes, where they differ from the card's.
        pub input_modes: Vec<String> = "inputModes",
        /// Media types that it makes, where they differ from the card's.
        pub output_modes: Vec<String> = "outputModes",
        /// What a caller needs for this skill.
        pub security_requirements: Vec<SecurityRequirement> = "securityRequirements",
    }
}

message! {
    /// A detached JWS over the card (A2A §8.4).
    pub struct AgentCardSignature {
        /// The protected header, base64url.
        pub protected: String = "protected" [required always],
        /// The signature, base64url.
        pub signature: String = "signature" [required always],
        /// The unprotected header.
        pub header: Option<Metadata> = "header",
    }
}

no_rules!(
    AgentCard,
    AgentInterface,
    AgentProvider,
    AgentCapabilities,
    AgentExtension,
    AgentSkill,
    AgentCardSignature,
);
